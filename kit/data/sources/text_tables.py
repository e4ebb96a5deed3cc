"""Tables of texts and what is to be answered: CSV and TSV of any dialect, and JSONL, plain or gzipped.

A source is one file, or a folder with a file for each split, named after it: `train`, `dev` or `val`, and `test`. A
column `split` may say it, too.
"""

import csv
import logging

import numpy as np

from kit.data.sources import Texts, as_columns
from kit.data.sources.text_files import BadRows, candidates, json_rows, lines, plain_name, splitter
from kit.data.sources.text_targets import columns_of, said, target_of
from kit.data.split_names import EXPECTED, SPLITS, split_named
from kit.data.text import is_text
from kit.errors import KitError, SettingError, closest, shown

log = logging.getLogger("kit")

LAYOUT = (
    "a .csv, .tsv or .jsonl file with a column of texts and one of labels, or a folder of such files for each split"
)
_TABLES, _JSON = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson")
# What columns are usually called, in lower case.
_TEXT = (
    *("text", "sentence", "sentence1", "sentence_1", "sentence_a", "premise", "question", "question1", "#1 string"),
    *("content", "review", "comment", "message", "utterance", "tweet", "document", "body", "query", "title"),
)
_SECOND = (
    *("text2", "text_2", "sentence2", "sentence_2", "sentence_b", "hypothesis", "question2", "#2 string"),
    "second_text",
)
_TARGET = (
    *("label", "labels", "target", "class", "category", "intent", "sentiment", "quality", "entailment_judgment"),
    *("gold_label", "label_text", "score", "rating", "relatedness_score", "topic", "tag", "y"),
)
MOST_CHARACTERS = 100_000
_MOST_LINES, _MOST_FIELD = 1000, 2**26  # lines, and characters, of one field between quotes


def accepts(path):
    """Tells whether a path is such a table, or a folder with one for training."""
    if path.is_dir():
        return bool(_tables_of(path).get("train"))
    return plain_name(path).endswith((*_TABLES, *_JSON))


def is_heading(names):
    """Tells whether there are columns of texts and of labels among names, in lower case."""
    return bool(names & set(_TEXT)) and bool(names & (set(_TARGET) - {"target"}))


def read(source, *, text=None, second_text=None, target=None, answer="auto", on_bad="error"):
    """Returns the texts of a table, or of those in a folder.

    Args:
        source: Path.
        text: Column of the texts: its name, its number from 1, or from the end as -1; by default a usual name, or in a
            table without a heading the column of the longest texts.
        second_text: Column of the second text of pairs; by default a usual name, such as sentence2, or none.
        target: Column of what is to be answered; by default a usual name such as label, or in a table without a heading
            the other column of fewest different values. Several, as `a,b,c`, are labels that are 0 or 1.
        answer: What is answered; of "labels" a text may have none.
        on_bad: "skip" lists rows that cannot be read and leaves them out; "error" names the first.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
        SettingError: there is no such column.
    """
    bad = BadRows(on_bad)
    parts = {None: source}
    if source.is_dir():
        parts = _tables_of(source)
        for part, files in parts.items():
            if len(files) > 1:
                both = " and ".join(path.name for path in files[:2])
                raise KitError(f"{source}: {both} both look like the {part} split; expected one")
        parts = {part: files[0] for part, files in parts.items()}
    rows = []
    for part, path in parts.items():
        found = list(_rows(path, {"text": text, "second_text": second_text, "target": target}, answer, bad))
        bad.check_any(path, len(found), "texts and labels")
        rows += [(part or own, *rest) for own, *rest in found]
    splits, places, texts, second, targets, others, columns = map(list, zip(*rows, strict=True))
    if any(each is None for each in second) and any(each is not None for each in second):
        row = second.index(None)
        raise KitError(f"{places[row]}: no second text; other files have one")
    if any(splits) and not all(splits):
        raise KitError(f"{places[splits.index(None)]}: an empty split; expected {EXPECTED}")
    return Texts(
        texts,
        targets,
        places,
        second=None if second[0] is None else second,
        split=np.array(splits, dtype=object) if any(splits) else None,
        skipped=bad.told(),
        columns=as_columns(others),
        label_names=list(columns[0]) if isinstance(columns[0], tuple) else None,
    )


def _tables_of(folder):
    """Returns the tables of each split in a folder that has any."""
    found = {part: [path for path in candidates(folder, part) if _is_table(path)] for part in SPLITS}
    return {part: files for part, files in found.items() if files}


def _is_table(path):
    return plain_name(path).endswith((*_TABLES, *_JSON))


def _rows(path, asked, answer, bad):
    """Yields split, place, text, second text or None, target, other columns and the target's column of each row."""
    is_json = plain_name(path).endswith(_JSON)
    names, rows = (_of_json if is_json else _of_table)(path, asked, bad)
    split_column = next((name for name in names if isinstance(name, str) and name.strip().lower() == "split"), None)
    roles = chosen(path, names, [row for _, row in rows[:1000]], asked)
    of_target = roles.pop("target")
    used = {*roles.values(), *(of_target if isinstance(of_target, tuple) else (of_target,)), split_column}
    for number, row in rows:
        place, problem = f"{path.name}:{number}", None
        found = {}
        for role, name in roles.items():
            value = row.get(name)
            found[role] = str(value).strip() if isinstance(value, str | int | float) else ""
            if not found[role]:
                problem = problem or f"an empty {said(name)}; expected {_EXPECTED[role]}"
            elif not is_text(found[role]):
                problem = problem or "holds characters that are none (lone surrogates); expected text"
            elif len(found[role]) > MOST_CHARACTERS:
                problem = problem or f"{len(found[role]):,} characters; expected at most {MOST_CHARACTERS:,}"
        found["target"], wrong = target_of(row, of_target, answer)
        problem = problem or wrong
        split = row.get(split_column) if split_column else None
        if split and not split_named(split):
            problem = problem or f"split {shown(split)}; expected {EXPECTED}"
        if problem:
            bad.add(path, number, problem)
            continue
        others = {str(name): value for name, value in row.items() if name not in used}
        split = split_named(split) if split else None
        yield split, place, found["text"], found.get("second_text"), found["target"], others, of_target


_EXPECTED = {"text": "a text", "second_text": "the second text of a pair"}


def _of_json(path, asked, bad):
    """Returns keys and rows of a JSONL file: number and object."""
    rows = []
    for number, row in json_rows(path, bad):
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            bad.add(path, number, "expected an object such as {'text': '...', 'label': '...'}")
    return list(dict.fromkeys(name for _, row in rows[:1000] for name in row)), rows


def _of_table(path, asked, bad):
    """Returns columns and rows of a CSV or TSV file, its heading left out: number and a dictionary.

    Columns are named by the heading or, where there is none, by their number from 0.
    """
    table = [(number, fields) for number, fields in _fields(path, bad) if any(map(str.strip, fields))]
    if not table:
        return [], []
    first = [field.strip() for field in table[0][1]]
    usual = {*_TEXT, *_SECOND, *_TARGET}
    named = {name for name in asked.values() if isinstance(name, str)}
    several = columns_of(asked["target"], first)
    named = named - {asked["target"]} | set(several) if isinstance(several, tuple) else named
    has_heading = bool(named & set(first)) or any(field.lower() in usual for field in first)
    if named and not has_heading:
        wrong = sorted(named)[0]
        key = next((key for key in asked if asked[key] == wrong), "target")
        raise SettingError(key, _no_column(path, wrong, first))
    names = first if has_heading else list(range(len(first)))
    for name in names:
        if names.count(name) > 1 and name in named:
            raise KitError(f"{path}: {names.count(name)} columns {name!r}; expected one")
    rows = []
    for number, fields in table[1:] if has_heading else table:
        if len(fields) != len(names):
            bad.add(path, number, f"{len(fields)} columns; expected {len(names)} (a quote around a text is missing?)")
            continue
        rows.append((number, dict(zip(names, fields, strict=True))))
    return names, rows


def _fields(path, bad):
    """Yields line and fields of each row."""
    texts = [(number, text) for number, text in lines(path, bad) if text is not None]
    first = texts[0][1] if texts else ""
    delimiter = "\t" if plain_name(path).endswith(".tsv") else max("\t,;|", key=first.count)
    if delimiter == "\t":
        split = splitter(path, [text for _, text in texts])
        yield from ((number, split(text)) for number, text in texts)
        return
    before = csv.field_size_limit(_MOST_FIELD)
    try:
        yield from _csv_rows(path, texts, delimiter)
    finally:
        csv.field_size_limit(before)


def _csv_rows(path, texts, delimiter):
    """Yields line and fields of each row; a field between quotes may be of several lines."""
    numbers = iter([number for number, _ in texts])
    reader = csv.reader((f"{text}\n" for _, text in texts), delimiter=delimiter)
    while True:
        began = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise KitError(f"{path}:{reader.line_num}: not a CSV file ({error})") from None
        number = next(numbers)
        for _ in range(reader.line_num - began - 1):
            next(numbers)
        if reader.line_num - began > _MOST_LINES:
            raise KitError(f"{path}:{number}: a field of {reader.line_num - began:,} lines (is a quote not closed?)")
        yield number, fields


def chosen(path, names, rows, asked):
    """Returns the column of each role, and says in the log where it was not told."""
    found = {}
    for role, usual in (("text", _TEXT), ("second_text", _SECOND), ("target", _TARGET)):
        name = columns_of(asked[role], names) if role == "target" else asked[role]
        if isinstance(name, tuple):
            found[role] = tuple(_column(path, names, each, role) for each in name)
            continue
        if name is not None:
            found[role] = _column(path, names, name, role)
            continue
        # In the order of the usual names: of `title` and `text` the text is meant.
        low = {str(each).strip().lower(): each for each in reversed(names)}
        known = next((low[each] for each in usual if each in low and low[each] not in found.values()), None)
        if known is not None:
            found[role] = known
    rest = [name for name in names if name not in found.values()]
    if "text" not in found and rest:
        found["text"] = max(rest, key=lambda name: sum(len(str(row.get(name, ""))) for row in rows))
        rest.remove(found["text"])
    if "target" not in found and rest:
        kinds = {name: len({str(row.get(name, "")) for row in rows}) for name in rest}
        rest = [name for name in rest if kinds[name] > 1]
        if rest:
            found["target"] = min(rest, key=kinds.get)
    for role in ("text", "target"):
        if role not in found:
            columns = ", ".join(map(said, names)) or "none"
            raise KitError(f"{path}: no column of {role}s among {columns}; data.{role} names one")
    if any(asked[role] is None for role in found):
        shown_roles = ", ".join(f"{role} is {said(name)}" for role, name in found.items())
        log.info("%s: %s; data.text, data.second_text and data.target name others", path.name, shown_roles)
    return found


def _column(path, names, asked, role):
    """Returns a column that was asked for by name, or by number from 1 or from the end."""
    if isinstance(asked, str):
        if asked not in names:
            raise SettingError(role, _no_column(path, asked, names))
        return asked
    if asked == 0 or not -len(names) <= asked <= len(names):
        raise SettingError(role, f"{path.name} has {len(names)} columns, none is number {asked}")
    return names[asked - 1 if asked > 0 else asked]


def _no_column(path, asked, names):
    known = [str(name) for name in names if not isinstance(name, int)]
    return (
        f"{path.name} has no column {asked!r}{closest(asked, known)}; its columns: {', '.join(known)[:200] or 'none'}"
    )
