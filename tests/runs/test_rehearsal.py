"""What is tried before a training: the learning-rate range test (the dry run is tested with the command line)."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import kit
from kit import cli
from kit.data.batching import ByLength, ByTokens
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.errors import KitError, SettingError
from kit.reporting import range_test as curve
from kit.runs import rehearsal
from kit.training import learning_rate
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
        chosen = rehearsal.standing_for_all(examples, 32, 0, steps)

        def positions(numbers, examples=examples, batching=batching, steps=steps):
            rows = list(batching.training_rows(examples, 32, 0, 0, steps))
            return np.mean([len(rows[step]) * lengths[rows[step]].max() for step in numbers])

        assert len(set(chosen)) == len(chosen)
        assert positions(chosen) == pytest.approx(positions(range(steps)), rel=0.2)
    images = Examples({"image": Dense(np.zeros((8, 2, 2, 1)))}, {})
    assert rehearsal.standing_for_all(images, 4, 0, 2) is None


def test_a_dry_run_of_texts_compiles_once(monkeypatch):
    traced = []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda self, data: traced.append(1) or step(self, data))
    found = kit.dry_run("sequence_tagging", config="smoke", verbose=False)
    assert len(traced) <= 2  # a function that makes variables is traced twice
    assert found["seconds_estimated"] > 0
