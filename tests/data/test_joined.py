"""Examples of two splits, one after the other: of the same columns, and of different ones."""

import numpy as np

from kit.data.bitext import text_pairs
from kit.data.sequences import tagged_examples
from kit.data.tokens import END, PADDING, START


def pairs(sources, targets, source_texts, target_texts):
    return text_pairs(sources, targets, source_texts, target_texts, start=START, end=END, padding=PADDING)


def check_pairs(both, first, second):
    """Checks two pairs, one of each part, that are joined."""
    assert len(both) == 2
    assert list(both.extra("source")) == ["b c", "d"] and list(both.extra("target")) == ["y", "z"]
    found = both.arrays([0, 1])
    alone = [first.arrays([0]), second.arrays([0])]
    for row, (inputs, labels) in enumerate(alone):
        for name, ids in inputs.items():
            width = np.shape(ids)[1]
            np.testing.assert_array_equal(found[0][name][row, :width], ids[0])
            assert (found[0][name][row, width:] == PADDING).all()
        np.testing.assert_array_equal(found[1][row, : labels.shape[1]], labels[0])


def test_pairs_are_joined():
    first = pairs([[5], [6, 7]], [[8], [9]], ["a", "b c"], ["x", "y"]).take([1])
    second = pairs([[4, 4, 4]], [[3]], ["d"], ["z"])
    check_pairs(first.join(second), first, second)


def test_pairs_of_one_corpus_are_joined_without_a_copy():
    whole = pairs([[5], [4, 4, 4], [6, 7]], [[8], [3], [9]], ["a", "d", "b c"], ["x", "z", "y"])
    first, second = whole.take([2]), whole.take([1])
    both = first.join(second)
    assert all(both.inputs[name] is column for name, column in whole.inputs.items())
    assert both.targets["following"] is whole.targets["following"]
    check_pairs(both, first, second)


class _Features:
    """A word's length, and its letters in as many columns as the longest word has."""

    def encode(self, words):
        width = max(map(len, words))
        letters = np.array([[*map(ord, word), *[0] * (width - len(word))] for word in words], "int32")
        return {"length": np.array([len(word) for word in words], "int32"), "characters": letters}


def check_sentences(both):
    """Checks the sentences `a bb`, `a` and `dddd bb`, with their tags."""
    assert len(both) == 3 and [row.tolist() for row in both.target("tag")] == [[0, 1], [0], [2, 1]]
    assert list(both.extra("words")) == [["a", "bb"], ["a"], ["dddd", "bb"]]
    inputs, labels = both.arrays([0, 2])
    np.testing.assert_array_equal(inputs["length"], [[1, 2], [4, 2]])
    np.testing.assert_array_equal(inputs["characters"][1, 0], [ord("d")] * 4)
    np.testing.assert_array_equal(inputs["characters"][0, 0, :2], [ord("a"), 0])
    np.testing.assert_array_equal(labels, [[0, 1], [2, 1]])
    inputs, labels = both.arrays([1, 2])
    np.testing.assert_array_equal(inputs["length"], [[1, 0], [4, 2]])
    np.testing.assert_array_equal(labels, [[0, -1], [2, 1]])


def test_tagged_sentences_are_joined():
    features = _Features()
    one, other = (
        tagged_examples([["a", "bb"], ["a"]], features, [[0, 1], [0]]),
        tagged_examples([["dddd", "bb"]], features, [[2, 1]]),
    )
    check_sentences(one.join(other))


def test_tagged_sentences_of_one_source_are_joined_without_a_copy():
    whole = tagged_examples([["dddd", "bb"], ["a", "bb"], ["a"]], _Features(), [[2, 1], [0, 1], [0]])
    both = whole.take([1, 2]).join(whole.take([0]))
    assert all(both.inputs[name] is column for name, column in whole.inputs.items())
    check_sentences(both)
