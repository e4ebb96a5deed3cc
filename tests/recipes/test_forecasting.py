"""Forecasting: what the network keeps to, what is learned, predicted and refused."""

import functools
import json

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import cli, recipes
from kit.errors import KitError, SettingError
from kit.models import series

SMALL = {"decoder_dim": 4, "backbone": "gru"}
TRAIN = {"epochs": 12, "batch_size": 32, "steps_per_epoch": 15, "steps_per_execution": 1, "jit_compile": False}


def table(steps=160, seed=0):
    """Two series that grow, with a season of seven days, and a price that moves them."""
    draw, days = np.random.default_rng(seed), np.arange(steps)
    parts = []
    for number, name in enumerate(("a", "b"), 1):
        price = draw.normal(size=steps)
        value = 50 * number + 0.3 * days + 10 * np.sin(2 * np.pi * days / 7) + 6 * price + draw.normal(size=steps)
        dates = pd.date_range("2024-01-01", periods=steps)
        parts.append(pd.DataFrame({"date": dates, "id": name, "value": value, "price": price}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kit.train(
        "forecasting",
        folder=tmp_path_factory.mktemp("forecasting") / "run",
        data={"source": table()[table()["date"] < "2024-05-30"], "known_covariates": ["price"], "horizon": 7},
        model=SMALL,
        backbone={"units": 8},
        optimizer={"learning_rate": 0.01},
        train=TRAIN,
        evaluate={"bootstrap_samples": 50},
        verbose=False,
    )


def later():
    """Returns the rows behind those of training, without a value."""
    whole = table()
    return whole[whole["date"] >= "2024-05-30"].drop(columns="value").reset_index(drop=True)


def small(**arguments):
    return recipes.forecaster(12, 5, 3, 2, season=4, moments=([1.0], [2.0]), known_covariates=1, **SMALL | arguments)


def inputs(seed=0):
    draw = np.random.default_rng(seed)
    return {
        "past": draw.normal(size=(6, 12, 3)).astype("float32"),
        "future": draw.normal(size=(6, 5, 2)).astype("float32"),
    }


@pytest.mark.parametrize("scaling", ["last", "mean"])
def test_another_unit_gives_the_same_forecast_in_that_unit(scaling):
    model, given = small(scaling=scaling), inputs()
    other = {name: values.copy() for name, values in given.items()}
    other["past"][..., 0] = 1000 * other["past"][..., 0] + 5000
    ours, theirs = (model.predict_on_batch(each) for each in (given, other))
    np.testing.assert_allclose(theirs, 1000 * ours + 5000, rtol=1e-3, atol=5)


def test_quantiles_are_in_their_order():
    outputs = small().predict_on_batch(inputs())
    assert outputs.shape == (6, 5, 5) and (np.diff(outputs, axis=-1) >= 0).all()


@pytest.mark.parametrize(("base", "lag"), [("season", 4), ("last", 1)])
def test_it_begins_as_the_naive_forecast(base, lag):
    model, given = small(base=base), inputs()
    layer = model.get_layer("deviation")
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    outputs, values = model.predict_on_batch(given), given["past"][..., 0]
    for step in range(5):
        np.testing.assert_allclose(outputs[:, step, 2], values[:, 12 - lag + step % lag], atol=1e-5)


def test_a_series_that_does_not_move_gives_finite_forecasts():
    given = inputs()
    given["past"][...] = 3.0
    outputs = small(least_scale=0.1).predict_on_batch(given)
    assert np.isfinite(outputs).all() and np.abs(outputs - 3).max() < 2


def test_what_is_known_in_advance_moves_its_own_step_alone():
    model, given = small(), inputs()
    other = {name: values.copy() for name, values in given.items()}
    other["future"][:, 2] += 1
    moved = np.abs(model.predict_on_batch(other) - model.predict_on_batch(given)).max((0, 2))
    assert moved[2] > 1e-4 and np.delete(moved, 2).max() < 1e-6


def test_the_moments_are_those_of_the_layers():
    model = small()
    layer = model.get_layer("future_covariates")
    np.testing.assert_allclose(layer(np.array([[[3.0, 7.0]]], "float32")), [[[1.0, 7.0]]])


ENCODERS = {
    "lstm": {"units": 8},
    "gru": {"units": 8},
    "lstm_attention": {"units": 8},
    "tcn": {"dim": 8, "dilations": (1, 2)},
    "transformer": {"dim": 8, "depth": 1, "num_heads": 2, "feedforward_dim": 16},
}


@pytest.mark.parametrize(
    "backbone", [name if name == "gru" else pytest.param(name, marks=pytest.mark.slow) for name in ENCODERS]
)
def test_one_batch_is_learned(backbone):
    build, arguments = series.VARIANTS[backbone]
    encoder = functools.partial(build, **{**arguments, "dropout": 0.0, **ENCODERS[backbone]})
    draw = np.random.default_rng(0)
    past = np.cumsum(draw.normal(size=(8, 10, 1)), 1).astype("float32")
    target = past[:, -1:] + draw.normal(size=(8, 3, 1)).astype("float32")
    model = recipes.forecaster(10, 3, 1, 0, backbone=encoder, dropout=0.0, optimizer=keras.optimizers.Adam(0.03))
    losses = [float(model.train_on_batch({"past": past}, target)) for _ in range(100)]
    assert losses[-1] < 0.35 * losses[0]


def test_it_learns_more_than_the_naive_forecasts(run):
    test = run.metrics["test"]
    assert test["mase"] < 0.7 * test["mase_of_seasonal_naive"] < test["mase_of_naive"]
    assert test["mase_low"] < test["mase"] < test["mase_high"] and 0.4 < test["coverage"] <= 1
    assert run.metrics["baseline"]["name"].startswith("ridge") and run.metrics["baseline"]["mase"] < 1
    assert test["origins"] == 24 and test["forecasts"] == 48
    page = (run.folder / "report.html").read_text()
    assert "MASE" in page and "ridge regression on lags" in page and "By step ahead" in page.replace("2 by", "By")


def test_fewer_origins_are_part_of_all(run):
    found = kit.evaluate(
        run.folder, overrides={"evaluate.stride": 7}, data=table()[table()["date"] < "2024-05-30"]
    ).metrics
    assert found["origins"] == 4 and found["forecasts"] == 8


def test_it_goes_on_from_the_last_step(run):
    found = run.predict(later())
    assert list(found) == ["series", "time", "step", "forecast", *(f"q({q})" for q in (0.05, 0.25, 0.5, 0.75, 0.95))]
    assert found["time"][:2].tolist() == ["2024-05-30", "2024-05-31"] and len(found) == 14
    true = table()[table()["date"].between("2024-05-30", "2024-06-05")]["value"].to_numpy()
    assert np.abs(found["forecast"] - true).mean() < 8


def test_a_table_with_later_values_moves_the_origin(run):
    rows = table()[table()["date"] >= "2024-05-30"].copy()
    rows.loc[rows["date"] >= "2024-06-01", "value"] = np.nan
    assert run.predict(rows)["time"][0] == "2024-06-01"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: None, r"expected a table with 'date' and 'price', which are known in advance, for the next 7 steps"),
        (lambda f: f.drop(columns="price"), r"no column 'price'; expected the columns of training"),
        (lambda f: f[:3], r"'a': 'price' is known until 2024-06-01; expected it until 2024-06-05"),
        (lambda f: f[:7].assign(id="c"), r"'c': no past of it is known"),
        (lambda f: 7, r"source: got int"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_one_line(run, change, message):
    with pytest.raises((KitError, SettingError), match=message) as caught:
        run.predict(change(later()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.time", "day"], "data.time: no column 'day'"),
        (["--data.horizon", "1000"], "expected more than 3,000"),
        (["--model.quantiles", "0.1,0.9"], "model.quantiles: expected rising levels"),
        (["--data.num_series", "3"], "data.num_series: expected none of series that are read"),
        (["--train.folds", "3"], "train.folds: expected 0"),
        (["--backbone.units", "0"], "backbone.units: expected at least 1"),
    ],
)
def test_the_command_line_refuses_in_one_line(words, message, tmp_path, capsys):
    path = tmp_path / "shop.csv"
    table().to_csv(path, index=False)
    folder = tmp_path / "run"
    options = ["--data.source", str(path), "--data.target", "value", "--folder", str(folder)]
    assert cli.main(["train", "forecasting", *options, *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and not folder.exists()


def test_the_command_line_forecasts_a_file(run, tmp_path, capsys):
    path = tmp_path / "later.csv"
    later().to_csv(path, index=False)
    assert cli.main(["predict", str(run.folder), str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert len(rows) == 14 and rows[0]["series"] == "a" and rows[0]["time"] == "2024-05-30"
    assert cli.main(["predict", str(run.folder), str(path)]) == 0
    assert "2024-06-05" in capsys.readouterr().out


def test_the_table_of_settings_that_were_decided_is_kept(run):
    data = run.settings["data"]
    assert (data["season"], data["horizon"], data["context"]) == (7, 7, 14)
