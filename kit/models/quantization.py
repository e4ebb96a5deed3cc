"""Quantisation: networks whose dense layers and embeddings hold whole numbers of 8 bits, for less memory."""

import weakref

import keras

_KINDS = ("Dense", "EinsumDense", "Embedding", "ReversibleEmbedding")
_MADE = weakref.WeakKeyDictionary()


def quantized(model):
    """Returns a copy of a network whose kernels and embeddings are whole numbers of 8 bits; made once for each.

    It is Keras' own quantisation: each column has a scale, and what goes into a layer is rounded, too. Routers of
    experts stay as they are: a little less exact, they would choose others.

    Args:
        model: Network, which is left as it is.
    """
    if model not in _MADE:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        for layer in copy._flatten_layers():
            if type(layer).__name__ in _KINDS and layer.name != "router":
                layer.quantize("int8")
        _MADE[model] = copy
    return _MADE[model]
