"""Prediction from tables: raw files in training and prediction, answers of every kind, and what they rest on."""

import logging

import numpy as np
import pandas as pd
import pytest

import kit
from kit.errors import KitError, SettingError
from kit.recipes.tabular_prediction import tabular_predictor
from tests.conftest import plots_drawn

SMALL = {
    "model": {"backbone": "table_mlp"},
    "backbone": {"units": [8], "number_dim": 2},
    "train": {"epochs": 3, "batch_size": 32, "steps_per_execution": 1, "jit_compile": False},
    "optimizer": {"learning_rate": 0.02},
    "evaluate": {"bootstrap_samples": 20},
}


def houses(count=240):
    random = np.random.default_rng(0)
    area, city = random.integers(20, 200, count), random.choice(["Oslo", "Rome", "Lima"], count)
    price = area * np.where(city == "Oslo", 3.0, 1.0) + random.normal(size=count)
    return pd.DataFrame(
        {
            "area": area.astype(float),
            "city": city,
            "built": pd.date_range("1990-01-01", periods=count, freq="30D").strftime("%Y-%m-%d"),
            "note": [f"a house with {each} rooms and more" for each in random.integers(0, 10_000, count)],
            "dear": np.where(price > np.median(price), "yes", "no"),
            "garden": (area > 100).astype(int),
            "lift": (city == "Lima").astype(int),
            "price": price.round(2),
        }
    )


def train(folder, source, target, drop=("dear", "price", "garden", "lift"), **settings):
    kinds = [f"{name}=ignore" for name in drop if name not in target.split(",")]
    tables = {name: {**SMALL.get(name, {}), **settings.pop(name, {})} for name in (*SMALL, "data")}
    tables["data"] = {"source": source, "target": target, "kinds": kinds, **tables["data"]}
    return kit.train("tabular_prediction", folder=folder, verbose=False, **tables, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    houses().to_csv(folder / "houses.csv", index=False)
    with plots_drawn():
        return train(folder / "run", str(folder / "houses.csv"), "dear", train={"epochs": 12})


def test_a_raw_file_is_answered_and_models_stand_beside(run, tmp_path):
    assert run.metrics["test"]["accuracy"] > 0.8
    beside = run.metrics["baseline"]
    assert beside["name"] == "gradient boosting" and beside["others"][0]["name"] == "logistic regression"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Beside it, gradient boosting" in page and "Beside it, logistic regression" in page
    rows = houses()[:5]
    rows.to_csv(tmp_path / "new.csv", index=False)
    table = run.predict(tmp_path / "new.csv")
    assert list(table["input"]) == [f"new.csv row {number}" for number in range(1, 6)]
    given = run.predict(rows)
    records = run.predict(rows.to_dict("records"))
    lines = ["\t".join(str(row[name]) for name in ("area", "built", "city", "note")) for _, row in rows.iterrows()]
    texts = run.predict(lines)
    for other in (given, records, texts):
        np.testing.assert_allclose(other["p(yes)"], table["p(yes)"], atol=1e-6)


def test_columns_in_another_order_make_the_same_network(run, tmp_path):
    houses()[list(houses())[::-1]].to_csv(tmp_path / "houses.csv", index=False)
    other = train(tmp_path / "run", str(tmp_path / "houses.csv"), "dear", train={"epochs": 12})
    for one, two in zip(run.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert other.metrics["test"] == run.metrics["test"]


def test_rows_of_other_columns(run, tmp_path, caplog):
    with pytest.raises(KitError, match="no column 'city'"):
        run.predict(houses().drop(columns="city"))
    with caplog.at_level(logging.WARNING, "kit"):
        run.predict(houses()[:2].assign(colour="red"))
    assert "passed over: colour" in caplog.text and "dear" not in caplog.text
    with pytest.raises(KitError, match="text:1: 2 values; expected 4, with tabs between them: area, built, city, note"):
        run.predict("1\t2")
    for inputs in ([], [3], tmp_path / "none.csv", "  "):
        with pytest.raises(KitError) as error:
            run.predict(inputs)
        assert "\n" not in str(error.value)
    strange = run.predict(
        pd.DataFrame({"area": [None, 1e12], "city": ["Paris", None], "built": [None, "2026-01-01"], "note": [None, ""]})
    )
    assert np.isfinite(strange["probability"]).all()


def test_what_answers_rest_on(run, tmp_path):
    with plots_drawn():
        found = run.explain()
        assert {"area", "city"} == set(found.table["column"][:2])
        assert (found.table["low"] <= found.table["importance"]).all()
        assert set(found.figures) == {"01_importance_of_columns", "02_partial_dependence"}
        curve = found.tables["dependence"].query("column == 'area'")
        assert curve["answer"].iloc[-1] > curve["answer"].iloc[0] and curve["value"].max() > 100
        assert found.write(tmp_path).exists()
        rules = run.explain(method="rules", max_rules=4)
        assert 2 <= len(rules.table) <= 4 and rules.table["rows"].sum() == 48
        assert float(rules.arrays["fidelity"]) > 0.8 and any("area > " in rule for rule in rules.table["rule"])
        rows = run.explain(houses()[:2])
        assert len(rows.table) == 2 and rows.table["because"].str.contains("area|city").all()
        for figure in rows.figures.values():
            figure()
    for inputs, settings, said in (
        (houses()[:2], {"method": "rules"}, "needs the data of the run"),
        (None, {"method": "occlusion"}, "needs rows of a table"),
        (None, {"method": "masks"}, "TabNet alone"),
        (None, {"target": "maybe"}, "target"),
    ):
        with pytest.raises(KitError, match=said):
            run.explain(inputs, **settings)


def test_a_number_with_its_interval(tmp_path):
    houses().to_csv(tmp_path / "houses.csv", index=False)
    levels = [0.05, 0.2, 0.5, 0.95]  # the median is not in the middle
    settings = {"model": {"loss": "quantile", "quantiles": levels}, "train": {"epochs": 20}}
    found = train(tmp_path / "run", str(tmp_path / "houses.csv"), "price", **settings)
    assert found.metrics["test"]["r2"] > 0.5 and 0 < found.metrics["test"]["coverage"] <= 1
    assert found.metrics["baseline"]["others"][0]["name"] == "ridge regression"
    table = found.predict(houses()[:3])
    assert (table["q(0.05)"] <= table["number"]).all() and (table["number"] <= table["q(0.95)"]).all()
    alone = found.explain(houses()[:3], method="occlusion")
    np.testing.assert_allclose(alone.table["answer"], table["number"], rtol=1e-5)
    rules = found.explain(method="rules")
    assert len(rules.table) <= 12 and np.isfinite(float(rules.arrays["fidelity"]))


def test_several_labels(tmp_path):
    found = train(tmp_path / "run", houses(), "garden,lift", train={"epochs": 10})
    assert found.metrics["test"]["micro_f1"] > 0.5
    assert found.metrics["baseline"]["micro_f1"] > 0.9
    assert set(found.assets["class_names"]) == {"garden", "lift"}


_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("tabnet_small", "ft_transformer", "resnet_mlp")]


@pytest.mark.parametrize("backbone", ["wide_and_deep", *_SLOW])
def test_every_network_learns_from_a_table(backbone, tmp_path):
    own = {"tabnet_small": {"pretraining_epochs": 1}, "ft_transformer": {"dim": 8, "depth": 1, "num_heads": 2}}
    found = kit.train(
        "tabular_prediction",
        data={
            "source": houses(),
            "target": "dear",
            "kinds": ["price=ignore"],
            **({"crosses": ["auto"]} if backbone == "wide_and_deep" else {}),
        },
        model={"backbone": backbone},
        backbone=own.get(backbone, {}),
        train={**SMALL["train"], "epochs": 2},
        evaluate=SMALL["evaluate"],
        folder=tmp_path / "run",
        verbose=False,
    )
    again = kit.load(found.folder)
    np.testing.assert_array_equal(again.predict(houses()[:9])["p(yes)"], found.predict(houses()[:9])["p(yes)"])
    if backbone == "tabnet_small":
        with plots_drawn():
            masks = again.explain(houses()[:3], method="masks")
            masks.figures["03_masks"]()
        np.testing.assert_allclose(masks.arrays["masks"].sum(2), 1, atol=1e-5)


def test_selected_columns_are_drawn_and_the_others_left_out(tmp_path):
    with plots_drawn():
        found = train(tmp_path / "run", houses(), "dear", data={"select": "mutual_information", "select_count": 2})
    assert {column["name"] for column in found.assets["table"]["columns"]} <= {"area", "city", "built", "note"}
    assert len(found.assets["table"]["columns"]) == 2
    assert (found.folder / "plots" / "5_columns.png").exists()
    assert any("drops 2 of 4 columns" in each for each in found.metrics["data_findings"])


def test_folds_keep_groups_whole_and_answers_of_all_rows(tmp_path):
    frame = houses(120).assign(owner=[f"owner{row // 4}" for row in range(120)])
    found = train(tmp_path / "run", frame, "dear", data={"group": "owner"}, train={"folds": 2, "epochs": 2})
    assert len(found.out_of_fold) == 120


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data": {"crosses": ["area*city"]}}, "data.crosses: expected none with table_mlp"),
        ({"data": {"pca": 99}}, "data.pca"),
        ({"data": {"select": "variance", "select_count": 99}}, "data.select_count"),
        ({"data": {"kinds": ["area=number", "nothing=text"]}}, "data.kinds: no column 'nothing'"),
        ({"data": {"scaling": "cubic"}}, "data.scaling"),
        ({"model": {"loss": "mse"}}, "model.loss"),
    ],
)
def test_settings_that_do_not_fit(settings, said, tmp_path):
    with pytest.raises(SettingError, match=said) as error:
        train(tmp_path / "run", houses(60), "dear", **settings)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_the_builder_alone():
    model = tabular_predictor(3, (4,), 2, number_edges=((0.0, 1.0),) * 3)
    inputs = {"numbers": np.zeros((5, 3), "float32"), "categories": np.zeros((5, 1), "int32")}
    assert model.predict(inputs, verbose=0).shape == (5, 2)
    for arguments, key in (
        ({"num_classes": 1}, "num_classes"),
        ({"dropout": 1.0}, "dropout"),
        ({"backbone": "x"}, "backbone"),
    ):
        with pytest.raises(SettingError) as error:
            tabular_predictor(3, (4,), **{"num_classes": 2, "number_edges": ((0.0, 1.0),) * 3, **arguments})
        assert error.value.key == key
