"""Networks that act: shapes, reloading, and plain Keras wherever that is enough."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kit.blocks.policy import head
from kit.models import control
from tests.conftest import slow

SHAPES = {"cnn_q": (84, 84, 4), "cnn_policy": (84, 84, 4), "cnn_q_small": (10, 10, 4), "cnn_policy_small": (10, 10, 4)}


def observations(variant):
    return np.random.default_rng(0).random((3, *SHAPES.get(variant, (5,)))).astype("float32")


@pytest.mark.parametrize("dueling", [slow(False), True])
@pytest.mark.parametrize("variant", control.VALUES)
def test_values_of_actions(variant, dueling, tmp_path):
    function, arguments = control.VALUES[variant]
    network = function(dueling, SHAPES.get(variant, (5,)), 6, **arguments, name=variant)
    values = np.asarray(network(observations(variant)))
    assert values.shape == (3, 6)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(values, np.asarray(again(observations(variant))))


@pytest.mark.parametrize("is_continuous", [slow(False), True])
@pytest.mark.parametrize("variant", control.POLICIES)
def test_policies_and_values(variant, is_continuous, tmp_path):
    normalizes = variant == "mlp_policy"
    network = control.policy_network(variant, head(6, is_continuous, -0.5), normalizes, SHAPES.get(variant, (5,)))
    parameters, values = network(observations(variant))
    assert parameters.shape == (3, 12 if is_continuous else 6) and values.shape == (3, 1)
    # In the beginning all actions are about as probable, and deviations are what was asked for.
    assert np.abs(np.asarray(parameters)[:, :6]).max() < 0.1
    if is_continuous:
        np.testing.assert_allclose(np.asarray(parameters)[:, 6:], -0.5)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(np.asarray(parameters), np.asarray(again(observations(variant))[0]))


def test_one_network_with_two_ends():
    function, _ = control.POLICIES["mlp_policy"]
    one = function(head(2, False), False, (4,), is_shared=True)
    assert one.count_params() == 4 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3
    assert function(head(2, False), False, (4,)).count_params() == 2 * (4 * 64 + 64 + 64 * 64 + 64) + 64 * 3 + 3


def test_observations_are_scaled_within_ten_deviations():
    network = control.policy_network("mlp_policy", head(2, False), True, (4,))
    layer = network.get_layer("normalization")
    assert not layer.trainable_variables
    layer.moving_mean.assign([1, 2, 3, 4])
    layer.moving_variance.assign([4, 4, 4, 1e-12])
    scaled = keras.Model(network.input, network.get_layer("policy_stage1").input)
    found = np.asarray(scaled(np.array([[5, 0, 3, 9]], "float32")))
    np.testing.assert_allclose(found, [[2, -1, 0, 10]], rtol=1e-5)


@pytest.mark.slow
def test_plain_keras_loads_a_policy_for_numbered_actions(tmp_path):
    network = control.policy_network("mlp_policy", head(2, False), True, (4,))
    network.save(tmp_path / "best.keras")
    code = f"import keras; print(len(keras.models.load_model({str(tmp_path / 'best.keras')!r}).outputs))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "2", done.stderr
