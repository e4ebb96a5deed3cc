"""Pairs of texts as examples, such as sentences and their translations: ids of what is read and what is written."""

import dataclasses

import numpy as np
import pandas as pd

from kit.data.batching import ByTokens
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.data.overlap import also_in_training
from kit.data.splits import divided
from kit.data.tokens import Tokenizer
from kit.errors import check


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


def too_long(examples, positions, split=None):
    """Returns in words which sentence of examples has more tokens than a model has positions for; or None.

    Args:
        examples: `Examples` of what is read, and perhaps written.
        positions: Most tokens that the model can take, or None for any number.
        split: Name of their split, or None.
    """
    of_split = f" of the {split} split" if split else ""
    for side in examples.inputs if positions is not None and len(examples) else ():
        lengths = examples.lengths(side)
        row = int(np.argmax(lengths))
        if lengths[row] > positions:
            text = examples.extra(side)[row]
            shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
            return (
                f"the {side} sentence {row + 1}{of_split}, {shown}, has {lengths[row] - 1} tokens; expected at most "
                f"{positions - 1}, which the model has positions for"
            )
    return None


# Split of training pairs that are not trained on.
_LEFT_OUT = "left out"


@dataclasses.dataclass
class Corpus:
    """A parallel corpus, cleaned and cut into tokens.

    Args:
        parts: Training, validation and test `Examples`.
        tokenizers: `Tokenizer` of both sides, or of source and target.
        vocabulary_size: Number of tokens of both sides, or a dictionary with that of `source` and `target`.
        assignment: Table that says which pair is in which split; those that are left out of training are in none.
        report: How many pairs were left out, and for what reason; how many are also in training.
    """

    parts: list
    tokenizers: list
    vocabulary_size: int | dict
    assignment: pd.DataFrame
    report: dict

    @property
    def summary(self):
        """The report in one line."""
        return "; ".join(f"{name}: {count:,}" for name, count in self.report.items() if count) or "no pair left out"


def cleaned(found, assignment, options, is_joint, max_length, max_ratio, source, kept=None):
    """Learns tokens from training pairs, and leaves those out of training that occur twice, are too long or too uneven.

    Args:
        found: `Pairs`.
        assignment: Table that says which pair is in which split.
        options: `TokenOptions`.
        is_joint: Both sides share their tokens.
        max_length: Most tokens of a side in training.
        max_ratio: Most tokens of the longer side for each of the shorter one in training; None is any number.
        source: Name of the source, for messages.
        kept: `kit.data.splits.Kept` of a run of the same pairs, whose tokens are used again; or None.

    Returns:
        `Corpus`.

    Raises:
        SettingError: no training pair is left; the message names the key.
    """
    pairs = list(zip(found.sources, found.targets, strict=True))
    split = assignment["split"].to_numpy(dtype=object).copy()
    split[split == _LEFT_OUT] = "train"  # those of an earlier run are found, and counted, once more
    report = {}
    train = without_duplicates(np.flatnonzero(split == "train"), pairs, report)
    check(len(train) > 0, "source", source, "training sentences")
    if kept is not None and "tokenizers" in kept.assets:  # names of pairs tell their content: they are the same
        tokenizers = [Tokenizer(each) for each in kept.assets["tokenizers"]]
    else:
        texts = [[side[row] for row in train] for side in (found.sources, found.targets)]
        tokenizers = [options.learn(texts[0] + texts[1])] if is_joint else [options.learn(side) for side in texts]
    first, last = tokenizers[0], tokenizers[-1]
    ids = [first.encode(found.sources), last.encode(found.targets)]
    train = without_uneven(train, ids, max_length, max_ratio, report)
    check(len(train) > 0, "max_length", max_length, "a length that leaves training sentences")
    is_training = np.zeros(len(pairs), bool)
    is_training[train] = True
    split[(split == "train") & ~is_training] = _LEFT_OUT
    assignment = assignment.assign(split=split)
    special = {"start": last.start_id, "end": last.end_id, "padding": last.pad_id}
    parts = divided(text_pairs(*ids, found.sources, found.targets, **special), assignment)
    report |= also_in_training(found.sources, split, "sentences")
    unknown = sum(int((sequence == first.unknown_id).sum()) for sequence in parts[2].input("source"))
    report["unknown tokens in the test sentences"] = unknown
    sizes = len(first) if is_joint else {"source": len(first), "target": len(last)}
    return Corpus(parts, tokenizers, sizes, assignment, report)


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
