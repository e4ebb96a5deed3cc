"""Columns of tables as features: kinds found out, learned of training rows alone, equal whatever their order."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from kit.data import table_columns, table_inputs
from kit.data.sources.tables import Table
from kit.data.splits import Splits
from kit.data.table_features import FeatureOptions, in_units, numbers_of
from kit.data.table_selection import SelectionOptions, selected
from kit.errors import KitError, SettingError
from kit.recipes.tabular_prediction import labelled_rows

RANDOM = np.random.default_rng(0)
COUNT = 200


def frame():
    number = RANDOM.normal(size=COUNT)
    return pd.DataFrame(
        {
            "number": number,
            "heavy": np.exp(3 * RANDOM.normal(size=COUNT)),
            "some": np.where(np.arange(COUNT) % 5 == 0, np.nan, number * 2),
            "colour": RANDOM.choice(["red", "green", "blue"], COUNT),
            "rare": np.where(np.arange(COUNT) == 7, "once", RANDOM.choice(["a", "b"], COUNT)),
            "day": pd.date_range("2026-01-01", periods=COUNT).strftime("%Y-%m-%d"),
            "said": [f"the word {each} is in it" for each in RANDOM.integers(0, 10_000, COUNT)],
            "name": [f"code{each}" for each in range(COUNT)],
            "row_id": np.arange(COUNT),
            "same": 1,
            "nothing": None,
            "copy": number,
            "flag": RANDOM.random(COUNT) < 0.5,
        }
    )


def learned(table, options=None, stated=()):
    kinds = table_columns.kinds_of(table, table_columns.stated_kinds(stated, list(table.columns)))
    places = [f"row {row}" for row in range(len(table))]
    return table_inputs.learn(table, kinds, options or FeatureOptions(), places), places, kinds


def test_kinds_are_found_out_and_said(caplog):
    kinds = {each.name: (each.kind, each.why) for each in table_columns.kinds_of(frame(), {})}
    assert {name: kind for name, (kind, _) in kinds.items()} == {
        **dict.fromkeys(("copy", "heavy", "some"), "number"),
        **dict.fromkeys(("colour", "rare", "flag"), "category"),
        "day": "date",
        "said": "text",
        **dict.fromkeys(("name", "row_id", "same", "nothing", "number"), "ignore"),
    }
    assert kinds["number"][1] == "equal to copy" and "identifier" in kinds["name"][1]
    with caplog.at_level(logging.INFO, "kit"):
        table_columns.tell(table_columns.kinds_of(frame(), {}))
    assert "columns  3 categories  colour, flag, rare" in caplog.text and "same is left out: one value" in caplog.text
    stated = table_columns.kinds_of(
        frame(), table_columns.stated_kinds(["row_id=category", "day=ignore"], list(frame()))
    )
    assert {each.name: each.kind for each in stated if each.name in ("row_id", "day")} == {
        "row_id": "category",
        "day": "ignore",
    }
    for wrong, said in (("colour=colour", "COLUMN=KIND"), ("color=text", "no column 'color'; did you mean 'colour'")):
        with pytest.raises(SettingError, match=said):
            table_columns.stated_kinds([wrong], list(frame()))


def test_features_are_json_and_do_not_depend_on_the_order_of_columns():
    table = frame()
    found, places, _ = learned(table)
    again = json.loads(json.dumps(found))
    features = table_inputs.transformed(table, found, places)
    assert set(features) == {"numbers", "categories", "words"}
    turned = table[list(table)[::-1]]
    other, _, _ = learned(turned)
    assert json.dumps(other) == json.dumps(found)
    for name, values in table_inputs.transformed(turned, again, places).items():
        np.testing.assert_array_equal(values, features[name])
    assert features["numbers"].shape[1] == len(table_inputs.feature_names(found)["numbers"])
    assert np.abs(features["numbers"].mean(0)).max() < 1.0 and np.isfinite(features["numbers"]).all()
    spots = table_inputs.positions(found)
    assert sorted(spot for each in spots.values() for spot in each.get("numbers", ())) == list(
        range(features["numbers"].shape[1])
    )


def test_missing_rare_and_unseen_values():
    table = frame()
    found, places, _ = learned(table)
    names = table_inputs.feature_names(found)
    features = table_inputs.transformed(table, found, places)
    missing = features["numbers"][:, names["numbers"].index("some is missing")]
    assert missing.tolist() == (np.arange(COUNT) % 5 == 0).astype(float).tolist()
    rare = features["categories"][:, names["categories"].index("rare")]
    assert rare[7] == 0 and set(rare) == {0, 1, 2}
    new = table.assign(colour="violet", number=None, copy=None, heavy=np.nan)
    unseen = table_inputs.transformed(new, found, places)
    assert (unseen["categories"][:, names["categories"].index("colour")] == 0).all()
    assert np.isfinite(unseen["numbers"]).all()


@pytest.mark.parametrize("scaling", ["standard", "log", "quantile"])
def test_scaled_numbers_are_standard_and_can_be_turned_back(scaling):
    values = pd.Series(np.exp(RANDOM.normal(size=500)), name="x")
    found, places, _ = learned(pd.DataFrame({"x": values}), FeatureOptions(scaling=scaling))
    (column,) = found["columns"]
    (scaled,) = numbers_of(values, column, places)
    assert abs(scaled.mean()) < 0.1 and scaled.std() == pytest.approx(1, abs=0.1)
    middle = np.argsort(values.to_numpy())[100:400]
    back = np.array([in_units(each, column) for each in scaled[middle]])
    np.testing.assert_allclose(back, values.to_numpy()[middle], rtol=0.05)
    assert (np.diff(scaled[np.argsort(values)]) >= 0).all()


def test_heavy_tails_are_found_and_no_number_is_far_away():
    table = pd.DataFrame({"plain": RANDOM.normal(size=300), "heavy": np.exp(3 * RANDOM.normal(size=300))})
    found, places, _ = learned(table)
    assert {each["name"]: each["scaling"] for each in found["columns"]} == {"heavy": "quantile", "plain": "standard"}
    far = table_inputs.transformed(pd.DataFrame({"plain": [1e30], "heavy": [1e30]}), found, places)["numbers"]
    assert np.abs(far).max() <= 8


def test_principal_components_stand_in_for_numbers():
    one = RANDOM.normal(size=300)
    table = pd.DataFrame({"a": one, "b": -one + 1e-3 * RANDOM.normal(size=300), "c": RANDOM.normal(size=300)})
    found, places, _ = learned(table, FeatureOptions(pca=2))
    numbers = table_inputs.transformed(table, found, places)["numbers"]
    assert numbers.shape == (300, 2) and numbers.std(0) == pytest.approx([1, 1], abs=0.01)
    with pytest.raises(SettingError, match="pca"):
        learned(table, FeatureOptions(pca=4))


def test_crossed_columns_are_found_where_two_tell_more_than_one():
    one, other, third = (RANDOM.choice(["x", "y"], 2000) for _ in range(3))
    table = pd.DataFrame({"one": one, "other": other, "third": third})
    kinds = table_columns.kinds_of(table, {})
    places = [""] * 2000
    answers = (one == other).astype("int32")
    found = table_inputs.learn(table, kinds, FeatureOptions(crosses=("auto",), num_crosses=1), places, answers)
    assert [each["name"] for each in found["crosses"]] == ["one*other"]
    ids = table_inputs.transformed(table, found, places)["crosses"][:, 0]
    assert len(set(ids)) == 4 and ids.min() == 1
    with pytest.raises(SettingError, match="no column 'ohter' to cross; did you mean 'other'"):
        table_inputs.learn(table, kinds, FeatureOptions(crosses=("one*ohter",)), places)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("some", "much", "row 3: some is 'much'; expected a number"),
        ("day", "soon", "row 3: day is 'soon'; expected a date such as 2026-01-31"),
    ],
)
def test_a_value_that_cannot_be_is_named(column, value, said):
    table = frame()
    found, places, _ = learned(table)
    table[column] = table[column].astype(object)
    table.loc[3, column] = value
    with pytest.raises(KitError, match=said):
        table_inputs.transformed(table, found, places)


def test_a_column_that_is_missing_is_named():
    table = frame()
    found, places, _ = learned(table)
    with pytest.raises(KitError, match="row 0: no column 'colour'; did you mean 'color'"):
        table_inputs.transformed(table.rename(columns={"colour": "color"}), found, places)


@pytest.mark.parametrize(
    ("texts", "date_format", "second"),
    [
        (["2026-01-31", "2026-02-01T10:00:00Z"], "ISO8601", "2026-02-01 10:00"),
        (["31.1.2026", "1.2.2026"], "%d.%m.%Y", "2026-02-01"),
        (["1/31/2026", "2/1/2026"], "%m/%d/%Y", "2026-02-01"),
        (["2026/1/31", "2026/2/1"], "ISO8601", "2026-02-01"),
        (["soon", "in 3 days"], None, None),
    ],
)
def test_dates_are_known_by_how_they_are_written(texts, date_format, second):
    (kind,) = table_columns.kinds_of(pd.DataFrame({"day": texts}), {})
    assert kind.date_format == date_format and (kind.kind == "date") == (date_format is not None)
    if date_format:
        found = table_columns.as_dates(pd.Series(texts, name="day"), date_format, ["row 1", "row 2"])
        assert found.iloc[1] == pd.Timestamp(second)


def test_dates_that_may_be_read_in_two_ways_are_stated():
    table = pd.DataFrame({"day": ["1/2/2026", "3/4/2026"]})
    with pytest.raises(SettingError, match="kinds: day is '1/2/2026', which is 2026-02-01 or 2026-01-02; expected"):
        table_columns.kinds_of(table, {})
    stated = table_columns.stated_kinds(["day=date %d/%m/%Y"], ["day"])
    found, places, _ = learned(table, stated=["day=date %d/%m/%Y"])
    assert stated == {"day": ("date", "%d/%m/%Y")} and found["columns"][0]["format"] == "%d/%m/%Y"
    with pytest.raises(KitError, match="row 0: day is '1/31/2026'; expected a date written as %d/%m/%Y"):
        table_inputs.transformed(pd.DataFrame({"day": ["1/31/2026"]}), found, places)
    with pytest.raises(SettingError, match="COLUMN=date"):
        table_columns.stated_kinds(["day=text %d/%m/%Y"], ["day"])


def test_the_id_of_a_category_does_not_go_by_the_other_rows():
    table = pd.DataFrame({"zone": [1.0, 2.0, 2.5] * 20})
    found, places, _ = learned(table, stated=["zone=category"])
    whole = table_inputs.transformed(table, found, places)["categories"]
    part = table_inputs.transformed(table[:2], found, places)["categories"]
    as_texts = table_inputs.transformed(pd.DataFrame({"zone": ["1", "2", "2.5"]}), found, places)["categories"]
    assert part.tolist() == whole[:2].tolist() and as_texts.tolist() == whole[:3].tolist() == [[1], [2], [3]]


def test_a_leak_is_told():
    target = RANDOM.integers(0, 2, 200)
    features = {"leak": target[:, None].astype("float32"), "noise": RANDOM.normal(size=(200, 1))}
    (finding,) = table_columns.leaks(features, target, "label")
    assert finding.kind == "leak" and finding.examples == [{"column": "leak"}]
    number = RANDOM.normal(size=200)
    (finding,) = table_columns.leaks(
        {"leak": 2 * number[:, None] + 1, "noise": features["noise"]}, number, "number"
    ) or [None]
    assert finding is None or finding.examples == [{"column": "leak"}]


@pytest.mark.parametrize("way", ["variance", "mutual_information", "permutation", "sequential"])
def test_columns_that_tell_nothing_are_left_out(way):
    target = RANDOM.integers(0, 2, 400)
    columns = {
        "good": target[:, None] + 0.3 * RANDOM.normal(size=(400, 1)),
        "constant": np.ones((400, 1)),
        "noise": RANDOM.normal(size=(400, 1)),
    }
    held_out = np.arange(400) % 4 == 0
    options = SelectionOptions(select=way, select_count=2 if way == "variance" else 1)
    worth, kept = selected(columns, target, "label", options, held_out)
    assert "good" in kept and "constant" not in kept and set(worth) == set(columns)


def rows(tmp_path, count=60):
    table = frame()[:count].drop(columns=["copy", "nothing"])
    table["target"] = RANDOM.choice(["yes", "no"], count)
    table.to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv"), table


def test_nothing_is_learned_of_validation_and_test(tmp_path):
    path, table = rows(tmp_path)
    from kit.data.labelled_tables import TableSource

    first = labelled_rows(0, None, where=TableSource(source=path))
    assert isinstance(first, Splits)
    held_out = (first.assignment["split"] != "train").to_numpy()
    table.loc[held_out, "heavy"] = 1e6
    table.loc[held_out, "colour"] = "violet"
    table.to_csv(path, index=False)
    other = labelled_rows(0, None, where=TableSource(source=path))
    assert (other.assignment["split"] == first.assignment["split"]).all()
    for name in ("table", "number_edges", "typical"):
        assert other.assets[name] == first.assets[name]


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (
            lambda table: table.drop(columns="target"),
            {"target": "target"},
            "data.target: no column 'target'|target: no column",
        ),
        (
            lambda table: table.assign(target=table["target"].where(table.index != 3)),
            {},
            "row 4: no target; 1 of 60 rows",
        ),
        (lambda table: table[["target"]], {}, "no column beside target"),
        (lambda table: table.assign(target="yes"), {}, "only one class"),
        (lambda table: table[["target", "same"]], {}, "a table with a column to learn from"),
    ],
)
def test_tables_of_which_nothing_can_be_learned(tmp_path, change, settings, said):
    from kit.data.labelled_tables import TableSource

    path, table = rows(tmp_path)
    change(table).to_csv(path, index=False)
    with pytest.raises(KitError, match=said) as error:
        labelled_rows(0, None, where=TableSource(source=path, **settings))
    assert "\n" not in str(error.value)


def test_rows_without_an_answer_may_be_dropped(tmp_path):
    from kit.data.labelled_tables import TableSource

    path, table = rows(tmp_path)
    table.assign(target=table["target"].where(table.index != 3)).to_csv(path, index=False)
    splits = labelled_rows(0, None, where=TableSource(source=path, missing_target="drop"))
    assert len(splits.assignment) == 59


def test_a_table_keeps_what_patterns_may_ask_for():
    table = Table(pd.DataFrame({"a": [1.0, np.nan]}), ["x row 1", "x row 2"])
    assert table.columns == {"a": [1.0, None]} and table.ids == table.places
