"""Switch Transformers' published layout, that of `transformers`: T5's, with experts in every so many blocks."""

import dataclasses

from kit.blocks.experts import Experts
from kit.errors import KitError
from kit.weights import t5
from kit.weights.family import known, setting

# Published activations of experts to ours.
_ACTIVATIONS = {"relu": "relu", "gelu_new": "gelu", "silu": "silu"}


def arguments(config, folder):
    """Returns keywords of `kit.models.text.switch_transformers` for a `config.json`."""
    known(config, folder, "router_bias", (False,), False)
    found = t5.sizes(config, folder)
    intervals = [
        _interval(config, folder, f"num_sparse_{side}_layers", found[depth])
        for side, depth in (("encoder", "depth"), ("decoder", "decoder_depth"))
    ]
    return found | {
        "activation": _ACTIVATIONS[known(config, folder, "dense_act_fn", tuple(_ACTIVATIONS), "relu")],
        "is_gated": False,
        "is_tied": bool(config.get("tie_word_embeddings", True)),
        "num_experts": setting(config, folder, "num_experts", default=8),
        "experts_interval": intervals[0],
        "decoder_experts_interval": intervals[1],
        "capacity": setting(config, folder, "expert_capacity", default=64),
        "capacity_factor": 1.25,  # unused where there is a capacity
        "jitter": float(config.get("router_jitter_noise", 0.01)),
        "load_loss": float(config.get("router_aux_loss_coef", 0.001)),
    }


def _interval(config, folder, key, depth):
    """Returns of how many blocks one has experts; in the published code that is the second of them."""
    count = config.get(key, 3)
    interval = depth // count if count else 0
    if interval not in (1, 2):
        raise KitError(f"{folder}: config.json has {key} {count} of {depth} layers; expected all of them, or half")
    return interval


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.switch_transformers`.

    Raises:
        KitError: there is no published layout for it.
    """
    activations = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    if arguments["is_gated"] or arguments["activation"] not in activations:
        raise KitError(
            f"switch_transformers: no published experts are gated or have {arguments['activation']!r}; expected "
            f"backbone.is_gated=false and an activation of {', '.join(activations)}"
        )
    if arguments["capacity"] is None:
        raise KitError(
            "switch_transformers: published experts have a capacity in tokens; expected backbone.capacity, such as 64"
        )
    own = arguments["experts_interval"]
    said = t5.said_sizes(arguments)
    intervals = (own, own if arguments["decoder_experts_interval"] is None else arguments["decoder_experts_interval"])
    if not set(intervals) <= {1, 2}:
        raise KitError("switch_transformers: published experts are in all blocks or in every other one")
    return {
        "architectures": ["SwitchTransformersForConditionalGeneration"],
        "model_type": "switch_transformers",
        **said,
        "num_sparse_encoder_layers": said["num_layers"] // intervals[0],
        "num_sparse_decoder_layers": said["num_decoder_layers"] // intervals[1],
        "dense_act_fn": activations[arguments["activation"]],
        "num_experts": arguments["num_experts"],
        "expert_capacity": arguments["capacity"],
        "router_bias": False,
        "router_jitter_noise": arguments["jitter"],
        "router_aux_loss_coef": arguments["load_loss"],
    }


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.text.switch_transformers`."""
    layers = {layer.name: layer for layer in model.layers}
    settings = layers["decoder"].settings
    decoder = [number for number in range(1, settings["depth"] + 1) if number % settings["experts_interval"] == 0]
    sparse = {f"decoder/block{number}/feedforward" for number in decoder}
    sparse |= {name for name, layer in layers.items() if isinstance(layer, Experts)}

    def feedforward(theirs, ours):
        if ours not in sparse:
            return {f"{theirs}mlp.{one}.weight": f"{ours}_{own}/kernel" for one, own in (("wi", "in"), ("wo", "out"))}
        found = {f"{theirs}mlp.router.classifier.weight": f"{ours}/router/kernel"}
        for number in range(settings["experts"]["num_experts"]):
            for one, own in (("wi", "in"), ("wo", "out")):
                name = f"{theirs}mlp.experts.expert_{number}.{one}.weight"
                found[name] = f"{ours}/expert{number + 1}_{own}/kernel"
        return found

    return t5.names(model, feedforward)


FAMILY = dataclasses.replace(
    t5.FAMILY, name="switch_transformers", arguments=arguments, configuration=configuration, names=names
)
