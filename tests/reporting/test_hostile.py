"""Pages of run folders that come from strangers: nothing in any field of any file runs in the page."""

import copy
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
import tomli_w

from kit.errors import KitError
from kit.reporting import comparison, page, plots, several, study

SCRIPT = '"><script>alert(1)</script>'


def leaves(value, path=()):
    """Yields the path of every value in nested dictionaries and lists."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def planted(content):
    """Yields copies of JSON-like content with a script in one value, then in one key of each dictionary."""
    for path in leaves(content):
        for in_key in (False, True):
            changed = copy.deepcopy(content)
            place = changed
            for key in path[:-1]:
                place = place[key]
            if not in_key:
                place[path[-1]] = SCRIPT
            elif isinstance(place, dict) and path[-1] == next(iter(place)):
                place[f"{path[-1]}{SCRIPT}"] = place[path[-1]]
            else:
                continue
            yield changed


def write_run(folder, changed=None, **content):
    """Writes a run folder, with another content of one file."""
    files = {
        "metrics.json": {
            "test": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "signature": "nrefs:1"},
            "validation": {"accuracy": 0.5},
            "params": 12,
            "monitor": "val_accuracy",
            "epochs": 3,
            "best_epoch": 2,
            "averaged_epochs": 0,
            "train_seconds": 1.5,
            "train_cpu_seconds": 2.5,
            "examples_per_second": 10.0,
            "hints": ["nothing was learned"],
            "advice": [{"finding": "still rising", "settings": ["--train.epochs 6"]}],
        },
        "environment.json": {"python": "3.11", "devices": "1 cpu"},
        "config.toml": {"recipe": "image_classification", "seed": 0, "data": {"source": "photos"}, "train": {"x": 1}},
    }
    files |= changed or {}
    for name in ("tables", "plots", "samples"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        text = tomli_w.dumps(value) if name.endswith(".toml") else json.dumps(value)
        (folder / name).write_text(text)
    history = content.get("history", {"epoch": [1, 2], "loss": [2.0, 1.0], "val_accuracy": [0.1, 0.5]})
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    table = content.get("table", {"class": ["a", "b"], "f1": [0.5, 0.25]})
    pd.DataFrame(table).to_csv(folder / "tables" / "1_per_class.csv", index=False)
    return files


def is_harmless(write, path):
    """Whether a page has no tag of the script, or was refused in one line."""
    try:
        write()
    except (KitError, KeyError, TypeError, ValueError, AttributeError):
        return True
    text = path.read_text()
    return "<script" not in text and not re.search(r'href="javascript:', text)


@pytest.mark.parametrize("file", ["metrics.json", "environment.json", "config.toml"])
def test_scripts_in_a_run(tmp_path, file):
    content = write_run(tmp_path)[file]
    for changed in planted(content):
        write_run(tmp_path, {file: changed})
        assert is_harmless(lambda: page.write(tmp_path), tmp_path / "report.html"), changed


def test_scripts_in_tables_and_names_of_files(tmp_path):
    folder = tmp_path / SCRIPT.replace("/", "_")
    write_run(folder, table={SCRIPT: [SCRIPT, "b"], "f1": [0.5, 0.25]})
    hostile = folder / "plots" / f"1_{SCRIPT.replace('/', '_')}.png"
    plots.image_grid([np.zeros((4, 4, 1), np.uint8)], [""]).savefig(hostile)
    page.write(folder)
    text = (folder / "report.html").read_text()
    assert "<script" not in text and text.count("&lt;script") > 3


def test_scripts_in_a_comparison(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "compared_curves", lambda *_: plots.new_figure())
    first, second, path = tmp_path / "one", tmp_path / "two", tmp_path / "comparison.html"
    files = write_run(first)
    for file in ("metrics.json", "config.toml"):
        for changed in planted(files[file]):
            write_run(first)
            write_run(second, {file: changed})
            assert is_harmless(lambda: comparison.write([first, second], path), path), changed
    write_run(second, history={"epoch": [1], SCRIPT: [2.0], "loss": [1.0]})
    assert is_harmless(lambda: comparison.write([first, second], path), path)


@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_scripts_in_a_page_of_several_runs(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(several, "curves", lambda *_: plots.new_figure())
    score = {"mean": 0.5, "std": 0.1, "iqm": 0.5, "iqm_low": 0.4, "iqm_high": 0.6, kind: [0.4, 0.6]}
    metrics = {
        kind: [0, 1],
        "folders": ["seed-0", "seed-1"],
        "best": "seed-1",
        "monitor": "val_accuracy",
        "monitored": score,
        "test": {"accuracy": score},
        "validation": {"accuracy": score},
        **dict.fromkeys(("epochs", "best_epoch", "train_cpu_seconds", "train_seconds"), score),
        **({"out_of_fold": {"examples": 2, "accuracy": 0.5}} if kind == "folds" else {}),
    }
    hostile = ("javascript:alert(1)", SCRIPT.replace("/", "_"))
    for name in (*metrics["folders"], *hostile):
        write_run(tmp_path / name)
    config = write_run(tmp_path)["config.toml"]
    others = [{"metrics.json": metrics | {"folders": ["seed-0", name]}} for name in hostile]
    changes = ({"metrics.json": each} for each in planted(metrics))
    settings = ({"metrics.json": metrics, "config.toml": each} for each in planted(config))
    for changed in itertools.chain(others, changes, settings):
        write_run(tmp_path, changed)
        assert is_harmless(lambda: several.write(tmp_path), tmp_path / "report.html"), changed


def test_scripts_in_the_page_of_a_study(tmp_path):
    summary = {
        "recipe": "image_classification",
        "monitor": "val_accuracy",
        "mode": "max",
        "best": {"optimizer.name": "adam"},
        "best_trial": 0,
        "score": 0.5,
        "saved_epochs": 1,
        "saved_seconds": 1.0,
        "hints": ["few epochs"],
    }
    trials = {"trial": [0, 1], "state": ["completed"] * 2, "score": [0.5, 0.4], "best_epoch": [1, 1], "epochs": [1, 1]}
    trials |= {"seconds": [1.0, 1.0], "cpu_seconds": [1.0, 1.0], "memory_mb": [1, 1], "folder": ["0000", "0001"]}
    trials |= {"optimizer.name": ["adam", "sgd"], "message": [None, None]}
    curves = {0: [0.5], 1: [0.4]}
    for changed in planted(summary):
        write = lambda: study.write(tmp_path, changed, pd.DataFrame(trials), curves)  # noqa: B023, E731
        assert is_harmless(write, tmp_path / "report.html"), changed
    for name in ("state", "folder", "optimizer.name", "message"):
        write = lambda: study.write(tmp_path, summary, pd.DataFrame(trials | {name: [SCRIPT, "x"]}), curves)  # noqa: B023, E731
        assert is_harmless(write, tmp_path / "report.html"), name
