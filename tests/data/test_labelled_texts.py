"""Labelled texts: tables of every dialect, folders, lists and tables in Python; refusals; cutting."""

import gzip

import numpy as np
import pandas as pd
import pytest

from kit.data import sources
from kit.data.labelled_texts import Lengths, text_examples, whole_texts
from kit.data.text_inputs import read_parts
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError


def read(source, **options):
    return sources.read(source, "texts", options)[0]


def rows(found):
    return list(zip(*found.parts, found.targets, strict=True))


TABLES = {
    "comma.csv": 'text,label\nHello there,en\n"Guten Tag, Welt",de\n',
    "semicolon.csv": "label;text\nen;Hello there\nde;Guten Tag, Welt\n",
    "tab.csv": "Text\tLabel\r\nHello there\ten\r\nGuten Tag, Welt\tde\r\n",
    "pipe.txt": "id|sentence|category\n1|Hello there|en\n2|Guten Tag, Welt|de\n",
    "quotes.tsv": "text\tlabel\nHello there\ten\nGuten Tag, Welt\tde\n",
    "bom.csv": '\ufefftext,label\nHello there,en\n"Guten Tag, Welt",de\n',
    "bare.tsv": "Hello there\ten\nGuten Tag, Welt\tde\n",
    "objects.jsonl": '{"text": "Hello there", "label": "en"}\n\n{"label": "de", "text": "Guten Tag, Welt"}\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_any_dialect(name, tmp_path):
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8")
    assert rows(read(tmp_path / name)) == [("Hello there", "en"), ("Guten Tag, Welt", "de")]


def test_a_gzipped_table(tmp_path):
    (tmp_path / "texts.csv.gz").write_bytes(gzip.compress(TABLES["comma.csv"].encode()))
    assert rows(read(tmp_path / "texts.csv.gz")) == [("Hello there", "en"), ("Guten Tag, Welt", "de")]


def test_a_text_of_several_lines_is_one_row(tmp_path):
    path = tmp_path / "mails.csv"
    path.write_text('text,label\n"Dear all,\nthe meeting\nis off.",work\nBuy now,spam\n', encoding="utf-8")
    found = read(path)
    assert rows(found) == [("Dear all,\nthe meeting\nis off.", "work"), ("Buy now", "spam")]
    assert found.places == ["mails.csv:2", "mails.csv:5"]


def test_columns_by_name_and_number(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("mail,kind,stars\nHello,a,5\nBye,b,1\n", encoding="utf-8")
    assert rows(read(path, text="mail", target="kind")) == [("Hello", "a"), ("Bye", "b")]
    found = read(path, text="mail", target="stars")
    assert rows(found) == [("Hello", "5"), ("Bye", "1")] and found.columns == {"kind": ["a", "b"]}
    bare = tmp_path / "bare.csv"
    bare.write_text("x1,a,Hello\nx2,b,Bye\n", encoding="utf-8")
    assert rows(read(bare, text=-1, target=2)) == [("Hello", "a"), ("Bye", "b")]


def test_without_a_heading_the_longest_is_the_text(tmp_path):
    path = tmp_path / "cola.tsv"
    lines = [
        "gj04\t1\t\tThe sailors rode the breeze.",
        "gj05\t0\t*\tThe box contained of balls.",
        "gj06\t1\t\tIt rained.",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read(path)
    assert found.targets == ["1", "0", "1"] and found.texts[0] == "The sailors rode the breeze."


def test_pairs(tmp_path):
    path = tmp_path / "rte.tsv"
    path.write_text("index\tsentence1\tsentence2\tlabel\n0\tIt rains.\tIt is wet.\tyes\n1\tIt is dry.\tIt rains.\tno\n")
    assert rows(read(path)) == [("It rains.", "It is wet.", "yes"), ("It is dry.", "It rains.", "no")]


def test_a_folder_of_tables_has_their_splits(tmp_path):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name} one,a\n{name} two,b\n")
    found = read(tmp_path)
    assert list(found.split) == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    path = tmp_path / "train.csv"
    path.write_text("text,label,split\none,a,train\ntwo,b,val\n")
    assert list(read(path).split) == ["train", "validation"]


def test_a_folder_for_each_class(tmp_path):
    for label, text in (("neg", "Bad."), ("pos", "Good\nfilm.")):
        (tmp_path / "all" / label).mkdir(parents=True)
        (tmp_path / "all" / label / "1.txt").write_text(text)
        for part in ("train", "test"):
            (tmp_path / "split" / part / label).mkdir(parents=True)
            (tmp_path / "split" / part / label / "1.txt").write_text(f"{text} {part}")
    assert rows(read(tmp_path / "all")) == [("Bad.", "neg"), ("Good film.", "pos")]
    found = read(tmp_path / "split")
    assert list(found.split) == ["train", "train", "test", "test"] and found.targets == ["neg", "pos"] * 2


def test_given_in_python():
    pairs = [("Hello", "en"), ("Hallo", "de")]
    assert rows(read(pairs)) == pairs
    table = pd.DataFrame({"mail": ["Hello", "Hallo"], "kind": [1, 2]})
    assert rows(read(table, text="mail", target="kind")) == [("Hello", "1"), ("Hallo", "2")]
    found = read({"train": pairs, "test": [("Bye", "en")]})
    assert list(found.split) == ["train", "train", "test"]
    assert rows(read([("It rains.", "It is wet.", True)])) == [("It rains.", "It is wet.", "True")]


def test_an_arrow_table():
    import pyarrow  # which tensorflow-datasets needs

    table = pyarrow.table({"text": ["Hello", "Hallo"], "label": ["en", "de"]})
    assert rows(read(table)) == [("Hello", "en"), ("Hallo", "de")]


REFUSED = {
    "empty text": ("text,label\nHello,a\n,b\n", {}, "2.csv:3: an empty text; expected a text"),
    "empty label": ("text,label\nHello,a\nBye,\n", {}, "2.csv:3: an empty label; expected a label"),
    "side missing": ("sentence1,sentence2,label\nHi,,a\n", {}, "an empty sentence2; expected the second text"),
    "too many columns": ("text,label\nHello, you,a\n", {}, "2.csv:2: 3 columns; expected 2"),
    "million": (f"text,label\n{'a' * 1_000_000},x\n", {}, "2.csv:2: 1,000,000 characters; expected at most 100,000"),
    "not UTF-8": (b"text,label\nHall\xf6,a\n", {}, "2.csv:2: not UTF-8"),
    "no such column": (
        "text,label\nHello,a\n",
        {"target": "lable"},
        "target: .* no column 'lable'; did you mean 'label'",
    ),
    "no such number": ("text,label\nHello,a\n", {"text": 3}, "text: 2.csv has 2 columns, none is number 3"),
    "split": ("text,label,split\nHello,a,tset\n", {}, "split 'tset'; expected train"),
    "empty file": ("", {}, "no column of texts"),
    "one column": ("Hello\nBye\n", {}, "no column of targets"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    content, options, said = REFUSED[name]
    path = tmp_path / "2.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((KitError, SettingError), match=said) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)


def test_bad_rows_are_skipped_where_asked(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\nHello,a\n,b\nBye,b\n")
    found = read(path, on_bad="skip")
    assert rows(found) == [("Hello", "a"), ("Bye", "b")] and found.skipped == [
        "texts.csv:3: an empty text; expected a text"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("Hello",)], r"text:0: .*'Hello',.*; expected \(text, label\)"),
        ([("Hello", "a"), ("", "b")], "text:1: ''; expected a text that is not empty"),
        ([("Hello", float("nan"))], "text:0: an empty label"),
        ([("Hello", "a"), ("One", "two", "b")], "no second text, which others have"),
        ({"test": [("Hello", "a")]}, "no training texts"),
        (7, "got int"),
    ],
    ids=str,
)
def test_what_cannot_be_given(given, said):
    with pytest.raises((KitError, SettingError), match=said):
        read(given)


def test_generated_phrases_are_of_one_language_each():
    found, again = read("languages", num_texts=600, seed=3), read("languages", num_texts=600, seed=3)
    assert rows(found) == rows(again) and len(set(found.texts)) == 600
    assert len(set(found.targets)) == 12 and min(found.targets.count(name) for name in set(found.targets)) >= 40


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.learn(["a b c d e f g h"] * 3, kind="word", vocabulary_size=30, min_count=1)


def test_texts_begin_and_end(tokenizer):
    examples, _, cut = text_examples([["a b", "c"]], tokenizer, Lengths(16), {"label": np.arange(2)})
    arrays = examples.arrays(np.arange(2))[0]
    a, b, c = (tokenizer.encode([each])[0][-1] for each in "abc")
    start, end = tokenizer.start_id, tokenizer.end_id
    assert cut == 0 and arrays["ids"][0].tolist()[0] == start and arrays["ids"][0].tolist()[-1] == end
    assert {a, b} <= set(arrays["ids"][0].tolist()) and c in arrays["ids"][1]
    assert "segments" not in arrays


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("a b c d e f g h", "a", (7, 1)),
        ("a", "a b c d e f g h", (1, 7)),
        ("a b c d e f g h", "a b c d e f g h", (4, 4)),
    ],
)
def test_of_a_pair_the_longer_is_cut_first(tokenizer, first, second, kept):
    lengths = [len(tokenizer.encode([each])[0]) for each in (first, second)]
    examples, _, cut = text_examples([[first], [second]], tokenizer, Lengths(11))
    arrays = examples.arrays(np.arange(1))[0]
    ids, segments = arrays["ids"][0], arrays["segments"][0]
    assert len(ids) == len(segments) == 11 if sum(lengths) > 8 else len(ids) == sum(lengths) + 3
    assert cut == (sum(lengths) > 8)
    assert (ids == tokenizer.end_id).sum() == 2 and ids[-1] == tokenizer.end_id
    assert (segments == 1).sum() - 1 == min(lengths[1], max(8 - lengths[0], 4))


@pytest.mark.parametrize(("stride", "starts"), [(3, [0, 3, 4]), (100, [0, 4]), (1, [0, 1, 2, 3, 4])])
def test_long_texts_are_read_in_windows(tokenizer, stride, starts):
    text = " ".join("abcdefgh" * 2)
    tokens = tokenizer.encode([text])[0]
    room = len(tokens) - 4
    lengths = Lengths(room + 2, min(stride, room + 2))
    examples, numbers, longer = text_examples(
        [["a b", text]], tokenizer, lengths, {"label": np.array([0, 1])}, {"number": np.array([1.5, 2.5])}
    )
    assert longer == 1 and numbers.tolist() == [0] + [1] * len(starts)
    found = [ids[1:-1].tolist() for ids in examples.input("ids")[1:]]
    assert found == [tokens[start : start + room] for start in starts]
    assert examples.target("label").tolist() == numbers.tolist() and examples.extra("text")[2] == text
    outputs = np.arange(len(numbers) * 2.0).reshape(-1, 2)
    whole, means = whole_texts(examples, outputs)
    assert whole.extra("number").tolist() == [1.5, 2.5] and whole.extra("text").tolist() == ["a b", text]
    np.testing.assert_allclose(means, [outputs[0], outputs[1:].mean(0)])


def test_of_a_pair_the_longer_is_read_in_windows(tokenizer):
    first, second = "a b", " ".join("abcdefgh" * 2)
    short, long = (tokenizer.encode([each])[0] for each in (first, second))
    room = len(short) + 6
    examples, numbers, _ = text_examples([[first, second], [second, first]], tokenizer, Lengths(room + 3, 6))
    seen = [set(), set()]
    for ids, segments, number in zip(examples.input("ids"), examples.input("segments"), numbers, strict=True):
        sides = [ids[segments == side].tolist() for side in (0, 1)]
        sides = [[each for each in side if each not in (tokenizer.start_id, tokenizer.end_id)] for side in sides]
        assert sides[number] == list(short) and len(sides[1 - number]) == 6
        seen[number].add(tuple(sides[1 - number]))
    assert (
        seen[0] == seen[1] == {tuple(long[start : start + 6]) for start in (*range(0, len(long) - 6, 6), len(long) - 6)}
    )


def test_texts_that_a_user_gives(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("One.\n\nTwo.\tTwo again.\n", encoding="utf-8")
    assert read_parts("One.\nTwo.\n", 1) == [["One.", "Two."]]
    assert read_parts([path], 1) == [["One.", "Two.\tTwo again."]]
    assert read_parts([("One.", "Two.")], 2) == read_parts("One.\tTwo.", 2) == [["One."], ["Two."]]
    for inputs, count, said in (
        (["One.", " "], 1, "inputs: text 2 is empty"),
        ([path], 2, "lines.txt:1: 1 texts; expected 2, with a tab between"),
        ([("One.", "")], 2, "inputs: 1: an empty text; expected two texts"),
        ([], 1, "inputs: no texts"),
    ):
        with pytest.raises(KitError, match=said):
            read_parts(inputs, count)


@pytest.fixture
def tiny_tfds(tmp_path, monkeypatch):
    """A data set of tensorflow-datasets with pairs of texts, a class, and a number as text."""
    import tensorflow_datasets as tfds

    class LabelledPairs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {name: tfds.features.Text() for name in ("premise", "hypothesis", "genre")}
            features["label"] = tfds.features.ClassLabel(names=["no", "yes"])
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(0), "test": self._generate_examples(10)}

        def _generate_examples(self, first):
            for row in range(first, first + 4):
                label = -1 if row == 13 else row % 2
                yield row, {"premise": f"p {row}", "hypothesis": f"h {row}", "genre": "ab"[row % 2], "label": label}

    builder = LabelledPairs(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)


def test_tfds(tiny_tfds):
    found = read("tfds:tiny")
    assert len(found.texts) == 7 and found.split.tolist().count("test") == 3  # a secret label is left out
    assert sorted(found.texts[:4]) == ["p 0", "p 1", "p 2", "p 3"] and set(found.targets) == {"no", "yes"}
    assert all(first[2:] == second[2:] for first, second in zip(*found.parts, strict=True))
    plain, _ = sources.documents("tfds:tiny")
    assert sorted(plain.texts) == [f"p {row}" for row in (0, 1, 10, 11, 12, 13, 2, 3)]
    assert plain.split.tolist() == ["train"] * 4 + ["test"] * 4
    assert plain.places[0] == "tfds:tiny:train:0"
    alone = read("tfds:tiny", text="hypothesis", target="genre")
    assert alone.second is None and set(alone.targets) == {"a", "b"} and len(alone.texts) == 8
    with pytest.raises(SettingError, match="target: unknown name 'lable'; did you mean 'label'"):
        read("tfds:tiny", target="lable")
