"""What to try next: every rule speaks where it should and is silent where it should be; what it advises can be set."""

import numpy as np
import pandas as pd
import pytest

from kit import config, recipes
from kit.reporting import advice
from kit.reporting.advice import Facts
from kit.runs import schema
from kit.runs.settings import resolve

SETTINGS = {
    "train.epochs": 20,
    "train.seeds": 1,
    "data.rand_augment": 0,
    "data.class_weights": "none",
    "model.dropout": 0.0,
    "model.weights": None,
    "optimizer.learning_rate": 0.003,
    "optimizer.weight_decay": 0.004,
    "optimizer.global_clipnorm": None,
}


def facts(epochs=20, best_epoch=None, mode="max", **changes):
    """Returns the facts of a training that has settled: nothing is to be said of it."""
    epoch = np.arange(1, epochs + 1)
    learned = 1 - np.exp(-epoch / 2)
    columns = {"loss": 1 - 0.9 * learned, "val_loss": 1.02 - 0.9 * learned}
    columns |= {"accuracy": 0.97 * learned, "val_accuracy": 0.96 * learned}
    columns |= changes.pop("columns", {})
    history = pd.DataFrame({"epoch": epoch, **columns})
    known = {
        "settings": SETTINGS,
        "sizes": {"train": 1000, "validation": 2000, "test": 2000},
        "classes": {"cat": 500, "dog": 500},
        "test": {"accuracy": 0.95, "accuracy_low": 0.94, "accuracy_high": 0.96},
    }
    return Facts(history, "val_accuracy", mode, best_epoch or epochs, **known | changes)


def flags(found):
    return dict(flag.removeprefix("--").split(" ") for flag in found[1])


def test_a_training_that_has_settled_needs_no_advice():
    assert advice.advice(facts()) == []


def test_still_rising():
    rising = np.linspace(0.2, 0.7, 20)
    columns = {"accuracy": rising, "val_accuracy": rising}
    finding, settings = advice.still_rising(facts(columns=columns))
    assert "still rising" in finding and settings == ["--train.epochs 40"]
    assert advice.still_rising(facts(columns=columns, settings=SETTINGS | {"train.epochs": 50})) is None  # early stop
    clock = SETTINGS | {"train.epochs": 50, "train.minutes": 10}
    assert advice.still_rising(facts(columns=columns, settings=clock))[1] == ["--train.minutes 20"]
    peaked = {"val_accuracy": np.minimum(rising, 1.4 - rising[9] - rising)}
    assert advice.still_rising(facts(columns=peaked)) is None
    noisy = np.tile([0.5, 0.6], 10) + np.linspace(0, 0.01, 20)
    assert advice.still_rising(facts(columns={"val_accuracy": noisy})) is None
    falling = facts(columns={"val_accuracy": -rising}, mode="min")
    assert "still falling" in advice.still_rising(falling)[0]


def test_over_fitted_by_the_loss():
    loss = np.linspace(1, 0.1, 20)
    risen = np.concatenate([np.linspace(1, 0.5, 8), np.linspace(0.5, 0.9, 12)])
    finding, settings = advice.over_fitted(facts(columns={"loss": loss, "val_loss": risen}))
    assert "risen since epoch 8" in finding and "kit learning-curve RUN" in finding
    assert flags((finding, settings)) == {
        "data.rand_augment": "2",
        "model.dropout": "0.2",
        "optimizer.weight_decay": "0.04",
    }
    used = SETTINGS | {"data.rand_augment": 2, "model.dropout": 0.5, "optimizer.weight_decay": 0.2}
    assert advice.over_fitted(facts(columns={"loss": loss, "val_loss": risen}, settings=used))[1] == []


def test_over_fitted_by_the_accuracy():
    columns = {"accuracy": np.full(20, 0.99), "val_accuracy": np.full(20, 0.8)}
    assert "19.00 points better" in advice.over_fitted(facts(columns=columns))[0]
    few = {"train": 100, "validation": 10, "test": 10}  # so few that it may be chance
    assert advice.over_fitted(facts(columns=columns, sizes=few)) is None


def test_under_fitted():
    columns = {"accuracy": np.full(20, 0.6), "val_accuracy": np.full(20, 0.6)}
    finding, settings = advice.under_fitted(facts(columns=columns, settings=SETTINGS | {"model.dropout": 0.4}))
    assert "60.00 %" in finding and "--find-learning-rate" in finding and settings == ["--model.dropout 0.0"]
    assert advice.under_fitted(facts()) is None


def test_unequal_classes():
    unequal = facts(classes={"cat": 500, "dog": 60})
    assert advice.unequal_classes(unequal)[1] == ["--data.class_weights balanced"]
    assert "60 of dog" in advice.unequal_classes(unequal)[0]
    done = SETTINGS | {"data.class_weights": "balanced"}
    assert advice.unequal_classes(facts(classes={"cat": 500, "dog": 60}, settings=done)) is None
    assert advice.unequal_classes(facts(classes={"cat": 500, "dog": 200})) is None


def test_too_few_examples():
    finding, settings = advice.too_few_examples(facts(classes={"cat": 12, "dog": 7}))
    assert "dog (7), cat (12)" in finding and settings == ["--model.weights imagenet"]
    loaded = SETTINGS | {"model.weights": "imagenet"}
    assert advice.too_few_examples(facts(classes={"cat": 12, "dog": 7}, settings=loaded))[1] == ()


def test_unsettled():
    loss = np.tile([1.0, 1.5], 10)
    found = advice.unsettled(facts(columns={"loss": loss}))
    assert "jumped up in 10 of 19" in found[0]
    assert flags(found) == {"optimizer.learning_rate": "0.001", "optimizer.global_clipnorm": "1.0"}
    assert advice.unsettled(facts(columns={"loss": loss}, sizes={})) is None  # the loss of an agent says little


def test_wide_interval():
    test = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.96}
    found = advice.wide_interval(facts(test=test, sizes={"train": 100, "validation": 10, "test": 45}))
    assert "45 examples: accuracy is known to ± 8.00 points" in found[0] and found[1] == ["--train.seeds 5"]
    error = {"mase": 0.9, "mase_low": 0.8, "mase_high": 0.99}
    assert "MASE is known to ± 0.095, and" in advice.wide_interval(facts(test=error, sizes={"test": 45}))[0]
    assert advice.wide_interval(facts(test={"bleu": 30.0, "bleu_low": 25.0, "bleu_high": 35.0})) is None


def test_a_training_of_one_epoch_and_one_without_validation_are_read():
    advice.advice(facts(epochs=1))
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    assert advice.advice(Facts(history, "loss", "min", 2, SETTINGS)) == []


@pytest.mark.parametrize("name", recipes.names())
def test_what_is_advised_can_be_set(name):
    settings = config.flatten(resolve(schema.get(name), "default", {}, 0))
    loss = np.concatenate([np.linspace(1, 0.5, 8), np.tile([0.5, 1.0], 6)])
    columns = {"loss": np.tile([1.0, 1.5], 10) - np.linspace(0, 0.9, 20), "val_loss": loss}
    for worst in (
        facts(columns=columns, classes={"cat": 50, "dog": 5}, settings=settings),
        facts(columns={"val_accuracy": np.linspace(0, 1, 20)}, settings=settings | {"train.epochs": 20}),
    ):
        found = advice.advice(worst)
        for entry in found:
            asked = {key: config.Text(value) for key, value in flags(("", entry["settings"])).items()}
            resolve(schema.get(name), "default", asked, 0)
        assert found
