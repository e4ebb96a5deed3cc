"""Labelled texts as examples: ids of tokens, of pairs with segments, and the class of each."""

import numpy as np

from kit.data.batching import ByLength
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples


def text_examples(parts, tokenizer, max_length, labels=None):
    """Returns examples of texts, or of pairs of texts, cut to a number of tokens.

    A batch is a dictionary of `ids` (batch, time) and, of pairs, `segments` (batch, time): 0 in the first text, 1 in
    the second. A text begins with the tokenizer's start, and each ends with its end. What is too long loses its last
    tokens, of a pair the longer text first.

    Args:
        parts: Texts; of pairs also the second texts, in a list.
        tokenizer: `kit.data.tokens.Tokenizer`.
        max_length: Most tokens of an example, start and ends included.
        labels: Class of each text, or None.

    Returns:
        `Examples`, with the target `label` and the texts as extras `text` and `second_text`; and how many were cut.
    """
    rows = [tokenizer.encode(part) for part in parts]
    kept, room = [list(row) for row in zip(*rows, strict=True)], max_length - 1 - len(parts)
    cut = 0
    for texts in kept:
        over = sum(map(len, texts)) - room
        if over > 0:
            cut += 1
            _shorten(texts, room)
    ids = [[tokenizer.start_id, *(each for text in texts for each in (*text, tokenizer.end_id))] for texts in kept]
    inputs = {"ids": Ragged.of(ids, fill=tokenizer.pad_id)}
    if len(parts) > 1:
        inputs["segments"] = Ragged.of([0] * (2 + len(texts[0])) + [1] * (1 + len(texts[1])) for texts in kept)
    extras = {}
    for name, texts in zip(("text", "second_text"), parts, strict=False):
        column = np.empty(len(texts), object)
        column[:] = texts
        extras[name] = Dense(column)
    targets = {} if labels is None else {"label": Dense(np.asarray(labels))}
    return Examples(inputs, targets, extras=extras, batching=ByLength("ids"), is_named=True), cut


def _shorten(texts, room):
    """Leaves so many tokens of one text, or of two: what a fair share leaves over is the other's."""
    if len(texts) == 1:
        texts[0] = texts[0][:room]
        return
    first, second = map(len, texts)
    second = min(second, max(room - first, room // 2))
    texts[0], texts[1] = texts[0][: room - second], texts[1][:second]
