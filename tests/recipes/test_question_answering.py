"""Question answering: the network looks at passages alone, learns, reads windows, and takes published weights."""

import json

import numpy as np
import pandas as pd
import pytest

import kit
from kit import cli, config
from kit.commands.export import export
from kit.errors import KitError, SettingError
from kit.recipes.question_answering import asked_questions, question_answerer
from kit.tasks.question_answering import Answers
from kit.tasks.question_scores import pooled
from tests.weights.published import fixture, publish

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "?", ".", *"abcdefghijklmnopqrstuvwxyz"]
TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 1, "jit_compile": False}
DATA = {"max_length": 24, "stride": 6, "max_question_length": 8, "vocabulary_size": 60, "min_count": 1}
QUICK = {"train": TRAIN, "evaluate": {"bootstrap_samples": 10}, "verbose": False}
SMALL = {"model": {"backbone": "dilated_cnn", "embedding_dim": 8}, "backbone": {"dim": 8}}


def rows(count=60, unanswerable=True):
    """Returns questions for the letter behind another one; some passages are longer than a window."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        letters = list(random.permutation(list("abcdefghijklmnopqrstuvwxyz"))[: random.integers(4, 24)])
        place = int(random.integers(len(letters) - 1))
        passage, answers = " ".join(letters) + ".", [{"text": letters[place + 1], "answer_start": 2 * place + 2}]
        if unanswerable and number % 4 == 3:
            passage, answers = passage.replace(letters[place], "?"), []
        found.append({"question": f"{letters[place]} ?", "context": passage, "answers": answers})
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    return kit.train("question_answering", data={"source": rows(), **DATA}, folder=folder / "run", **SMALL, **QUICK)


def test_scores_tables_and_what_is_beside_the_network(run):
    metrics = run.metrics["test"]
    assert metrics["exact_match_low"] <= metrics["exact_match"] <= metrics["exact_match_high"]
    assert {"f1", "has_answer_f1", "has_answer_exact_match", "no_answer_accuracy", "null_threshold"} <= set(metrics)
    assert run.assets["null_threshold"] == metrics["null_threshold"]
    mistakes = pd.read_csv(run.folder / "tables" / "3_most_confident_mistakes.csv")
    assert {"question", "passage", "right", "answer", "probability", "f1"} == set(mistakes.columns) and len(mistakes)
    assert 0 <= run.metrics["baseline"]["f1"] <= 1
    assert "Beside it, the sentence that shares most words with the question: exact match" in (
        run.folder / "report.html"
    ).read_text("utf-8")
    assert run.history["val_f1"].between(0, 1).all()


def test_answers_stand_in_their_passage(run):
    asked = [("a ?", "b a c."), ("q ?", "  x  y\nz q e  "), ("a ?", " ".join("bcdefghijklm" * 20))]
    table = run.predict(asked, n_best=4)
    assert table.columns.tolist() == ["question", "answer", "probability", "start", "end", "rank"]
    passages = dict(zip(range(3), (passage for _, passage in asked), strict=True))
    number = (table["rank"] == 1).cumsum() - 1
    for passage, row in zip(number.map(passages), table.itertuples(), strict=True):
        assert row.answer == (passage[row.start : row.end] if row.start >= 0 else "")
        assert row.answer == row.answer.strip() and 0 <= row.probability <= 1
    assert (table.groupby(number)["probability"].sum() <= 1 + 1e-6).all()
    for one, pair in enumerate(asked):
        alone = run.predict(pair, n_best=4)
        pd.testing.assert_frame_equal(alone, table[number == one].reset_index(drop=True), rtol=1e-4)
    again = kit.load(run.folder).predict(asked, n_best=4)
    pd.testing.assert_frame_equal(again, table)


def test_a_question_and_its_passage_as_a_command(run, tmp_path, capsys):
    path = tmp_path / "letter.txt"
    path.write_text("b a\nc.", encoding="utf-8")
    assert cli.main(["predict", str(run.folder), "--text", "a ?", "--passage", str(path), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert told["question"] == "a ?" and told["answer"] == run.predict(("a ?", "b a\nc."))["answer"][0]
    for words, said in {
        ("--passage", str(path)): "--passage: expected --text",
        ("--text", "a ?", "--passage", "nowhere.txt"): "--passage: no file 'nowhere.txt'",
        ("--text", "a ?"): "no passage; expected a question and its passage, with a tab between them",
    }.items():
        assert cli.main(["predict", str(run.folder), *words]) == 2
        assert said in capsys.readouterr().err
    assert cli.main(["predict", str(run.folder), "--text", "a ?\tb a c."]) == 0
    assert capsys.readouterr().out.startswith("a ?  ")


def test_questions_with_passages_come_from_a_file_too(run, tmp_path, capsys):
    path = tmp_path / "asked.tsv"
    path.write_text("a ?\tb a c.\nb ?\tq b e\n", encoding="utf-8")
    assert cli.main(["predict", str(run.folder), str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    expected = run.predict([("a ?", "b a c."), ("b ?", "q b e")])
    assert [row["answer"] for row in told] == expected["answer"].tolist()
    path.write_text("a ?\tb a c.\nno passage\n", encoding="utf-8")
    assert cli.main(["predict", str(run.folder), str(path)]) == 2
    assert f"{path}:2" in capsys.readouterr().err


def test_folds_are_scored_together():
    table = pd.DataFrame(
        {
            "question": ["Who flew?", "7", "How much is it?"],
            "label": ['["Maria", "Maria B."]', "[]", '["$5"]'],
            "prediction": ["Maria", "", "6 $"],
            "probability": [0.9, 0.8, 1.0],
        }
    )
    found = pooled(table, {}, {"bootstrap_samples": 10})
    assert found.metrics["exact_match"] == pytest.approx(2 / 3) and found.metrics["no_answer_accuracy"] == 1
    assert list(found.tables["1_by_question_word"]["question"]) == ["7", "how much", "who"]


def batch(count=4, **settings):
    splits = config.call(asked_questions, 0, None, source=rows(unanswerable=False), **DATA | settings)
    return splits, splits.train.arrays(np.arange(count))


@pytest.mark.parametrize("backbone", ["bert_tiny", "dilated_cnn", "bigru"])
def test_logits_are_those_of_the_passage_whatever_is_padded(backbone):
    splits, (inputs, spans) = batch()
    model = question_answerer(splits.facts["vocabulary_size"], backbone=backbone)
    logits = model.predict_on_batch(inputs)
    assert logits.shape == (4, 2, inputs["ids"].shape[1])
    places = splits.train.extra("window")[:4]
    for row, (place, _, size, *_) in enumerate(places):
        seen = np.zeros(logits.shape[2], bool)
        seen[[0, *range(place, place + size)]] = True
        assert (logits[row][:, ~seen] < -1e8).all() and (abs(logits[row][:, seen]) < 1e4).all()
        assert seen[spans[row]].all()
    longer = {name: np.pad(values, ((0, 0), (0, 5))) for name, values in inputs.items()}
    np.testing.assert_allclose(model.predict_on_batch(longer)[:, :, :-5], logits, rtol=1e-4, atol=1e-4)


def test_it_learns_a_batch_by_heart():
    splits, (inputs, spans) = batch(8)
    model = question_answerer(
        splits.facts["vocabulary_size"], backbone="dilated_cnn", embedding_dim=32, dropout=0.0, embedding_dropout=0.0
    )
    model.optimizer.learning_rate = 0.01
    for _ in range(40):
        loss, accuracy = model.train_on_batch(inputs, spans)
    assert model.predict_on_batch(inputs).argmax(2).tolist() == spans.tolist() and loss < 0.5 and accuracy > 0.5
    few = splits.train.take(np.arange(8))
    answers = Answers([(model, few)], 4, 30)
    told = [answers.best(each, few.extra("passage")[row])[0][0] for each, row in enumerate(answers.rows)]
    assert all(told)


@pytest.fixture
def folder(tmp_path):
    """A tiny BERT as it is published: weights, sizes and word pieces."""
    content, weights, _, _ = fixture("bert")
    path = publish(tmp_path / "weights", weights, content)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return path


def test_published_weights_bring_sizes_and_tokenizer(folder, tmp_path):
    data = {"source": rows(), "max_length": 16, "stride": 4, "max_question_length": 4}
    tuned = kit.train("question_answering", data=data, model={"weights": str(folder)}, folder=tmp_path / "run", **QUICK)
    settings = config.read_toml(tuned.folder / "config.toml")
    assert settings["model.backbone"] == "bert" and settings["data.tokenizer"] == str(folder)
    assert tuned.model.get_layer("bert").get_layer("token_embedding").embeddings.shape == (40, 32)
    assert set(tuned.predict([("a ?", "b a c.")])["question"]) == {"a ?"}
    done = export(tuned.folder, "safetensors", tmp_path / "tuned", data=rows())
    assert done.difference == 0


def test_what_cannot_be_is_refused(empty_folder):
    with pytest.raises(SettingError, match="data.max_length: expected at most 16, backbone.max_length"):
        kit.train(
            "question_answering",
            data={"source": rows(), **DATA},
            model={"backbone": "bert_tiny"},
            backbone={"max_length": 16},
            **QUICK,
        )
    with pytest.raises(SettingError, match="evaluate.max_answer_length: expected at most 1000"):
        kit.train(
            "question_answering",
            data={"source": rows(), **DATA},
            **SMALL,
            **QUICK | {"evaluate": {"max_answer_length": 5000}},
        )
    with pytest.raises(KitError, match="inspect: questions, as question_answering reads them"):
        kit.inspect("phrases", recipe="question_answering", verbose=False)
    assert not (empty_folder / "runs").exists()
