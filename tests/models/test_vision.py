"""Every registered variant: size, stages, reloading, learning. A new one is covered by being registered."""

import ast
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from kit.blocks.stages import depths_of, named_blocks
from kit.errors import SettingError
from kit.models import vision
from kit.models.vision import resnet

# One of each family that takes images of 28 pixels, and learns a batch by heart within seconds.
SMALL = {
    *("perceptron", "mlp", "lenet5", "alexnet_small", "vgg_small", "googlenet_small", "resnet8", "se_resnet8"),
    *("densenet_small", "mobilenet_small", "mobilenetv2_small", "mixnet_small", "vit_small_image"),
    *("vitc_small_image", "mixvit", "swin_small_image", "dbn_small"),
}
# Trainable parameters with a head of 1,000 classes (10 for small images), from the papers or, to the last digit, from
# the reference implementations: torchvision for AlexNet, ResNet, ViT and Swin, `keras.applications` for VGG, DenseNet,
# MobileNet and EfficientNet, the authors' own code for SE-ResNet, DenseNet-BC and MixNet. AlexNet of 2012 is counted by
# the paper's figure 2; GoogLeNet has batch normalisation, no auxiliary heads, and 5x5 kernels as in the paper, where
# torchvision's has 3x3 ones (6,624,904).
IMAGENET, CIFAR = ((224, 224, 3), 1000), ((32, 32, 3), 10)
PARAMETERS = {
    "lenet5": ((28, 28, 1), 10, 61_706),
    "alexnet": (*IMAGENET, 61_100_840),
    "alexnet_2012": (*IMAGENET, 62_378_344),
    "alexnet_2012_grouped": (*IMAGENET, 60_965_224),
    "vgg11": (*IMAGENET, 132_863_336),
    "vgg13": (*IMAGENET, 133_047_848),
    "vgg16": (*IMAGENET, 138_357_544),
    "vgg19": (*IMAGENET, 143_667_240),
    "googlenet": (*IMAGENET, 7_005_832),
    "resnet18": (*IMAGENET, 11_689_512),
    "resnet34": (*IMAGENET, 21_797_672),
    "resnet50": (*IMAGENET, 25_557_032),
    "resnet101": (*IMAGENET, 44_549_160),
    "resnet152": (*IMAGENET, 60_192_808),
    "se_resnet50": (*IMAGENET, 28_088_024),
    "resnet20": (*CIFAR, 269_722),
    "resnet32": (*CIFAR, 464_154),
    "resnet44": (*CIFAR, 658_586),
    "resnet56": (*CIFAR, 853_018),
    "resnet110": (*CIFAR, 1_727_962),
    "densenet121": (*IMAGENET, 7_978_856),
    "densenet169": (*IMAGENET, 14_149_480),
    "densenet201": (*IMAGENET, 20_013_928),
    "densenet100": (*CIFAR, 769_162),
    "mobilenet": (*IMAGENET, 4_231_976),
    "mobilenetv2": (*IMAGENET, 3_504_872),
    "mixnet_s": (*IMAGENET, 4_134_606),
    "mixnet_m": (*IMAGENET, 5_014_382),
    "mixnet_l": (*IMAGENET, 7_329_252),
    "efficientnet_b0": (*IMAGENET, 5_288_548),
    "vit_tiny_16": (*IMAGENET, 5_717_416),
    "vit_small_16": (*IMAGENET, 22_050_664),
    "vit_base_16": (*IMAGENET, 86_567_656),
    "vit_base_32": (*IMAGENET, 88_224_232),
    "swin_tiny": (*IMAGENET, 28_288_354),
    "swin_small": (*IMAGENET, 49_606_258),
    "swin_base": (*IMAGENET, 87_768_224),
}
# Sizes of images that those which are not small are made for.
LARGE = {name: PARAMETERS.get(name, ((224, 224, 3),))[0] for name in vision.VARIANTS if name not in SMALL}
# One of each family; the first are counted quickly.
COUNTED_QUICKLY = {"lenet5", "resnet20", "mobilenet", "vit_tiny_16"}
COUNTED = {
    *("alexnet_2012_grouped", "vgg11", "googlenet", "resnet18", "densenet121", "mixnet_s", "vit_base_16", "swin_tiny"),
    *COUNTED_QUICKLY,
}


def some(names, quick, rather_quick=()):
    """Returns parameters for all names, those that are not quick marked as slow or large."""
    marks = {name: pytest.mark.slow if name in rather_quick else pytest.mark.large for name in names}
    return [name if name in quick else pytest.param(name, marks=marks[name]) for name in names]


def build(variant, shape=(28, 28, 1), **wanted):
    """Returns a variant with those of the settings wanted that it has."""
    function, arguments = vision.VARIANTS[variant]
    wanted = {name: value for name, value in wanted.items() if name in inspect.signature(function).parameters}
    return function(shape, **arguments | wanted, name=variant)


def head(model, classes):
    x = model.output
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(model.input, keras.layers.Dense(classes)(x))


@pytest.mark.parametrize("variant", some(PARAMETERS, COUNTED_QUICKLY, COUNTED))
def test_parameter_count_is_the_reference(variant):
    shape, classes, expected = PARAMETERS[variant]
    model = head(build(variant, shape), classes)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == expected


@pytest.mark.parametrize("variant", some(vision.VARIANTS, SMALL))
def test_is_headless_with_named_stages(variant):
    model = build(variant, (64, 64, 3))
    names = [layer.name for layer in model.layers]
    stages = [name for name in names if name.removeprefix("stage").isdecimal()]
    assert stages == [f"stage{index}" for index in range(1, len(stages) + 1)]
    resolutions = {"perceptron": 0, **{name: 1 for name in vision.VARIANTS if "vit" in name}}
    assert len(stages) >= resolutions.get(variant, 2)
    sizes = [model.get_layer(name).output.shape[1:-1] for name in stages]
    assert sizes == sorted(sizes, reverse=True)
    assert model.name == variant


def test_a_stage_begins_with_each_halving_and_its_last_block_has_its_name():
    assert depths_of((1, 2, 1, 2)) == [1, 2, 1]
    assert list(named_blocks((1, 2))) == [(1, 1, "stage1"), (2, 1, "stage2_1"), (2, 2, "stage2")]


@pytest.mark.parametrize("first_strides", [0, 1, 2])
@pytest.mark.parametrize("version", [1, 2])
def test_mobilenets_leave_out_the_first_halvings(version, first_strides):
    model = vision.mobilenet.mobilenet((64, 64, 1), version=version, width=0.25, first_strides=first_strides)
    sizes = [model.get_layer(f"stage{index}").output.shape[1] for index in range(1, 6)]
    stem = 64 // 2 ** min(first_strides, 1)
    second = stem // 2 ** (first_strides == 2)
    assert sizes == [stem, second, second // 2, second // 4, second // 8]


@pytest.mark.parametrize("variant", vision.VARIANTS)
def test_settings_are_annotated_and_documented(variant):
    function, arguments = vision.VARIANTS[variant]
    parameters = inspect.signature(function).parameters
    assert set(arguments) <= set(parameters)
    for name in parameters:
        assert f"        {name}: " in function.__doc__, name
    assert "Shape:" in function.__doc__


def test_every_family_has_a_small_variant():
    assert {vision.VARIANTS[name][0] for name in SMALL} == {build for build, _ in vision.VARIANTS.values()}


@pytest.mark.parametrize("variant", some(sorted(vision.VARIANTS), SMALL))
def test_saves_and_loads(variant, tmp_path):
    shape = (28, 28, 1) if variant in SMALL else PARAMETERS.get(variant, ((224, 224, 3),))[0]
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    model = head(build(variant, shape), 4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(x, training=False), model(x, training=False), atol=1e-5)


@pytest.mark.parametrize("variant", some(sorted(SMALL), {"mlp", "lenet5"}))
def test_learns_one_batch(variant):
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.normal(size=(8, 28, 28, 1)).astype("float32")
    y = np.arange(8) % 4
    model = head(build(variant, dropout=0.0), 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    found = [model.train_on_batch(x, y, return_dict=True) for _ in range(80)]
    assert found[-1]["loss"] < 0.25
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] >= 0.75


def test_stochastic_depth_grows_with_depth():
    model = resnet.resnet((8, 8, 1), depths=(2, 2), widths=(4, 4), stem="cifar", stochastic_depth=0.3)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("variant", "arguments", "key"),
    [
        ("resnet18", {"depths": (2, 2)}, "widths"),
        ("resnet18", {"depths": (0, 1, 1, 1)}, "depths"),
        ("resnet18", {"stochastic_depth": 1.5}, "stochastic_depth"),
        ("mlp", {"units": (0,)}, "units"),
        ("resnet18", {"squeeze": 65}, "squeeze"),
        ("resnet18", {"stride_first": True}, "stride_first"),
        ("alexnet_small", {"filters": (1, 2)}, "filters"),
        ("alexnet_small", {"groups": 5}, "groups"),
        ("alexnet_small", {"kernel_size": 100_000}, "kernel_size"),
        ("alexnet", {}, "data.image_size"),
        ("vgg_small", {"depths": (1,)}, "widths"),
        ("vgg11", {"depths": (1,) * 6, "widths": (1,) * 6}, "data.image_size"),
        ("googlenet_small", {"modules": (3, 1, 1)}, "modules"),
        ("googlenet_small", {"width": 0.0}, "width"),
        ("densenet_small", {"compression": 0.0}, "compression"),
        ("densenet_small", {"growth": 0}, "growth"),
        ("mobilenet_small", {"width": 5.0}, "width"),
        ("mobilenet_small", {"first_strides": 3}, "first_strides"),
        ("mixnet_small", {"stochastic_depth": 1.0}, "stochastic_depth"),
        ("mixnet_small", {"stem_stride": 3}, "stem_stride"),
        ("vit_small_image", {"num_heads": 3}, "num_heads"),
        ("vit_small_image", {"patch_size": 32}, "data.image_size"),
        ("mixvit", {"patch_size": 3}, "patch_size"),
        ("swin_small_image", {"num_heads": (3, 5)}, "num_heads"),
        ("swin_small_image", {"window_size": 0}, "window_size"),
        ("mlp", {"dropout": -1.0}, "dropout"),
        ("lenet5", {"filters": (6,)}, "filters"),
        ("lenet5", {"units": (0,)}, "units"),
    ],
)
def test_refuses_what_cannot_be(variant, arguments, key):
    function, defaults = vision.VARIANTS[variant]
    with pytest.raises(SettingError) as error:
        function((28, 28, 1), **{**defaults, **arguments})
    assert error.value.key == key


def test_lenet_needs_room():
    with pytest.raises(SettingError, match="at least 12x12 pixels"):
        build("lenet5", (8, 8, 1))


@pytest.mark.parametrize("variant", some(vision.VARIANTS, SMALL, COUNTED))
def test_images_are_too_small_in_one_line_or_large_enough(variant):
    build, arguments = vision.VARIANTS[variant]
    for side in range(1, 225):
        try:
            model = build((side, side, 3), **arguments)
        except SettingError as error:
            assert error.key in {"data.image_size", "kernel_size"}
        else:
            assert min(model.output.shape[1:]) >= 1
            return
    pytest.fail("images of 224 pixels are refused")


def test_every_module_is_registered():
    source = ast.parse(inspect.getsource(vision))
    imported = {alias.name for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for alias in node.names}
    files = {path.stem for path in Path(vision.__file__).parent.glob("*.py")} - {"__init__", "published", "stages"}
    assert imported == files
