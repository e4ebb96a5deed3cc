"""Pairs of texts as examples, such as sentences and their translations: ids of what is read and what is written."""

import numpy as np

from kit.data.batching import ByTokens
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples


def text_pairs(sources, targets, source_texts, target_texts=None, *, start, end, padding):
    """Returns examples of pairs of texts.

    A batch is a dictionary of `source` and `target` ids and the labels, each (batch, time), padded. The source ends in
    the end's id; the target begins with the start's, the labels are what follows, the end included.

    Args:
        sources: Ids of each text that is read.
        targets: Ids of each text that is written, or None.
        source_texts: The texts themselves.
        target_texts: Those that are written, or None.
        start, end, padding: Ids of the tokens that mean that.

    Returns:
        `Examples`, with the target `following`, and the texts as extras.
    """
    inputs = {"source": Ragged.of(([*ids, end] for ids in sources), fill=padding)}
    extras, following = {"source": Dense(_texts(source_texts))}, {}
    if targets is not None:
        inputs["target"] = Ragged.of(([start, *ids] for ids in targets), fill=padding)
        following = {"following": Ragged.of(([*ids, end] for ids in targets), fill=padding)}
    if target_texts is not None:
        extras["target"] = Dense(_texts(target_texts))
    return Examples(inputs, following, extras=extras, batching=ByTokens("source", "target"), is_named=True)


def _texts(texts):
    """Returns texts as an array of objects: as one of characters all would be as long as the longest."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def without_duplicates(rows, pairs, report):
    """Returns training rows without pairs that occur a second time."""
    seen, kept = set(), []
    for row in rows:
        if pairs[row] not in seen:
            seen.add(pairs[row])
            kept.append(row)
    report["training pairs left out that occur twice"] = len(rows) - len(kept)
    return np.array(kept, "int64")


def without_uneven(rows, ids, max_length, max_ratio, report):
    """Returns training rows without pairs that are too long, empty or too uneven."""
    lengths = np.array([[len(side[row]) for side in ids] for row in rows]).reshape(-1, 2)
    longer, shorter = lengths.max(1), lengths.min(1)
    is_short = (longer <= max_length) & (shorter > 0)
    is_even = longer <= np.maximum(shorter, 1) * (max_ratio or np.inf)
    report["training pairs left out as too long"] = int((~is_short).sum())
    report["training pairs left out as too uneven"] = int((is_short & ~is_even).sum())
    return rows[is_short & is_even]
