"""Text files: one rule of line ends for all that reads them, rows that cannot be read, and a spreadsheet's quotes."""

import ast
import gzip
from pathlib import Path

import pytest

import kit
from kit.data import text_inputs
from kit.data.sources import pair_files, tagged_files, text_files
from kit.errors import KitError

# What Python's `splitlines` ends a line at, but no line ends in.
INSIDE = "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("is_closed", [True, False])
@pytest.mark.parametrize("inside", INSIDE)
def test_a_line_ends_in_a_line_feed_and_in_nothing_else(tmp_path, end, is_closed, inside):
    rows = [f"one{inside}two", "three", "", "four"]
    text = end.join(rows) + end * is_closed
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert text_files.split_lines(text)[: len(rows)] == rows
    for name in ("a.txt", "a.txt.gz"):
        assert [line for _, line in text_files.lines(tmp_path / name)] == rows
        assert text_inputs.read_lines(tmp_path / name)[0] == rows
        assert len(text_inputs.read_sentences([tmp_path / name], tokenized=True)[0]) == len(rows)
    assert text_inputs.read_lines(text)[0][: len(rows)] == rows
    assert [each for each in text_inputs.read_sentences(text)[0] if each][-2:] == [["three"], ["four"]]

    def write(name, content):
        (tmp_path / name).write_bytes(content.encode())
        return tmp_path / name

    word = f"a{inside}b"
    columns = [f"{word} B-X", "c O", "", "d O"]
    assert tagged_files.read(write("a.conll", end.join(columns) + end * is_closed)).words == [[word, "c"], ["d"]]
    row = [f"1\t{word}\t_\tNOUN" + "\t_" * 6, "", "1\tc\t_\tNOUN" + "\t_" * 6]
    assert tagged_files.read(write("a.conllu", end.join(row) + end * is_closed)).words == [[word], ["c"]]
    pairs = pair_files.read(write("a.tsv", end.join([f"{word}\tx", "c\ty"]) + end * is_closed))
    assert pairs.sources == [word, "c"]
    write("a.de", end.join(["x", "y"]) + end * is_closed)
    pairs = pair_files.read(write("a.en", end.join([word, "c"]) + end * is_closed))
    assert (pairs.sources, pairs.targets) == ([word, "c"], ["x", "y"])
    if ord(inside) > 31:  # JSON has no control characters
        objects = [f'{{"en": "{word}", "de": "x"}}'] * 2
        assert pair_files.read(write("a.jsonl", end.join(objects) + end * is_closed)).sources == [word] * 2


def test_nothing_that_reads_data_or_inputs_has_a_rule_of_its_own():
    folder = Path(kit.__file__).parent
    readers = [*(folder / "data").rglob("*.py"), *(folder / "tasks").glob("*.py"), folder / "commands" / "predict.py"]
    for path in readers:
        if path.name == "memory.py":  # files of the system, which has no other
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            assert name not in ("splitlines", "read_text", "readlines", "loadtxt"), f"{path}:{node.lineno}"
            if name == "open" and path.name not in ("image.py", "image_csv.py"):  # pixels, and `csv` itself
                modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
                assert {"rb", "wb"} & {*modes}, f"{path}:{node.lineno}: text is read by `text_files.lines`"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # What a spreadsheet has quoted: every field with a quote, and one with a quote inside.
        (['"he said ""hi"""\thallo', "ho\tho"], [['he said "hi"', "hallo"], ["ho", "ho"]]),
        (['"a"\t"b"', '"c"\t"d"'], [["a", "b"], ["c", "d"]]),
        (['""""\tO', "x\tO"], [['"', "O"], ["x", "O"]]),
        # Quotes of the texts themselves.
        (['"Hi," he said.\t"Hallo", sagte er.'], [['"Hi," he said.', '"Hallo", sagte er.']]),
        (['"Hi"\thallo', "ho\tho"], [['"Hi"', "hallo"], ["ho", "ho"]]),
        (['"\tO', "x\tO"], [['"', "O"], ["x", "O"]]),
        (['"a ""b"""\tx', 'c" d\ty'], [['"a ""b"""', "x"], ['c" d', "y"]]),
    ],
)
def test_quotes_of_a_spreadsheet(tmp_path, rows, expected):
    assert list(map(text_files.splitter(tmp_path / "a.tsv", rows), rows)) == expected


def test_rows_that_are_left_out_are_listed(tmp_path, caplog):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\xff\nthree\n")
    bad = text_files.BadRows("skip")
    assert list(text_files.lines(path, bad)) == [(1, "one"), (2, None), (3, "three")]
    with caplog.at_level("INFO", "kit"):
        assert bad.told() == ["a.txt:2: not UTF-8 (invalid start byte); expected UTF-8 text"]
    assert "1 rows that cannot be read are skipped: a.txt:2" in caplog.text
    with pytest.raises(KitError, match=r"a\.txt:2: not UTF-8"):
        list(text_files.lines(path))
    with pytest.raises(KitError, match=r"no sentences; expected x; of 1 bad rows the first: a\.txt:2"):
        bad.check_any(path, 0, "x")


def test_texts_to_predict_that_are_tables_or_objects(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\\u2028two"}\n\n{"source": "three", "target": "drei"}\n')
    assert text_inputs.read_lines(path) == (["one\u2028two", "three"], [f"{path}:1", f"{path}:3"])
    path.write_text('{"en": "one"}\n')
    with pytest.raises(KitError, match=r"a\.jsonl:1: expected {'text': '...'} or {'source': '...'}"):
        text_inputs.read_lines(path)
    table = tmp_path / "a.tsv"
    table.write_text("one\ntwo\tzwei\n")
    with pytest.raises(KitError, match=r"a\.tsv:2: columns between tabs; expected a sentence alone"):
        text_inputs.read_lines(table)
    whole = tmp_path / "a.json"
    whole.write_text('[{"text": "one"}]')
    for reader in (text_inputs.read_lines, text_inputs.read_sentences):
        with pytest.raises(KitError, match=r"a\.json: JSON; expected a text .* or a \.jsonl"):
            reader(whole)
