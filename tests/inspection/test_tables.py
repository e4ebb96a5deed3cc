"""Tables under inspection: guessed, and each planted fault found; a clean table has none of them."""

import numpy as np
import pandas as pd
import pytest

import kit
from kit.inspection.guess import kind_of


def clean(count=300):
    """A table in which nothing is wrong."""
    draw = np.random.default_rng(0)
    size = draw.normal(100, 20, count).round(2)
    city = draw.choice(["Oslo", "Rome", "Lima"], count)
    dear = np.where(size + draw.normal(0, 15, count) > 100, "yes", "no")
    return pd.DataFrame({"size": size, "rooms": draw.poisson(4, count).astype(float), "city": city, "target": dear})


def far(table):
    table.loc[5, "size"] = 1e7


def marked(table):
    table.loc[10:15, "rooms"] = -999


def spelt(table):
    table.loc[20:40, "city"] = "oslo "


def rare(table):
    table.loc[7, "city"] = "Quito"


def lost(table):
    table.loc[50:80, "size"] = np.nan


def told(table):
    table["refund"] = np.where(table["target"] == "yes", 1.5, 0.5) + np.arange(len(table)) / 1e4


def again(table):
    table["also"] = table["size"]


def unanswered(table):
    table.loc[3, "target"] = None


def repeated(table):
    for row in range(0, 60, 2):
        table.loc[row] = table.loc[row + 1]


def torn(table):
    for row in range(0, 20, 2):
        table.loc[row] = table.loc[row + 1]
        table.loc[row, "target"] = "no" if table.loc[row + 1, "target"] == "yes" else "yes"


def dated(table):
    table["sold"] = pd.date_range("2020-01-01", periods=len(table)).strftime("%Y-%m-%d")


def seldom(table):
    table["target"] = np.where(np.arange(len(table)) % 30, "no", "yes")


PLANTED = {
    far: "outliers",
    marked: "marks_of_missing_values",
    spelt: "labels_alike",
    rare: "rare_categories",
    lost: "missing_values",
    told: "leak",
    again: "columns_left_out",
    unanswered: "no_answer",
    repeated: "equal_across_splits",
    torn: "equal_with_other_label",
    dated: "dates",
    seldom: "imbalance",
}


def inspected(table, tmp_path, **data):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    assert kind_of(path) in ("rows", "pairs")
    return kit.inspect(path, recipe="tabular_prediction", data=data, output=tmp_path / "page", verbose=False)


def test_nothing_is_found_in_a_clean_table(tmp_path):
    found = inspected(clean(), tmp_path)
    assert found.kinds == [] and found.numbers["rows"] == 300 and found.numbers["columns"] == 3
    columns = found.tables["columns"].set_index("column")
    assert columns.loc["city", "kind"] == "category" and columns.loc["size", "kind"] == "number"
    assert found.page.exists()


@pytest.mark.parametrize(("plant", "kind"), PLANTED.items(), ids=[each.__name__ for each in PLANTED])
def test_a_planted_fault_is_found(plant, kind, tmp_path):
    table = clean()
    plant(table)
    found = inspected(table, tmp_path)
    assert kind in found.kinds
    (finding,) = (each for each in found.findings if each.kind == kind)
    assert finding.advice and finding.count >= 1 and "\n" not in finding.message


def test_a_number_far_off_is_found_among_answers(tmp_path):
    table = clean().drop(columns="target")
    table["price"] = table["size"] * 3 + table["rooms"] / 7
    table.loc[9, "price"] = 1e6
    found = inspected(table, tmp_path)
    assert "outliers_of_the_answer" in found.kinds and found.tables["numbers"].set_index("").loc["count"].sum() == 300


def test_unknown_values_of_held_out_rows_are_counted(tmp_path):
    parts = {"train": clean(), "validation": clean(60), "test": clean(60)}
    parts["test"].loc[:9, "city"] = "Quito"
    parts["test"].loc[:4, "size"] = np.nan
    found = kit.inspect(parts, recipe="tabular_prediction", output=tmp_path / "page", verbose=False)
    assert {"unknown_categories", "missing_in_held_out_rows"} <= set(found.kinds)
    assert "city (10 of 120 rows)" in found.table["message"].str.cat()


def test_dates_that_may_be_read_in_two_ways_are_a_problem(tmp_path):
    table = clean()
    table["sold"] = [f"{1 + row % 12}/{1 + row % 11}/2020" for row in range(len(table))]
    found = inspected(table, tmp_path)
    assert "cannot_be_learned" in found.kinds and found.count("problem") >= 1


def test_tables_are_guessed(tmp_path):
    wide = clean().assign(more=1.5)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    wide.to_parquet(tmp_path / "wide.parquet")
    assert kind_of(tmp_path / "wide.csv") == kind_of(tmp_path / "wide.parquet") == kind_of("wine") == "rows"
    (tmp_path / "pairs.csv").write_text("english,german\none red house,ein rotes Haus\n" * 5)
    assert kind_of(tmp_path / "pairs.csv") == "pairs"
