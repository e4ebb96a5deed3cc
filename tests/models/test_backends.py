"""Architectures on another backend than TensorFlow."""

import os
import subprocess
import sys

import pytest

from tests.models.test_vision import LARGE, SMALL

STEP = """
import sys
import jax, keras, numpy as np
from kit.models import vision

# JAX compiles the drawing of first weights for every shape, and what they are does not matter here.
drawn = np.random.default_rng(0)
jax.random.truncated_normal = lambda key, lower, upper, shape, dtype: jax.numpy.asarray(
    np.clip(drawn.normal(size=shape), lower, upper), dtype
)

y = np.arange(2)
for name, *sides in (word.split(":") for word in sys.argv[1:]):
    shape = tuple(int(side) for side in sides) or (28, 28, 1)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    function, arguments = vision.VARIANTS[name]
    backbone = function(shape, **arguments, name=name)
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


# What takes long is compiling for a single step, which need not be fast.
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}


def under_jax(program, *words):
    """Returns what a program printed, run by JAX in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=os.environ | JAX)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_training_step_under_jax_without_tensorflow():
    assert f"stepped {len(SMALL)}" in under_jax(STEP, *sorted(SMALL))


STYLES = """
import sys
import keras, numpy as np
from kit.models.generative.stylegan import stylegan

generator, discriminator = stylegan(6, 3, (8, 8, 1), widths=(16, 8))
inputs = generator.inputs
answer = discriminator([generator(inputs), inputs[1]])
model = keras.Model(inputs, answer)
model.compile("sgd", "mse")
given = [np.random.default_rng(0).normal(size=(6, 6)).astype("float32"), np.arange(6, dtype="int32") % 3]
before = [weight.copy() for weight in model.get_weights()]
for _ in range(2):
    assert np.isfinite(float(model.train_on_batch(given, np.ones((6, 1)))))
moved = [(old != new).any() for old, new in zip(before, model.get_weights(), strict=True)]
assert sum(moved) > 0.8 * len(moved), moved
assert np.abs(np.asarray(generator.get_layer("truncation").mean)).max() > 0
assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
print("stepped")
"""


@pytest.mark.slow
def test_a_generator_of_styles_steps_under_jax():
    assert "stepped" in under_jax(STYLES)


@pytest.mark.large
@pytest.mark.parametrize("variant", LARGE)
def test_a_training_step_of_every_other_variant_under_jax(variant):
    assert "stepped 1" in under_jax(STEP, ":".join([variant, *map(str, LARGE[variant])]))
