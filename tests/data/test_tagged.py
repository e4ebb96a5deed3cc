"""Sources of tagged sentences: files, generated phrases, tensorflow-datasets."""

import gzip
import json

import numpy as np
import pytest

from kit.data import sources, tags
from kit.data.sources import phrases, tagged_files, tagged_tfds
from kit.errors import KitError, SettingError

CONLL = "Maria B-PER\nflew O\nto O\nOslo B-LOC\n\n-DOCSTART- O\n\nHi O\n! O\n\n"
CONLLU = (
    "# text = vámonos al mar\n"
    "1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tvamos\tir\tVERB\tV\t_\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_\n"
    "2.1\tfue\tir\tAUX\tA\t_\t_\t_\t_\t_\n"
    "3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "3\ta\ta\tADP\tE\t_\t5\tcase\t_\t_\n"
    "4\tel\tel\tDET\tD\t_\t5\tdet\t_\t_\n"
    "5\tmar\tmar\tNOUN\tN\t_\t1\tobl\t_\t_\n"
    "\n"
)


def write(path, text):
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.conll.gz"])
def test_columns(tmp_path, name):
    found = tagged_files.read(write(tmp_path / name, CONLL))
    assert found.words == [["Maria", "flew", "to", "Oslo"], ["Hi", "!"]]
    assert found.tags == [["B-PER", "O", "O", "B-LOC"], ["O", "O"]]
    assert found.places == [f"{name}:1", f"{name}:8"]
    assert found.place(0, 3) == f"{name}:4"
    assert found.split is None


def test_columns_between_tabs_may_hold_spaces(tmp_path):
    path = write(tmp_path / "a.tsv", "New York\tNNP\tB-LOC\r\nis\tVBZ\tO\r\n \t\r\n")
    assert tagged_files.read(path).words == [["New York", "is"]]
    assert tagged_files.read(path).tags == [["B-LOC", "O"]]
    assert tagged_files.read(path, "2").tags == [["NNP", "VBZ"]]
    assert tagged_files.read(path, "-2").tags == [["NNP", "VBZ"]]


@pytest.mark.parametrize(
    ("column", "expected"), [(None, "VERB PRON ADP DET NOUN"), ("xpos", "V P E D N"), ("lemma", "ir nosotros a el mar")]
)
def test_conllu_takes_words_not_tokens_and_no_empty_nodes(tmp_path, column, expected):
    found = tagged_files.read(write(tmp_path / "a.conllu", CONLLU), column)
    assert found.words == [["vamos", "nos", "a", "el", "mar"]]
    assert found.tags == [expected.split()]
    assert found.place(0, 2) == "a.conllu:7"


def test_json_lines(tmp_path):
    rows = [
        {"tokens": ["Hi", "Oslo"], "tags": ["O", "B-LOC"], "pos": ["UH", "NNP"]},
        {"text": "Maria, in New York.", "entities": [[0, 5, "PER"], {"start": 10, "end": 18, "label": "LOC"}]},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    found = tagged_files.read(path)
    assert found.words == [["Hi", "Oslo"], ["Maria", ",", "in", "New", "York", "."]]
    assert found.tags[1] == ["B-PER", "O", "O", "B-LOC", "I-LOC", "O"]
    assert tagged_files.read(write(tmp_path / "b.jsonl", json.dumps(rows[0])), "pos").tags == [["UH", "NNP"]]


def test_folder_of_splits(tmp_path):
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated", "README-train.md"):
        write(tmp_path / name, CONLL)
    module, place = sources.find(str(tmp_path), "sentences")
    assert module is tagged_files
    found = module.read(place)
    assert list(found.split) == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    write(tmp_path / "train2.conll", CONLL)
    with pytest.raises(KitError, match="train2.conll and wnut17train.conll both look like the train split"):
        module.read(place)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("latest_train.conll",), {"train"}),
        (("devanagari_train.conll", "devanagari_test.conll"), {"train", "test"}),
        (("xx-ud-train.conllu", "xx-ud-train.txt", "xx-ud-dev.conllu"), {"train", "validation"}),
        (("training.conll", "valid.conll", "testing.conll"), {"train", "validation", "test"}),
    ],
)
def test_names_of_splits(tmp_path, names, splits):
    for name in names:
        write(tmp_path / name, CONLLU if name.endswith("u") else CONLL)
    assert set(tagged_files.read(tmp_path).split) == splits


def test_one_file_is_not_two_splits(tmp_path):
    write(tmp_path / "train-dev.conll", CONLL)
    with pytest.raises(KitError, match="like the train and like the validation split"):
        tagged_files.read(tmp_path)


def test_entities_are_cut_out_of_longer_words(tmp_path):
    row = {"text": "Maria's London-based firm", "entities": [[8, 14, "LOC"], [0, 5, "PER"]]}
    found = tagged_files.read(write(tmp_path / "a.jsonl", json.dumps(row)))
    assert dict(zip(found.words[0], found.tags[0], strict=True)).items() >= {
        ("Maria", "B-PER"),
        ("London", "B-LOC"),
        ("firm", "O"),
    }


def test_a_number_with_a_no_break_space_is_one_word(tmp_path):
    assert tagged_files.read(write(tmp_path / "a.conll", "1\u00a0000 O\n\n")).words == [["1\u00a0000"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conll", CONLL + "Oslo B-LO", r"a.conll:11: the file ends in the tag 'B-LO', and 'B-LOC' is known"),
        ("a.conllu", CONLLU.rstrip("\n")[:-4], r"a.conllu:9: 8 columns, expected the 10 of CoNLL-U"),
        (
            "a.conllu",
            CONLLU.replace("\n3\t", f"\n{'3' * 5000}\t"),
            r"a.conllu:7: word number 33333333333333333333, exp",
        ),
        (
            "a.conllu",
            CONLLU.replace("\n3\t", f"\n{'x' * 5000}\t"),
            r"a.conllu:7: the word's number is 'x{56}\.\.\., exp",
        ),
        (
            "a.conll",
            "word,tag\nMaria,B-PER\n\n",
            r"a.conll:1: 1 column, .*a table between commas or semicolons is named .csv",
        ),
        ("a.conll", '{"tokens": ["a"], "tags": ["O"]}\n', r"a.conll:1: looks like JSON; expected columns, or a .jsonl"),
        ("a.conll", f"Maria B-PER\nflew {'1' * 5000} O\n\n", r"a.conll:2: 3 columns, expected 2"),
        ("a.csv", "1" * 5000 + ",b\nx,O\n", r"a.csv:1: no column of words among '1{56}\.\.\., 'b'"),
        ("a.json", '[\n  {\n"tokens": ["a"], "tags": ["O"]}\n]', r"a.json:1: looks like JSON"),
        ("a.conll", '[{"tokens": ["a"], "tags": ["O"]}]\n', r"a.conll:1: looks like JSON"),
        ("a.conll", "Maria B-PER\nflew\n\n", r"a.conll:2: 1 column, expected 2"),
        ("a.conll", "Maria\n\n", r"a.conll:1: 1 column, expected 2"),
        ("a.conll", "Maria X B-PER\nflew O\n\n", r"a.conll:2: 2 columns, expected 3"),
        ("a.conll", "Maria\t\n\n", r"a.conll:1: an empty tag"),
        ("a.conllu", "1\tHi\n\n", r"a.conllu:1: 2 columns, expected the 10 of CoNLL-U"),
        ("a.conllu", CONLLU.replace("\n3\t", "\n7\t"), r"a.conllu:7: word number 7, expected 3"),
        ("a.conllu", CONLLU.replace("\n3\t", "\nx\t"), r"a.conllu:7: the word's number is 'x'"),
        ("a.conll", "", r"a.conll: no sentences"),
        ("a.conll", "\n\n", r"a.conll: no sentences"),
        ("a.conll", b"Maria B-PER\n\xff O\n\n", r"a.conll:2: not UTF-8"),
        ("a.jsonl", "{", r"a.jsonl:1: not valid JSON"),
        ("a.jsonl", "[]", r"a.jsonl:1: expected {'tokens'"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}', r"a.jsonl:1: 1 tokens, but 0 tags"),
        ("a.jsonl", '{"tokens": [1], "tags": ["O"]}', r"a.jsonl:1: the token 1; expected texts"),
        ("a.jsonl", '{"text": "a b", "entities": [[1, 2, "LOC"]]}', r"a.jsonl:1: the entity .* holds no word"),
        ("a.jsonl", '{"text": "a b", "entities": [[0, 2, "A"], [1, 3, "B"]]}', r"a.jsonl:1: the entity .* overlaps"),
        *(
            ("a.jsonl", f'{{"text": "Oslo", "entities": [{entity}]}}', r"a.jsonl:1: expected \[start, end, type\]")
            for entity in ("[0]", '[0.5, 4, "A"]', "[0, 4, null]", '[0, 4, ""]', '[0, 9, "A"]', '{"start": 0}', "7")
        ),
        ("a.jsonl", "[" * 100_000, r"a.jsonl:1: not valid JSON"),
        ("a.jsonl", '{"tokens": ["\\ud83d"], "tags": ["O"]}', r"a.jsonl:1: holds characters that are none"),
        ("a.conllu", CONLLU.replace("\tvamos\t", "\t \t"), r"a.conllu:3: an empty word"),
    ],
)
def test_names_file_and_line(tmp_path, name, content, message):
    with pytest.raises(KitError, match=message):
        tagged_files.read(write(tmp_path / name, content))


def test_a_damaged_gzip_file(tmp_path):
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(CONLL.encode() * 50)[:-10])
    with pytest.raises(KitError, match=r"a.conll.gz: damaged"):
        tagged_files.read(path)


@pytest.mark.parametrize(
    ("name", "content", "column"), [("a.conll", CONLL, "3"), ("a.conll", CONLL, "x"), ("a.conllu", CONLLU, "tag")]
)
def test_refuses_a_column_that_is_not_there(tmp_path, name, content, column):
    with pytest.raises(SettingError) as error:
        tagged_files.read(write(tmp_path / name, content), column)
    assert error.value.key == "column"


def test_unknown_names_hint():
    with pytest.raises(SettingError, match="did you mean 'phrases'"):
        sources.find("phrase", "sentences")


@pytest.mark.parametrize("locale", ["en", "de", "de_CH", "fr-CA", "es"])
def test_phrases(locale):
    found = phrases.read("phrases", locale=locale, num_sentences=400)
    assert tags.detect(found.tags) == "BIO"
    kinds = {tags.split(tag)[1] for row in found.tags for tag in row} - {""}
    assert kinds == {"DATE", "TIME", "MONEY", "PLACE", "LANGUAGE", "QUANTITY"}
    counts = {part: int((found.split == part).sum()) for part in ("train", "validation", "test")}
    assert counts == {"train": 280, "validation": 48, "test": 72}
    again = phrases.read("phrases", locale=locale, num_sentences=400)
    other = phrases.read("phrases", locale=locale, num_sentences=400, seed=1)
    assert again.words == found.words
    assert other.words != found.words


def test_phrases_ask_for_names_that_training_never_showed():
    found = phrases.read("phrases", num_sentences=2000)
    names = {}
    for part, words, row in zip(found.split, found.words, found.tags, strict=True):
        for start, end, kind in tags.spans(row):
            if kind in ("PLACE", "LANGUAGE"):
                names.setdefault((part, kind), set()).add(" ".join(words[start:end]))
    for kind in ("PLACE", "LANGUAGE"):
        assert not names["train", kind] & names["test", kind]
        assert not names["train", kind] & names["validation", kind]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"locale": "tlh"}, "locale"),
        ({"locale": "ja"}, "locale"),
        ({"locale": "nowhere at all"}, "locale"),
        ({"num_sentences": 199}, "num_sentences"),
        ({"column": "2"}, "column"),
    ],
)
def test_phrases_refuse(arguments, key):
    with pytest.raises(SettingError) as error:
        phrases.read("phrases", **arguments)
    assert error.value.key == key


def test_tfds(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    class Tagged(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            labels = tfds.features.Sequence(tfds.features.ClassLabel(names=["O", "B-LOC"]))
            features = {"tokens": tfds.features.Sequence(tfds.features.Text()), "ner": labels}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(), "dev": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"tokens": ["Hi", "Øslo"], "ner": ["O", "B-LOC"]}
            yield 1, {"tokens": ["Hi"], "ner": ["O"]}

    builder = Tagged(data_dir=tmp_path)
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    module, place = sources.find("tfds:tagged", "sentences")
    assert module is tagged_tfds
    found = module.read(place)
    assert sorted(found.words) == sorted([["Hi", "Øslo"], ["Hi"]] * 2)
    assert sorted(found.tags) == sorted([["O", "B-LOC"], ["O"]] * 2)
    np.testing.assert_array_equal(np.unique(found.split), ["train", "validation"])
    with pytest.raises(SettingError, match="no labels 'nre'; did you mean 'ner'"):
        module.read(place, "nre")


def test_tfds_says_what_there_is_not():
    with pytest.raises(SettingError, match="tensorflow-datasets has no 'conl2003'; did you mean 'conll2003'"):
        tagged_tfds.read("tfds:conl2003")
    with pytest.raises(SettingError, match="holds no tagged sentences: image, label"):
        tagged_tfds.read("tfds:mnist")


def test_tfds_without_network(monkeypatch):
    import socket

    def refused(*arguments, **keywords):
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(KitError, match="no network to fetch it from"):
        tagged_tfds.read("tfds:conll2003")
