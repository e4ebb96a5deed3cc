"""Tables whose rows have something to be answered: in which column, of which kind, and rows without an answer."""

import dataclasses
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from kit.data import sources
from kit.data.sources import bundled_tables, tables, text_files
from kit.data.table_features import as_texts
from kit.errors import KitError, check

log = logging.getLogger("kit")

# What columns of answers are usually called, in lower case.
_USUAL = ("target", "label", "class", "y", "outcome", "response", "answer", "category", "price", "income")
_MANY = 20  # whole numbers of more different values are numbers


@dataclasses.dataclass(frozen=True)
class TableSource:
    """Where a table is, and which of its columns is to be answered.

    Args:
        source: `wine`, `breast_cancer` or `diabetes` (small tables of scikit-learn), a .csv, .tsv, .jsonl, .parquet,
            .arrow or .xlsx file, or a folder of such files with train, validation and test in their names. In Python
            also a table of pandas or Arrow, a dictionary of columns, or a dictionary of such for train, validation and
            test.
        target: Column of what is to be answered: its name, or its number from 1, or from the end as -1; by default a
            usual name such as target or label, or the last one. Several, as `a,b,c`, are labels that are 0 or 1 for
            each row.
        missing: Texts that stand where nothing is known, beside empty fields, ?, NA, null and the like.
        missing_target: What becomes of rows without an answer: an "error" names the first, "drop" leaves them out.
    """

    source: str = "wine"
    target: int | str | None = None
    missing: tuple[str, ...] = ()
    missing_target: Literal["error", "drop"] = "error"

    def read(self):
        """Returns the `kit.data.sources.tables.Table`, and the source as its reader wants it.

        Raises:
            KitError: a file that cannot be used; the message names it and the row.
        """
        module, origin = sources.find(self.source, "tables")
        if module is bundled_tables:
            check(not self.missing, "missing", list(self.missing), "none of a table that comes with scikit-learn")
            return module.read(origin), origin
        return module.read(origin, missing=self.missing), origin

    def answers(self, table, origin, answer):
        """Returns the table without the columns of answers, and these.

        Args:
            table: The `Table`.
            origin: Where it comes from, for messages.
            answer: What is answered, see `kit.data.text_answers.AnswerOptions`.

        Returns:
            `Table` of the rows that are kept, `Targets`, and the kind of answer, "auto" where that is to be found out.

        Raises:
            KitError: rows without an answer, unless they are dropped.
            SettingError: there is no such column.
        """
        names = _columns(self.target, table.frame)
        frame, places, split = table.frame, table.places, table.split
        lacks = frame[names].isna().any(axis=1).to_numpy()
        if lacks.any():
            count, row = int(lacks.sum()), int(np.argmax(lacks))
            if self.missing_target == "error":
                raise KitError(
                    f"{places[row]}: no {names[0]}; {count:,} of {len(lacks):,} rows have none "
                    "(data.missing_target=drop leaves them out)"
                )
            log.info("%s of %s rows have no %s and are left out", f"{count:,}", f"{len(lacks):,}", names[0])
            kept = np.flatnonzero(~lacks)
            check(len(kept), "target", names[0], "a column with values")
            frame = frame.iloc[kept].reset_index(drop=True)
            places, split = [places[each] for each in kept], None if split is None else split[kept]
        rest = frame.drop(columns=names)
        if not len(rest.columns):
            raise KitError(f"{origin}: no column beside {names[0]}; expected some to learn from")
        targets = Targets(_targets(frame, names, places), places, names if len(names) > 1 else None, names)
        kind = answer
        if answer == "auto" and len(names) == 1 and _is_number(frame[names[0]]):
            kind = "number"
            count = f"{frame[names[0]].nunique():,}"
            log.info(
                "data.answer=auto: a number, %s has %s different ones; data.answer states another", names[0], count
            )
        return tables.Table(rest, places, split), targets, kind


@dataclasses.dataclass
class Targets:
    """Answers of a table's rows: labels, numbers, or lists of labels; as `kit.data.text_answers.answers_of` takes them.

    Args:
        targets: Text of each row, or a list of labels.
        places: Where each row stands.
        label_names: All labels, where each was a column of its own; or None.
        names: Names of the columns.
    """

    targets: list
    places: list
    label_names: list | None
    names: list


def _columns(target, frame):
    """Returns the names of the columns of answers."""
    if isinstance(target, str) and "," in target and target not in frame.columns:
        return [tables.column(frame, part.strip(), "target", "columns of 0 and 1") for part in target.split(",")]
    if target is not None:
        return [tables.column(frame, target, "target", "the column of answers")]
    low = {str(name).lower(): name for name in frame.columns}
    name = next((low[each] for each in _USUAL if each in low), frame.columns[-1])
    log.info("data.target: %s; data.target names another", name)
    return [name]


def _is_number(values):
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    is_whole = bool((values == np.round(values)).all())
    return not is_whole or values.nunique() > _MANY


def _targets(frame, names, places):
    """Returns the answer of each row: a text, or of several columns a list of labels."""
    if len(names) == 1:
        return as_texts(frame[names[0]]).tolist()
    flags = {}
    for name in names:
        texts = as_texts(frame[name]).str.lower()
        flags[name] = texts.map({"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True})
        if flags[name].isna().any():
            row = int(np.argmax(flags[name].isna()))
            raise KitError(f"{places[row]}: {name} is {str(frame[name].iloc[row])[:60]!a}; expected 0 or 1")
    return [[name for name in names if flags[name].iloc[row]] for row in range(len(frame))]


def read_rows(inputs, names, missing=()):
    """Returns the rows that a finished model is given, as a `Table` of texts and numbers.

    Args:
        inputs: A path of a table, a table of pandas or Arrow, a dictionary of columns, a list of dictionaries, or texts
            with the values of a row in each line, in the order of the columns, with tabs between them.
        names: Names of the columns that the network takes.
        missing: Texts that stand where nothing is known.

    Raises:
        KitError: something else, or a file that cannot be read.
    """
    given = inputs if isinstance(inputs, list | tuple) else [inputs]
    if not len(given):
        raise KitError("inputs: no rows; expected a table")
    if all(isinstance(each, dict) for each in given) and isinstance(inputs, list | tuple):
        return tables.given(pd.DataFrame(list(inputs)), "rows")
    if len(given) == 1 and not isinstance(given[0], str | Path):
        return tables.given(given[0], "a table of pandas or Arrow, a dictionary of columns, rows, or a path")
    found = []
    for each in given:
        if isinstance(each, Path):
            module, origin = sources.find(str(each), "tables")
            found.append(module.read(origin, missing=missing))
        elif isinstance(each, str):
            found.append(_of_lines(each, names, missing))
        else:
            raise KitError(f"inputs: got {type(each).__name__}; expected a path, or a line of values")
    if len(found) == 1:
        return found[0]
    frame = pd.concat([each.frame for each in found], ignore_index=True)
    return tables.Table(frame, [place for each in found for place in each.places])


def _of_lines(text, names, missing):
    """Returns the rows of a text: in each line a value for each column, with tabs between them."""
    nothing = {*tables.MISSING, *missing}
    rows, places = [], []
    for number, line in enumerate(text_files.split_lines(text), 1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != len(names):
            raise KitError(
                f"text:{number}: {len(fields)} values; expected {len(names)}, with tabs between them: "
                f"{', '.join(names)[:200]}"
            )
        rows.append([None if field in nothing else field for field in fields])
        places.append(f"text:{number}")
    if not rows:
        raise KitError("inputs: no rows; expected a value for each column, with tabs between them")
    return tables.Table(pd.DataFrame(rows, columns=names), places)
