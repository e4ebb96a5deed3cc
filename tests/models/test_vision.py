"""Every registered variant: size, stages, reloading, learning. A new one is covered by being registered."""

import ast
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import vision
from kit.models.vision import resnet

SMALL = {"mlp", "lenet5", "resnet8", "resnet20"}
# Trainable parameters with a head of 1,000 classes (10 for LeNet and the CIFAR networks), from the papers or, to the
# last digit, from the reference implementations.
PARAMETERS = {
    "lenet5": ((28, 28, 1), 10, 61_706),
    "resnet18": ((224, 224, 3), 1000, 11_689_512),
    "resnet34": ((224, 224, 3), 1000, 21_797_672),
    "resnet50": ((224, 224, 3), 1000, 25_557_032),
    "resnet20": ((32, 32, 3), 10, 269_722),
    "resnet32": ((32, 32, 3), 10, 464_154),
    "resnet44": ((32, 32, 3), 10, 658_586),
    "resnet56": ((32, 32, 3), 10, 853_018),
}


def build(variant, shape=(28, 28, 1)):
    function, arguments = vision.VARIANTS[variant]
    return function(shape, **arguments, name=variant)


def head(model, classes):
    x = model.output
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(model.input, keras.layers.Dense(classes)(x))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_count_is_the_reference(variant):
    shape, classes, expected = PARAMETERS[variant]
    model = head(build(variant, shape), classes)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == expected


@pytest.mark.parametrize("variant", vision.VARIANTS)
def test_is_headless_with_named_stages(variant):
    model = build(variant, (64, 64, 3))
    names = [layer.name for layer in model.layers]
    stages = [name for name in names if name.removeprefix("stage").isdecimal()]
    assert stages == [f"stage{index}" for index in range(1, len(stages) + 1)]
    assert len(stages) >= 2
    sizes = [model.get_layer(name).output.shape[1:-1] for name in stages]
    assert sizes == sorted(sizes, reverse=True)
    assert model.name == variant


@pytest.mark.parametrize("variant", vision.VARIANTS)
def test_settings_are_annotated_and_documented(variant):
    function, arguments = vision.VARIANTS[variant]
    parameters = inspect.signature(function).parameters
    assert set(arguments) <= set(parameters)
    for name in parameters:
        assert f"        {name}: " in function.__doc__, name
    assert "Shape:" in function.__doc__


@pytest.mark.parametrize(
    "variant",
    [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in vision.VARIANTS],
)
def test_saves_loads_and_learns_one_batch(variant, tmp_path):
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.normal(size=(8, 28, 28, 1)).astype("float32")
    y = np.arange(8) % 4
    model = head(build(variant), 4)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = model.fit(x, y, epochs=60, batch_size=8, verbose=0).history
    assert history["accuracy"][-1] == 1
    assert history["loss"][-1] < history["loss"][0] / 4
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


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
        ("mlp", {"units": ()}, "units"),
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


def test_every_module_is_registered():
    source = ast.parse(inspect.getsource(vision))
    imported = {alias.name for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for alias in node.names}
    files = {path.stem for path in Path(vision.__file__).parent.glob("*.py")} - {"__init__"}
    assert imported == files
