"""Architectures outside of Keras."""

import keras
import numpy as np
import pytest

from kit.models import vision
from tests.models.test_vision import LARGE, SMALL, build, head

# One of each family is converted in minutes.
_TIER = {True: pytest.mark.slow, False: pytest.mark.large}


def _settle(model, x):
    """Gives batch normalisation the scales and moments that it has after training.

    With those of the start, a residual network of 100 layers is ill-conditioned: float32, in Keras or in LiteRT, is
    2e-4 away from float64 in ResNet-101 and 7e-4 in ResNet-152. With small residual branches it is 5e-6.
    """
    norms = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    momenta = [each.momentum for each in norms]
    for each in norms:
        each.momentum = 0.0
        if each.scale and not np.any(each.gamma):  # the last of a residual branch
            each.gamma.assign(keras.ops.full_like(each.gamma, 0.2))
    model(x, training=True)
    for each, momentum in zip(norms, momenta, strict=True):
        each.momentum = momentum


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=_TIER[name in SMALL]) for name in sorted(vision.VARIANTS)]
)
def test_runs_in_litert(variant, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    shape = LARGE.get(variant, (28, 28, 1))
    model = head(build(variant, shape, zero_init=True), 4)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    _settle(model, x)
    x = x[:1]
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
