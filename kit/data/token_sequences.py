"""Plain texts as sequences of tokens for networks that write: one text behind the other, cut into equal lengths.

A sequence is made when it is asked for: sequences that begin at every token cost no memory, and tokens may be on disk.
"""

import numpy as np

from kit.data import cache, packed_tokens
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.lossless_tokens import beginning_of
from kit.data.packed import Mapped
from kit.data.split_names import SPLITS
from kit.data.stored import Appended, Stored

IGNORED = -1


class TokenSequences:
    """Column of sequences of tokens, or of the tokens behind each of theirs.

    Args:
        tokens: (tokens,), an array or one on disk.
        length: Tokens of a sequence.
        stride: Tokens from the first target of a sequence to that of the next.
        told: Tokens that a sequence tells, its last ones, up to all of them; what goes before is there to be read.
        end: Id of the end of a text, which fills up a last sequence that is shorter; None leaves it out.
        is_target: Give the tokens behind, `IGNORED` where they are not told.
    """

    has_fixed_shape = True

    def __init__(self, tokens, length, stride, told, end=None, is_target=False):
        self.tokens, self.length, self.stride, self.told = tokens, length, stride, told
        self.end, self.is_target = end, is_target
        targets = len(tokens) - 1
        count = (targets - told) // stride + 1 if end is None else -(-targets // stride)
        self.shape, self.dtype = (max(count, 0), length), np.dtype("int32")

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return self.take(rows)

    def take(self, rows):
        """Returns the sequences of rows, (batch, length)."""
        start = np.asarray(rows, "int64")[:, None] * self.stride  # in front of the first token that is told
        last = np.minimum(start + self.told, len(self.tokens) - 1)
        places = np.maximum(last - self.length, 0) + np.arange(self.length)
        if self.is_target:
            found = self.tokens[np.minimum(places + 1, len(self.tokens) - 1)].astype(self.dtype)
            return np.where((places >= start) & (places < last), found, self.dtype.type(IGNORED))
        found = self.tokens[np.minimum(places, len(self.tokens) - 1)].astype(self.dtype)
        return found if self.end is None else np.where(places < last, found, self.dtype.type(self.end))

    def values(self, rows=None):
        """Returns the sequences of rows, or of all, in memory."""
        return self.take(np.arange(len(self)) if rows is None else rows)

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        return Stored([self], self.dtype).spec(batch_size)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        if rows is None and other_rows is None:
            return Stored([self, other], self.dtype)
        return Dense(np.concatenate([self.values(rows), other.values(other_rows)]))

    def reader(self):
        """Returns a function from row numbers, a tensor, to a batch, a tensor."""
        return Stored([self], self.dtype).reader()


def flat(documents, begin, end):
    """Returns the tokens of texts, one behind the other, each with its beginning in front and an end behind.

    Args:
        documents: Ids of each text.
        begin: Id of the beginning; where it is that of the end, the end of a text is the beginning of the next one.
        end: Id of the end.
    """
    front = [] if begin == end else [begin]
    parts = [np.array([*front, *ids, end], "int32") for ids in documents]
    return np.concatenate([np.array([] if front else [begin], "int32"), *parts])


def of_next_token(tokens, length, stride):
    """Returns examples of sequences, whose targets are the tokens behind those that go in.

    Args:
        tokens: (tokens,), more than `length`.
        length: Tokens that go in.
        stride: Tokens from one to the next.
    """
    columns = [TokenSequences(tokens, length, stride, length, is_target=each) for each in (False, True)]
    return Examples({"ids": columns[0]}, {"label": columns[1]}, is_named=True)


def held_out(tokens, length, overlap, end):
    """Returns held-out examples in which every token but the first is a target once.

    Args:
        tokens: (tokens,)
        length: Tokens that go in.
        overlap: How many of them were told by the sequence before, and are read again: each token has at least so many
            in front of it.
        end: Id of the end of a text.
    """
    told = length - overlap
    columns = [TokenSequences(tokens, length, told, told, end, each) for each in (False, True)]
    return Examples({"ids": columns[0]}, {"label": columns[1]}, is_named=True)


def by_split(found, split, tokenizer):
    """Returns the tokens of the texts of each split, (tokens,) each; those of a pack stay on disk.

    Args:
        found: `kit.data.sources.Documents`, or those of a pack.
        split: Name of the split of each text.
        tokenizer: `kit.data.tokens.Tokenizer` with an end of texts.
    """
    if not hasattr(found, "fingerprint"):
        texts = {name: [] for name in SPLITS}
        for text, name in zip(found.texts, split, strict=True):
            texts[name].append(text)
        ends = beginning_of(tokenizer), tokenizer.end_id
        return [flat(tokenizer.encode(texts[name]), *ends) for name in SPLITS]
    sums = packed_tokens.split_sum(split)
    key = {"fingerprint": found.fingerprint, "split": sums, "tokenizer": tokenizer.to_json()}
    folder = cache.kept("sequences", key, lambda path: _write(path, found.texts, split, tokenizer))
    return [Mapped(folder / f"{name}.npy") for name in SPLITS]


def _write(folder, texts, split, tokenizer):
    """Writes the tokens of each split."""
    kind, ends = packed_tokens.type_of(tokenizer), (beginning_of(tokenizer), tokenizer.end_id)
    first_of_all = flat([], *ends)
    files = {name: Appended(folder / f"{name}.npy", (), kind) for name in SPLITS}
    try:
        for file in files.values():
            file.add(first_of_all)
        for first, block in packed_tokens.blocks(texts, tokenizer):
            for name in SPLITS:
                chosen = [ids for row, ids in enumerate(block, first) if split[row] == name]
                files[name].add(flat(chosen, *ends)[len(first_of_all) :])
    except BaseException:
        for file in files.values():
            file.__exit__(True)
        raise
    for file in files.values():
        file.__exit__(None)
