"""Planted faults are found, each under its name, and clean data raise no alarm."""

import json

import pytest

import kit
from tests.inspection import planted

# What clean folders hold by their nature.
_QUIET = set()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return planted.photographs(tmp_path_factory.mktemp("clean") / "photos")


@pytest.fixture
def photographs(clean, tmp_path):
    import shutil

    return shutil.copytree(clean, tmp_path / "photos")


def inspected(source, **settings):
    return kit.inspect(source, verbose=False, **settings)


def test_clean_photographs_raise_no_alarm(clean):
    found = inspected(clean)
    assert found.recipe == "image_classification" and not found.findings
    assert found.numbers["images"] == 204 and found.numbers["test images"] == 42


@pytest.mark.parametrize("name", planted.IMAGES)
def test_faults_of_images(photographs, name):
    plant, expected = planted.IMAGES[name]
    plant(photographs)
    kinds = set(inspected(photographs).kinds)
    assert kinds == expected


def test_clean_sentences_raise_no_alarm(tmp_path):
    found = inspected(planted.conll(tmp_path / "clean"))
    assert found.recipe == "sequence_tagging" and not found.findings


@pytest.mark.parametrize("name", planted.TAGGED)
def test_faults_of_tagged_sentences(tmp_path, name):
    more, expected = planted.TAGGED[name]
    assert set(inspected(planted.conll(tmp_path / "data", more)).kinds) == expected


def test_clean_pairs_raise_no_alarm(tmp_path):
    found = inspected(planted.pairs(tmp_path / "clean"))
    assert found.recipe == "translation" and not found.findings


@pytest.mark.parametrize("name", planted.PAIRS)
def test_faults_of_pairs(tmp_path, name):
    more, expected = planted.PAIRS[name]
    assert set(inspected(planted.pairs(tmp_path / "data", more)).kinds) == expected


def test_unreadable_rows_are_listed(tmp_path):
    folder = planted.conll(tmp_path / "data")
    with open(folder / "train.conll", "a", encoding="utf-8") as file:
        file.write("\nword without a tag\nOslo\tB-LOC\n\n")
    found = inspected(folder)
    assert "damaged" in found.kinds


def test_every_finding_has_advice_and_is_on_the_page(photographs):
    for name in ("equal_across_splits", "constant", "damaged file", "wrong ending"):
        planted.IMAGES[name][0](photographs)
    found = inspected(photographs)
    text = found.page.read_text("utf-8")
    saved = json.loads((found.page.parent / "findings.json").read_text("utf-8"))
    assert len(saved["findings"]) == len(found.findings) == 4
    for finding in found.findings:
        assert finding.advice and finding.count and finding.examples
        assert "\n" not in str(finding)
    assert text.count('class="finding') == 4 and text.count("<figure>") >= 4
    assert "data.drop_constant=true" in text and "data.on_bad=skip" in text
