"""Tables: dialects, numbers as files write them, and what is refused in one line."""

import gzip

import numpy as np
import pandas as pd
import pytest

from kit.data.sources import GivenData, bundled_tables, find, given_tables, tables
from kit.errors import KitError, SettingError


def written(folder, text, name="rows.csv"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("a,b\n1,x\n2,y\n", "rows.csv", {"a": [1, 2], "b": ["x", "y"]}),
        ("a;b\n1,5;x\n2,5;y\n", "rows.csv", {"a": [1.5, 2.5], "b": ["x", "y"]}),
        ("a;b\n1.234,5;x\n2;y\n", "rows.csv", {"a": [1234.5, 2], "b": ["x", "y"]}),
        ('a,b\n"1,234",x\n"12,345.5",y\n', "rows.csv", {"a": [1234, 12345.5], "b": ["x", "y"]}),
        ("a\tb\n1\tx\n\t?\n", "rows.tsv", {"a": [1, None], "b": ["x", None]}),
        ("a, b\n1, x\n2, NA\n", "rows.txt", {"a": [1, 2], "b": ["x", None]}),
        ("a|b\n1|x\n2|y\n", "rows.csv.gz", {"a": [1, 2], "b": ["x", "y"]}),
        ('\ufeffa,b\n1,"x,\ny"\n', "rows.csv", {"a": [1], "b": ["x,\ny"]}),
        ('{"a": 1, "b": "x"}\n{"a": 2}\n', "rows.jsonl", {"a": [1, 2], "b": ["x", None]}),
        ("1.5,x\n2.5,y\n", "rows.csv", {"column1": [1.5, 2.5], "column2": ["x", "y"]}),
        ("name,1990,2000\nx,1,2\n", "rows.csv", {"name": ["x"], "1990": [1], "2000": [2]}),
    ],
)
def test_a_table_of_any_dialect(tmp_path, text, name, expected):
    frame = tables.read(written(tmp_path, text, name)).frame
    assert list(frame.columns) == list(expected)
    for column, values in expected.items():
        found = [None if value != value else value for value in frame[column]]
        assert found == values


def test_typed_files_and_tables_of_python_are_read_alike(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", None], "c": pd.to_datetime(["2026-01-01", "2026-02-01"])})
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_feather(tmp_path / "rows.feather")
    found = [tables.read(tmp_path / name) for name in ("rows.parquet", "rows.feather")]
    found.append(given_tables.read(GivenData(frame)))
    for table in found:
        pd.testing.assert_frame_equal(table.frame.astype(frame.dtypes), frame)
    lists = given_tables.read(GivenData({"a": [1, 2], "b": ["x", "y"]}))
    assert lists.frame["a"].tolist() == [1, 2] and lists.split is None
    parts = given_tables.read(GivenData({"train": frame, "test": frame[:1]}))
    assert parts.split.tolist() == ["train", "train", "test"]


def test_a_folder_has_a_table_for_each_split_and_a_column_may_say_it(tmp_path):
    for name in ("train", "test"):
        written(tmp_path, "a,b\n1,x\n2,y\n", f"{name}.csv")
    table = tables.read(tmp_path)
    assert table.split.tolist() == ["train", "train", "test", "test"]
    assert table.places[2] == "test.csv row 1"
    own = tables.read(written(tmp_path, "a,split\n1,train\n2,dev\n", "one.csv"))
    assert own.split.tolist() == ["train", "validation"] and list(own.frame) == ["a"]


def test_names_of_rows_go_by_their_values_not_by_the_order_of_columns(tmp_path):
    one = tables.read(written(tmp_path, "a,b\n1,x\n2,y\n"))
    other = tables.read(written(tmp_path, "b,a\nx,1\ny,2\n"))
    changed = tables.read(written(tmp_path, "a,b\n1,x\n2,z\n"))
    assert one.names == other.names and one.names[1] != changed.names[1]


MANY = "a,b\n" + "1,2\n" * 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; expected a heading and rows"),
        ("a,b\n", "no rows"),
        ("a,a\n1,2\n", "2 columns are called 'a'"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ("a,b\n1,2,3\n", "line 2 has 3 columns; expected 2"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 columns; expected 2"),
        ("a,b,c\n1,2\n1,2,3\n", "line 2 has 2 columns; expected 3"),
        ("a,b\n1,2\na,b\n3,4\n", "row 2: repeats the heading"),
        (f"{MANY}x,2\n", "row 31: a is 'x'; expected a number, or nothing, as in 96.8% of the rows"),
        (f"{MANY}inf,2\n", "row 31: a is inf; expected a finite number"),
        (f"{MANY}-Infinity,2\n", "row 31: a is -inf; expected a finite number"),
        ("a,split\n1,train\n2,never\n", "row 2: split 'never'"),
        ("a,b\n" + ",".join("1" * 3) + "\n", "columns; expected 2"),
        (",".join(f"c{number}" for number in range(10_001)) + "\n", "10,001 columns; expected at most 10,000"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(KitError) as error:
        tables.read(written(tmp_path, text))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_damaged_and_unlike_files_are_named(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    (tmp_path / "rows.parquet").write_bytes(b"nothing")
    (tmp_path / "rows.csv.gz").write_bytes(b"nothing")
    (tmp_path / "nested.jsonl").write_text('{"a": [1]}\n')
    for name, said in (
        ("rows.csv", "not UTF-8"),
        ("rows.parquet", "cannot be read"),
        ("rows.csv.gz", "damaged"),
        ("nested.jsonl", "row 1: a is a list"),
    ):
        with pytest.raises(KitError, match=said):
            tables.read(tmp_path / name)
    folder = tmp_path / "parts"
    folder.mkdir()
    written(folder, "a,b\n1,2\n", "train.csv")
    written(folder, "a,c\n1,2\n", "test.csv")
    with pytest.raises(KitError, match="test.csv: has no column 'b', unlike train.csv"):
        tables.read(folder)
    for content in (["x"], {"a": [1], "b": [1, 2]}, "nothing"):
        with pytest.raises((SettingError, KitError)) as error:
            given_tables.read(GivenData(content))
        assert "\n" not in str(error.value)


def test_a_text_among_dates_of_python_is_not_made_nothing():
    import datetime

    values = [datetime.date(2026, 1, 31), "soon"]
    assert given_tables.read(GivenData(pd.DataFrame({"day": values}))).frame["day"].tolist() == values


def test_texts_that_mean_nothing_may_be_named(tmp_path):
    path = written(tmp_path, f"{MANY}-,2\n")
    assert np.isnan(tables.read(path, missing=("-",)).frame["a"].iloc[-1])


@pytest.mark.parametrize("name", bundled_tables.NAMES)
def test_small_tables_come_with_the_kit(name):
    module, origin = find(name, "tables")
    table = module.read(origin)
    assert list(table.frame)[-1] == "target" and len(set(table.names)) == len(table.places) > 100


def test_columns_are_found_by_name_or_number():
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert [tables.column(frame, name, "target", "a column") for name in ("a", 1, -1)] == ["a", "a", "b"]
    for name, said in (("c", "no column 'c'"), (0, "none is number 0"), (3, "none is number 3")):
        with pytest.raises(SettingError, match=said):
            tables.column(frame, name, "target", "a column")
