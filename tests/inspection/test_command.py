"""`kit inspect`: guesses, splits, bad input, what it prints and writes."""

import json
from pathlib import Path

import numpy as np
import pytest

import kit
from kit import cli
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.errors import KitError
from tests.conftest import draw
from tests.inspection import planted


def failed(capsys, *words):
    """Runs a command that has to fail; returns its one line."""
    assert cli.main(["inspect", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("kit: ")
    return error


def test_a_folder_is_guessed_and_a_page_is_written(photos, capsys):
    assert cli.main(["inspect", str(photos), "--output", "looked", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["recipe"] == "image_classification" and printed["numbers"]["images"] == 24
    assert printed["page"] == "looked/report.html"
    assert json.loads(Path("looked/findings.json").read_text("utf-8"))["findings"] == printed["findings"]
    assert cli.main(["inspect", str(photos), "--output", "looked"]) == 0  # its own folder may be written anew
    assert "page  looked/report.html" in capsys.readouterr().out


def test_splits_are_those_of_training(photos):
    settings = {"test_fraction": 0.3, "split_seed": 5}
    found = kit.inspect(photos, data=settings, output="looked", verbose=False)
    read = image_splits(None, ImageOptions(str(photos)), Division(**settings))
    counts = read.assignment["split"].value_counts()
    assert [found.numbers[f"{name} images"] for name in counts.index] == counts.tolist()
    other = kit.inspect(photos, data=settings | {"split_seed": 6}, output="other", verbose=False)
    assert other.numbers == found.numbers


def test_every_kind_of_source_is_guessed(tmp_path, idx):
    from kit.inspection.guess import kind_of

    draw(tmp_path / "alone" / "a.png")
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 4), np.uint8), labels=[0, 1])
    (tmp_path / "labels.csv").write_text("path,label\na.png,cat\n")
    (tmp_path / "marked.csv").write_text("\ufeffpath,label\na.png,cat\n", encoding="utf-8")  # as Excel writes it
    (tmp_path / "a.tsv").write_text("A house .\tEin Haus .\nA man .\tEin Mann .\n")
    (tmp_path / "b.tsv").write_text("Oslo\tB-LOC\nis\tO\n\nLima\tB-LOC\n")
    (tmp_path / "a.jsonl").write_text('{"tokens": ["Oslo"], "ner_tags": ["B-LOC"]}\n')
    (tmp_path / "b.jsonl").write_text('{"translation": {"en": "A man", "de": "Ein Mann"}}\n')
    planted.conll(tmp_path / "tagged", count=(5, 3, 3))
    planted.pairs(tmp_path / "both")
    expected = {
        "alone": "images",
        "a.npz": "labelled images",
        "labels.csv": "labelled images",
        "marked.csv": "labelled images",
        "a.tsv": "pairs",
        "b.tsv": "sentences",
        "a.jsonl": "sentences",
        "b.jsonl": "pairs",
        "tagged": "sentences",
        "both": "pairs",
        "both/train.en": "pairs",
    }
    assert {name: kind_of(tmp_path / name) for name in expected} == expected
    assert kind_of(idx) == kind_of("digits") == kind_of((np.zeros((2, 4, 4)), [0, 1])) == "labelled images"
    assert kind_of("phrases") == "sentences"
    assert kind_of([(["Oslo"], ["B-LOC"])]) == "sentences" and kind_of([("a", "b")]) == "pairs"


def test_arrays_and_embedded_data_are_looked_at():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    images[30] = images[2]
    found = kit.inspect((images, np.arange(40) % 2), verbose=False)
    assert any(kind.startswith("equal") for kind in found.kinds)
    assert not kit.inspect("digits", verbose=False).count("problem")
    assert kit.inspect(recipe="translation", data={"num_sentences": 300}, verbose=False).recipe == "translation"


def test_filters_are_shown_before_and_after(photos):
    found = kit.inspect(photos, data={"denoise": "median", "image_size": 16}, verbose=False)
    text = found.page.read_text("utf-8")
    assert "Before and after: median filter of radius 1" in text
    assert len(found.transformed) == 8 and found.transformed[0][1].size == (16, 16)


def test_names_are_escaped_on_the_page(tmp_path):
    folder = tmp_path / "photos"
    for label in ("<script>alert(1)", "b&b"):
        for index in range(6):
            draw(folder / label / f"<b>{index}.png", value=index)
    text = kit.inspect(folder, verbose=False).page.read_text("utf-8")
    assert "<script" not in text and "<b>0" not in text and "&lt;script&gt;" in text


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("Only some notes.\nNo data.\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("do not touch")
    (tmp_path / "bad" / "a").mkdir(parents=True)
    (tmp_path / "bad" / "a" / "x.png").write_text("no image")
    (tmp_path / "bad" / "b").mkdir()
    (tmp_path / "bad" / "b" / "y.png").write_text("no image")
    assert "no file or folder" in failed(capsys, tmp_path / "missing")
    assert "looks like images" in failed(capsys, tmp_path / "empty")
    assert "looks like images" in failed(capsys, tmp_path / "notes.txt")
    (tmp_path / "script.py").write_text("print(1)\n")
    assert "looks like images" in failed(capsys, tmp_path / "script.py")
    assert "name the recipe before it" in failed(capsys, "tfds:mnist")
    assert "expected" in failed(capsys, "image_classification", tmp_path / "notes.txt")
    assert "none of 2 images can be read" in failed(capsys, tmp_path / "bad")
    assert "nothing to inspect" in failed(capsys)
    assert "unknown name 'image_classifiction'" in failed(capsys, "image_classifiction", tmp_path / "bad")
    assert "made by acting" in failed(capsys, "dqn", tmp_path / "bad")
    assert "one source too many" in failed(capsys, "gan", tmp_path, tmp_path)
    assert "reads data alone" in failed(capsys, "digits", "--train.epochs", "5")
    assert "data.test_fraction" in failed(capsys, "digits", "--data.test_fraction", "2")
    assert "holds other files" in failed(capsys, "digits", "--output", tmp_path / "taken")
    assert not (tmp_path / "work" / "runs").exists()


def test_a_class_with_one_image_cannot_be_divided(photos):
    draw(photos / "cow" / "0.png", value=99)
    found = kit.inspect(photos, verbose=False)
    assert "cannot_be_divided" in found.kinds


def test_the_record_shows_itself(photos):
    found = kit.inspect(photos, verbose=False)
    assert repr(found).startswith("Inspection(") and "<table>" in found._repr_html_()
    assert list(found.table.columns) == ["level", "kind", "count", "message", "advice"]
    with pytest.raises(KitError, match="image_size"):
        kit.inspect(photos, data={"image_size": 0}, verbose=False)
