"""Pairs of sentences in batches: padded, equal in tokens, the same whenever they are asked for."""

import numpy as np
import pytest

from kit.data.bitext import text_pairs
from kit.data.tokens import END, PADDING, START


def pairs(sources, targets, *texts):
    return text_pairs(sources, targets, *texts, start=START, end=END, padding=PADDING)


def bitext(count=300, seed=0):
    random = np.random.default_rng(seed)
    rows = [[4 + row % 50] * int(random.integers(1, 30)) for row in range(count)]
    others = [[60 + row % 50] * max(1, len(each) + int(random.integers(-3, 4))) for row, each in enumerate(rows)]
    texts = [str(row) for row in range(count)]
    return pairs(rows, others, texts, texts)


def listed(dataset):
    return [
        ({name: np.asarray(each) for name, each in inputs.items()}, np.asarray(labels)) for inputs, labels in dataset
    ]


def test_a_batch():
    inputs, labels = pairs([[5, 6], [7]], [[8], [9, 10]], ["a", "b"], ["c", "d"]).arrays([0, 1])
    assert inputs["source"].tolist() == [[5, 6, END], [7, END, 0]]
    assert inputs["target"].tolist() == [[START, 8, 0], [START, 9, 10]]
    assert labels.tolist() == [[8, END, 0], [9, 10, END]]
    (inputs,) = pairs([[5]], None, ["a"]).arrays([0])
    assert inputs["source"].tolist() == [[5, END]]


def test_stream_is_the_same_from_any_step_and_sees_all():
    examples = bitext()
    whole = listed(examples.stream(16, 3, 0, 40))
    part = listed(examples.stream(16, 3, 25, 40))
    for (one, labels), (other, others) in zip(whole[25:], part, strict=True):
        np.testing.assert_array_equal(one["source"], other["source"])
        np.testing.assert_array_equal(labels, others)
    seen = sum(len(labels) for _, labels in listed(examples.stream(16, 3, 0, examples.steps_per_epoch(16))))
    assert seen == pytest.approx(300, abs=40)
    other = listed(examples.stream(16, 4, 0, 1))
    assert (
        other[0][0]["source"].shape != whole[0][0]["source"].shape
        or (other[0][0]["source"] != whole[0][0]["source"]).any()
    )


def test_batches_of_a_stream_are_equal_in_tokens_not_in_sentences():
    batches = listed(bitext(2000).stream(32, 0, 0, 62))
    tokens = np.array([(inputs["source"] > 0).sum() + (labels > 0).sum() for inputs, labels in batches])
    sentences = np.array([len(labels) for _, labels in batches])
    padding = np.mean([(inputs["source"] == 0).mean() for inputs, _ in batches])
    assert tokens.std() / tokens.mean() < 0.1
    assert sentences.max() > 3 * sentences.min()
    assert padding < 0.1
    assert sentences.mean() == pytest.approx(32, abs=1)


def test_one_very_long_sentence_leaves_no_batch_empty():
    examples = pairs([[5]] * 40 + [[6] * 500], [[5]] * 40 + [[6] * 500], [""] * 41, [""] * 41)
    assert min(len(labels) for _, labels in listed(examples.stream(4, 0, 0, 30))) >= 1


def test_batches_have_every_pair_once_and_long_ones_are_few():
    examples = bitext()
    found = np.concatenate(list(examples.chunks(64)))
    assert sorted(found) == list(range(300))
    assert sum(len(labels) for _, labels in listed(examples.batches(64))) == 300
    long = pairs([[5] * 5000] * 20, [[6] * 5000] * 20, [""] * 20, [""] * 20)
    assert max(len(rows) for rows in long.chunks(64)) <= 6


def test_take():
    part = bitext().take([5, 3])
    assert len(part) == 2
    assert list(part.extra("source")) == list(part.extra("target")) == ["5", "3"]
    assert part.arrays([0])[0]["source"][0, 0] == 4 + 5
    assert part.take([1]).arrays([0])[0]["source"][0, 0] == 4 + 3
    whole = bitext()
    occurrences = sum(int((ids == 9).sum()) for ids in whole.input("source"))
    assert occurrences == sum(int((whole.arrays([row])[0]["source"] == 9).sum()) for row in range(5, 300, 50))
