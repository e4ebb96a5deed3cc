"""Texts as sequences of tokens: no token is lost, none is told twice, a text comes back to the last character."""

import numpy as np
import pytest

from kit.data.lossless_tokens import LosslessTokens, text_of
from kit.data.token_sequences import IGNORED, flat, held_out, of_next_token

TEXTS = ["First line\n\n  second  line, with spaces. ", "Ünïcode — ☃ and\ttabs\r\n", "short"]


@pytest.mark.parametrize("kind", ["characters", "bytes", "byte_bpe"])
def test_a_text_comes_back_to_the_last_character(kind):
    tokenizer = LosslessTokens(kind, 300).learn(TEXTS)
    for text, ids in zip(TEXTS, tokenizer.encode(TEXTS), strict=True):
        assert text_of(tokenizer, [*ids, *tokenizer.end_ids]) == text
    assert tokenizer.encode(["<|endoftext|>"])[0] != list(tokenizer.end_ids)  # what looks like an end is text


@pytest.mark.parametrize(("size", "length", "stride"), [(23, 5, 5), (21, 5, 5), (4, 5, 5), (23, 6, 2), (2, 5, 5)])
def test_every_held_out_token_is_told_once(size, length, stride):
    tokens = np.arange(1, size + 1, dtype="int32")
    examples = held_out(tokens, length, stride, 0, True)
    (inputs, targets) = examples.arrays(np.arange(len(examples)))
    told = targets[targets != IGNORED]
    np.testing.assert_array_equal(np.sort(told), tokens[1:])
    rows, places = np.nonzero(targets != IGNORED)
    np.testing.assert_array_equal(inputs["ids"][rows, places] + 1, targets[rows, places])


def test_training_sequences_are_views_of_the_tokens():
    tokens = np.arange(1000, dtype="int32")
    examples = of_next_token(tokens, 10, 1, 0, True)
    assert len(examples) == 990
    assert np.shares_memory(examples.input("ids"), tokens)
    inputs, targets = examples.arrays(np.array([3, 500]))
    np.testing.assert_array_equal(inputs["ids"][1], np.arange(500, 510))
    np.testing.assert_array_equal(targets[1], np.arange(501, 511))


def test_the_first_token_of_a_text_may_be_no_target():
    tokens = flat([[5, 6], [7, 8, 9]], 0)
    assert tokens.tolist() == [5, 6, 0, 7, 8, 9, 0]
    _, targets = of_next_token(tokens, 6, 6, 0, False).arrays(np.array([0]))
    assert targets.tolist() == [[6, 0, IGNORED, 8, 9, 0]]
    _, targets = held_out(tokens, 4, 4, 0, False).arrays(np.arange(2))
    assert targets[targets != IGNORED].tolist() == [6, 0, 8, 9, 0]
