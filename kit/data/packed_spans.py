"""Packed texts in pieces of tokens for span corruption, on disk; see `kit.data.span_corruption`."""

import contextlib
import dataclasses

import numpy as np

from kit.data import cache, packed_tokens
from kit.data.batching import ByTokens
from kit.data.drawn_examples import DrawnExamples
from kit.data.span_corruption import pieces
from kit.data.split_names import SPLITS
from kit.data.stored import Appended, StoredRagged


def splits(found, split, spans, length):
    """Returns the examples of training, validation and test split, as `span_splits` does.

    Args:
        found: `kit.data.sources.packed_documents.PackedDocuments`.
        split: Name of the split of each document.
        spans: `kit.data.span_corruption.SpanCorruption`.
        length: Tokens of a piece.
    """
    tokenizer = spans.tokenizer
    key = {"fingerprint": found.fingerprint, "tokenizer": tokenizer.to_json(), "length": length}
    folder = cache.kept("spans", key, lambda path: _cut(path, found.texts, tokenizer, length))
    whole = spans.training(StoredRagged(folder / "ids.npy", _load(folder, "lengths")))
    part_of = packed_tokens.split_numbers(split)[_load(folder, "owners")]
    rows = [np.flatnonzero(part_of == number) for number in range(len(SPLITS))]
    key |= {"split": packed_tokens.split_sum(split), "how": [spans.rate, spans.mean_span]}
    parts = [whole.take(rows[0])]
    for number, name in enumerate(SPLITS[1:], 1):
        part, own = whole.take(rows[number]), dataclasses.replace(spans, seed=number)
        parts.append(_held_out(part, own, key | {"name": name}))
    return parts


def _load(folder, name):
    return np.load(folder / f"{name}.npy", allow_pickle=False)


def _cut(folder, texts, tokenizer, length):
    """Writes the pieces of all texts, their lengths and the number of the text of each."""
    with (
        Appended(folder / "ids.npy", (), packed_tokens.type_of(tokenizer)) as flat,
        Appended(folder / "lengths.npy", (), "int32") as lengths,
        Appended(folder / "owners.npy", (), "int32") as owners,
    ):
        for first, block in packed_tokens.blocks(texts, tokenizer):
            found, of_text = pieces(block, length)
            flat.add([token for piece in found for token in piece])
            lengths.add([len(piece) for piece in found])
            owners.add(first + of_text)


def _held_out(part, spans, key):
    """Returns the examples of a held-out split, whose spans are left out once.

    Args:
        part: Its training examples.
        spans: `SpanCorruption`.
        key: What decides the spans, as a JSON value.
    """
    tokenizer, column = spans.tokenizer, part.extras["piece"]

    def draw(folder):
        kind = packed_tokens.type_of(tokenizer)
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context(Appended(folder / f"{name}{end}.npy", (), kind_of))
                for name in ("source", "target", "following")
                for end, kind_of in (("", kind), ("-lengths", "int32"))
            ]
            every = (piece for row in part.rows for piece in column.values([row]))
            for source, target in spans.drawn(every):
                sides = [*source, tokenizer.end_id], [tokenizer.start_id, *target], [*target, tokenizer.end_id]
                for side, flat, lengths in zip(sides, files[::2], files[1::2], strict=True):
                    flat.add(side)
                    lengths.add([len(side)])

    folder = cache.kept("held-out-spans", key, draw)
    columns = {
        name: StoredRagged(folder / f"{name}.npy", _load(folder, f"{name}-lengths"), tokenizer.pad_id)
        for name in ("source", "target", "following")
    }
    following = columns.pop("following")
    return DrawnExamples(
        columns,
        {"following": following},
        extras={"source": _Decoded(columns["source"], tokenizer), "target": _Decoded(following, tokenizer)},
        batching=ByTokens("source", "target"),
        is_named=True,
        whole=part,
    )


class _Decoded:
    """Column of the texts of sequences of tokens that end in the end of a text, for the evaluation.

    Args:
        ids: `StoredRagged`.
        tokenizer: `kit.data.tokens.Tokenizer`.
    """

    has_fixed_shape = True

    def __init__(self, ids, tokenizer):
        self.ids, self.tokenizer = ids, tokenizer

    def __len__(self):
        return len(self.ids)

    def values(self, rows=None):
        """Returns the texts of rows, or of all, as an array of objects."""
        texts = self.tokenizer.decode([each[:-1].tolist() for each in self.ids.values(rows)])
        found = np.empty(len(texts), object)
        found[:] = texts
        return found
