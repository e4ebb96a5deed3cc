"""Inspection of labelled texts: divides them as training would, and looks for what is wrong with texts and labels."""

import copy
import logging
import re

import pandas as pd

from kit.data import label_checks, sources
from kit.data.split_names import SPLITS
from kit.data.text_answers import OTHERS, AnswerOptions, answers_of
from kit.inspection import text_checks
from kit.inspection.dividing import divided
from kit.inspection.inspection import Inspection
from kit.reporting import plots

log = logging.getLogger("kit")

_WORDS = re.compile(r"\w+|[^\w\s]")


def inspected(recipe, source, data, division):
    """Returns the `Inspection` of labelled texts, or of pairs of them.

    Args:
        recipe: Name of the recipe whose data they are.
        source: What `data.source` may be.
        data: Settings of `[data]`.
        division: `Division`.

    Raises:
        KitError: there is nothing that could be inspected.
    """
    found, origin = sources.read(source, "texts", data | {"on_bad": "skip", "seed": division.split_seed})
    log.info("texts: %s of %s are read", f"{len(found.texts):,}", origin)
    asked = {key: data[key] for key in ("answer", "separator") if data.get(key) is not None}
    answers = answers_of(found, AnswerOptions(**asked), origin)
    assignment, findings = divided(found, division, "add texts: training refuses so few", **answers.classes)
    split = assignment["split"].to_numpy(object)
    sides = [
        text_checks.Texts([_WORDS.findall(text) for text in side], found.places, split, "texts") for side in found.parts
    ]
    findings += [
        *label_checks.of_answers(answers, split, "texts"),
        *text_checks.of_skipped(found.skipped),
        *text_checks.of_copies(_whole(sides, found), found.targets, other=OTHERS[answers.kind]),
    ]
    for side, name in zip(sides, _names(sides), strict=True):
        findings += [*text_checks.of_characters(side, name), *text_checks.of_lengths(side)]
    lengths = {
        f"words{name}": [len(each) for each in side.words] for side, name in zip(sides, _names(sides), strict=True)
    }
    return Inspection(
        recipe=recipe,
        source=str(origin),
        findings=findings,
        numbers={
            "texts": len(found.texts),
            **{f"{name} texts": int((split == name).sum()) for name in SPLITS},
            **({"classes" if answers.kind == "label" else "labels": len(answers.names)} if answers.names else {}),
            **{name: sum(each) for name, each in lengths.items()},
        },
        tables={
            **_answers_table(answers, split),
            **{
                f"lengths{name}": text_checks.lengths_table(side.words, split)
                for side, name in zip(sides, _names(sides), strict=True)
            },
            **{
                f"scripts and languages{name}": text_checks.languages_table(side)
                for side, name in zip(sides, _names(sides), strict=True)
            },
        },
        figures={
            "words of a text": lambda: plots.histograms(lengths),
            **({} if answers.names else {"numbers": lambda: plots.histograms({"number": answers.values})}),
        },
    )


def _names(sides):
    """Returns what is added to a name for each side."""
    return [""] if len(sides) == 1 else [" of the first text", " of the second text"]


def _whole(sides, found):
    """Returns the texts, both of a pair in one, as they are shown."""
    whole = copy.copy(sides[0])
    if len(sides) == 2:
        whole.words = [[*first, "|", *second] for first, second in zip(*(side.words for side in sides), strict=True)]
        whole.noun = "pairs"
    whole.lines = [" | ".join(each) for each in zip(*found.parts, strict=True)]
    return whole


def _answers_table(answers, split):
    """Returns a table with the number of texts of each class or label and split; of numbers their spread."""
    if answers.kind == "number":
        parts = {name: pd.Series(answers.values[split == name]) for name in SPLITS}
        return {"numbers": pd.DataFrame({name: part.describe() for name, part in parts.items()}).reset_index(names="")}
    counts = {name: answers.counts(split == name) for name in SPLITS}
    return {"classes" if answers.kind == "label" else "labels": pd.DataFrame({"label": answers.names, **counts})}
