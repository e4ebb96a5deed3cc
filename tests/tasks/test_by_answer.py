"""A task that is one of several: settings of all, each used where it means something, and nothing else."""

import pytest

from kit import config
from kit.errors import SettingError
from kit.tasks import by_answer
from kit.tasks.recipe import Evaluation, Task
from kit.tasks.text_classification import TASKS, task


def evaluate_class(model, examples, assets, *, top_k: int = 5, batch_size: int = 8):
    """Scores classes.

    Args:
        top_k: So many are looked at.
        batch_size: Examples in a step.
    """
    return Evaluation({"top_k": top_k})


def evaluate_number(model, examples, assets, *, batch_size: int = 8, units: bool = True):
    """Scores numbers.

    Args:
        batch_size: Examples in a step.
        units: In the unit of the data.
    """
    return Evaluation({"units": units})


def predict(model, inputs, assets):
    """Says which it is."""
    return assets.get("answer", "label")


@pytest.fixture
def either():
    classes = Task({"val_accuracy": "max"}, evaluate_class, predict, ensemble=("class_names",))
    numbers = Task(
        {"val_mae": "min"}, evaluate_number, predict, ensemble=(), calibrate=lambda model, given, assets: {"x": 1}
    )
    return by_answer.by_answer({"label": classes, "number": numbers})


def test_its_settings_are_those_of_all(either):
    found = {each.key: (each.type, each.default, each.meaning) for each in config.settings_of(either.evaluate)}
    assert found == {
        "top_k": (int, 5, "So many are looked at."),
        "batch_size": (int, 8, "Examples in a step."),
        "units": (bool, True, "In the unit of the data."),
    }
    assert either.monitors == {"val_accuracy": "max", "val_mae": "min"} and either.ensemble == ("answer", "class_names")


def test_the_assets_choose(either):
    numbers = {"answer": "number"}
    assert either.predict(None, [], {}) == "label" and either.predict(None, [], numbers) == "number"
    assert either.evaluate(None, None, {}, top_k=3, batch_size=2).metrics == {"top_k": 3}
    assert either.evaluate(None, None, numbers, top_k=5, units=False).metrics == {"units": False}
    assert either.calibrate(None, None, {}) == {} and either.calibrate(None, None, numbers) == {"x": 1}
    with pytest.raises(SettingError, match="top_k: expected 5: it means nothing where data.answer is 'number'"):
        either.evaluate(None, None, numbers, top_k=3)


def test_each_answer_to_texts_has_all_that_a_run_asks_for():
    whole = task()
    for name, each in TASKS.items():
        assert each.hints and each.pooled and each.baseline and each.ensemble is not None, name
        assert each.inputs == whole.inputs == "text" and whole.monitors.keys() >= each.monitors.keys()
    assert {each.key for each in config.settings_of(whole.evaluate)} >= {"thresholds", "top_k", "bootstrap_samples"}
