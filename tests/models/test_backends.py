"""Architectures on another backend than TensorFlow, and outside of Keras."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.test_vision import SMALL, build, head, some

STEP = """
import sys
import keras, numpy as np
from kit.models import vision

x, y = np.random.default_rng(0).normal(size=(4, 28, 28, 1)).astype("float32"), np.arange(4) % 2
for name in sys.argv[1:]:
    function, arguments = vision.VARIANTS[name]
    backbone = function((28, 28, 1), **arguments, name=name)
    features = backbone.output
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(backbone.input, keras.layers.Dense(2)(features))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [weight.copy() for weight in model.get_weights()]
    loss = float(model.train_on_batch(x, y))
    assert np.isfinite(loss), name
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True)), name
assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
print("stepped", len(sys.argv) - 1)
"""


@pytest.mark.parametrize(
    "names", [("lenet5",), pytest.param(tuple(sorted(SMALL)), marks=pytest.mark.slow)], ids=["one", "all"]
)
def test_a_training_step_under_jax_without_tensorflow(names):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", STEP, *names], capture_output=True, text=True, env=environment)
    assert f"stepped {len(names)}" in done.stdout, done.stderr


@pytest.mark.parametrize("variant", some(sorted(SMALL), {"swin_small_image"}))
def test_runs_in_litert(variant, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    model = head(build(variant), 4)
    x = np.random.default_rng(0).normal(size=(1, 28, 28, 1)).astype("float32")
    expected = np.asarray(model(x, training=False))
    model.export(tmp_path / "model.tflite", format="litert", verbose=False)
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
