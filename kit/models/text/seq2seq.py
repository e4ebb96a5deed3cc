"""Encoder-decoders: `VARIANTS` maps every variant's name to its builder and that variant's arguments.

Each is a model from [source, mask, target] to the decoder's output; `parts` takes it apart to write step by step.
"""

import keras

from kit.models.text import recurrent_seq2seq, transformer_seq2seq

VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (transformer_seq2seq, recurrent_seq2seq)
    for variant, arguments in module.VARIANTS.items()
}


def parts(model):
    """Takes an encoder-decoder apart.

    Args:
        model: A model that a builder of `VARIANTS` returned, or that was loaded.

    Returns:
        Encoder, a model from [source, mask] to what the decoder begins with, by number, the memory first; the layers
        that the target passes through before the decoder; and the decoder, with `initial_state(memory, mask,
        max_length, ...)` and `step(x, position, state)`.
    """
    names = [layer.name for layer in model.layers]
    source, mask, _ = model.inputs
    outputs = [model.get_layer(name).output for name in ("memory", "summary") if name in names]
    projection = [model.get_layer(name) for name in ("target_projection",) if name in names]
    return keras.Model([source, mask], dict(enumerate(outputs))), projection, model.get_layer("decoder")
