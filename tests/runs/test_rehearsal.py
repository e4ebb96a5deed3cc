"""What is tried before a training: the learning-rate range test (the dry run is tested with the command line)."""

import json
import random
from pathlib import Path

import keras
import numpy as np
import pytest

import kit
from kit import cli, recipes
from kit.data.batching import ByLength, ByTokens
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.errors import KitError, SettingError
from kit.reporting import range_test as curve
from kit.runs import settings as run_settings
from kit.runs import speed
from kit.runs.assembly import assembled
from kit.runs.evaluation import try_evaluation
from kit.runs.python_inputs import PythonInputs
from kit.tasks import inception
from kit.training import checkpoint, learning_rate
from kit.training.optimizers import without_schedule
from tests.conftest import plots_drawn


class FakeModel:
    """Trains to a loss that depends on the learning rate alone."""

    class optimizer:
        learning_rate = 0.0

    def __init__(self, loss):
        self.loss = loss

    def reset_metrics(self):
        pass

    def train_on_batch(self, batch, return_dict):
        return {"loss": self.loss(self.optimizer.learning_rate)}


@pytest.mark.slow
def test_a_suggested_rate_trains(tmp_path):
    found = kit.find_learning_rate("image_classification", model={"backbone": "mlp"}, verbose=False)
    assert found.table["learning_rate"].iloc[0] == pytest.approx(1e-6)
    assert (np.diff(found.table["learning_rate"]) > 0).all()
    assert 1e-4 < found.learning_rate < found.highest <= 1
    assert found.table["loss"].min() < found.table["loss"].iloc[0]
    assert not Path("runs").exists()

    def accuracy(rate):
        settings = {"train": {"epochs": 4}, "evaluate": {"bootstrap_samples": 20}, "model": {"backbone": "mlp"}}
        run = kit.train(
            "image_classification",
            folder=tmp_path / str(rate),
            optimizer={"learning_rate": rate},
            verbose=False,
            **settings,
        )
        return run.metrics["validation"]["accuracy"]

    assert accuracy(found.learning_rate) > accuracy(found.learning_rate / 300) + 0.1


def test_rates_rise_evenly_and_a_loss_that_goes_apart_ends_it():
    model = FakeModel(lambda rate: 1 + (np.log10(rate) + 2) ** 2 if rate < 0.1 else np.inf)

    found = learning_rate.range_test(model, [(0,)] * 61, 61)
    assert found.table["learning_rate"].iloc[10] == pytest.approx(1e-5)
    assert found.table["learning_rate"].max() < 0.1
    assert found.highest == pytest.approx(0.01, rel=0.2)
    assert 1e-6 <= found.learning_rate < 1e-5
    assert len(curve.lines(found.table).splitlines()) == 16
    figure = curve.figure(found.table, found.learning_rate)
    assert figure.axes[0].get_xscale() == "log"


def test_command(capsys, tmp_path):
    words = ["train", "image_classification", "--find-learning-rate", "--model.backbone", "mlp"]
    with plots_drawn():
        assert cli.main([*words, "--output", str(tmp_path / "curve.png")]) == 0
    out = capsys.readouterr().out
    assert "use   --optimizer.learning_rate" in out
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert cli.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["highest"] >= found["learning_rate"]
    for more, message in (
        (["--folder", "x"], "--find-learning-rate: trains no run"),
        (["--output", "nowhere/curve.png"], "a .png file in a folder that exists"),
    ):
        assert cli.main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["train", "image_classification", "--output", "x.png"]) == 2


def test_a_range_test_needs_steps_and_a_loss_that_is_a_number():
    with pytest.raises(SettingError, match="steps: expected a whole number of at least 20"):
        kit.find_learning_rate("image_classification", steps=3, verbose=False)

    model = FakeModel(lambda rate: np.nan)

    with pytest.raises(KitError, match="the loss is not a number at a learning rate of"):
        learning_rate.range_test(model, [(0,)] * 30, 30)


def test_a_loss_that_never_falls_is_said():
    model = FakeModel(lambda rate: 1 + rate)

    with pytest.raises(KitError, match="the loss did not fall at any learning rate from 1e-06 to"):
        learning_rate.range_test(model, [(0,)] * 30, 30)


def test_schedules_are_left_away():
    settings = {"name": "adamw", "schedule": "one_cycle", "learning_rate": 1.0, "warmup_fraction": 0.3}
    assert without_schedule(settings) == {"name": "adamw", "schedule": "constant", "learning_rate": 1.0}


def test_a_dry_run_leaves_long_preparations_away():
    endless = {"units": [10], "pretraining_epochs": 10**9}
    found = kit.dry_run("image_classification", model={"backbone": "dbn"}, backbone=endless, verbose=False)
    assert found["params"] > 0 and found["seconds_estimated"] > 0


def test_the_steps_that_are_timed_stand_for_the_lengths_of_the_epoch():
    lengths = np.random.default_rng(0).lognormal(3, 1, 3000).astype(int) + 1
    ids = Ragged.of([np.ones(length, "int32") for length in lengths])
    for batching in (ByLength("ids"), ByTokens("ids", "target")):
        examples = Examples({"ids": ids, "target": ids}, {}, batching=batching)
        steps = examples.steps_per_epoch(32)
        chosen = speed.standing_for_all(examples, 32, 0, steps)

        def positions(numbers, examples=examples, batching=batching, steps=steps):
            rows = list(batching.training_rows(examples, 32, 0, 0, steps))
            return np.mean([len(rows[step]) * lengths[rows[step]].max() for step in numbers])

        assert len(set(chosen)) == len(chosen)
        assert positions(chosen) == pytest.approx(positions(range(steps)), rel=0.2)
    images = Examples({"image": Dense(np.zeros((8, 2, 2, 1)))}, {})
    assert speed.standing_for_all(images, 4, 0, 2) is None


def test_a_dry_run_of_texts_compiles_once(monkeypatch):
    traced = []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda self, data: traced.append(1) or step(self, data))
    found = kit.dry_run("sequence_tagging", config="smoke", verbose=False)
    assert len(traced) <= 2  # a function that makes variables is traced twice
    assert found["seconds_estimated"] > 0


def test_a_dry_run_of_an_agent_compiles_its_step():
    assert kit.dry_run("policy_gradient", config="smoke", verbose=False)["seconds_per_step"] > 0


@pytest.fixture
def eager():
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # to compile takes longer than a few steps
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    ("recipe", "settings", "said"),
    [
        ("gan", {"num_samples": 1}, "evaluate.num_samples: expected at least 2, got 1"),
        ("gan", {"features": "inception"}, "evaluate.features: the weights of Inception v3 are not at hand"),
        ("autoencoder", {"num_samples": 1}, "evaluate.num_samples: expected 0, or at least 2, got 1"),
        ("autoencoder", {"draws": 10**6}, "evaluate.draws: expected at most 100000"),
        ("translation", {"beam_width": 10_000}, r"evaluate.beam_width: expected at most \d+, the number of tokens"),
        ("image_classification", {"batch_size": 10**30}, "evaluate.batch_size: expected a whole number of at most"),
        ("sequence_tagging", {"bootstrap_samples": 10**9}, "evaluate.bootstrap_samples: expected at most 100000"),
    ],
)
def test_a_mistake_in_the_evaluation_is_found_before_the_first_step(recipe, settings, said, eager, monkeypatch):
    def offline(**settings):
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    inception._network.cache_clear()
    with pytest.raises(SettingError, match=said):
        kit.dry_run(recipe, config="smoke", evaluate=settings, verbose=False)
    with pytest.raises(SettingError, match=said):
        kit.train(recipe, config="smoke", folder="run", evaluate=settings, verbose=False)
    assert not Path("run").exists()


def test_a_trial_of_the_evaluation_says_nothing(eager, caplog):
    with caplog.at_level("INFO", "kit"):
        kit.dry_run("image_classification", config="smoke", verbose=False)
    assert len(caplog.records) > 1 and not any("F1" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("recipe", ["autoencoder", "gan", "image_to_image", "sequence_tagging", "translation"])
def test_a_trial_of_the_evaluation_leaves_all_as_it_was(recipe, eager):
    settings = run_settings.resolve(recipes.get(recipe), "smoke", {}, 0)
    with assembled(recipes.get(recipe), Path("run"), settings, PythonInputs(), is_rehearsal=True) as parts:
        before = [keras.ops.convert_to_numpy(each) for each in checkpoint.variables(parts.model)]
        states = random.getstate(), np.random.get_state()[1].tolist()
        try_evaluation(parts)
        after = [keras.ops.convert_to_numpy(each) for each in checkpoint.variables(parts.model)]
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        assert states == (random.getstate(), np.random.get_state()[1].tolist())
