"""Learning rates by layer: lower layers of a backbone, which were learned more generally, take smaller steps."""

import contextlib
import logging
import types

import keras

from kit.errors import SettingError
from kit.training import checkpoint
from kit.training.transfer import backbone_groups

log = logging.getLogger("kit")


@contextlib.contextmanager
def lowered(model, network, decay):
    """Lets a model train with a learning rate that gets smaller from layer to layer; afterwards all is as before.

    Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.2 (discriminative
    fine-tuning). It goes with every optimizer: the rate is lowered in the step of each weight, and in its decay.

    Args:
        model: Compiled model, or training wrapper, with built optimizers.
        network: Model inside it that has a backbone.
        decay: Factor of the rate from each group of layers to the one below it.
    """
    if decay == 1:
        yield
        return
    factors = factors_of(network, decay)
    replaced = []
    for optimizer in (checkpoint.inside(each) for each in checkpoint.optimizers(model) if each is not None):
        for name, smaller in (("update_step", _slower), ("_apply_weight_decay", _less)):
            replaced.append((optimizer, name, vars(optimizer).get(name)))
            setattr(optimizer, name, types.MethodType(smaller(getattr(optimizer, name), factors), optimizer))
    try:
        yield
    finally:
        for optimizer, name, before in replaced:
            delattr(optimizer, name)
            if before is not None:
                setattr(optimizer, name, before)


def factors_of(network, decay):
    """Returns the factor of the learning rate of each weight of a backbone, by the weight's id.

    The topmost group of layers has `decay`, the next one its square, and so on; what is outside of it has 1.
    """
    groups = backbone_groups(network)
    return {
        id(weight): decay ** (len(groups) - index)
        for index, group in enumerate(groups)
        for layer in group
        for weight in layer.weights
    }


def tell(network, decay):
    """Says in the log how much slower the lowest layers learn.

    Raises:
        SettingError: the network has no backbone.
    """
    groups = backbone_groups(network)
    if not groups:
        raise SettingError("layer_decay", f"expected 1: {network.name} has no backbone")
    log.info(
        "train.layer_decay: %d groups of layers; the lowest, from %s on, has %.3g times the learning rate",
        len(groups),
        groups[0][0].name,
        decay ** len(groups),
    )


def _slower(step, factors):
    """Returns a method `update_step` that passes a smaller learning rate on; `step` is the one before."""

    def update_step(optimizer, gradient, variable, learning_rate):
        known = optimizer._trainable_variables[optimizer._get_variable_index(variable)]
        factor = factors.get(id(known), 1.0)
        return step(gradient, variable, learning_rate * keras.ops.cast(factor, learning_rate.dtype))

    return update_step


def _less(apply, factors):
    """Returns a method `_apply_weight_decay` whose decay is smaller; `apply` is the one before."""

    def apply_weight_decay(optimizer, variables):
        whole = optimizer.weight_decay
        for variable in variables if whole else ():
            optimizer.weight_decay = whole * factors.get(id(variable), 1.0)
            try:
                apply([variable])
            finally:
                optimizer.weight_decay = whole

    return apply_weight_decay
