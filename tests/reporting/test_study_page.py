"""The page of a study, on tables as odd as a search may leave them."""

import numpy as np
import pandas as pd
import pytest

from kit.reporting import study
from kit.tuning.outcome import Study


def trials(count, **columns):
    random = np.random.default_rng(0)
    table = {
        "trial": range(count),
        "state": "completed",
        "score": random.uniform(0.5, 1, count),
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 1.5,
        "cpu_seconds": 1.0,
        "memory_mb": 300,
        "folder": [f"{index:04}" for index in range(count)],
        **columns,
        "message": None,
    }
    return pd.DataFrame(table, index=range(count))


def write(folder, table, mode="max"):
    scored = table[table["state"] != "failed"]
    best = scored["score"].idxmax() if mode == "max" else scored["score"].idxmin()
    settings = {name: table[name][best] for name in table.columns if "." in name}
    summary = {"recipe": "image_classification", "monitor": "val_accuracy", "mode": mode, "best": settings}
    summary |= {"best_trial": int(best), "score": float(table["score"][best]), "saved_epochs": 0, "saved_seconds": 0.0}
    curves = {index: [0.1, 0.2, 0.3] for index in table["trial"]}
    return study.write(folder, summary, table, curves).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("count", "columns"),
    [
        (1, {"model.dropout": 0.1}),
        (9, {"model.dropout": np.linspace(0, 0.5, 9), "optimizer.name": ["adamw", "sgd", "lion"] * 3}),
        (9, {"score": 0.5, "train.batch_size": [16, 32, 64] * 3}),
        (9, {"optimizer.nesterov": [True, False, None] * 3, "backbone.widths": ["[8, 16]"] * 9}),
        (9, {"optimizer.momentum": [np.nan] * 9, "model.dropout": np.linspace(0, 0.5, 9)}),
    ],
)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_page_is_drawn(count, columns, mode, tmp_path):
    page = write(tmp_path, trials(count, **columns), mode)
    assert page.count("<img") >= 4 and "Trials, the best first" in page


def test_a_setting_of_failed_trials_alone_is_left_out(tmp_path):
    table = trials(4, **{"model.dropout": [0.1, 0.2, 0.3, 0.4], "optimizer.momentum": [np.nan, np.nan, np.nan, 0.9]})
    table.loc[3, ["state", "score", "message"]] = ["failed", np.nan, "loss became nan"]
    assert "loss became nan" in write(tmp_path, table)


def test_importance_finds_what_matters():
    random = np.random.default_rng(0)
    table = trials(40, **{"model.dropout": random.uniform(0, 1, 40), "train.batch_size": random.integers(1, 9, 40)})
    table["score"] = 1 - (table["model.dropout"] - 0.3) ** 2
    shares = study.importance(table, ["model.dropout", "train.batch_size"])
    assert shares.index[0] == "model.dropout" and shares.iloc[0] > 0.9 and shares.sum() == pytest.approx(1)
    assert study.importance(table.head(5), ["model.dropout"]) is None


def test_a_notebook_shows_the_best_trial(tmp_path):
    best = {"optimizer.learning_rate": 0.00123456, "<script>": "<script>"}
    folder = tmp_path / "study"
    found = Study(folder, "val_accuracy", "max", trials(3), best, 0.9, 0)
    assert repr(found) == f"Study({str(folder)!r}, 3 trials, best val_accuracy 0.9000)"
    shown = found._repr_html_()
    assert "0.001235" in shown and "of 3 trials" in shown and "<script" not in shown
