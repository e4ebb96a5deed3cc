"""The rule that divides more than a million examples: shares, names alone, groups, folds, and a run that goes on."""

import dataclasses

import numpy as np
import pytest

from kit.data import split_rule
from kit.data.options import Division
from kit.data.splits import SPLITS, Kept, Known, assign
from kit.errors import KitError

NAMES = [f"photo {row}.png" for row in range(5000)]
LABELS = np.arange(5000) % 3
OF_CLASSES = {"labels": LABELS, "class_names": ["a", "b", "c"]}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setattr(split_rule, "MOST_LISTED", 100)


def split_of(names=NAMES, division=Division(), **more):
    return assign(names, None, division, None, **more)["split"].to_numpy(object)


def test_shares_are_those_that_were_asked_for():
    split = split_of(division=Division(test_fraction=0.3, validation_fraction=0.1))
    counts = {name: (split == name).mean() for name in SPLITS}
    assert counts == pytest.approx({"train": 0.63, "validation": 0.07, "test": 0.3}, abs=0.02)
    assert set(split) == set(SPLITS)


def test_an_example_goes_by_its_name_and_the_seed_alone():
    order = np.random.default_rng(0).permutation(5000)[:3000]
    split = split_of()
    assert (split_of([NAMES[row] for row in order]) == split[order]).all()
    assert (split_of(division=Division(split_seed=1)) != split).mean() > 0.3
    assert split[:5].tolist() == ["train", "train", "validation", "train", "test"]  # of runs that go on


def test_at_the_limit_and_below_they_are_drawn_and_listed():
    table = assign(NAMES[:100], None, Division(), None)
    assert split_rule.facts_of(table) is None and (table["split"] == "test").sum() == 20
    assert split_rule.facts_of(assign(NAMES[:101], None, Division(), None)) is not None


def test_splits_of_the_source_stay():
    given = np.array(["test"] * 500 + ["train"] * 4500, dtype=object)
    split = assign(NAMES, given, Division(), None)["split"]
    assert (split[:500] == "test").all() and not (split[500:] == "test").any() and (split == "validation").any()


def test_groups_are_whole():
    groups = [str(row // 7) for row in range(5000)]
    division = Division(group="patient")
    split = split_of(division=division, known=Known(NAMES, {"patient": groups}))
    for group in set(groups):
        assert len({part for part, own in zip(split, groups, strict=True) if own == group}) == 1


def test_every_example_is_tested_in_one_fold():
    tested = [split_of(division=Division(fold=(number, 4))) == "test" for number in range(4)]
    assert (np.sum(tested, 0) == 1).all() and all(0.2 < each.mean() < 0.3 for each in tested)


def test_times_are_still_divided_by_the_list():
    years = [str(row) for row in range(5000)]
    table = assign(NAMES, None, Division(time="year"), None, Known(NAMES, {"year": years}))
    assert split_rule.facts_of(table) is None and (table["split"][-1000:] == "test").all()


def kept(table):
    return Kept(None, rule=split_rule.facts_of(table))


def test_a_run_goes_on_with_the_same_division_or_refuses_other_data():
    table = assign(NAMES, None, Division(), None, **OF_CLASSES)
    again = assign(NAMES, None, Division(), kept(table), **OF_CLASSES)
    assert (again["split"] == table["split"]).all()
    for names, labels, message in (
        (NAMES[:-1], LABELS[:-1], "number"),
        ([*NAMES[1:], "other"], LABELS, "names"),
        (NAMES, LABELS[::-1], "labels"),
    ):
        with pytest.raises(KitError, match=f"data changed.*the {message} of its 5,000 examples"):
            assign(names, None, Division(), kept(table), **(OF_CLASSES | {"labels": labels}))
    with pytest.raises(KitError, match="split_seed"):
        assign(NAMES, None, dataclasses.replace(Division(), split_seed=3), kept(table), **OF_CLASSES)


def test_what_was_changed_since_is_listed():
    table = assign(NAMES, None, Division(), None)
    split = table["split"].to_numpy(dtype=object).copy()
    split[0] = "left out"
    assert split_rule.facts_of(table.assign(split=split)) is None


def test_a_class_that_training_lacks_is_named():
    labels = np.zeros(5000, int)
    labels[split_of() == "test"] = 1
    with pytest.raises(KitError, match="class 'rare' has no training example"):
        assign(NAMES, None, Division(), None, labels=labels, class_names=["usual", "rare"])
