"""Texts with a task in front, and what is to be written of them."""

import gzip
import json

import pytest

from kit.data import sources
from kit.data.sources import prefixed_files, prefixed_phrases
from kit.errors import KitError, SettingError

ROWS = [("shout", "one dog", "ONE DOG"), ("count words", "one: two", "2"), ("shout", "a b", "A B")]


def read(source, **options):
    module, origin = sources.find(source, "prefixed")
    return module.read(origin, **options)


def as_rows(found):
    return list(zip(found.columns["task"], found.sources, found.targets, strict=True))


EXPECTED = [(task, f"{task}: {text}", target) for task, text, target in ROWS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.tsv", "".join(f"{task}: {text}\t{target}\n" for task, text, target in ROWS)),
        ("three.tsv", "".join("\t".join(row) + "\n" for row in ROWS)),
        ("heading.tsv", "id\ttarget\ttask\ttext\n" + "".join(f"7\t{c}\t{a}\t{b}\n" for a, b, c in ROWS)),
        ("heading_2.tsv", "input\toutput\n" + "".join(f"{a}: {b}\t{c}\n" for a, b, c in ROWS)),
        ("colons.tsv", "".join(f"{a}:\t{b}\t{c}\r\n\n" for a, b, c in ROWS)),
        ("table.csv", "task,text,target\n" + "".join(",".join(row) + "\n" for row in ROWS)),
        (
            "rows.jsonl",
            "".join(json.dumps(dict(zip(("task", "text", "target"), row, strict=True))) + "\n" for row in ROWS),
        ),
        ("in_front.jsonl", "".join(json.dumps({"source": f"{a}: {b}", "target": c}) + "\n" for a, b, c in ROWS)),
    ],
)
def test_files(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert as_rows(read(tmp_path / name)) == EXPECTED
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    assert as_rows(read(tmp_path / f"{name}.gz")) == EXPECTED


def test_files_of_a_folder_are_mixed_in_each_split(tmp_path):
    for name, text in (
        ("shout.train.tsv", "shout: a\tA"),
        ("count.train.tsv", "count: a b\t2"),
        ("test.tsv", "x: a\tb"),
    ):
        (tmp_path / name).write_text(text)
    found = read(tmp_path)
    assert found.columns["task"] == ["count", "shout", "x"] and list(found.split) == ["train", "train", "test"]
    assert found.places == ["count.train.tsv:1", "shout.train.tsv:1", "test.tsv:1"]


def test_other_columns_are_kept(tmp_path):
    (tmp_path / "a.tsv").write_text("talk\ttext\ttarget\n7\tshout: a\tA\n")
    assert read(tmp_path / "a.tsv").columns == {"talk": ["7"], "task": ["shout"]}


def test_data_given_in_python():
    assert as_rows(read([("shout: one dog", "ONE DOG"), *ROWS[1:]])) == EXPECTED
    found = read({"train": ROWS, "test": [("shout: c", "C")]})
    assert list(found.split) == ["train"] * 3 + ["test"] and found.places[-1] == "test:0"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "shout: a\tA\nshout: b\n", "a.tsv:2: 1 columns between tabs; expected 'task: text' and a target"),
        ("a.tsv", "shout: a\tA\nshout: b\t\n", "a.tsv:2: the task 'shout' has no target here"),
        ("a.tsv", "shout: a\tA\njust b\tB\n", "a.tsv:2: 'just b' has no task; expected it in front, such as"),
        ("a.tsv", "shout: \tA\n", "a.tsv:1: 'shout:' has no task"),
        ("a.tsv", "a: b\tc\td\n", "a.tsv:1: the task 'a: b' has a colon"),
        ("a.tsv", "text\ttarget\na: b\tc\td\n", "a.tsv:2: 3 columns between tabs; expected 2 as in the heading"),
        ("a.tsv", "", "a.tsv: no sentences; expected rows of 'task: text'"),
        ("a.jsonl", '{"text": "shout: a"}', "a.jsonl:1: has no 'target'; expected {'task'"),
        ("a.jsonl", '{"text": "shout: a", "target": 3}', "a.jsonl:1: 3; expected texts"),
        ("a.jsonl", "[1]", "a.jsonl:1: has no 'text'"),
        ("a.jsonl", "{", "a.jsonl:1: not valid JSON"),
    ],
)
def test_rows_that_cannot_be_are_named_or_skipped(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(KitError) as error:
        read(tmp_path / name)
    assert message in str(error.value) and "\n" not in str(error.value)
    good = {"a.tsv": "x: y\tz\n", "a.jsonl": '{"text": "x: y", "target": "z"}\n'}[name]
    if content and not content.startswith("text\t"):
        (tmp_path / name).write_text(good + content)
        found = read(tmp_path / name, on_bad="skip")
        assert found.targets[0] == "z" and len(found.skipped) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("shout: a",)], "data: row:0: .*expected .'task: text', target."),
        ([("a", "b")], "data: row:0: 'a' has no task"),
        (
            {"train": [("shout: a", "A")], "test": [("shout: b", "")]},
            "data: test:0: the task 'shout' has no target here",
        ),
        ([], "data: no texts"),
    ],
)
def test_given_rows_that_cannot_be_are_refused(rows, message):
    with pytest.raises(KitError, match=message):
        read(rows)


def test_a_folder_without_training_files_is_refused(tmp_path):
    (tmp_path / "test.tsv").write_text("a: b\tc")
    with pytest.raises(KitError, match="no file with 'train' in its name"):
        read(tmp_path)
    with pytest.raises(SettingError, match="source: nothing to read in"):
        (tmp_path / "notes.txt").write_text("a")
        read(tmp_path / "notes.txt")


def test_generated_tasks_are_divided_and_told_apart_by_the_prefix_alone():
    first, second, other = (prefixed_phrases.read("phrases", num_texts=600, seed=seed) for seed in (0, 0, 1))
    assert first.sources == second.sources != other.sources
    tasks = set(first.columns["task"])
    assert tasks == {"translate English to German", "translate English to French", "language"}
    assert len(set(first.places)) == len(first.places)
    texts = list(zip(first.columns["task"], first.sources, first.split, strict=True))
    for task in tasks:
        by_split = {
            name: {text for own, text, split in texts if (own, split) == (task, name)} for name in ("train", "test")
        }
        assert len(by_split["train"]) > 100 and not by_split["train"] & by_split["test"]
    languages = {target for task, _, target in as_rows(first) if task == "language"}
    assert languages == {"English", "German", "French"}
    assert prefixed_files.checked(None, first.sources[0], "x")[0] is None
    with pytest.raises(SettingError, match="num_texts: expected 600 to 1000000, got 10"):
        prefixed_phrases.read("phrases", num_texts=10)
