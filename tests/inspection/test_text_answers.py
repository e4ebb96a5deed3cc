"""Texts with several labels, or a number, under inspection: guessed, counted, and what is wrong with them found."""

import json

import numpy as np
import pytest

import kit
from kit.inspection.guess import kind_of


def rows(kind):
    random = np.random.default_rng(0)
    found = []
    for row in range(60):
        text = " ".join(random.choice(["red", "blue", "green", "old", "new", "big", "small"], 8))
        labels = [name for name in ("a", "b", "rare") if (name != "rare" and random.random() < 0.5) or row == 5]
        found.append({"text": text, "labels": labels if kind == "labels" else row / 7})
    return found


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_inspected(kind, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows(kind))))
    assert kind_of(path) == "labelled texts"
    found = kit.inspect(path, data={"split_seed": 1}, output=tmp_path / "page", verbose=False)
    assert found.recipe == "text_classification" and found.numbers["texts"] == 60
    if kind == "labels":
        assert found.numbers["labels"] == 3 and "classes" not in found.numbers
        table = found.tables["labels"].set_index("label")
        assert table.loc["rare"].sum() == 1
        assert "rare" in str([str(each) for each in found.findings])
    else:
        table = found.tables["numbers"].set_index("")
        assert table.loc["count"].sum() == 60 and table.loc["max"].max() == pytest.approx(59 / 7)
    assert (tmp_path / "page" / "report.html").exists() or any((tmp_path / "page").glob("*.html"))
