"""Plain texts as sequences of tokens for networks that write: one text behind the other, cut into equal lengths.

A sequence is a view of the tokens, no copy: sequences that begin every few tokens cost no memory.
"""

import numpy as np

from kit.data.columns import Dense
from kit.data.examples import Examples

IGNORED = -1


def flat(documents, end):
    """Returns the tokens of texts, one behind the other, each with an end behind it.

    Args:
        documents: Ids of each text.
        end: Id of the end.
    """
    return np.concatenate([np.array([*ids, end], "int32") for ids in documents]) if documents else np.zeros(0, "int32")


def sequences(tokens, length, stride):
    """Returns views of `length` + 1 tokens that begin every `stride` tokens, (sequences, length + 1).

    Args:
        tokens: (tokens,)
        length: Tokens that a network is given.
        stride: Tokens from the beginning of one to that of the next.
    """
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)
    return windows[::stride]


def of_next_token(tokens, length, stride, end, is_crossing):
    """Returns examples of sequences, whose targets are the tokens behind those that go in.

    What is left over behind the last whole sequence is one more, that begins so much earlier: the targets that the one
    before has told are ignored.

    Args:
        tokens: (tokens,), at least `length` + 1.
        length: Tokens that go in.
        stride: Tokens from one to the next.
        end: Id of the end of a text.
        is_crossing: Whether the first token of a text is a target of the end of the one before it.
    """
    found = sequences(tokens, length, stride)
    targets = found[:, 1:]
    if not is_crossing:
        targets = np.where(found[:, :-1] == end, IGNORED, targets)
    return Examples({"ids": Dense(found[:, :-1])}, {"label": Dense(targets)}, is_named=True)


def held_out(tokens, length, stride, end, is_crossing):
    """Returns held-out examples in which every token but the first is a target once.

    Args:
        tokens, length, end, is_crossing: As for `of_next_token`.
        stride: Tokens that each sequence tells: fewer than `length` give each of them more of what stands before it.
    """
    ids, targets = [], []
    for start in range(0, max(len(tokens) - 1, 1), stride):
        last = min(start + stride, len(tokens) - 1)  # the targets are those behind `start` up to this one
        first = max(last - length, 0)
        row = tokens[first : last + 1]
        told = row[1:].copy()
        told[: start - first] = IGNORED
        if not is_crossing:
            told[row[:-1] == end] = IGNORED
        room = length - len(told)
        ids.append(np.pad(row[:-1], (0, room), constant_values=end))
        targets.append(np.pad(told, (0, room), constant_values=IGNORED))
    shape = (-1, length)
    columns = [np.array(each, "int32").reshape(shape) for each in (ids, targets)]
    return Examples({"ids": Dense(columns[0])}, {"label": Dense(columns[1])}, is_named=True)
