"""ImageNet weights of `keras.applications`, for the same architectures of the kit.

The references differ in details that leave the function the same: their convolutions have biases in front of a batch
normalisation, their normalisations another epsilon, some of them take blue before red. Biases and epsilons are folded
into the normalisation, the channels of the first kernel are turned around.
"""

import os
import string
from pathlib import Path

import keras
import numpy as np

from kit.blocks.stages import named_blocks
from kit.errors import SettingError, check

_RESNET = {
    **{f"{index}_conv": f"{index}_conv" for index in (1, 2, 3)},
    **{f"{index}_norm": f"{index}_bn" for index in (1, 2, 3)},
    **{"shortcut_conv": "0_conv", "shortcut_norm": "0_bn"},
}
_DENSENET = {"0_norm": "0_bn", "1_conv": "1_conv", "1_norm": "1_bn", "2_conv": "2_conv"}
_INVERTED = {
    **{f"{part}_conv": part for part in ("expand", "depthwise", "project")},
    **{f"{part}_norm": f"{part}_BN" for part in ("expand", "depthwise", "project")},
}
_EFFICIENT = {
    **{"expand_conv": "expand_conv", "expand_norm": "expand_bn", "depthwise_conv": "dwconv", "depthwise_norm": "bn"},
    **{"squeeze_reduce": "se_reduce", "squeeze_expand": "se_expand"},
    **{"project_conv": "project_conv", "project_norm": "project_bn"},
}


def _block_names(model, ending):
    """Returns the names of a model's blocks in order, told by a layer that each of them has."""
    return [layer.name.removesuffix(ending) for layer in model.layers if layer.name.endswith(ending)]


def _resnet_names(model, depths):
    names = {"stem_conv": "conv1_conv", "stem_norm": "conv1_bn"}
    for stage, index, block in named_blocks(depths):
        names |= {f"{block}_{ours}": f"conv{stage + 1}_block{index}_{theirs}" for ours, theirs in _RESNET.items()}
    return names


def _densenet_names(model, depths):
    names = {"stem_conv": "conv1_conv", "stem_norm": "conv1_bn", "final_norm": "bn"}
    for stage, index, block in named_blocks(depths):
        names |= {f"{block}_{ours}": f"conv{stage + 1}_block{index}_{theirs}" for ours, theirs in _DENSENET.items()}
        names |= {f"transition{stage}_conv": f"pool{stage + 1}_conv", f"transition{stage}_norm": f"pool{stage + 1}_bn"}
    return names


def _vgg_names(model, depths):
    names = {"dense1": "fc1", "dense2": "fc2"}
    for stage, depth in enumerate(depths, 1):
        names |= {f"stage{stage}_{index}_conv": f"block{stage}_conv{index}" for index in range(1, depth + 1)}
    return names


def _mobilenet_names(model, _):
    names = {"stem_conv": "conv1", "stem_norm": "conv1_bn"}
    for index, block in enumerate(_block_names(model, "_depthwise_conv"), 1):
        for ours, theirs in (("depthwise", "dw"), ("pointwise", "pw")):
            names |= {
                f"{block}_{ours}_conv": f"conv_{theirs}_{index}",
                f"{block}_{ours}_norm": f"conv_{theirs}_{index}_bn",
            }
    return names


def _mobilenetv2_names(model, _):
    names = {"stem_conv": "Conv1", "stem_norm": "bn_Conv1", "final_conv": "Conv_1", "final_norm": "Conv_1_bn"}
    for index, block in enumerate(_block_names(model, "_depthwise_conv")):
        prefix = f"block_{index}" if index else "expanded_conv"
        names |= {f"{block}_{ours}": f"{prefix}_{theirs}" for ours, theirs in _INVERTED.items()}
    return names


def _efficientnet_names(model, repetitions):
    names = {"stem_conv": "stem_conv", "stem_norm": "stem_bn", "final_conv": "top_conv", "final_norm": "top_bn"}
    rows = [
        f"block{row}{letter}" for row, count in enumerate(repetitions, 1) for letter in string.ascii_lowercase[:count]
    ]
    for prefix, block in zip(rows, _block_names(model, "_depthwise_conv"), strict=True):
        names |= {f"{block}_{ours}": f"{prefix}_{theirs}" for ours, theirs in _EFFICIENT.items()}
    return names


# Variant to the reference's module and class, our layers' names in it, and what these depend on.
REFERENCES = {
    "vgg16": ("vgg16", "VGG16", _vgg_names, (2, 2, 3, 3, 3)),
    "vgg19": ("vgg19", "VGG19", _vgg_names, (2, 2, 4, 4, 4)),
    "resnet50": ("resnet", "ResNet50", _resnet_names, (3, 4, 6, 3)),
    "resnet101": ("resnet", "ResNet101", _resnet_names, (3, 4, 23, 3)),
    "resnet152": ("resnet", "ResNet152", _resnet_names, (3, 8, 36, 3)),
    "densenet121": ("densenet", "DenseNet121", _densenet_names, (6, 12, 24, 16)),
    "densenet169": ("densenet", "DenseNet169", _densenet_names, (6, 12, 32, 32)),
    "densenet201": ("densenet", "DenseNet201", _densenet_names, (6, 12, 48, 32)),
    "mobilenet": ("mobilenet", "MobileNet", _mobilenet_names, None),
    "mobilenetv2": ("mobilenet_v2", "MobileNetV2", _mobilenetv2_names, None),
    "efficientnet_b0": ("efficientnet", "EfficientNetB0", _efficientnet_names, (1, 2, 2, 3, 3, 4, 1)),
}


# Files of weights without a head that `keras.applications` keeps below its home, those of quick networks first; of
# several sides of images each has its own.
_KEPT = {
    "efficientnet_b0": ("efficientnetb0_notop.h5", None),
    "mobilenetv2": ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{}_no_top.h5", (160, 128, 224, 192, 96)),
    "resnet50": ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", None),
    "densenet121": ("densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", None),
    "mobilenet": ("mobilenet_1_0_{}_tf_no_top.h5", (160, 128, 224, 192)),
}
_SIDE = 160  # of images, where weights go with any


def on_this_machine():
    """Returns a variant whose ImageNet weights Keras has kept here, and the side of images for it; or None."""
    folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    for variant, (name, sides) in _KEPT.items():
        for side in sides or (_SIDE,):
            if (folder / name.format(side)).is_file():
                return variant, side
    return None


def load(model, variant, weights="imagenet"):
    """Gives an architecture the weights of its reference in `keras.applications`.

    Args:
        model: Headless model of the variant, for images of three channels; changed in place.
        variant: One of `REFERENCES`.
        weights: "imagenet", a path of weights that the reference can load, or None for random ones.

    Returns:
        Scale and offset of each channel, red first: what turns pixels from 0 to 255 into what the weights are used to.

    Raises:
        SettingError: there are no such weights, or the model is not that variant's.
    """
    check(
        variant in REFERENCES,
        "weights",
        weights,
        f"None with {variant!r}; there are weights for {', '.join(REFERENCES)}",
    )
    module, name, _, _ = REFERENCES[variant]
    shape = tuple(model.input.shape[1:])
    check(shape[-1] == 3, "data.color_mode", shape, "images of three channels with published weights")
    has_dense = any(layer.name == "dense1" for layer in model.layers)
    check(not has_dense or shape[:2] == (224, 224), "data.image_size", shape[:2], "224x224 with the weights of a VGG")
    strided = next((layer for layer in model.layers if layer.name == "stage2_1_1_conv"), None)
    if module == "resnet" and strided is not None:
        check(strided.strides == (2, 2), "backbone.stride_first", False, "true with these weights")
    reference = getattr(keras.applications, name)(
        weights=weights, input_shape=shape, include_top=has_dense, **({} if has_dense else {"pooling": None})
    )
    copy(model, reference, variant)
    return preprocessing(reference, module)


def preprocessing(reference, module):
    """Returns scale and offset of each channel, red first, that the reference and its `preprocess_input` amount to."""
    prepare = getattr(keras.applications, module).preprocess_input
    probes = np.zeros((4, 1, 1, 3), "float32")
    probes[1:, 0, 0] = np.eye(3) * 255
    prepared = np.stack([prepare(probe.copy()) for probe in probes])
    own = [
        layer for layer in reference.layers if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
    ]
    for layer in own:
        prepared = keras.ops.convert_to_numpy(layer(prepared))
    prepared = prepared[:, 0, 0]
    offset = prepared[0]
    slopes = (prepared[1:] - offset) / 255  # (channel in, channel out)
    order = np.abs(slopes).argmax(1)  # of blue first it is 2, 1, 0
    return tuple(slopes[range(3), order].tolist()), tuple(offset[order].tolist())


def copy(model, reference, variant):
    """Copies a reference's weights into a model of the same architecture, so that both give the same outputs.

    Args:
        model: Headless model of the variant; changed in place.
        reference: The model of `keras.applications`.
        variant: One of `REFERENCES`.

    Raises:
        SettingError: a layer is missing or has another shape.
    """
    module, _, names, facts = REFERENCES[variant]
    names = names(model, facts)
    theirs = {layer.name: layer for layer in reference.layers}
    for layer in model.layers:
        if not layer.weights:
            continue
        source = theirs.get(names.get(layer.name))
        if source is None:
            raise SettingError("weights", f"{variant}: {layer.name} is in no reference; expected the variant unchanged")
        values = source.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            values[2] = values[2] - _bias_before(layer, names, theirs)
            values[3] = values[3] + source.epsilon - layer.epsilon
        elif len(values) > len(layer.weights):
            values = values[:1]  # the bias is folded into the normalisation behind
        if isinstance(layer, keras.layers.Dense) and values[0].ndim == 4:
            values[0] = values[0][0, 0]  # a 1x1 convolution
        if layer.name == {"resnet": "stem_conv", "vgg16": "stage1_1_conv", "vgg19": "stage1_1_conv"}.get(module):
            values[0] = values[0][:, :, ::-1]  # blue comes first there
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if [value.shape for value in values] != shapes:
            raise SettingError(
                "weights", f"{variant}: {layer.name} has shapes {shapes}; expected the variant unchanged"
            )
        layer.set_weights(values)


def _bias_before(layer, names, theirs):
    """Returns the bias of the reference's convolution in front of a normalisation, or 0."""
    before = theirs.get(names.get(f"{layer.name.removesuffix('_norm')}_conv"))
    is_behind = before is not None and before.output is theirs[names[layer.name]].input
    return before.get_weights()[1] if is_behind and getattr(before, "use_bias", False) else 0.0
