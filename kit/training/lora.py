"""Low-rank adaptation (LoRA): a backbone keeps its weights, and learns small products beside its kernels.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. Keras' own `enable_lora` does the arithmetic.
"""

import logging
import math

import keras

from kit.errors import SettingError
from kit.training.transfer import backbones

log = logging.getLogger("kit")


def begin(network, rank):
    """Puts two matrices of a rank beside each dense kernel of a backbone, and freezes all that it had.

    Args:
        network: Model with a backbone inside, or one that is a backbone itself, with a head on it.
        rank: The rank.

    Raises:
        SettingError: there is no backbone, or none of its layers is dense.
    """
    inside = _inside(network)
    dense = [layer for layer in inside if _is_dense(layer)]
    if not dense:
        raise SettingError("lora_rank", f"expected 0: {network.name} has no backbone with dense layers")
    for layer in inside:
        for weight in layer._trainable_variables:
            weight.trainable = False
    for layer in dense:
        layer.enable_lora(rank)
    learned = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    of_all = sum(math.prod(weight.shape) for weight in network.weights)
    shown = f"{learned:,} of {of_all:,} parameters train"
    log.info("train.lora_rank: matrices of rank %d beside %d dense layers; %s", rank, len(dense), shown)


def merge(network):
    """Adds what was learned to the kernels, and takes the matrices away: the network is what it was before `begin`."""
    adapted = _adapted(network)
    for layer in adapted:
        layer._kernel.assign(layer.kernel)
        layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None
        del layer.lora_kernel_a, layer.lora_kernel_b
    for layer in _inside(network) if adapted else ():
        for weight in layer._trainable_variables:
            weight.trainable = True


def _inside(network):
    """Returns the layers of a backbone, each with those inside it."""
    return [layer for backbone in backbones(network) or [network] for layer in backbone._flatten_layers()]


def merged_weights(network):
    """Returns the weights that a network would have after `merge`, those of its layers in order."""
    adapted = _adapted(network)
    kernels = {id(layer._kernel): layer for layer in adapted}
    added = {id(each) for layer in adapted for each in (layer.lora_kernel_a, layer.lora_kernel_b)}
    return [
        keras.ops.convert_to_numpy(kernels[id(weight)].kernel if id(weight) in kernels else weight)
        for weight in network.weights
        if id(weight) not in added
    ]


def _adapted(network):
    return [layer for layer in network._flatten_layers() if getattr(layer, "lora_enabled", False)]


def _is_dense(layer):
    return type(layer) in (keras.layers.Dense, keras.layers.EinsumDense)
