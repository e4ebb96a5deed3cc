"""Span corruption: what is left out and what is written are the text, and a function of seed and step."""

import dataclasses
import json

import numpy as np
import pytest

import kit
from kit.data import packed_spans, sources
from kit.data.columns import Ragged
from kit.data.span_corruption import SENTINELS, SpanCorruption, pieces, sentinels_of, span_splits, with_sentinels
from kit.data.tokens import Tokenizer
from kit.errors import KitError

TEXTS = [f"the cat number {number} sat on the mat and looked at {number + 1} birds in the tree" for number in range(60)]


@pytest.fixture(scope="module")
def tokenizer():
    return with_sentinels(Tokenizer.learn(TEXTS, vocabulary_size=200, at_most=True), is_learned=True)


@pytest.fixture(scope="module")
def spans(tokenizer):
    return SpanCorruption(tokenizer, tuple(sentinels_of(tokenizer, "here")), 0.15, 3.0)


def put_back(source, target, sentinels):
    """Returns the piece that both sides are of."""
    known, spans, last = set(sentinels), {}, None
    for token in target:
        if token in known:
            last = token
            spans[last] = []
        else:
            spans[last].append(token)
    return [each for token in source for each in (spans[token] if token in known else [token])]


@pytest.mark.parametrize("length", [2, 3, 8, 17, 100, 568])
def test_both_sides_together_are_the_piece(spans, length):
    piece, random = np.arange(1000, 1000 + length).tolist(), np.random.default_rng(length)
    seen = set()
    for _ in range(20):
        source, target = spans.corrupted(piece, random)
        assert put_back(source, target, spans.sentinels) == piece
        assert (len(source), len(target)) == spans.lengths(length)
        assert [each for each in source if each < 1000] == [each for each in target if each < 1000]
        seen.add(tuple(source))
    assert len(seen) > 1 + 5 * (length > 8)  # spans may be anywhere


def test_fifteen_percent_in_spans_of_three(spans):
    missing, count = spans.counts(512)
    assert (missing, count) == (77, 26)  # as the published code has them for a piece of 512
    drawn = [spans.corrupted(list(range(1000, 1512)), np.random.default_rng(seed))[1] for seed in range(50)]
    lengths = [len(part) for target in drawn for part in _runs(target)]
    assert np.mean(lengths) == pytest.approx(77 / 26) and len(set(lengths)) > 5


def _runs(target):
    runs = []
    for token in target:
        if token < 1000:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs


def test_a_piece_is_as_long_as_fits(spans):
    length = spans.piece_length(64)
    assert max(spans.lengths(length)) <= 64 < max(spans.lengths(length + 1))


def test_documents_are_cut_into_pieces_and_no_piece_is_of_two():
    found, owners = pieces([list(range(25)), list(range(100, 105)), list(range(200, 220))], 10)
    assert [len(each) for each in found] == [10, 10, 10, 10] and owners.tolist() == [0, 0, 2, 2]


def test_a_training_batch_is_a_function_of_seed_and_step(spans, tokenizer):
    ids, _ = pieces(tokenizer.encode(TEXTS), 16)
    examples = spans.training(Ragged.of(ids))
    whole = list(examples.stream(8, 5, 0, 6).as_numpy_iterator())
    later = list(examples.stream(8, 5, 3, 6).as_numpy_iterator())
    for (one, labels), (other, others) in zip(whole[3:], later, strict=True):
        np.testing.assert_array_equal(one["source"], other["source"])
        np.testing.assert_array_equal(labels, others)
    rows = np.arange(8)
    first, again, following = (spans(examples, rows, 0, step)[0]["source"] for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != following).any()


def test_held_out_pieces_stay_as_they_are_and_are_drawn_anew_where_they_are_trained_on(spans, tokenizer):
    ids, _ = pieces(tokenizer.encode(TEXTS), 16)
    train, test = (
        spans.training(Ragged.of(ids[:20])),
        dataclasses.replace(spans, seed=1).held_out(Ragged.of(ids[20:30])),
    )
    np.testing.assert_array_equal(test.arrays(np.arange(10))[0]["source"], test.arrays(np.arange(10))[0]["source"])
    assert test.changed is None and SENTINELS[0] in test.extra("source")[0]
    both = train.join(test)
    assert len(both) == 30 and both.changed is spans and len(train.join(test.take([3, 5]))) == 22
    inputs, labels = spans(both, np.arange(20, 30), 0, 7)
    for source, target, piece in zip(inputs["source"], labels, ids[20:30], strict=True):
        ends = [row.tolist().index(tokenizer.end_id) for row in (source, target)]
        assert put_back(source[: ends[0]].tolist(), target[: ends[1]].tolist(), spans.sentinels) == piece


def test_what_is_not_drawn_yet_is_as_long_as_what_will_be(spans, tokenizer):
    ids, _ = pieces(tokenizer.encode(TEXTS), 16)
    examples = spans.training(Ragged.of(ids))
    for row in (0, 7, len(ids) - 1):
        (placeholder, _), (inputs, labels) = examples.arrays([row]), spans(examples, [row], 0, 0)
        assert {name: each.shape for name, each in placeholder.items()} == {
            name: each.shape for name, each in inputs.items()
        }
        assert labels.shape[1] == examples.lengths("target")[row] == len(examples.target("following")[row])


def test_packed_pieces_are_those_in_memory_whatever_is_trained_on(spans, tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "texts.txt").write_text("\n\n".join(TEXTS))
    kit.pack(tmp_path / "texts.txt", tmp_path / "pack", recipe="language_modelling", verbose=False)
    split = np.array(["train", "validation", "train", "test", "train"] * 12, object)
    one, other = (sources.documents(str(tmp_path / name))[0] for name in ("texts.txt", "pack"))
    one, other = span_splits(one, split, spans, 16), packed_spans.splits(other, split, spans, 16)
    assert [len(each) for each in one] == [len(each) for each in other]
    for mine, theirs in zip(one[1:], other[1:], strict=True):
        rows = np.arange(len(mine))
        assert str(mine.arrays(rows)) == str(theirs.arrays(rows))
        for name in ("source", "target"):
            assert list(mine.extra(name)) == list(theirs.extra(name))
    for both in (one, other):
        both.append(both[0].join(both[1].take(np.arange(4))))
    for mine, theirs in ((one[0], other[0]), (one[3], other[3])):
        batches = [list(each.stream(8, 5, 0, 5).as_numpy_iterator()) for each in (mine, theirs)]
        assert str(batches[0]) == str(batches[1])


def test_a_sentinel_in_a_text_is_one_and_is_shown(tokenizer):
    (ids,) = tokenizer.encode(["the <extra_id_0> sat <extra_id_1>"])
    own = sentinels_of(tokenizer, "here")
    assert [each for each in ids if each in own] == own[:2] and len(own) == 100
    assert tokenizer.decode([ids])[0].replace(" ", "") == "the<extra_id_0>sat<extra_id_1>"
    assert tokenizer.start_id == tokenizer.pad_id != tokenizer.end_id
    again = Tokenizer(tokenizer.to_json())
    assert again.to_json() == tokenizer.to_json() == with_sentinels(again).to_json()


def test_one_that_comes_with_weights_keeps_its_own_sentinels():
    content = {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁a", -1]]}
    names = ["<pad>", "</s>", "<unk>", "<extra_id_1>", "<extra_id_0>"]
    added = [
        {"id": number if number < 3 else number + 1, "content": name, "special": True}
        | {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for number, name in enumerate(names)
    ]
    known = with_sentinels(Tokenizer(json.dumps({"version": "1.0", "model": content, "added_tokens": added})))
    assert sentinels_of(known, "here") == [5, 4] and (known.start_id, known.end_id, known.unknown_id) == (0, 1, 2)


def test_a_tokenizer_without_sentinels_is_refused():
    with pytest.raises(KitError, match="there: its tokenizer has no <extra_id_0>; expected sentinels"):
        sentinels_of(Tokenizer.learn(TEXTS, vocabulary_size=100, at_most=True), "there")
