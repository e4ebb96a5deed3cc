"""Tagged sentences as tools export them and people pass them on, and files of words without tags."""

import json

import numpy as np
import pytest

from kit.data.sources import pair_files, tagged_files
from kit.data.text_inputs import read_lines, read_sentences
from kit.errors import KitError, SettingError

WORDS = [["Dan", "likes", "Kyiv"], ["Ana", "left"]]
TAGS = [["B-PER", "O", "B-LOC"], ["B-PER", "O"]]


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*objects):
    return "".join(f"{json.dumps(each)}\n" for each in objects)


COLUMNS = "Dan B-PER\nlikes O\nKyiv B-LOC\n\nAna B-PER\nleft O\n"
TEXTS = {"text": "Dan likes Kyiv"}, {"text": "Ana left"}
SPANS = [[0, 3, "PER"], [10, 14, "LOC"]], [[0, 3, "PER"]]
DICTS = [[{"start": a, "end": b, "label": kind} for a, b, kind in each] for each in SPANS]
TOKENS = [
    [{"text": text, "start": start, "end": start + len(text)} for text, start in each]
    for each in ([("Dan", 0), ("likes", 4), ("Kyiv", 10)], [("Ana", 0), (" ", 3), ("left", 4)])
]
KAGGLE = (
    "Sentence #,Word,POS,Tag\nSentence: 1,Dan,NNP,B-PER\n,likes,VBZ,O\n,Kyiv,NNP,B-LOC\n"
    "Sentence: 2,Ana,NNP,B-PER\n,left,VBD,O\n"
)
READ = {
    "open.conll": COLUMNS,
    "no_line_end.conll": COLUMNS.rstrip("\n"),
    "windows.conll": COLUMNS.replace("\n", "\r\n"),
    "comments.conll": "# id 1\n# text = Dan likes Kyiv\n" + COLUMNS.replace("\n\n", "\n\n# id 2\n#\n"),
    # As many columns as a word and its tag have.
    "comments_of_two.conll": "# s1\n" + COLUMNS.replace("\n\n", "\n\n# s2\n"),
    "multiconer.conll": "# id 0a\tdomain=en\n" + COLUMNS.replace(" ", " _ _ ").replace("\n\n", "\n\n# id b\tx=y\n"),
    "comments_between_tabs.conll": "# s1\n" + COLUMNS.replace(" ", "\t"),
    "comment_alone.conll": "# a corpus\n\n" + COLUMNS,
    "empty_column.conll": COLUMNS.replace(" ", "\t").replace("\n", "\t\n").replace("\n\t\n", "\n\n"),
    "heading.tsv": "Word\tPOS\tTag\n" + COLUMNS.replace(" ", "\tX\t"),
    "heading.conll": "token label\n" + COLUMNS,
    "quoted.tsv": KAGGLE.replace(",", "\t"),
    "kaggle.csv": KAGGLE,
    "kaggle_of_excel.csv": "\ufeff" + KAGGLE.replace(",", ";").replace("\n", "\r\n"),
    "every_row.csv": "sentence_id,token,ner\n1,Dan,B-PER\n1,likes,O\n1,Kyiv,B-LOC\n2,Ana,B-PER\n2,left,O\n",
    "empty_rows.csv": "word,tag\nDan,B-PER\nlikes,O\nKyiv,B-LOC\n,\nAna,B-PER\nleft,O\n",
    "texts.jsonl": rows(*({"tokens": a, "ner_tags": b} for a, b in zip(WORDS, TAGS, strict=True))),
    "doccano.jsonl": rows(*(each | {"label": spans} for each, spans in zip(TEXTS, SPANS, strict=True))),
    "doccano_of_today.jsonl": rows(
        *(
            each | {"entities": [{"start_offset": a, "end_offset": b, "label": kind} for a, b, kind in spans]}
            for each, spans in zip(TEXTS, SPANS, strict=True)
        )
    ),
    "prodigy.jsonl": rows(
        {"text": "wrong", "spans": [], "answer": "reject"},
        *(
            each | {"tokens": tokens, "spans": spans, "answer": "accept"}
            for each, tokens, spans in zip(TEXTS, TOKENS, DICTS, strict=True)
        ),
    ),
    "prodigy_without_tokens.jsonl": rows(*(each | {"spans": spans} for each, spans in zip(TEXTS, DICTS, strict=True))),
}


@pytest.mark.parametrize("name", READ)
def test_read(tmp_path, name):
    path = write(tmp_path / name, READ[name])
    found = tagged_files.read(path)
    assert (found.words, found.tags) == (WORDS, TAGS)
    if name != "prodigy.jsonl":  # what was rejected is text like any other where tags are asked for
        assert read_sentences(path)[0] == WORDS


def test_what_is_passed_over_and_chosen_is_said(tmp_path, caplog):
    with caplog.at_level("INFO", "kit"):
        for name in ("comments.conll", "kaggle.csv", "prodigy.jsonl"):
            tagged_files.read(write(tmp_path / name, READ[name]))
        tagged_files.read(write(tmp_path / "a.jsonl", rows({"tokens": ["a"], "ner_tags": ["O"], "pos_tags": ["X"]})))
    for line in (
        "comments.conll: 4 lines that begin with '# ' before sentences are comments",
        "kaggle.csv: words are those of 'Word', tags of 'Tag', sentences by 'Sentence #'",
        "prodigy.jsonl: 1 rows whose answer is not 'accept' are left out",
        "a.jsonl: tags are those of 'ner_tags'; data.column=pos_tags is there too",
    ):
        assert line in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Dan O\n# O\n1 O\n\n", [["Dan", "#", "1"]]),  # inside a sentence
        ("# O\n1 O\n\nDan O\n\n", [["#", "1"], ["Dan"]]),  # with a tag that others have
        ("#tag O\n#\tO\n\n#\tO\n\n", [["#tag", "#"], ["#"]]),
        ("# X\n1 O\n\nDan O\n\n", [["1"], ["Dan"]]),
    ],
)
def test_what_begins_with_a_hash_is_a_word_or_a_comment(tmp_path, content, words):
    assert tagged_files.read(write(tmp_path / "a.conll", content)).words == words


def test_names_of_columns_are_settings(tmp_path):
    csv = write(tmp_path / "a.csv", "satz,mot,genre\n1,Dan,PRP\n1,likes,VB\n2,Ana,PRP\n")
    found = tagged_files.read(csv, "genre", word_column="mot", sentence_column="satz")
    assert (found.words, found.tags) == ([["Dan", "likes"], ["Ana"]], [["PRP", "VB"], ["PRP"]])
    assert tagged_files.read(csv, -1, word_column=2, sentence_column=1).words == found.words
    assert read_sentences(csv, False, "mot", "satz")[0] == found.words
    tokens = write(tmp_path / "a.jsonl", rows({"mots": ["Dan"], "genres": ["PRP"]}))
    assert tagged_files.read(tokens, "genres", word_column="mots").words == [["Dan"]]
    texts = write(tmp_path / "b.jsonl", rows({"satz": "Ana", "genres": [[0, 3, "P"]]}))
    assert tagged_files.read(texts, "genres", word_column="satz").tags == [["B-P"]]
    columns = write(tmp_path / "a.conll", "1 Dan O\n2 left X\n\n")
    assert tagged_files.read(columns, word_column=2).words == [["Dan", "left"]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [((), ["1", "0", "2"]), (("O", "B-PER", "B-LOC"), ["B-PER", "O", "B-LOC"])],
)
def test_tags_that_are_numbers(tmp_path, names, expected):
    jsonl = write(tmp_path / "a.jsonl", rows({"tokens": ["Dan", "likes", "Kyiv"], "ner_tags": [1, 0, 2]}))
    conll = write(tmp_path / "a.conll", "Dan 1\nlikes 0\nKyiv 2\n\n")
    for path in (jsonl, conll):
        assert tagged_files.read(path, tag_names=names).tags == [expected]


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        (
            "a.csv",
            "word,label\nDan,O\n",
            {},
            "a.csv: nothing tells its sentences apart; expected .*data.sentence_column",
        ),
        ("a.csv", "Dan,O\nAna,O\n", {}, r"a.csv:1: no column of words among 'Dan', 'O'; expected .*data.word_column"),
        ("a.csv", "sentence,word\n1,Dan\n", {}, r"a.csv:1: no column of tags among 'sentence', 'word'; .*data.column"),
        ("a.csv", KAGGLE + ",left,O\n", {}, r"a.csv:7: 3 columns, expected 4: Sentence #, Word, POS, Tag"),
        ("a.csv", KAGGLE + ",,X,O\n", {}, r"a.csv:7: an empty word"),
        ("a.csv", KAGGLE + ",left,X,\n", {}, r"a.csv:7: the tag ''; expected a text"),
        ("a.csv", KAGGLE.replace("Sentence: 1", ""), {}, r"a.csv:2: a word before the first 'Sentence #'"),
        ("a.csv", KAGGLE, {"column": "Tga"}, r"column: no column 'Tga' among .*; did you mean 'Tag'"),
        ("a.csv", KAGGLE, {"word_column": "9"}, r"word_column: no column '9' among"),
        ("a.csv", KAGGLE, {"column": "Word"}, r"column: expected another one than that of the words, 'Word'"),
        ("a.csv", "word,tag\nDan\rx,O\n\n", {}, r"a.csv:2: not a CSV file"),
        ("a.csv", KAGGLE + ',",X,O\n,left,X,O\n,",X,O\n', {}, r"a.csv:9: a field of several lines"),
        ("a.csv", KAGGLE.encode() + b"\xff,a,b,c\n", {}, r"a.csv:7: not UTF-8"),
        (
            "a.conll",
            COLUMNS,
            {"word_column": "2"},
            "column: expected another column of a.conll than 2, that of the words",
        ),
        (
            "a.conll",
            COLUMNS,
            {"word_column": "word"},
            "word_column: expected the number of a column of a.conll, got 'word'",
        ),
        (
            "a.jsonl",
            rows({"tokens": ["a"], "tags": [-100]}),
            {},
            r"a.jsonl:1: the tag -100; expected a text, or a number",
        ),
        ("a.jsonl", rows({"tokens": ["a"], "tags": [True]}), {}, r"a.jsonl:1: the tag True"),
        (
            "a.jsonl",
            rows({"tokens": ["a"], "tags": [2]}),
            {"tag_names": ("O", "X")},
            r"a.jsonl:1: the tag 2; expected at m",
        ),
        (
            "a.jsonl",
            rows({"tokens": ["a"], "tags": ["Y"]}),
            {"tag_names": ("O", "X")},
            r"the tag 'Y'; expected a number, or",
        ),
        (
            "a.jsonl",
            rows({"text": "a", "label": ["good"]}),
            {},
            r"a.jsonl:1: expected \[start, end, type\] .*got 'good'",
        ),
        (
            "a.jsonl",
            rows(TEXTS[0] | {"tokens": TOKENS[0], "spans": [{"start": 0, "end": 2, "label": "X"}]}),
            {},
            r"a.jsonl:1: the entity \[0, 2, 'X'\] overlaps another, or begins or ends inside a token",
        ),
        ("a.jsonl", '{"tokens": ["a"], "tags": [' + "1" * 5000 + "]}", {}, r"a.jsonl:1: not valid JSON"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, name, content, settings, message):
    with pytest.raises(KitError, match=message) as error:
        tagged_files.read(write(tmp_path / name, content), **settings)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, SettingError) == message.startswith(("column", "word_column"))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("a.conll", COLUMNS, "\nDan O\nleft\n\n"),
        ("a.conll", COLUMNS.encode(), b"\nDan O\n\xff O\nleft O\n\n"),
        ("a.conllu", "1\tDan" + "\tX" * 8 + "\n", "\n2\tDan" + "\tX" * 8 + "\n"),
        ("a.csv", KAGGLE, "3,Dan,NNP,O\n3,left,O\n3,now,RB,O\n"),
        ("a.csv", KAGGLE.encode(), b"3,Dan,NNP,O\n3,\xff,X,O\n"),
        ("a.jsonl", READ["texts.jsonl"], "{\n"),
        ("a.jsonl", READ["texts.jsonl"], '{"tokens": ["a"], "tags": []}\n'),
    ],
)
def test_sentences_with_bad_rows_are_left_out_and_listed(tmp_path, name, good, bad):
    expected = tagged_files.read(write(tmp_path / name, good)).words
    write(tmp_path / name, good + bad)
    with pytest.raises(KitError):
        tagged_files.read(tmp_path / name)
    found = tagged_files.read(tmp_path / name, on_bad="skip")
    assert found.words == expected
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith(f"{name}:")


def test_no_row_that_can_be_read(tmp_path):
    path = write(tmp_path / "a.jsonl", "{\n{\n")
    with pytest.raises(
        KitError, match=r"no sentences; expected words with tags; of 2 bad rows the first: a.jsonl:1: not"
    ):
        tagged_files.read(path, on_bad="skip")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("words.conll", "Dan\nleft\n\nAna\n", [["Dan", "left"], ["Ana"]]),
        ("words.conll", "#\n1\n\n# a comment\nAna\n", [["#", "1"], ["Ana"]]),
        ("some.conllu", "# text = Dan\n1\tDan" + "\t_" * 8 + "\n", [["Dan"]]),
        ("a.jsonl", rows({"text": "Dan left."}), [["Dan", "left", "."]]),
        ("a.ndjson", rows({"tokens": ["Dan", "left."]}), [["Dan", "left."]]),
        ("a.csv", "Sentence #,Word\n1,Dan\n,left\n", [["Dan", "left"]]),
        ("a.tsv", "Dan\tNNP\nleft\tVBD\n", [["Dan", "left"]]),
    ],
)
def test_new_texts_have_no_tags(tmp_path, name, content, words):
    path = write(tmp_path / name, content)
    found, places = read_sentences(path)
    assert found == words
    assert (places is not None) == ("text" in content and name.endswith("l"))
    assert read_sentences([path], word_column="mot", sentence_column="satz")[0] == words


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", rows({"sentence": 3}), r"a.jsonl:1: expected {'tokens': \[...\]} or {'text': '...'}"),
        ("a.csv", "id,review\n1,good\n", r"a.csv:1: no column of words among 'id', 'review'"),
        ("a.conll", "Dan left\nnow\n\n", r"a.conll:2: 1 column, expected 2"),
    ],
)
def test_new_texts_that_cannot_be_read_are_named(tmp_path, name, content, message):
    with pytest.raises(KitError, match=message):
        read_sentences(write(tmp_path / name, content))


PIECES = (*'"\t\n\r\\{}[],#\x00\u2028\xffO', "# ", "B-", "null", "1" * 5000)


def test_files_changed_at_random_are_read_or_named_in_one_line(tmp_path):
    random = np.random.default_rng(0)
    names = list(READ)
    for _ in range(150):
        name = names[random.integers(len(names))]
        text = READ[name]
        for _ in range(random.integers(1, 4)):
            start, length = random.integers(len(text) + 1), random.integers(0, 8)
            text = text[:start] + PIECES[random.integers(len(PIECES))] + text[start + length :]
        path = write(tmp_path / name, text)
        for reader in (tagged_files.read, pair_files.read, read_sentences, read_lines):
            try:
                reader(path)
            except KitError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000
