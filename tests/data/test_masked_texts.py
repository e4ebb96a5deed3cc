"""Masked texts: what is hidden is a function of seed and step; shares, whole words, pieces of documents."""

import numpy as np
import pytest
import tensorflow as tf

from kit.data import sources
from kit.data.masked_texts import IGNORED, Masking, masked_examples, pieces
from kit.data.sources import text_documents
from kit.data.tokens import Tokenizer
from kit.errors import KitError

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


@pytest.fixture(scope="module")
def tokenizer():
    texts = [" ".join(np.random.default_rng(row).choice(WORDS, 40)) for row in range(20)]
    return Tokenizer.learn(texts, vocabulary_size=40, min_count=1, at_most=True, mask=True)


@pytest.fixture(scope="module")
def ids(tokenizer):
    texts = [" ".join(np.random.default_rng(100 + row).choice(WORDS, 60)) for row in range(30)]
    return pieces(texts, tokenizer, 32)[0]


def masked(masking, ids, step=0):
    inputs, labels = masking(tf.constant(step, tf.int64), {"ids": tf.constant(ids)}, None)
    return inputs["ids"].numpy(), inputs["positions"].numpy(), labels.numpy()


def test_the_same_step_hides_the_same(tokenizer, ids):
    masking = Masking(tokenizer, 32, 0.15, False, 7)
    first, again, other = masked(masking, ids, 3), masked(masking, ids, 3), masked(masking, ids, 4)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert (first[1] != other[1]).any()
    assert (masked(Masking(tokenizer, 32, 0.15, False, 8), ids, 3)[1] != first[1]).any()


def test_labels_are_what_was_there_and_shares_are_those_of_the_paper(tokenizer, ids):
    masking = Masking(tokenizer, 32, 0.15, False, 0)
    counts = np.zeros(3, int)
    for step in range(20):
        shown, positions, labels = masked(masking, ids, step)
        told = labels != IGNORED
        true = np.take_along_axis(ids, positions, 1)
        assert (labels[told] == true[told]).all()
        assert not np.isin(labels[told], [tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id]).any()
        now = np.take_along_axis(shown, positions, 1)
        assert (now[~told] == true[~told]).all()
        changed = shown != ids
        assert changed.sum(1).max() <= masking.most and set(np.flatnonzero(changed.any(1))) <= set(range(len(ids)))
        counts += [(now[told] == tokenizer.mask_id).sum(), (now[told] == true[told]).sum(), told.sum()]
        real = (ids != tokenizer.pad_id).sum(1) - 2
        np.testing.assert_array_equal(told.sum(1), np.maximum(np.round(0.15 * real), 1))
    assert counts[0] / counts[2] == pytest.approx(0.8, abs=0.02)
    assert counts[1] / counts[2] == pytest.approx(0.1 + 0.1 / (len(tokenizer) - 4), abs=0.02)


def test_whole_words_are_hidden_together(tokenizer, ids):
    _, positions, labels = masked(Masking(tokenizer, 32, 0.3, True, 0), ids)
    begins = np.array([tokenizer.begins_word(token) for token in range(len(tokenizer))])
    torn = 0
    for row in range(len(ids)):
        told = set(positions[row][labels[row] != IGNORED].tolist())
        word = np.cumsum(begins[ids[row]])
        inside = (ids[row] != tokenizer.pad_id) & (ids[row] != tokenizer.start_id) & (ids[row] != tokenizer.end_id)
        for number in {word[place] for place in told}:
            places = set(np.flatnonzero((word == number) & inside).tolist())
            torn += not places <= told
    assert torn <= len(ids)  # the last word of a piece may be more than there is room for


def test_held_out_pieces_are_hidden_once(tokenizer, ids):
    masking = Masking(tokenizer, 32, 0.15, False, 0)
    held, training = masked_examples(ids, masking, False), masked_examples(ids, masking, True)
    one, other = (held.arrays(np.arange(len(ids))) for _ in range(2))
    np.testing.assert_array_equal(one[0]["ids"], other[0]["ids"])
    assert held.transform is None and (one[0]["ids"] == tokenizer.mask_id).any()
    assert training.transform is masking and (training.input("ids") == ids).all()
    batches = [list(training.stream(4, 0, start, 3)) for start in (0, 2)]
    np.testing.assert_array_equal(batches[0][2][0]["ids"], batches[1][0][0]["ids"])


def test_pieces_hold_all_of_a_document_but_a_short_rest(tokenizer):
    text = " ".join(WORDS * 10)
    rows, owners = pieces([text, "alpha"], tokenizer, 16)
    whole = tokenizer.encode([text])[0]
    inside = [
        token for row in rows[owners == 0] for token in row[1:-1] if token not in (tokenizer.pad_id, tokenizer.end_id)
    ]
    assert whole[: len(inside)] == inside and len(whole) - len(inside) < 8
    assert (owners == 1).sum() == 1 and (rows[:, 0] == tokenizer.start_id).all()


def test_documents(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("One\nline.\n\n\nTwo.\n \nThree.\n")
    found, _ = sources.read(path, "documents", {})
    assert found.texts == ["One\nline.", "Two.", "Three.\n"] or [text.strip() for text in found.texts] == [
        *("One\nline.", "Two.", "Three.")
    ]
    for name in ("train/a.txt", "train/b.txt", "dev/c.txt", "test/d.txt"):
        (tmp_path / "parts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "parts" / name).write_text(name)
    found, _ = sources.read(tmp_path / "parts", "documents", {})
    assert sorted(found.split) == ["test", "train", "train", "validation"]
    manual, _ = sources.read("manual", "documents", {})
    assert len(manual.texts) > 70 and sum(map(len, manual.texts)) > 300_000


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty; expected text"), (b"\xff\xfe", "not UTF-8"), (b"a\0b", "holds characters that are none")],
    ids=["empty", "not UTF-8", "binary"],
)
def test_what_is_no_text_is_refused(tmp_path, content, said):
    (tmp_path / "a.txt").write_bytes(content)
    for source in (tmp_path / "a.txt", tmp_path):
        with pytest.raises(KitError, match=said):
            sources.read(source, "documents", {})
    with pytest.raises(KitError, match="no texts; expected a .txt file"):
        sources.read(_empty(tmp_path), "documents", {})


def _empty(folder):
    (folder / "none").mkdir()
    return folder / "none"


def test_documents_of_lines_of_json(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "one\\ntwo"}\n"three"\n\n{"content": "four", "split": "test"}\n', encoding="utf-8")
    found, _ = sources.read(path, "documents", {})
    assert found.texts == ["one\ntwo", "three", "four"]
    assert found.places == ["texts.jsonl:1", "texts.jsonl:2", "texts.jsonl:4"]
    for name, text in (("train", "a"), ("valid", "b"), ("test", "c")):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / f"{name}.jsonl").write_text(f'{{"text": "{text}"}}\n', encoding="utf-8")
    found, _ = sources.read(tmp_path / "parts", "documents", {})
    assert list(zip(found.texts, found.split, strict=True)) == [("a", "train"), ("b", "validation"), ("c", "test")]
    for line in ('{"name": "x"}', "3", '{"text": ""}', "{", '{"text": "a\\u0000"}'):
        path.write_text(f'{{"text": "a"}}\n{line}\n', encoding="utf-8")
        with pytest.raises(KitError, match=r"texts\.jsonl:2: "):
            sources.read(path, "documents", {})


def test_a_very_long_line_comes_in_parts_of_whole_characters(tmp_path, monkeypatch):
    monkeypatch.setattr(text_documents, "_LONGEST", 64)
    text = "äöü ☃ one two " * 40
    path = tmp_path / "long.txt"
    path.write_text(f"short one\n\n{text}\nlast line", encoding="utf-8")
    found = text_documents.read(path)
    assert found.texts[0] == "short one"
    assert "".join(found.texts[1:]) == f"{text}\nlast line"
    assert max(len(each.encode()) for each in found.texts) <= 64 + 10
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "long.txt")
    again = text_documents.read(tmp_path / "folder")
    assert "".join(again.texts) == f"short one\n\n{text}\nlast line"
    assert again.places[:2] == ["long.txt", "long.txt part 2"]
