"""What mixed precision changes about a training: with float16 Keras puts another optimizer around the chosen one."""

import keras
import numpy as np
import pytest

import kit
from kit import recipes
from kit.blocks.boltzmann import RestrictedBoltzmann
from kit.errors import SettingError
from kit.models.autoencoding.dbn_autoencoder import dbn_autoencoder
from kit.runs.rehearsal import rehearse
from kit.training import boltzmann, checkpoint, device, fused, learning_rate
from kit.training.run_state import RunState
from tests.conformance import CONFIG
from tests.training.test_boltzmann import below, stripes

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


@pytest.fixture(params=POLICIES)
def policy(request, monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: True)  # a CPU refuses float16, since it is slow
    return request.param


@pytest.fixture
def half():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def train(folder, policy, epochs=1, steps=2, **optimizer):
    return kit.train(
        "image_classification",
        folder=folder,
        model={"backbone": "mlp"},
        optimizer={"name": "sgd", "learning_rate": 0.01, "schedule": "constant"} | optimizer,
        train={"epochs": epochs, "steps_per_epoch": steps, "steps_per_execution": 1, "mixed_precision": policy},
        evaluate={"bootstrap_samples": 20},
        verbose=False,
    )


def test_weights_are_averaged_under_every_policy(policy, tmp_path):
    first, second = (train(tmp_path / str(steps), policy, steps=steps) for steps in (1, 2))
    averaged = train(tmp_path / "averaged", policy, use_ema=True, ema_momentum=0.75)
    moved = 0
    for one, other, mean in zip(*(run.model.get_weights() for run in (first, second, averaged)), strict=True):
        np.testing.assert_allclose(mean, 0.75 * one + 0.25 * other, rtol=1e-3, atol=1e-6)
        moved = max(moved, np.abs(other - mean).max())
    assert moved > 1e-4


@pytest.mark.slow
def test_averages_go_on_where_they_ended(policy, tmp_path, monkeypatch):
    options = {"epochs": 3, "momentum": 0.9, "use_ema": True, "ema_momentum": 0.9}
    unbroken = train(tmp_path / "unbroken", policy, **options)
    ended = RunState.on_epoch_end

    def interrupted(self, epoch, logs=None):
        ended(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "broken", policy, **options)
    again = kit.train(folder=tmp_path / "broken", verbose=False)
    for one, other in zip(unbroken.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def compiled(**options):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(**options), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_what_the_wrapper_hides_is_looked_up_inside(half):
    model = compiled(learning_rate=0.25, use_ema=True)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) and not model.optimizer.use_ema
    assert checkpoint.averages(model) and not checkpoint.averages(compiled())
    assert float(model.optimizer.learning_rate) == 0.25
    model.optimizer.build(model.trainable_variables)
    kept = {id(variable) for variable in checkpoint.variables(model)}
    assert {id(variable) for variable in model.optimizer.inner_optimizer.variables} < kept
    assert id(model.optimizer.dynamic_scale) in kept


def test_the_range_test_sets_the_rate_inside(half):
    model, random = compiled(), np.random.default_rng(0)
    x = random.normal(size=(600, 8, 4)).astype("float32")
    found = learning_rate.range_test(model, [(each, (each.sum(1) > 0).astype("int32")) for each in x], 200)
    assert found.table["learning_rate"].max() == pytest.approx(float(model.optimizer.inner_optimizer.learning_rate))


def test_an_agent_and_two_networks_see_through_a_wrapper():
    wrapped = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(use_ema=True))
    with pytest.raises(SettingError, match=r"optimizer\.use_ema"):
        kit.recipes.dqn_agent((3,), 2, optimizer=wrapped)
    with pytest.raises(SettingError, match="ema_momentum"):
        kit.recipes.image_generator((8, 8, 1), optimizer=wrapped)


def test_layers_that_are_trained_alone_learn_as_much_in_float16(half):
    kernels = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        encoder, _ = dbn_autoencoder(2, 2, (2, 3, 1), units=(8, 5), pretraining_epochs=2)
        boltzmann.pretrain(encoder, below, stripes(200))
        machines = [layer for layer in encoder.layers if isinstance(layer, RestrictedBoltzmann)]
        kernels.append([np.asarray(layer.kernel) for layer in machines])
    for one, other in zip(*kernels, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)


def test_products_in_bfloat16_leave_a_float32_network(tmp_path, capsys):
    settings = {"model": {"backbone": "resnet8"}, "evaluate": {"bootstrap_samples": 20}}
    exact, near = (
        kit.train(
            "image_classification",
            folder=tmp_path / precision,
            train={"epochs": 1, "steps_per_epoch": 4, "matmul_precision": precision},
            **settings,
        )
        for precision in ("float32", "bfloat16")
    )
    assert "train.matmul_precision: 9 layers multiply in bfloat16" in capsys.readouterr().out
    assert near.model.dtype_policy.name == "float32"
    assert exact.history["loss"][0] != near.history["loss"][0]
    np.testing.assert_allclose(near.history["loss"], exact.history["loss"], rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_has_products_in_bfloat16(name, monkeypatch):
    monkeypatch.setattr(fused, "_LEAST_OUTPUTS", 1)  # the networks are small
    assert rehearse(name, {"train.matmul_precision": "bfloat16"}, config=CONFIG)["seconds_per_step"] > 0


def test_products_in_bfloat16_are_no_part_of_mixed_precision(tmp_path):
    with pytest.raises(SettingError, match="train.matmul_precision: expected 'float32' with mixed_bfloat16, got 'bf"):
        kit.train(
            "image_classification",
            folder=tmp_path / "run",
            train={"matmul_precision": "bfloat16", "mixed_precision": "mixed_bfloat16"},
        )
    assert not (tmp_path / "run").exists()
