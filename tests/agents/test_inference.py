"""Acting in NumPy: what the plan computes is what the network does, or the network is compiled."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from kit.agents import inference
from kit.agents.inference import inference_function


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Dense):
    """A dense layer that does more than one."""

    def call(self, inputs, training=None):
        return 2 * super().call(inputs)


def network(make, zeros=False):
    x = observations = keras.Input((4,))
    x = layers.Dense(8, activation="tanh")(x)
    x = make(x)
    kernel = "zeros" if zeros else "glorot_uniform"
    return keras.Model(observations, [layers.Dense(2, kernel_initializer=kernel)(x), layers.Dense(1)(x)])


PLAIN = {
    "dense": lambda x: layers.Dense(8, activation="relu")(x),
    "clipped": lambda x: ops.clip(x, -0.1, 0.1),
    "mean": lambda x: x - ops.mean(x, -1, keepdims=True),
    "joined": lambda x: layers.Concatenate()([x, layers.Dense(3)(x)]),
}
OTHERS = {
    "subclass": lambda x: Doubled(8)(x),
    "two subclasses": lambda x: layers.Dense(4)(Doubled(8)(Doubled(8)(x))),
    "three inputs": lambda x: layers.Add()([x, x, x]),
    "mean of all": lambda x: x - ops.mean(x),
}
SEEN = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
@pytest.mark.parametrize("index", [0, 1, (0, 1)])
def test_numpy_acts_only_where_it_computes_the_same(name, index):
    keras.utils.set_random_seed(0)
    model = network((PLAIN | OTHERS)[name])
    infer = inference_function(model, index)
    assert (inference._PLANS[model][index] is not None) == (name in PLAIN)
    outputs = [model.outputs[one] for one in (index if isinstance(index, tuple) else (index,))]
    found = infer(SEEN)
    for mine, theirs in zip(found if isinstance(index, tuple) else [found], outputs, strict=True):
        np.testing.assert_allclose(mine, keras.Model(model.input, theirs)(SEEN), atol=1e-5)


def test_a_last_layer_of_zeros_hides_nothing():
    model = network(OTHERS["subclass"], zeros=True)
    inference_function(model, 0)
    assert inference._PLANS[model][0] is None


def test_the_comparison_happens_once_and_draws_nothing_from_elsewhere(monkeypatch):
    calls = []
    real = inference._is_the_same
    monkeypatch.setattr(inference, "_is_the_same", lambda *arguments: calls.append(1) or real(*arguments))
    model = network(PLAIN["dense"])
    keras.utils.set_random_seed(3)
    for _ in range(3):
        inference_function(model, 0)(SEEN)
    drawn = np.random.rand(), random.random(), float(tf.random.uniform(())), keras.Sequential().name
    assert len(calls) == 1
    keras.utils.set_random_seed(3)
    again = np.random.rand(), random.random(), float(tf.random.uniform(()))
    assert drawn[:3] == again
