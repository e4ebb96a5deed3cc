"""Tagging schemes: read, checked, converted."""

import numpy as np
import pytest

from kit.data import tags
from kit.data.sources import Sentences
from kit.data.tags import TagError
from kit.errors import KitError

# One sentence in every scheme: two touching entities of a type, one of a single word, one of three words at the end.
ENTITIES = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC"), (6, 9, "ORG")]
WRITTEN = {
    "BIO": "B-PER I-PER B-PER O B-LOC O B-ORG I-ORG I-ORG",
    "IOB1": "I-PER I-PER B-PER O I-LOC O I-ORG I-ORG I-ORG",
    "BIOES": "B-PER E-PER S-PER O S-LOC O B-ORG I-ORG E-ORG",
    "BILOU": "B-PER L-PER U-PER O U-LOC O B-ORG I-ORG L-ORG",
}


@pytest.mark.parametrize("scheme", tags.SCHEMES)
def test_reads_writes_and_recognises(scheme):
    written = WRITTEN[scheme].split()
    assert tags.spans(written) == ENTITIES
    assert tags.write(ENTITIES, 9, scheme) == written
    assert tags.detect([written, ["O"]]) == scheme
    tags.validate([written], scheme)
    for target in tags.SCHEMES:
        assert tags.convert(written, scheme, target) == WRITTEN[target].split()


@pytest.mark.parametrize("scheme", tags.SCHEMES)
def test_every_random_set_of_entities_survives(scheme):
    random = np.random.default_rng(0)
    for _ in range(200):
        entities, position = [], int(random.integers(3))
        while position < 10:
            end = min(position + int(random.integers(1, 4)), 10)
            entities.append((position, end, "AB"[random.integers(2)]))
            position = end + int(random.integers(2))
        written = tags.write(entities, 10, scheme)
        tags.validate([written], scheme)
        assert tags.spans(written) == entities


def test_entities_without_a_type():
    assert tags.detect([["B", "I", "O"]]) == "BIO"
    assert tags.spans(["B", "I", "O", "B"]) == [(0, 2, ""), (3, 4, "")]
    assert tags.convert(["B", "I", "O", "B"], "BIO", "BIOES") == ["B", "E", "O", "S"]
    assert tags.detect([["S-X", "O"]]) == "BIOES"


def test_all_tags():
    assert tags.all_tags(["A", ""], "BIO") == ["B-A", "I-A", "B", "I"]


def test_plain_tags_are_no_scheme():
    assert tags.detect([["NOUN", "VERB"], ["-LRB-"]]) == "none"
    assert tags.detect([["O", "O"]]) == "none"


@pytest.mark.parametrize(
    ("sentences", "place", "message"),
    [
        ([["B-A", "O"], ["O", "I-A"]], (1, 1), "'I-A' after 'O' cannot be in BIO.*expected 'B-A'"),
        ([["B-A", "I-B"]], (0, 1), "'I-B' after 'B-A'"),
        ([["B-A", "I-A"], ["S-A", "B-A"]], (0, 1), "'I-A' at the end .* BIOES tagging .since 'S-A' occurs"),
        ([["S-A"], ["B-A", "O"]], (1, 1), "'O' after 'B-A' cannot be in BIOES"),
        ([["U-A"], ["S-A"], ["B-A"]], (0, 0), "mixed tagging schemes: 'U-A' is of BILOU, 'S-A' of BIOES"),
        ([["B-A", "O"], ["PER"]], (1, 0), "mixed tagging schemes: 'PER' has no prefix"),
    ],
)
def test_names_the_place_of_a_wrong_tag(sentences, place, message):
    with pytest.raises(TagError, match=message) as error:
        tags.detect(sentences)
    assert (error.value.sentence, error.value.word) == place


def test_wrong_tags_of_a_network_are_read_with_good_will():
    assert tags.spans(["O", "I-A", "I-B", "E-B", "O", "E-C"]) == [(1, 2, "A"), (2, 4, "B"), (5, 6, "C")]


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_what_is_allowed_is_what_is_valid(scheme):
    letters = "BI" if scheme == "BIO" else "BIES"
    names = ["O", *(f"{letter}-{kind}" for letter in letters for kind in "XY")]
    transitions, starts, ends = tags.allowed(names, scheme)
    for first in range(len(names)):
        for second in range(len(names)):
            path = [names[first], names[second]]
            allowed = starts[first] and transitions[first, second] and ends[second]
            if allowed:
                tags.validate([path], scheme)
            else:
                with pytest.raises(TagError):
                    tags.validate([path], scheme)


@pytest.mark.parametrize(
    ("written", "scheme", "read"),
    [
        ("b-per i-per o b-LOC", "BIO", "B-per I-per O B-LOC"),
        ("B_PER I_PER O B_LOC", "BIO", "B-PER I-PER O B-LOC"),
        ("B-PER o o I-PER", None, None),
        ("b i o b", "BIO", "B I O B"),
        ("B-PER M-PER E-PER O S-LOC", "BIOES", "B-PER I-PER E-PER O S-LOC"),
        ("B-PER M-PER E-PER O W-LOC", "BIOES", "B-PER I-PER E-PER O S-LOC"),
        ("n v o b", "none", "n v o b"),
        ("PER O LOC O", "none", "PER O LOC O"),
        ("1 0 2 0", "none", "1 0 2 0"),
    ],
)
def test_other_spellings_of_entities_are_read_or_it_is_said_why_not(caplog, written, scheme, read):
    found = Sentences([["a"] * len(written.split())], [written.split()], ["x:1"])
    if scheme is None:
        with pytest.raises(KitError, match="'I-PER' after 'O'"):
            tags.scheme_of(found, "auto")
        return
    with caplog.at_level("INFO", "kit"):
        assert tags.scheme_of(found, "auto") == scheme
    assert found.tags == [read.split()]
    assert ("are read, and predicted, as" in caplog.text) == (written != read)
    assert ("by accuracy" in caplog.text) == (scheme == "none")
    assert ("data.tag_names" in caplog.text) == written[0].isdigit()


def test_a_scheme_that_is_named_takes_other_spellings_too_and_none_takes_tags_as_they_are():
    found = Sentences([["a", "b"]], [["b-x", "o"]], ["x:1"])
    assert tags.scheme_of(found, "none") == "none"
    assert found.tags == [["b-x", "o"]]
    assert tags.scheme_of(found, "BIO") == "BIO"
    assert found.tags == [["B-x", "O"]]
