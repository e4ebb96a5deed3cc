"""Architectures outside of Keras."""

import keras
import numpy as np
import pytest

from kit.models import vision
from tests.models.test_vision import LARGE, SMALL, build, head, some


@pytest.mark.parametrize("variant", some(sorted(vision.VARIANTS), SMALL))
def test_runs_in_litert(variant, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    shape = LARGE.get(variant, (28, 28, 1))
    model = head(build(variant, shape), 4)
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    expected = np.asarray(model(x, training=False))
    model.export(tmp_path / "model.tflite", format="litert", verbose=False)
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    # Deep residual networks answer in thousands from random weights, where float32 has steps of 1e-4.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
