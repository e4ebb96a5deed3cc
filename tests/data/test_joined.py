"""Sentences of two splits, one after the other."""

import numpy as np

from kit.data.bitext import Bitext
from kit.data.sequences import Sequences


def test_pairs_are_joined():
    first = Bitext([[5], [6, 7]], [[8], [9]], ["a", "b c"], ["x", "y"]).take([1])
    both = first.join(Bitext([[4, 4, 4]], [[3]], ["d"], ["z"]))
    assert len(both) == 2 and both.source_texts == ["b c", "d"] and both.target_texts == ["y", "z"]
    found = both.arrays([0, 1])
    alone = [first.arrays([0]), Bitext([[4, 4, 4]], [[3]], ["d"], ["z"]).arrays([0])]
    for row, (inputs, _) in enumerate(alone):
        for name, ids in inputs.items():
            width = np.shape(ids)[1]
            np.testing.assert_array_equal(found[0][name][row, :width], ids[0])


class _Features:
    """A word's length, and its letters in as many columns as the longest word has."""

    def encode(self, words):
        width = max(map(len, words))
        letters = np.array([[*map(ord, word), *[0] * (width - len(word))] for word in words], "int32")
        return {"length": np.array([len(word) for word in words], "int32"), "characters": letters}


def test_tagged_sentences_are_joined():
    features = _Features()
    one, other = (
        Sequences([["a", "bb"], ["a"]], features, [[0, 1], [0]]),
        Sequences([["dddd", "bb"]], features, [[2, 1]]),
    )
    both = one.join(other)
    assert len(both) == 3 and [row.tolist() for row in both.label_rows()] == [[0, 1], [0], [2, 1]]
    inputs, labels = both.arrays([0, 2])
    np.testing.assert_array_equal(inputs["length"], [[1, 2], [4, 2]])
    np.testing.assert_array_equal(inputs["characters"][1, 0], [ord("d")] * 4)
    np.testing.assert_array_equal(labels, [[0, 1], [2, 1]])
