"""Tables: CSV and TSV of any dialect, JSONL, Parquet, Arrow and Excel files, plain or gzipped; one, or one a split.

A number is a number, whatever a file writes it with: `1,234.5`, or `1234,5` where semicolons stand between columns.
What is missing is NaN or None.
"""

import csv
import dataclasses
import gzip
import io
import logging
import re
import warnings
import zlib

import numpy as np
import pandas as pd

from kit.data.sources import by_split
from kit.data.sources.text_files import candidates, plain_name, split_lines
from kit.data.split_names import EXPECTED, SPLITS, split_named
from kit.errors import KitError, SettingError, closest, shown

log = logging.getLogger("kit")

LAYOUT = "a .csv, .tsv, .jsonl, .parquet, .arrow or .xlsx file, or a folder of such files for each split"
_TEXT, _JSON, _EXCEL = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson"), (".xlsx", ".xlsm")
_PARQUET, _ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")
_MOST_COLUMNS = 10_000
# What files write where nothing is known.
MISSING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d+(\.\d+)?"
_DECIMAL_COMMA = r"[+-]?\d+(,\d+)?|[+-]?\d{1,3}(\.\d{3})+(,\d+)?"
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_MOSTLY = 0.9  # a column of which more are numbers is one of numbers, and what is none in it a mistake


@dataclasses.dataclass
class Table:
    """A table as a source delivers it.

    Args:
        frame: Its columns, a `pandas.DataFrame` without an index of meaning.
        places: Where each row stands, such as `houses.csv row 12`, (rows,).
        split: Split that the source prescribes for each row, or None.
    """

    frame: pd.DataFrame
    places: list
    split: np.ndarray | None = None

    @property
    def columns(self):
        """Name of each column to its values, (rows,), None where a row has none."""
        return {
            name: [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]
            for name, values in self.frame.items()
        }

    @property
    def ids(self):
        """Name of each row that patterns and lists know."""
        return self.places

    @property
    def names(self):
        """Name of each row, with a check sum of its values that the order of the columns does not change."""
        frame = self.frame[sorted(self.frame.columns)]
        sums = pd.util.hash_pandas_object(frame, index=False).to_numpy() & 0xFFFFFFFF
        return [f"{place} {number:08x}" for place, number in zip(self.places, sums, strict=True)]


def accepts(path):
    """Tells whether a path is such a table, or a folder with one for training."""
    if path.is_dir():
        return bool(_of_splits(path).get("train"))
    return plain_name(path).endswith((*_TEXT, *_JSON, *_EXCEL, *_PARQUET, *_ARROW))


def read(source, *, missing=(), identifiers=None):
    """Returns the table of a file, or those of a folder one after the other.

    Args:
        source: Path.
        missing: Texts that stand where nothing is known, beside the usual ones.
        identifiers: Function from a column's name to whether it holds names, which stay texts though they are digits;
            or None.

    Raises:
        KitError: a file that cannot be used; the message names it, the row and what was expected.
    """
    parts = {None: [source]}
    if source.is_dir():
        parts = _of_splits(source)
        for part, files in parts.items():
            if len(files) > 1:
                raise KitError(
                    f"{source}: {files[0].name} and {files[1].name} both look like the {part} split; expected one"
                )
    found = [(part, files[0].name, _frame(files[0], missing, identifiers)) for part, files in parts.items()]
    return joined(found, source, identifiers)


def joined(parts, source, identifiers=None):
    """Returns the `Table` of one frame, or of one for each split, checked.

    Args:
        parts: Triples of a split's name or None, what the frame is called in messages, and the frame.
        source: Where they come from, for messages.
        identifiers: As for `read`.
    """
    first = parts[0][2]
    for _, name, frame in parts:
        _check_names(name, list(frame.columns))
        other = [column for column in frame.columns if column not in first.columns]
        lacking = [column for column in first.columns if column not in frame.columns]
        if other or lacking:
            what = f"has no column {lacking[0]!r}" if lacking else f"has a column {other[0]!r}"
            raise KitError(f"{name}: {what}, unlike {parts[0][1]}; expected the same columns")
    frames = [_typed_dates(frame) for *_, frame in parts]
    frame = pd.concat([frame[first.columns] for frame in frames], ignore_index=True) if parts[1:] else frames[0]
    places = [f"{name} row {number}" for _, name, part in parts for number in range(1, len(part) + 1)]
    if not len(frame):
        raise KitError(f"{source}: no rows; expected some below the heading")
    split = None
    if parts[0][0] is not None:
        split = np.array([part for part, _, frame in parts for _ in range(len(frame))], dtype=object)
    elif (own := next((name for name in frame if name.strip().lower() == "split"), None)) is not None:
        split = _own_split(frame.pop(own), places)
    frame = frame.reset_index(drop=True)
    _check_repeated_heading(frame, places)
    stays = identifiers or (lambda name: False)
    typed = {name: v if stays(name) else _numbers_in(name, v, places) for name, v in frame.items()}
    frame = pd.DataFrame(typed)
    _check_finite(frame, places)
    return Table(frame, places, split)


def _own_split(values, places):
    """Returns the split of each row that a column `split` says."""
    found = [None if value is None or value != value else split_named(str(value)) for value in values]
    if None in found:
        row = found.index(None)
        raise KitError(f"{places[row]}: split {shown(str(values.iloc[row]))}; expected {EXPECTED}")
    return np.array(found, dtype=object)


def _of_splits(folder):
    """Returns the tables of each split in a folder that has any."""
    endings = (*_TEXT, *_JSON, *_EXCEL, *_PARQUET, *_ARROW)
    found = {part: [path for path in candidates(folder, part) if plain_name(path).endswith(endings)] for part in SPLITS}
    return {part: files for part, files in found.items() if files}


def _frame(path, missing, identifiers=None):
    """Returns the frame of a file as it stands there."""
    name = plain_name(path)
    try:
        if name.endswith(_TEXT):
            return _of_text(path, missing, identifiers)
        if name.endswith(_JSON):
            return _of_json(path).replace(list(missing), None) if missing else _of_json(path)
        if name.endswith(_EXCEL):
            frame = _of_excel(path, missing)
        else:
            frame = pd.read_parquet(path) if name.endswith(_PARQUET) else pd.read_feather(path)
    except KitError:
        raise
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise KitError(f"{path}: damaged ({error}); expected a gzip file") from None
    except UnicodeDecodeError as error:
        raise KitError(f"{path}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({' '.join(str(error.strerror or error).split())[:200]})") from None
    except Exception as error:  # of pandas, pyarrow and openpyxl, each its own
        raise KitError(f"{path}: cannot be read as a table ({' '.join(str(error).split())[:200]})") from None
    frame.columns = [str(each) for each in frame.columns]
    return frame.reset_index(drop=True)


def _of_excel(path, missing):
    try:
        return pd.read_excel(path, na_values=list(missing))
    except ImportError:
        raise KitError(f"{path}: Excel files need the package openpyxl; expected it, or a .csv file") from None


def _of_json(path):
    frame = pd.read_json(path, lines=True, dtype=False, convert_dates=False)
    for name, values in frame.items():
        nested = values.map(lambda value: isinstance(value, list | dict)) if values.dtype == object else None
        if nested is not None and nested.any():
            row = int(np.argmax(nested))
            raise KitError(f"{path.name} row {row + 1}: {name} is a list or an object; expected a text or a number")
    return frame


def _of_text(path, missing, identifiers=None):
    """Returns the frame of a CSV or TSV file, its dialect found out."""
    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
        content = file.read()
    if not content.strip():
        raise KitError(f"{path}: empty; expected a heading and rows")
    start = content[:100_000].decode("utf-8-sig", errors="replace")
    line = next(each for each in split_lines(start) if each.strip())
    delimiter = max("\t,;|", key=line.count) if line.strip() else ","
    heading = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    heading = [each.strip() for each in heading]
    if len(heading) > _MOST_COLUMNS:
        raise KitError(f"{path}: {len(heading):,} columns; expected at most {_MOST_COLUMNS:,}")
    numbers = [each for each in heading if _NUMBER.fullmatch(each)]
    are_years = all(re.fullmatch("(18|19|20)\\d\\d", each) for each in numbers) and numbers == sorted(set(numbers))
    has_heading = not numbers or (are_years and len(numbers) < len(heading))
    if not has_heading:
        log.info("%s has no heading; its columns are called column1 to column%d", path.name, len(heading))
        heading = [f"column{number}" for number in range(1, len(heading) + 1)]
    _check_names(path, heading)
    options = {
        "sep": delimiter,
        "names": heading,
        "header": 0 if has_heading else None,
        "index_col": False,
        "skipinitialspace": True,
        "na_values": [*MISSING, *missing],
        "keep_default_na": False,
        "low_memory": False,
        "encoding": "utf-8-sig",
        "dtype": {name: str for name in heading if identifiers is not None and identifiers(name)},
    }
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            frame = pd.read_csv(io.BytesIO(content), **options)
        except pd.errors.ParserError as error:
            raise KitError(f"{path}: {_parser_said(error)}") from None
    is_cut = any(issubclass(each.category, pd.errors.ParserWarning) for each in told)
    if is_cut or (len(frame) and frame[heading[-1]].isna().any()):
        _check_lengths(path, content, delimiter, len(heading))
    return frame


def _parser_said(error):
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found:
        return f"line {found[2]} has {found[3]} columns; expected {found[1]} (a quote around a text is missing?)"
    return f"not a table ({' '.join(str(error).split())[:150]})"


def _check_lengths(path, content, delimiter, count):
    """Raises KitError for a row of other columns than the heading, which pandas cuts or fills up without a word."""
    lines = io.StringIO(content.decode("utf-8-sig"), newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        if row and len(row) != count and any(map(str.strip, row)):
            raise KitError(f"{path}: line {reader.line_num} has {len(row)} columns; expected {count}")


def _check_names(path, names):
    name = getattr(path, "name", path)
    for column in names:
        if not str(column).strip():
            raise KitError(f"{name}: column {names.index(column) + 1} has no name; expected one in the heading")
        if names.count(column) > 1:
            raise KitError(f"{name}: {names.count(column)} columns are called {column!r}; expected different names")


def _check_repeated_heading(frame, places):
    """Raises KitError for a row that repeats the heading, as files have that were put one behind the other."""
    is_heading = np.ones(len(frame), bool)
    for name, values in frame.items():
        is_heading &= (values.astype(object) == name).to_numpy() if _is_text(values) else False
        if not is_heading.any():
            return
    raise KitError(f"{places[int(np.argmax(is_heading))]}: repeats the heading; expected values")


def _check_finite(frame, places):
    for name, values in frame.items():
        if values.dtype.kind == "f" and np.isinf(values.to_numpy()).any():
            row = int(np.argmax(np.isinf(values.to_numpy())))
            raise KitError(f"{places[row]}: {name} is {values.iloc[row]}; expected a finite number, or nothing")


def _is_text(values):
    return not pd.api.types.is_bool_dtype(values) and (
        pd.api.types.is_string_dtype(values) or values.dtype == object or isinstance(values.dtype, pd.CategoricalDtype)
    )


def _typed_dates(frame):
    """Returns a frame whose Python dates, as Arrow has them, are dates of pandas, and its categories texts."""
    import datetime

    for name, values in frame.items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            frame = frame.assign(**{name: values.astype(object)})
        elif values.dtype == object and {isinstance(value, datetime.date) for value in values.dropna()} == {True}:
            frame = frame.assign(**{name: pd.to_datetime(values)})
    return frame


def _numbers_in(name, values, places):
    """Returns a column of texts as numbers where all of them are, whatever they are written with.

    Raises:
        KitError: most are numbers, and one is not.
    """
    if not _is_text(values):
        return values
    is_there = values.notna()
    texts = values[is_there].astype(str).str.strip()
    if not len(texts):
        return values
    kinds = texts.drop_duplicates()
    are_numbers = kinds.str.fullmatch(_NUMBER.pattern)
    share = float(np.mean(texts.isin(set(kinds[are_numbers]))))
    commas = kinds.str.contains(",", regex=False)
    if commas.any():
        for pattern, change in ((_THOUSANDS, _without_thousands), (_DECIMAL_COMMA, _with_point)):
            if kinds.str.fullmatch(pattern).all():
                example = kinds[commas].iloc[0]
                log.info("%s: %r is read as %s", name, example, change(pd.Series([example])).iloc[0])
                return _as_numbers(values, is_there, change(texts))
    if share == 1:
        return _as_numbers(values, is_there, texts)
    if share >= _MOSTLY:
        wrong = ~texts.isin(set(kinds[are_numbers]))
        row = int(texts.index[np.argmax(wrong)])
        text = texts.loc[row]
        expected = "a finite number, or nothing" if _INFINITE.fullmatch(text) else "a number, or nothing"
        raise KitError(
            f"{places[row]}: {name} is {text[:60]!a}; expected {expected}, as in {share:.1%} of the rows "
            "(data.missing names texts that mean nothing)"
        )
    return values


def _as_numbers(values, is_there, texts):
    found = np.full(len(values), np.nan)
    found[is_there.to_numpy()] = texts.astype("float64").to_numpy()
    return pd.Series(found, index=values.index)


def _without_thousands(texts):
    return texts.str.replace(",", "", regex=False)


def _with_point(texts):
    return texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)


def given(content, layout):
    """Returns the `Table` of what was given in Python: a table of pandas or Arrow, a dictionary of lists, or of splits.

    Args:
        content: What was given.
        layout: What is expected, for messages.
    """
    parts = {None: content}
    if isinstance(content, dict) and any(_is_table(each) or isinstance(each, dict) for each in content.values()):
        parts = by_split(content)
    found = []
    for name, part in parts.items():
        if hasattr(part, "to_pandas"):
            part = part.to_pandas()
        if isinstance(part, dict):
            try:
                part = pd.DataFrame(part)
            except ValueError as error:
                raise SettingError("source", f"{' '.join(str(error).split())[:150]}; expected {layout}") from None
        if not isinstance(part, pd.DataFrame):
            raise SettingError("source", f"got {type(part).__name__}; expected {layout}")
        frame = part.reset_index(drop=True)
        frame.columns = [str(each) for each in frame.columns]
        found.append((name, str(name or "data"), frame))
    return joined(found, "data")


def _is_table(content):
    return isinstance(content, pd.DataFrame) or hasattr(content, "to_pandas")


def column(frame, name, key, what):
    """Returns the name of a column that was asked for by name, or by number from 1 or from the end.

    Raises:
        SettingError: there is none.
    """
    names = list(frame.columns)
    if isinstance(name, int):
        if name == 0 or not -len(names) <= name <= len(names):
            raise SettingError(key, f"the table has {len(names)} columns, none is number {name}")
        return names[name - 1 if name > 0 else name]
    if name not in names:
        listed = ", ".join(names)
        listed = listed if len(listed) <= 200 else f"{listed[:200]} ..."
        raise SettingError(key, f"no column {name!r}{closest(str(name), names)}; expected {what}, one of: {listed}")
    return name
