"""Inspection of tables: divides rows as training would, and looks for what is wrong with columns, rows and answers."""

import dataclasses
import logging

import numpy as np
import pandas as pd

from kit.data import label_checks, table_columns
from kit.data.findings import Finding
from kit.data.labelled_tables import TableSource
from kit.data.split_names import SPLITS
from kit.data.table_examples import learn_table
from kit.data.table_features import FeatureOptions
from kit.data.table_selection import SelectionOptions
from kit.data.text_answers import OTHERS, AnswerOptions, answers_of
from kit.errors import KitError, SettingError
from kit.inspection import copies, table_checks
from kit.inspection.dividing import divided
from kit.inspection.inspection import Inspection
from kit.reporting import plots

log = logging.getLogger("kit")

_DRAWN, _DESCRIBED = 16, 6
_ADVICE = (
    "remove them from training, or keep what belongs together in one split (data.group)",
    "remove all but one, unless they are as frequent in use",
)


def inspected(recipe, source, data, division):
    """Returns the `Inspection` of a table.

    Args:
        recipe: Name of the recipe whose data they are.
        source: What `data.source` may be.
        data: Settings of `[data]`.
        division: `Division`.

    Raises:
        KitError: there is nothing that could be inspected.
    """
    where = dataclasses.replace(_record(TableSource, data), source=source)
    table, origin = where.read()
    whole = table
    options = _record(AnswerOptions, data)
    table, targets, kind = dataclasses.replace(where, missing_target="drop").answers(table, origin, options.stated)
    log.info("rows: %s of %s are read", f"{len(whole.places):,}", origin)
    lacks = whole.frame[targets.names].isna().any(axis=1).to_numpy()
    findings = table_checks.without_answer(lacks, targets.names[0], whole.places)
    answers = answers_of(targets, AnswerOptions(kind, options.separator), origin)
    assignment, more = divided(table, division, "add rows: training refuses so few", **answers.classes)
    findings += more
    split = assignment["split"].to_numpy(object)
    training = table.frame[split == "train"]
    features = _record(FeatureOptions, data)
    stated = table_columns.stated_kinds(data["kinds"], list(table.frame.columns))
    try:
        kinds = table_columns.kinds_of(training, stated)
        learned = learn_table(table, split, answers, data["kinds"], features, SelectionOptions(), origin)
        findings += learned.findings
    except KitError as error:
        if isinstance(error, SettingError) and error.key not in ("kinds", "source"):
            raise
        findings.append(Finding("cannot_be_learned", "problem", str(error), "training refuses it, too", 1))
        kinds = []
    names = {each: [column.name for column in kinds if column.kind == each] for each in table_columns.KINDS}
    used = [column.name for column in kinds if column.kind != "ignore"]
    findings += [
        *label_checks.of_answers(answers, split, "rows"),
        *_of_copies(table, used, targets.targets, split, answers.kind),
        *table_checks.missing(table.frame[used], split),
        *table_checks.categories(table.frame, kinds, split, features.min_count),
        *table_checks.numbers(table.frame, names["number"], split, table.places),
        *table_checks.dates(table.frame, kinds, division.time is not None),
    ]
    drawn = {name: training[name].dropna().to_numpy("float64") for name in names["number"][:_DRAWN]}
    figures = {"numbers of the training rows": lambda: plots.histograms(drawn)} if drawn else {}
    if answers.kind == "number":
        own = pd.DataFrame({targets.names[0]: answers.values})
        findings += table_checks.numbers(own, targets.names, split, table.places, "answer")
        figures |= {"the answer": lambda: plots.histograms({targets.names[0]: answers.values})}
    return Inspection(
        recipe=recipe,
        source=str(origin) if isinstance(origin, str) or hasattr(origin, "exists") else "what was given",
        findings=findings,
        numbers={
            "rows": len(table.places),
            **{f"{name} rows": int((split == name).sum()) for name in SPLITS},
            "columns": len(table.frame.columns),
            **({"classes" if answers.kind == "label" else "labels": len(answers.names)} if answers.names else {}),
        },
        tables={"columns": _described(training, kinds), **_answers_table(answers, split)},
        figures=figures,
    )


def _record(kind, data):
    """Returns an option record with its part of the settings of `[data]`."""
    return kind(**{field.name: data[field.name] for field in dataclasses.fields(kind) if field.name in data})


def _of_copies(table, used, targets, split, kind):
    """Returns findings on equal rows, by the columns that are learned from."""
    if not used:
        return []
    frame = table.frame[used]
    keys = pd.util.hash_pandas_object(frame, index=False).tolist()

    def describe(row):
        own = {"example": table.places[row], "split": split[row], "answer": str(targets[row])}
        return own | {name: str(frame[name].iloc[row]) for name in used[:_DESCRIBED]}

    told = {"split": split, "noun": "rows", "describe": describe, "advice": _ADVICE, "other": OTHERS[kind]}
    groups, answered = copies.groups_of_equal(keys), [str(each) for each in targets]
    found = copies.check(groups, "equal", labels=answered, level="warning", **told)
    # With few columns rows are equal by chance, and answered otherwise by nature.
    advice = "no network can tell them apart: a column may be missing that does"
    is_torn = "equal_with_other_label"
    return [dataclasses.replace(each, advice=advice) if each.kind == is_torn else each for each in found]


def _described(frame, kinds):
    """Returns a table of the columns: what each is, why, and what it holds."""
    rows = []
    for each in kinds:
        values = frame[each.name]
        known = values.dropna()
        row = {"column": each.name, "kind": each.kind, "since": each.why, "missing": f"{values.isna().mean():.1%}"}
        row |= {"different": known.nunique(), "least": "", "median": "", "most": "", "commonest": ""}
        if each.kind == "number" and len(known):
            row |= {name: f"{known.quantile(at):.5g}" for name, at in (("least", 0), ("median", 0.5), ("most", 1))}
        elif len(known):
            counts = known.astype(str).value_counts()
            row["commonest"] = f"{counts.index[0][:60]} ({counts.iloc[0] / len(known):.0%})"
        rows.append(row)
    return pd.DataFrame(rows)


def _answers_table(answers, split):
    """Returns how many rows of each split have each class or label, or how their numbers lie."""
    if answers.kind == "number":
        own = {name: pd.Series(answers.values[split == name]).describe() for name in SPLITS if (split == name).any()}
        return {"numbers": pd.DataFrame(own).rename_axis("").reset_index()}
    counts = {name: np.asarray(answers.counts(split == name)) for name in SPLITS}
    return {"classes" if answers.kind == "label" else "labels": pd.DataFrame({"label": answers.names, **counts})}
