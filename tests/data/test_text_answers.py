"""Answers to texts: which of one label, several or a number a source has, how each is read, and what is refused."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from kit.data import sources
from kit.data.text_answers import AnswerOptions, answers_of, balanced, check_learned, standardised
from kit.errors import KitError, SettingError


def answered(source, answer="auto", separator=None, **options):
    found, origin = sources.read(source, "texts", options | {"answer": answer})
    return answers_of(found, AnswerOptions(answer, separator), origin)


def lists(answers):
    """Returns the labels of each text."""
    return [[answers.names[column] for column in np.flatnonzero(row)] for row in answers.values]


JOINED = [("one", "a;b"), ("two", "b;c"), ("three", "a"), ("four", "a;c"), ("five", "a;b;c"), ("six", "c")]
FLAGS = "text,toxic,rude,note\nHello,0,0,x\nFool,1,1,y\nHm,0,1,z\nGo,1,0,w\n"

AUTO = {
    "classes": ([("one", "a"), ("two", "b")], "label", "one label, since there are 2 different labels"),
    "whole numbers": ([(str(row), row % 3) for row in range(9)], "label", "there are 3 different whole numbers"),
    "decimals": ([("one", 1.5), ("two", 2), ("three", 3)], "number", "a number, since 3 of 3 are numbers"),
    "lists": ([("one", ["a"]), ("two", []), ("three", ("b", "a"))], "labels", "since the labels are lists"),
    "joined": (JOINED, "labels", "6 different ones are made of 3 with ';' between them"),
    "towns": ([("one", "York, NY"), ("two", "Troy, NY")] * 2, "label", "2 different labels"),
}


@pytest.mark.parametrize("name", AUTO)
def test_what_is_answered_is_told_by_the_data_and_said(name, caplog):
    source, kind, said = AUTO[name]
    with caplog.at_level(logging.INFO, "kit"):
        assert answered(source).kind == kind
    assert "data.answer=auto: " in caplog.text and said in caplog.text


def test_what_is_stated_is_taken(caplog):
    whole = [("one", "1"), ("two", "2"), ("three", "7")]
    with caplog.at_level(logging.INFO, "kit"):
        assert answered(whole, "number").values.tolist() == [1, 2, 7]
        assert answered([("one", "1.5"), ("two", "2.5")] * 3, "label").names == ["1.5", "2.5"]
        assert lists(answered([("one", "York, NY"), ("two", "NY")] * 2, "labels"))[:2] == [["NY", "York"], ["NY"]]
    assert "data.answer" not in caplog.text


def test_labels_of_a_table(tmp_path):
    path = tmp_path / "joined.csv"
    path.write_text("text,labels\nHello,a | b\nBye,\nWhy,b|c|b\nHm,c\n")
    found = answered(path, "labels")
    assert found.names == ["a", "b", "c"] and found.separator == "|"
    assert lists(found) == [["a", "b"], [], ["b", "c"], ["c"]]
    (tmp_path / "commas.tsv").write_text("text\tlabels\nHello\ta,b\nBye\tb\nWhy\tc;d\nOh\ta\nHm\tc;d\nNo\ta\n")
    assert answered(tmp_path / "commas.tsv", separator=",").names == ["a", "b", "c;d"]


@pytest.mark.parametrize("name", ["flags.csv", "flags.jsonl", "table"])
def test_labels_in_columns_of_their_own(name, tmp_path):
    (tmp_path / "flags.csv").write_text(FLAGS)
    table = pd.read_csv(tmp_path / "flags.csv")
    (tmp_path / "flags.jsonl").write_text("\n".join(map(json.dumps, table.to_dict("records"))))
    source = table if name == "table" else tmp_path / name
    found = answered(source, target="toxic, rude")
    assert found.kind == "labels" and found.names == ["toxic", "rude"]
    assert lists(found) == [[], ["toxic", "rude"], ["rude"], ["toxic"]]
    if name == "flags.csv":
        assert sources.read(source, "texts", {"target": "toxic,rude"})[0].columns == {"note": list("xyzw")}


def test_lists_in_json_lines_and_tables(tmp_path):
    rows = [{"text": "one", "labels": ["b", "a"]}, {"text": "two", "labels": []}, {"text": "three", "labels": [1]}]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    expected = [["a", "b"], [], ["1"]]
    assert lists(answered(tmp_path / "lists.jsonl")) == lists(answered(pd.DataFrame(rows))) == expected
    import pyarrow  # which tensorflow-datasets needs

    table = pyarrow.table({"text": ["one", "two"], "labels": [["a"], ["a", "b"]]})
    assert lists(answered(table)) == [["a"], ["a", "b"]]


REFUSED = {
    "no label at all": ("text,label\nHello,\nBye,\n", {"answer": "labels"}, "no text has a label"),
    "empty": ("text,label\nHello,\n", {}, r"2.csv:2: an empty label; .*\(data.answer=labels takes a text without any"),
    "one class": ("text,label\nHello,a\nBye,a\n", {}, "only one class, 'a'"),
    "word": ("text,score\nHello,1.5\nBye,2.5\nWhy,high\n", {}, "2.csv:4: 'high'; expected a finite number"),
    "NaN": ("text,score\nHello,1.5\nBye,nan\n", {"answer": "number"}, "2.csv:3: 'nan'; expected a finite number"),
    "infinite": ("text,score\nHello,1e999\nBye,1\n", {"answer": "number"}, "2.csv:2: '1e999'; expected a finite"),
    "one number": ("text,score\nHello,1.5\nBye,1.5\n", {}, "every number is 1.5; expected at least two"),
    "same labels": ("text,labels\nHello,a;b\nBye,b;a\n", {"answer": "labels"}, "every text has the same labels"),
    "no flag": ("text,a,b\nHello,0,1\nBye,2,1\n", {"target": "a,b"}, "2.csv:3: column a: '2'; expected 0 or 1"),
    "no column": (FLAGS, {"target": "toxic,rud"}, "target: 2.csv has no column 'rud'; did you mean 'rude'"),
    "two separators": ("text,y\na,b;c\nd,e|f\n", {"answer": "labels"}, "separator: ';' and '|' stand in the labels"),
    "separator of a number": ("text,y\na,1.5\n", {"answer": "number", "separator": ";"}, "separator: expected none"),
    "separator of columns": (FLAGS, {"target": "toxic,rude", "separator": ";"}, "separator: expected none"),
    "columns of a number": (FLAGS, {"target": "toxic,rude", "answer": "number"}, "answer: .*expected 'labels'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    content, options, said = REFUSED[name]
    path = tmp_path / "2.csv"
    path.write_text(content)
    with pytest.raises((KitError, SettingError), match=said) as caught:
        answered(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("one", ["a", None])], "text:0: None in a list of labels"),
        ([("one", ["a"]), ("two", "b")], "text:1: 'b'; expected a list, as others have"),
        ([("one", {"a": 1})], "text:0: .*; expected a label, a list of labels or a number"),
        ([("one", float("inf")), ("two", 1.5)] * 2, "text:0: 'inf'; expected a finite number"),
        ([("one", ["a;b", "c,d", "e|f"]), ("two", [])] * 2, "labels hold ; and , and |"),
    ],
    ids=str,
)
def test_what_cannot_be_given(given, said):
    with pytest.raises((KitError, SettingError), match=said):
        answered(given)


def test_a_label_that_training_lacks_is_refused():
    for answer in (["a", "a", "b"], [["a"], [], ["b"]]):
        found = answered(list(zip(["one", "two", "three"] * 2, answer * 2, strict=True)))
        split = np.array(["train", "train", "test"] * 2, object)
        with pytest.raises(KitError, match="no training text has the label 'b', which the test split has"):
            check_learned(found, split, "texts.csv")
        split[2] = "train"
        assert check_learned(found, split, "texts.csv") is None


def test_numbers_are_standardised_by_those_of_training():
    numbers, rows = np.array([1e9 + 1, 1e9 + 3, 1e9 + 5, 0]), np.array([True, True, True, False])
    values, assets = standardised(numbers, rows)
    np.testing.assert_allclose(values[:3, 0], [-(1.5**0.5), 0, 1.5**0.5], rtol=1e-6)
    assert assets == {"mean": 1e9 + 3, "deviation": pytest.approx((8 / 3) ** 0.5)} and values.dtype == "float32"
    for bad in ([2.0, 2.0, 2.0, 0.0], [1e308, -1e308, 1e308, 0.0]):
        with pytest.raises(KitError, match="expected several different, finite ones"):
            standardised(np.array(bad), rows)


def test_rare_labels_count_more():
    found = answered([("one", ["a"]), ("two", ["a", "b"]), ("three", ["a"]), ("four", [])])
    assert balanced(found, np.ones(4, bool)).tolist() == pytest.approx([1 / 3, 3])
