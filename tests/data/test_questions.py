"""Questions with passages: SQuAD's JSON, JSONL, lists, generated ones; windows of long passages; refusals."""

import gzip
import json

import numpy as np
import pytest

from kit import config
from kit.data import sources
from kit.data.question_inputs import read_questions
from kit.data.question_windows import PLACE, WindowOptions, question_examples
from kit.data.sources.questions import problem
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.recipes.question_answering import asked_questions

PASSAGE = "Café owner Maria flew to Oslo on 5 May 2031."


def squad(**changes):
    """Returns SQuAD's layout with a question that has two answers, and one that has none."""
    asked = {
        "id": "q1",
        "question": "Where did Maria fly? ",
        "answers": [{"text": "Oslo", "answer_start": 25}, {"text": "to Oslo", "answer_start": 22}],
        "is_impossible": False,
    }
    other = {"id": "q2", "question": "Who stayed?", "answers": [], "is_impossible": True, "plausible_answers": [1]}
    return {
        "version": "v2.0",
        "data": [{"title": "Maria", "paragraphs": [{"context": PASSAGE, "qas": [asked | changes, other]}]}],
    }


def row(**changes):
    return {"question": "Where?", "context": PASSAGE, "answers": {"text": ["Oslo"], "answer_start": [25]}} | changes


def read(source, **options):
    return sources.read(source, "questions", options)[0]


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_squad_of_both_versions(tmp_path):
    found = read(written(tmp_path / "train-v2.0.json", squad()))
    assert found.questions == ["Where did Maria fly?", "Who stayed?"] and found.passages == [PASSAGE] * 2
    assert found.answers == [[("Oslo", 25), ("to Oslo", 22)], []]
    assert found.ids == ["q1", "q2"] and found.columns["title"] == ["Maria", "Maria"] and found.split is None
    first = squad()
    for asked in first["data"][0]["paragraphs"][0]["qas"]:
        del asked["is_impossible"]  # version 1.1
    (tmp_path / "old.json.gz").write_bytes(gzip.compress(json.dumps(first).encode()))
    assert read(tmp_path / "old.json.gz").answers == found.answers


def test_jsonl_and_lists_of_rows(tmp_path):
    rows = [row(id="a"), row(id="b", answers={"text": [], "answer_start": []})]
    lines = written(tmp_path / "asked.jsonl", "\n".join(map(json.dumps, rows)))
    for source in (lines, written(tmp_path / "asked.json", rows), rows):
        found = read(source)
        assert found.answers == [[("Oslo", 25)], []] and found.ids == ["a", "b"]
    given = read({"train": rows, "dev": [row()]})
    assert list(given.split) == ["train", "train", "validation"]


def test_a_folder_has_a_file_for_each_split(tmp_path):
    written(tmp_path / "train-v1.1.json", squad())
    written(tmp_path / "dev-v1.1.json", squad(id="q3"))
    with pytest.raises(KitError, match="have the id 'q2'"):
        read(tmp_path)
    written(tmp_path / "dev-v1.1.json", {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [row(id="q3")]}]}]})
    found = read(tmp_path)
    assert list(found.split) == ["train", "train", "validation"] and len(set(found.names)) == 3
    written(tmp_path / "train2.json", squad())
    with pytest.raises(KitError, match="train-v1.1.json and train2.json both look like the train split"):
        read(tmp_path)


WRONG = {
    "another place": (
        squad(answers=[{"text": "Oslo", "answer_start": 24}]),
        "question q1: its answer 'Oslo' is not at character 24 .* where ' Osl' stands",
    ),
    "behind the end": (squad(answers=[{"text": "Oslo", "answer_start": 900}]), "question q1: .* where nothing stands"),
    "before the beginning": (squad(answers=[{"text": "Oslo", "answer_start": -4}]), "is not at character -4"),
    "no number": (squad(answers=[{"text": "Oslo", "answer_start": "25"}]), "begins at '25'; expected a number"),
    "an empty answer": (squad(answers=[{"text": " ", "answer_start": 4}]), "an empty answer"),
    "an empty question": (squad(question=" "), "question q1: an empty question"),
    "a question that is none": (squad(question=7), "question q1: an empty question"),
    "no answers": (
        {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"id": "x", "question": "Who?"}]}]}]},
        "no 'answers'",
    ),
    "both": (squad(is_impossible=True), "has answers, and is_impossible is true"),
    "no passage": ({"data": [{"paragraphs": [{"qas": [row(id="x", context=None)]}]}]}, "an empty passage"),
    "half a character": (squad(question="\ud800?"), "lone surrogates"),
    "another shape": ({"rows": []}, "data: expected a list, got None; SQuAD's layout is"),
    "a list of texts": (["a"], "article 1 is 'a'; SQuAD's layout"),
    "no paragraphs": ({"data": [{"title": "x"}]}, "article 1: paragraphs: expected a list"),
    "no questions": ({"data": [{"paragraphs": [{"context": PASSAGE}]}]}, "article 1 paragraph 1: qas: expected a list"),
    "nothing": ({"data": []}, "no questions; expected SQuAD's JSON"),
    "no JSON": ("{", "not valid JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_one_line(name, tmp_path):
    content, said = WRONG[name]
    with pytest.raises(KitError, match=said) as caught:
        read(written(tmp_path / "train.json", content))
    assert "train.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_utf8_names_its_line(tmp_path):
    (tmp_path / "train.json").write_bytes(b'{"data":\n "\xff"}')
    with pytest.raises(KitError, match="train.json:2: not UTF-8"):
        read(tmp_path / "train.json")
    written(tmp_path / "rows.jsonl", '{"question": "Who?"}\n')
    with pytest.raises(KitError, match="rows.jsonl:1: no 'answers'"):
        read(tmp_path / "rows.jsonl")


def test_bad_questions_are_skipped(tmp_path):
    path = written(tmp_path / "train.json", squad(answers=[{"text": "Oslo", "answer_start": 2}]))
    found = read(path, on_bad="skip")
    assert found.ids == ["q2"] and len(found.skipped) == 1 and found.skipped[0].startswith("train.json:question q1")


def test_data_given_in_python_is_checked():
    with pytest.raises(KitError, match="data: train:1: its answer 'Oslo' is not at character 3"):
        read({"train": [row(), row(answers={"text": ["Oslo"], "answer_start": [3]})]})
    with pytest.raises(KitError, match="data: question:0: answers 7"):
        read([row(answers=7)])
    with pytest.raises(KitError, match="data: question:0: 'text'"):
        read(["text"])


def test_generated_questions_are_answered_by_their_passage():
    found = read("phrases", num_questions=300, seed=3)
    again, moved = (read("phrases", num_questions=300, seed=seed) for seed in (3, 4))
    assert found.names == again.names and found.names != moved.names and len(found.questions) == 300
    rows = list(zip(found.questions, found.passages, found.answers, strict=True))
    assert not [each for each in rows if problem(*each)]
    assert 0.05 < np.mean([not answers for *_, answers in rows]) < 0.3
    # Another question about the passage has another answer: where it stands does not tell which is asked for.
    by_passage = {}
    for question, passage, answers in rows:
        by_passage.setdefault(passage, {})[question] = answers
    assert sum(len(asked) > 1 for asked in by_passage.values()) > 50
    for passage, part in zip(found.passages, found.split, strict=True):
        assert {other for text, other in zip(found.passages, found.split, strict=True) if text == passage} == {part}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.learn(
        [PASSAGE, "word word", "a b c d e f g h i j k l m n o p q r s t u v w x y z"],
        vocabulary_size=90,
        min_count=1,
        at_most=True,
    )


def test_tokens_know_where_they_stand(tokenizer):
    text = "  Maria\n flew to Cafe\u0301 on 5 May \u202f "
    ids, spans = tokenizer.encode_in_place(text)
    assert ids == tokenizer.encode([text])[0]
    found = [text[start:stop] for start, stop in spans]
    assert [each for each in found if each] == [each for each in found if each.strip() == each and each]
    assert "".join(found) == "MariaflewtoCafe\u0301on5May"


def examples(questions, passages, tokenizer, answers=None, **sizes):
    options = WindowOptions(**{"max_question_length": 4, "max_length": 16, "stride": 4} | sizes)
    return question_examples(
        questions, passages, tokenizer, options, answers, [str(row) for row in range(len(questions))]
    )


def test_windows_of_a_long_passage(tokenizer):
    passage = " ".join("abcdefghijklmnopqrstuvwxyz")
    answers = [[("c d", 4)], [("p", 30)], []]
    found, cut, lost = examples(["a b", "z", "a b c d e f"], [passage] * 3, tokenizer, answers)
    assert (cut, lost) == (1, 0)
    spans, passage_spans = found.target("span"), found.extra("spans")[0]
    for row, ids in enumerate(found.input("ids")):
        place, first, size, start, stop = found.extra("window")[row]
        assert (
            len(ids) <= 16
            and len(ids) == place + size + 1
            and list(ids[[0, place - 1, -1]]) == [tokenizer.start_id, tokenizer.end_id, tokenizer.end_id]
        )
        assert first <= start < stop <= first + size
        label = spans[row]
        if label[0]:
            chars = passage_spans[label - place + first]
            right = answers[found.extra("number")[row]][0]
            assert passage[chars[0, 0] : chars[1, 1]] == right[0] and chars[0, 0] == right[1]
    for number in range(3):  # each token of the passage is decided on in one window
        own = found.extra("window")[found.extra("number") == number]
        assert own[0, 3] == 0 and own[-1, 4] == len(passage_spans) and (own[1:, 3] == own[:-1, 4]).all()
    answered = spans[:, 0] > 0
    assert answered[found.extra("number") == 1].any() and not answered[found.extra("number") == 2].any()
    assert not answered[found.extra("number") == 0].all()


def test_an_answer_that_no_window_holds_is_counted(tokenizer):
    text = " ".join("abcdefghijklmnopqrstuvwxyz")
    found, _, lost = examples(["a b"], [text], tokenizer, [[(text[:40], 0)]])
    assert lost == 1 and not found.target("span").any()


def test_segments_tell_question_and_passage_apart(tokenizer):
    found, *_ = examples(["a b"], ["c d"], tokenizer, [[("c", 0)]])
    place = found.extra("window")[0, PLACE]
    assert list(found.input("segments")[0]) == [0] * place + [1] * (len(found.input("ids")[0]) - place)


def test_a_passage_of_a_million_characters_is_read_in_windows(tokenizer):
    text = "word " * 199_998 + "Oslo said so"  # "word" is one token
    found, _, lost = examples(["a"], [text], tokenizer, [[("Oslo", 999_990)]], max_length=500, stride=400)
    assert lost == 0 and found.lengths("ids").max() <= 500 and (found.target("span")[:, 0] > 0).sum() == 1


def splits(source, **settings):
    return config.call(asked_questions, 0, None, source=source, vocabulary_size=200, min_count=1, **settings)


def rows_of(count, passages=12):
    """Returns questions about a few passages, one in five without an answer."""
    found = []
    for number in range(count):
        passage = f"Letter {'abcdefghijklmnop'[number % passages]} comes {number % passages} after others."
        answers = [] if number % 5 == 4 else [(f"Letter {passage[7]}", 0)]
        found.append(
            row(
                question=f"Which letter {number}?",
                context=passage,
                answers=[{"text": text, "answer_start": start} for text, start in answers],
            )
        )
    return found


def test_no_passage_is_torn_between_splits():
    found = splits(rows_of(60))
    passages = [set(part.extra("passage")) for part in (found.train, found.validation, found.test)]
    assert all(passages) and not any(passages[one] & passages[two] for one, two in ((0, 1), (0, 2), (1, 2)))
    assert found.assets["has_unanswerable"] and len(found.assignment) == 60
    assert "group" in found.assignment


def test_splits_of_the_source_that_share_passages_stay_and_are_told(caplog):
    rows = rows_of(40)
    with caplog.at_level("INFO", "kit"):
        found = splits({"train": rows[:20], "dev": rows[20:30], "test": rows[30:]})
    assert "passages in common" in caplog.text and len(found.train) >= 20


def test_nothing_to_learn_is_refused():
    with pytest.raises(KitError, match="no training question has an answer"):
        splits([row(question=f"Q{number}?", context=f"Text {number}.", answers=[]) for number in range(20)])
    with pytest.raises(SettingError, match="num_questions: expected none where questions are not generated"):
        splits([row()], num_questions=300)
    with pytest.raises(SettingError, match="max_length: expected 75"):
        splits("phrases", max_length=40)


def test_what_a_finished_model_is_asked(tmp_path):
    pair = ("Where?", PASSAGE)
    lines = written(tmp_path / "asked.tsv", "Where?\tA b.\n\nWho?\tC\td.\n")
    assert (
        read_questions(pair) == (["Where?"], [PASSAGE]) == read_questions([{"question": "Where?", "context": PASSAGE}])
    )
    assert read_questions(lines) == (["Where?", "Who?"], ["A b.", "C\td."])
    assert read_questions("Where?\tA b.") == (["Where?"], ["A b."])
    assert read_questions([written(tmp_path / "asked.jsonl", json.dumps(row()))]) == (["Where?"], [PASSAGE])
    assert read_questions(written(tmp_path / "dev.json", squad())) == (
        ["Where did Maria fly?", "Who stayed?"],
        [PASSAGE] * 2,
    )
    for inputs, said in {
        "Where?": "text:1: no passage",
        ("", "text"): "inputs: 1: an empty question",
        "Where?\t ": "an empty passage",
        7: "inputs: expected pairs",
    }.items():
        with pytest.raises(KitError, match=said):
            read_questions(inputs)
    for inputs, said in (([], "no questions"), ([7], "inputs: 1: got 7"), ([{"question": "a"}], "an empty passage")):
        with pytest.raises(KitError, match=said):
            read_questions(inputs)
