"""Texts to be rewritten as the splits of a training: tasks by their prefix, or plain texts with spans left out."""

import dataclasses
import functools
import logging
import types

import numpy as np

from kit.data import bitext, packed_spans, packed_tokens, sources
from kit.data.columns import Dense
from kit.data.source_files import SourceFiles
from kit.data.span_corruption import SpanCorruption, sentinels_of, span_splits
from kit.data.split_names import SPLITS
from kit.data.splits import Splits, assign
from kit.errors import KitError, check

log = logging.getLogger("kit")


def of_tasks(source, options, mixing, division, saved, learn, max_length):
    """Returns the splits of texts with a task in front and what is to be written of them.

    Args:
        source: As for `kit.data.sources.find`.
        options: Options of the reader by name.
        mixing: `kit.data.task_mixing.Mixing`.
        division: `Division`.
        saved: `Kept` of an earlier run, or None.
        learn: Function from training texts to the `Tokenizer` that is used.
        max_length: Most tokens of a text, and of what is written, in training.
    """
    found, origin = sources.read(source, "prefixed", options)
    assignment = assign(found.names, found.split, division, saved, found)
    tokens = types.SimpleNamespace(learn=learn)
    corpus = bitext.cleaned(found, assignment, tokens, True, max_length, None, str(origin))
    log.info("%s", corpus.summary)
    tasks = np.empty(len(found.sources), object)
    tasks[:] = found.columns["task"]
    parts = [dataclasses.replace(part, extras=part.extras | {"task": Dense(tasks)}) for part in corpus.parts]
    return Splits(
        mixing.mixed(parts[0]),
        *parts[1:],
        facts={},
        assets={
            "tokenizer": corpus.tokenizers[0].to_json(),
            "objective": "tasks",
            "tasks": sorted(set(found.columns["task"])),
            "max_length": max_length,
            "longest_target": int(parts[0].lengths("target").max()),
            "pairs": corpus.report,
            "skipped": found.skipped,
        },
        assignment=corpus.assignment,
        settings={"source": str(origin)},
    )


def of_spans(source, division, saved, learn, max_length, rate, mean_span, name):
    """Returns the splits of plain texts of which spans are left out, anew in every step of the training.

    Args:
        source, division, saved: As for `of_tasks`, the source as for `kit.data.sources.documents`.
        learn: As for `of_tasks`; of packed texts it is also given `kit.data.packed_tokens.learned` for these.
        max_length: Most tokens of what is read, and of what is written.
        rate: Share of the tokens that are left out.
        mean_span: Mean number of tokens of a span.
        name: What the tokenizer is called in a message.
    """
    check(0 < rate <= 0.9, "corruption_rate", rate, "a share above 0, at most 0.9")
    check(1 <= mean_span <= 100, "mean_span", mean_span, "1 to 100")
    found, origin = sources.documents(source)
    assignment = assign(found.names, found.split, division, saved, found)
    split, is_packed = assignment["split"].to_numpy(object), hasattr(found, "fingerprint")
    if is_packed:
        tokenizer = learn(
            found.texts, functools.partial(packed_tokens.learned, [found.texts], found.fingerprint, split)
        )
    else:
        tokenizer = learn([text for text, part in zip(found.texts, split, strict=True) if part == "train"])
    spans = SpanCorruption(tokenizer, tuple(sentinels_of(tokenizer, name)), rate, mean_span)
    length = spans.piece_length(max_length)
    parts = (packed_spans.splits if is_packed else span_splits)(found, split, spans, length)
    for each, part in zip(SPLITS, parts, strict=True):
        if not len(part):
            raise KitError(f"{origin}: the {each} split has too few tokens for a piece; expected longer texts")
    read, written = spans.lengths(length)
    log.info("%s pieces of %d tokens: %d are read, %d written", f"{sum(map(len, parts)):,}", length, read, written)
    return Splits(
        *parts,
        facts={},
        assets={
            "tokenizer": tokenizer.to_json(),
            "objective": "span_corruption",
            "tasks": [],
            "max_length": max_length,
            "pairs": {},
        },
        assignment=assignment,
        settings={"source": str(origin)},
        files=SourceFiles(found.files, [each.name for each in found.files]) if is_packed else None,
        monitors=("val_loss",),
    )
