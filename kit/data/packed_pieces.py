"""Packed texts in pieces of tokens for masked language modelling, on disk; see `kit.data.masked_texts`."""

import numpy as np
import tensorflow as tf

from kit.data import cache, packed_tokens
from kit.data.columns import Dense
from kit.data.drawn_examples import DrawnExamples
from kit.data.masked_texts import HELD_OUT_BLOCK, IGNORED, cut
from kit.data.packed import Mapped
from kit.data.split_names import SPLITS
from kit.data.stored import Appended, Stored


def splits(found, split, tokenizer, length, hidden):
    """Returns the examples of training, validation and test split, as `masked_splits` does, and their tokens' number.

    Args:
        found: `kit.data.sources.packed_documents.PackedDocuments`.
        split: Name of the split of each document.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a piece.
        hidden: `Masking` of each split.
    """
    key = {
        "fingerprint": found.fingerprint,
        "split": packed_tokens.split_sum(split),
        "tokenizer": tokenizer.to_json(),
        "length": length,
    }
    folder = cache.kept("pieces", key, lambda path: _cut_all(path, found.texts, split, tokenizer, length))
    parts = [_training(folder / "train.npy", hidden[0])]
    for name, masking in zip(SPLITS[1:], hidden[1:], strict=True):
        how = [masking.rate, masking.begins_word is not None, masking.seed]
        pieces = folder / f"{name}.npy"
        masked = cache.kept(
            "masked", key | {"name": name, "how": how}, lambda path, p=pieces, m=masking: _mask(path, p, m)
        )
        columns = [Stored([Mapped(masked / f"{each}.npy")], "int32") for each in ("ids", "positions", "label")]
        whole = _training(pieces, masking)
        parts.append(
            DrawnExamples(dict(zip(("ids", "positions"), columns, strict=False)), {"label": columns[2]}, whole=whole)
        )
    return parts, packed_tokens.facts(folder)["tokens"]


def _training(path, masking):
    """Returns examples that are masked anew in every step."""
    ids = Stored([Mapped(path)], "int32")
    empty = [np.broadcast_to(np.int32(value), (len(ids), masking.most)) for value in (0, IGNORED)]
    return DrawnExamples({"ids": ids, "positions": Dense(empty[0])}, {"label": Dense(empty[1])}, transform=masking)


def _cut_all(folder, texts, split, tokenizer, length):
    """Writes the pieces of each split."""
    kind, count = packed_tokens.type_of(tokenizer), 0
    files = {name: Appended(folder / f"{name}.npy", (length,), kind) for name in SPLITS}
    try:
        for first, block in packed_tokens.blocks(texts, tokenizer):
            rows, owners = cut(block, tokenizer, length)
            count += int((rows != tokenizer.pad_id).sum())
            parts = split[first + owners]
            for name in SPLITS:
                files[name].add(rows[parts == name])
    except BaseException:
        for file in files.values():
            file.__exit__(True)
        raise
    for file in files.values():
        file.__exit__(None)
    packed_tokens.facts(folder, {"tokens": count})


def _mask(folder, pieces, masking):
    """Writes held-out pieces with their tokens hidden, once, as `masked_examples` does."""
    ids, most = Mapped(pieces), masking.most
    with (
        Appended(folder / "ids.npy", ids.shape[1:], ids.dtype) as shown,
        Appended(folder / "positions.npy", (most,), "int32") as positions,
        Appended(folder / "label.npy", (most,), "int32") as labels,
    ):
        for number, start in enumerate(range(0, len(ids), HELD_OUT_BLOCK)):
            block = tf.constant(ids[start : start + HELD_OUT_BLOCK].astype("int32"))
            inputs, told = masking(tf.constant(number, tf.int64), {"ids": block, "positions": None}, None)
            shown.add(inputs["ids"].numpy())
            positions.add(inputs["positions"].numpy())
            labels.add(told.numpy())
