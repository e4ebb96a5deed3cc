"""Texts as sequences of tokens: no token is lost, none is told twice, a text comes back to the last character."""

import json

import numpy as np
import pytest

import kit
from kit.data import sources
from kit.data.lossless_tokens import LosslessTokens, text_of
from kit.data.token_sequences import IGNORED, by_split, flat, held_out, of_next_token
from kit.data.tokens import Tokenizer

TEXTS = ["First line\n\n  second  line, with spaces. ", "Ünïcode — ☃ and\ttabs\r\n", "short"]


@pytest.mark.parametrize("kind", ["characters", "bytes", "byte_bpe"])
def test_a_text_comes_back_to_the_last_character(kind):
    tokenizer = LosslessTokens(kind, 300).learn(TEXTS)
    for text, ids in zip(TEXTS, tokenizer.encode(TEXTS), strict=True):
        assert text_of(tokenizer, [*ids, *tokenizer.end_ids]) == text
    assert tokenizer.encode(["<|endoftext|>"])[0] != list(tokenizer.end_ids)  # what looks like an end is text


@pytest.mark.parametrize("kind", ["characters", "bytes"])
@pytest.mark.parametrize("added", [(), ("lin",)], ids=["alone", "with a longer token"])
def test_single_bytes_and_characters_are_looked_up_to_the_same_ids(kind, added):
    tokenizer = LosslessTokens(kind).learn(TEXTS)
    content = json.loads(tokenizer.to_json())
    for name in added:
        number = len(content["model"]["vocab"])
        content["added_tokens"].append({**content["added_tokens"][0], "id": number, "content": name, "special": False})
    tokenizer = Tokenizer(json.dumps(content), {"end": "<|endoftext|>"})
    random = np.random.default_rng(0)
    drawn = ["".join(map(chr, random.choice([*range(9, 0x3000), *range(0x1F300, 0x1F700)], 200))) for _ in range(20)]
    texts = [*TEXTS, "", "<|endoftext|> <unk>", "a\x00b", *drawn]
    assert tokenizer._table is not None
    expected = [each.ids for each in tokenizer._known.encode_batch_fast(texts, add_special_tokens=False)]
    assert tokenizer.encode(texts) == expected


def test_other_tokens_are_not_looked_up():
    for tokenizer in (LosslessTokens("byte_bpe", 300).learn(TEXTS), Tokenizer.learn(TEXTS, min_count=1, at_most=True)):
        assert tokenizer._table is None


@pytest.mark.parametrize(("size", "length", "overlap"), [(23, 5, 0), (21, 5, 0), (4, 5, 0), (23, 6, 4), (3, 5, 2)])
def test_every_held_out_token_is_told_once(size, length, overlap):
    tokens = np.arange(1, size + 1, dtype="int32")
    examples = held_out(tokens, length, overlap, 0)
    (inputs, targets) = examples.arrays(np.arange(len(examples)))
    told = targets[targets != IGNORED]
    np.testing.assert_array_equal(np.sort(told), tokens[1:])
    rows, places = np.nonzero(targets != IGNORED)
    np.testing.assert_array_equal(inputs["ids"][rows, places] + 1, targets[rows, places])
    before = (targets != IGNORED).argmax(1)  # tokens in front of the first that is told
    assert (before >= np.minimum(overlap, np.arange(len(before)) * (length - overlap))).all()


@pytest.mark.parametrize(("length", "stride"), [(10, 1), (10, 10), (7, 3)])
def test_training_sequences_begin_every_few_tokens(length, stride):
    tokens = np.arange(1000, dtype="uint16")
    examples = of_next_token(tokens, length, stride)
    assert len(examples) == (1000 - 1 - length) // stride + 1
    rows = np.array([3, 50, len(examples) - 1])
    inputs, targets = examples.arrays(rows)
    np.testing.assert_array_equal(inputs["ids"], rows[:, None] * stride + np.arange(length))
    np.testing.assert_array_equal(targets, inputs["ids"] + 1)
    batches = examples.stream(4, 0, 5, 7).as_numpy_iterator()
    for (inputs, targets), step in zip(batches, (5, 6), strict=True):
        assert inputs["ids"].dtype == targets.dtype == "int32", step
        np.testing.assert_array_equal(targets, inputs["ids"] + 1)


def test_validation_texts_are_trained_on_as_well():
    one, other = (of_next_token(np.arange(start, start + 50, dtype="int32"), 8, 8) for start in (0, 100))
    both = one.inputs["ids"].joined(other.inputs["ids"], None, None)
    assert len(both) == len(one) + len(other)
    np.testing.assert_array_equal(both.values(np.array([0, len(one)]))[:, 0], [0, 100])


def test_a_text_stands_between_ends():
    assert flat([[5, 6], [7, 8, 9]], 0, 0).tolist() == [0, 5, 6, 0, 7, 8, 9, 0]
    assert flat([[5, 6], [7]], 1, 0).tolist() == [1, 5, 6, 0, 1, 7, 0]


def test_texts_of_a_pack_give_the_same_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join(f"text number {number}, of some words" for number in range(60)), encoding="utf-8")
    kit.pack(texts, tmp_path / "texts.pack", recipe="language_modelling", verbose=False)
    found = {}
    for source in (texts, tmp_path / "texts.pack"):
        data, _ = sources.documents(str(source))
        split = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10, object)
        tokenizer = LosslessTokens("bytes").learn(data.texts)
        found[source.suffix] = by_split(data, split, tokenizer)
    for one, other in zip(found[".txt"], found[".pack"], strict=True):
        np.testing.assert_array_equal(one, other[:])
    assert other.dtype == "uint16"
