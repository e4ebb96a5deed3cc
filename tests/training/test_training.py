"""Schedules, optimizers, losses, checkpoints and the settings of training."""

import keras
import numpy as np
import pytest

from kit.errors import KitError, SettingError
from kit.training import checkpoint, device, optimizers, schedules
from kit.training.callbacks import NaNGuard
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.plan import Training
from tests.conftest import slow


def rates(schedule, total=100):
    if not callable(schedule):
        return np.full(total, schedule)
    return np.array([float(schedule(step)) for step in range(total)])


@pytest.mark.parametrize("name", sorted(set(schedules.SCHEDULES) - {"reduce_on_plateau"}))
def test_schedules_peak_at_the_learning_rate_and_stay_positive(name):
    arguments = {"warmup_steps": 10} if name in ("warmup_cosine", "inverse_square_root") else {}
    values = rates(schedules.SCHEDULES[name](0.1, 100, **arguments))
    assert values.max() == pytest.approx(0.1, rel=1e-5)
    assert (values >= 0).all()
    assert (values[:1] > 0).all() or name == "warmup_cosine"


def test_one_cycle_goes_up_along_a_line_and_down_along_a_cosine():
    values = rates(schedules.one_cycle(1.0, 100, warmup_fraction=0.2, initial_fraction=0.1, final_fraction=0.0))
    np.testing.assert_allclose(values[:20], 0.1 + 0.9 * np.arange(20) / 20, atol=1e-6)
    np.testing.assert_allclose(values[20:], 0.5 * (1 + np.cos(np.pi * np.arange(80) / 80)), atol=1e-6)


def test_step_drops_at_the_given_shares():
    values = rates(schedules.step(1.0, 100, decay_at=(0.5, 0.8), decay_factor=0.1))
    np.testing.assert_allclose([values[49], values[51], values[81]], [1, 0.1, 0.01], rtol=1e-5)


def test_inverse_square_root():
    values = rates(schedules.inverse_square_root(1.0, 100, warmup_steps=25))
    assert values.argmax() == 24
    assert values[99] == pytest.approx(0.5)


@pytest.mark.parametrize("cls", [schedules.OneCycle(0.1, 50, 0.3), schedules.InverseSquareRoot(0.1, 5)])
def test_schedules_survive_serialisation(cls):
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(cls))
    np.testing.assert_array_equal(rates(again), rates(cls))


@pytest.mark.parametrize(
    ("name", "arguments", "key"),
    [
        ("warmup_cosine", {"warmup_steps": 100}, "warmup_steps"),
        ("one_cycle", {"warmup_fraction": 1.5}, "warmup_fraction"),
        ("step", {"decay_at": (0.8, 0.5)}, "decay_at"),
        ("inverse_square_root", {"warmup_steps": -1}, "warmup_steps"),
        ("reduce_on_plateau", {"plateau_factor": 2.0}, "plateau_factor"),
    ],
)
def test_schedules_check_their_ranges(name, arguments, key):
    with pytest.raises(SettingError) as error:
        schedules.SCHEDULES[name](0.1, 100, **arguments)
    assert error.value.key == key


QUICK = {"adam", "sgd", "muon", "schedulefreeadamw"}


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in sorted(optimizers.OPTIMIZERS)])
def test_every_keras_optimizer_learns_under_a_schedule(name):
    keras.utils.set_random_seed(0)
    course = "constant" if name == "schedulefreeadamw" else "one_cycle"
    optimizer, callbacks = optimizers.build({"name": name, "schedule": course, "learning_rate": 0.01}, 60)
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    y = (x.sum(1) > 0).astype("int32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(optimizer, SparseCategoricalCrossentropy())
    losses = model.fit(x, y, epochs=10, batch_size=10, verbose=0, callbacks=callbacks).history["loss"]
    assert losses[-1] < losses[0]


def test_optimizer_arguments_arrive():
    settings = {
        "name": "adamw",
        "schedule": "reduce_on_plateau",
        "learning_rate": 0.02,
        "weight_decay": 0.1,
        "clipnorm": 1.0,
        "use_ema": True,
        "gradient_accumulation_steps": 2,
        "plateau_patience": 7,
    }
    optimizer, (callback,) = optimizers.build(settings, 10)
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    assert (optimizer.weight_decay, optimizer.clipnorm, optimizer.use_ema) == (0.1, 1.0, True)
    assert optimizer.gradient_accumulation_steps == 2
    assert callback.patience == 7


def test_optimizers_refuse_what_cannot_be():
    with pytest.raises(SettingError, match=r"optimizer\.name: unknown name 'adamm'; did you mean 'adam'"):
        optimizers.choice("adamm")
    with pytest.raises(SettingError, match=r"optimizer\.schedule: schedulefreeadamw has its own warmup_steps"):
        optimizers.choice("schedulefreeadamw", "warmup_cosine")
    with pytest.raises(SettingError, match="learning_rate: expected a number above 0"):
        optimizers.build({"name": "sgd", "schedule": "constant", "learning_rate": 0.0}, 10)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("epsilon", -1.0), ("beta_2", 1.0), ("weight_decay", -0.1), ("ema_overwrite_frequency", 0)),
        *(("gradient_accumulation_steps", -1), ("gradient_accumulation_steps", 1)),
    ],
)
def test_an_optimizer_names_the_setting_that_cannot_be(key, value):
    settings = {"name": "adam", "schedule": "constant", "learning_rate": 0.1, key: value}
    with pytest.raises(SettingError) as error:
        optimizers.build(settings, 10)
    assert error.value.key == key


@pytest.mark.parametrize("shape", [(6,), (6, 5)])
def test_sparse_smoothing_equals_keras_on_one_hot_labels(shape):
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, shape)
    logits = random.normal(size=(*shape, 4)).astype("float32")
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    expected = reference(np.eye(4, dtype="float32")[labels], logits)
    np.testing.assert_allclose(SparseCategoricalCrossentropy(0.2)(labels, logits), expected, rtol=1e-5)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    np.testing.assert_allclose(SparseCategoricalCrossentropy()(labels, logits), plain, rtol=1e-5)


def test_smoothing_is_checked_and_serialised():
    with pytest.raises(SettingError, match="label_smoothing"):
        SparseCategoricalCrossentropy(1.0)
    loss = keras.losses.deserialize(keras.losses.serialize(SparseCategoricalCrossentropy(0.3)))
    assert loss.label_smoothing == 0.3


def test_checkpoint_there_and_back(tmp_path):
    arrays = {"variables": [np.arange(6).reshape(2, 3), np.array([7], "uint32")], "best": [np.ones(2)]}
    checkpoint.save(tmp_path / "state.npz", arrays, {"epochs": 3, "best": float("inf")})
    loaded, values = checkpoint.load(tmp_path / "state.npz")
    assert values == {"epochs": 3, "best": float("inf")}
    np.testing.assert_array_equal(loaded["variables"][0], arrays["variables"][0])
    assert loaded["variables"][1].dtype == np.uint32
    with pytest.raises(KitError, match="another model"):
        checkpoint.assign([keras.Variable(np.zeros(3))], loaded["best"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn"])
def test_a_checkpoint_keeps_types_that_numpy_does_not_know(tmp_path, dtype):
    variable = keras.Variable(np.linspace(-3, 3, 6).reshape(2, 3), dtype=dtype)
    before = keras.ops.convert_to_numpy(variable)
    checkpoint.save(tmp_path / "state.npz", {"variables": [variable], "best": [before, np.ones(2)]}, {})
    loaded, _ = checkpoint.load(tmp_path / "state.npz")
    for array in (loaded["variables"][0], loaded["best"][0]):
        assert array.dtype == before.dtype
        np.testing.assert_array_equal(array.astype("float32"), before.astype("float32"))
    variable.assign(np.zeros((2, 3)))
    checkpoint.assign([variable], loaded["variables"])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable).astype("float32"), before.astype("float32"))


def test_damaged_checkpoint_is_named_and_nothing_is_unpickled(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(b"PK\x03\x04 half")
    with pytest.raises(KitError, match="state.npz: missing or damaged"):
        checkpoint.load(path)
    np.savez(path, values=np.array([{"a": 1}], dtype=object))
    with pytest.raises(KitError, match="missing or damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"epochs": -1}, "epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"patience": -1}, "patience"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"steps_per_execution": 0}, "steps_per_execution"),
        ({"devices": 0}, "devices"),
    ],
)
def test_training_checks_its_ranges(settings, key):
    with pytest.raises(SettingError) as error:
        Training(**settings)
    assert error.value.key == key


def test_nan_guard_says_what_to_do():
    with pytest.raises(KitError, match=r"loss became nan .* optimizer\.learning_rate"):
        NaNGuard().on_epoch_end(2, {"loss": float("nan")})


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((2, 4, "auto", None, ()), "train.steps_per_execution"),
        ((2, "auto", True, None, ()), "train.jit_compile"),
        ((2, "auto", "auto", 2, ()), "optimizer.gradient_accumulation_steps"),
        ((2, "auto", "auto", None, {"pool"}), "train.devices"),
    ],
)
def test_broken_combinations_are_refused(arguments, key):
    with pytest.raises(SettingError) as error:
        device.check_combination(*arguments)
    assert error.value.key == key


def test_single_device_allows_all():
    assert device.check_combination(1, 4, True, 2, {"pool"}) is None


def test_steps_per_execution_divides_the_epoch():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for steps in (1, 7, 60, 97):
        chosen = device.steps_per_execution(model, np.zeros((2, 4), "float32"), steps)
        assert steps % chosen == 0
        assert 1 <= chosen <= 64


def test_precision_is_put_back_and_float16_refused_on_a_cpu():
    with device.session(mixed_precision="mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    if not device.has_gpu():
        with pytest.raises(SettingError, match="mixed_float16"), device.session(mixed_precision="mixed_float16"):
            pass
