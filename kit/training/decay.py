"""Weight decay: which weights of which kind of layer it makes smaller.

What multiplies an input and could be made up for by a normalisation or the next layer decays: kernels. What shifts,
scales or stands for a place does not, since zero is not simple there but another function:

- Vision and Swin Transformers, as DeiT trains them (Touvron et al., "Training data-efficient image transformers", 2021)
  and Swin (Liu et al., 2021, with tables of relative positions): no biases, no normalisation, no class token and no
  position. CaiT (Touvron et al., 2021), layer scale: as any vector, it does not decay.
- BERT (Devlin et al., 2019): all but biases and normalisation. GPT-2 and BERT decay embeddings of tokens, which are
  kernels of one-hot vectors, and often those of the last layer: so do all embeddings of symbols here. A position's do
  not, as in the vision models: there are few, and all of them are seen at every step.
- PReLU (He et al., "Delving Deep into Rectifiers", 2015, section 2.1): its slopes would be drawn towards those of ReLU.
- Conditional random fields (Sutton and McCallum, "An Introduction to Conditional Random Fields", 2012, section 5.1.1):
  all scores decay.
- StyleGAN (Karras et al., 2019): the map that is learned stands for a place, the strength of noise is a scale.
"""

import keras

from kit.training.checkpoint import inside

_KERNEL = {"kernel": True, "bias": False}
_RECURRENT = {**_KERNEL, "recurrent_kernel": True}
_NORMALIZATION = {"gamma": False, "beta": False}

# Kind of layer to whether each of its weights decays; a subclass is of the kind of its base.
KINDS = {
    **dict.fromkeys(("Dense", "EinsumDense", "BaseConv", "BaseConvTranspose", "BaseDepthwiseConv"), _KERNEL),
    **dict.fromkeys(("SimpleRNNCell", "GRUCell", "LSTMCell"), _RECURRENT),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "GroupNormalization"), _NORMALIZATION),
    "GhostBatchNormalization": _NORMALIZATION,
    "RMSNormalization": {"scale": False},
    "SpectralNormalization": {"kernel": True},
    "Embedding": {"embeddings": True},
    "ReversibleEmbedding": {"embeddings": True, "reverse_embeddings": True},
    "PReLU": {"alpha": False},
    # Those of kit.
    "PeepholeLSTMCell": {**_RECURRENT, "peephole": True},  # kernels with one weight a unit
    "LearnedPosition": {"embeddings": False},
    "RelativeEmbedding": {"embeddings": False},  # of relative positions
    "RelativePositionBias": {"embeddings": False},
    "Bias": {"bias": False},
    "ClassToken": {"token": False},
    "WindowAttention": {"relative_position_bias": False},
    "LayerScale": {"factor": False},
    "CRF": {"transitions": True, "start": True, "end": True},
    "RestrictedBoltzmann": {"kernel": True, "hidden_bias": False, "visible_bias": False},
    "EqualizedDense": _KERNEL,
    "Modulation": {"style_kernel": True, "style_bias": False},
    "ModulatedConvolution": {**_KERNEL, "style_kernel": True, "style_bias": False},
    "LearnedMap": {"map": False},
    "NoiseInjection": {"strength": False},
    "SharedVector": {"vector": False},  # the logarithm of a policy's standard deviation
}


def decided(layer, name):
    """Returns whether a weight of a layer decays as the table says, or None where it knows none of that kind."""
    for kind in type(layer).__mro__:
        if name in KINDS.get(kind.__name__, ()):
            return KINDS[kind.__name__][name]
    return None


def decays(layer, variable):
    """Returns whether a weight of a layer decays; of a kind that is not known, if it is a matrix and no bias."""
    known = decided(layer, variable.name)
    return known if known is not None else len(variable.shape) > 1 and "bias" not in variable.name


def sparing(optimizer, *models):
    """Returns an optimizer that spares what does not decay; must come before it is built.

    Args:
        optimizer: Keras optimizer, or its name. One that has been built, or was told already what to spare, stays as it
            is.
        models: The built models that it trains.
    """
    optimizer = keras.optimizers.get(optimizer)
    chosen = inside(optimizer)
    if not chosen.built and not hasattr(chosen, "_exclude_from_weight_decay"):
        layers = [layer for model in models for layer in model._flatten_layers()]
        spared = [each for layer in layers for each in layer._trainable_variables if not decays(layer, each)]
        chosen.exclude_from_weight_decay(var_list=spared)
    return optimizer
