"""Texts that a model has written, as tables: samples of a split, and answers to a user."""

import numpy as np
import pandas as pd

from kit.scoring import text as scores


def samples(examples, found):
    """Returns the best, the median and the worst translations, by chrF."""
    sources, references = examples.extra("source"), examples.extra("target")
    values = scores.sentence_chrf(found, references)
    order = np.argsort(-values, kind="stable")
    middle = max(len(order) // 2 - 2, 0)
    rows = dict.fromkeys([*order[:5], *order[middle : middle + 5], *order[-10:]])
    return pd.DataFrame(
        [
            {
                "chrF": float(values[row]),
                "source": sources[row],
                "translation": found[row],
                "reference": references[row],
            }
            for row in rows
        ]
    )


def show(predictions, is_terminal):
    """Returns translations for reading: one a line; where there are several of a sentence, with rank and score."""
    if predictions["rank"].max() == 1:
        return "\n".join(predictions["translation"])
    rows = predictions[["sentence", "rank", "score", "translation"]].itertuples(index=False)
    return "\n".join(f"{sentence}.{rank}\t{score:.3f}\t{text}" for sentence, rank, score, text in rows)


def best_first(draws, count):
    """Returns the draws of each text, the most probable first, and their scores.

    Args:
        draws: Ids and scores of each draw, as `written` returns them.
        count: Number of texts.
    """
    found = [[each for ids, _ in draws for each in ids[row]] for row in range(count)]
    values = [np.concatenate([scores[row] for _, scores in draws]) for row in range(count)]
    order = [np.argsort(-each, kind="stable") for each in values]
    found = [[each[index] for index in indices] for each, indices in zip(found, order, strict=True)]
    return found, [each[indices] for each, indices in zip(values, order, strict=True)]


def table(lines, rows, texts, values):
    """Returns a table with a row a translation.

    Args:
        lines: Lines that were given.
        rows: Those of them that are not empty.
        texts: Translations of each of these, the best first.
        values: Their scores.
    """
    table, done = [], dict(zip(rows, range(len(rows)), strict=True))
    for row, line in enumerate(lines):
        own = (texts[done[row]], values[done[row]]) if row in done else ([""], [0.0])
        # Several ways of cutting a text are one translation; a beam may have found fewer than were asked for.
        different = {}
        for text, value in zip(*own, strict=True):
            if value > -1e8 or not different:
                different.setdefault(text, float(value))
        for rank, (text, value) in enumerate(different.items(), 1):
            table.append({"sentence": row + 1, "source": line, "rank": rank, "translation": text, "score": value})
    return pd.DataFrame(table)
