"""The recipe: builder, data, evaluation, prediction."""

import json
import types

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import config
from kit.cli import main
from kit.data import tags
from kit.data.splits import Kept
from kit.errors import KitError, SettingError
from kit.recipes import sequence_tagging as recipe
from kit.runs import finished
from kit.tasks import tagging

TINY = {
    "data": {"num_sentences": 200},
    "model": {"word_dim": 8, "feature_dim": 4, "character_dim": 4, "character_units": 8},
    "train": {"epochs": 2, "batch_size": 16},
    "evaluate": {"bootstrap_samples": 50},
}
SMALL = {"backbone": {"units": 8}, **TINY}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the default encoder on generated phrases, good enough to find most entities."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = {
        **SMALL,
        "data": {"num_sentences": 1000},
        "backbone": {"units": 24},
        "train": {"epochs": 6, "batch_size": 16},
    }
    return kit.train("sequence_tagging", folder=folder, verbose=False, **settings)


def batch(time=7, characters=5, seed=0):
    random = np.random.default_rng(seed)
    inputs = {
        "word": random.integers(1, 20, (6, time)),
        "characters": random.integers(1, 9, (6, time, characters)),
        "suffix2": random.integers(1, 5, (6, time)),
    }
    lengths = np.array([time, 5, 3, 2, 1, time])
    for name in inputs:
        inputs[name][np.arange(time) >= lengths[:, None]] = 0
    labels = np.where(np.arange(time) < lengths[:, None], inputs["word"] % 4, -1)
    return inputs, labels


# One of each family, with a head of each kind.
QUICK = {"bilstm_crf", "gru", "peephole_lstm", "cnn_crf", "transformer"}
SIZES = {"word": 20, "characters": 9, "suffix2": 5}


@pytest.mark.parametrize(
    "encoder",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.large) for name in recipe.ENCODERS],
)
def test_padding_changes_no_logit(encoder):
    model = kit.recipes.sequence_tagger(SIZES, 4, encoder=encoder, character_units=8)
    inputs, labels = batch()
    longer = {name: np.pad(ids, ((0, 0), (0, 6), *[(0, 0)] * (ids.ndim - 2))) for name, ids in inputs.items()}
    real = labels >= 0
    if encoder.endswith("_crf"):
        model.get_layer("crf").allow(starts=[True, True, True, False])
    one, other = model.predict(inputs, verbose=0), model.predict(longer, verbose=0)[:, :7]
    np.testing.assert_allclose(other[real], one[real], atol=1e-5, rtol=1e-5)
    assert one.shape == (6, 7, 4, 4) if encoder.endswith("_crf") else (6, 7, 4)
    padded = np.pad(labels, ((0, 0), (0, 6)), constant_values=-1)
    losses = [model.evaluate(x, y, verbose=0, return_dict=True) for x, y in ((inputs, labels), (longer, padded))]
    for name, value in losses[0].items():
        assert losses[1][name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize(
    "encoder",
    [
        "bilstm_crf",
        "bilstm",
        "transformer",
        "cnn_crf",
        "peephole_lstm",
    ],
)
@pytest.mark.slow
def test_plain_fit_learns_one_batch(encoder):
    keras.utils.set_random_seed(0)
    model = kit.recipes.sequence_tagger(
        SIZES, 4, encoder=encoder, dropout=0.0, word_dropout=0.0, optimizer=keras.optimizers.Adam(0.003)
    )
    inputs, labels = batch()
    history = model.fit(inputs, labels, epochs=100, verbose=0).history["loss"]
    assert history[-1] < 0.1 < history[0]


@pytest.mark.parametrize("character_encoder", [pytest.param("cnn", marks=pytest.mark.slow), "lstm"])
def test_words_alone_and_characters_alone(character_encoder):
    words = kit.recipes.sequence_tagger(vocabulary_size=20, num_tags=4, encoder="bilstm_crf")
    assert words.fit(batch()[0]["word"], batch()[1], verbose=0).history["loss"][0] > 0
    alone = kit.recipes.sequence_tagger({"characters": 9}, 4, encoder="gru", character_encoder=character_encoder)
    assert alone.predict({"characters": batch()[0]["characters"]}, verbose=0).shape == (6, 7, 4)


def test_an_encoder_of_ones_own():
    x, mask = keras.Input((None, 64)), keras.Input((None,), dtype="bool")
    own = keras.Model([x, mask], keras.layers.GRU(4, return_sequences=True)(x, mask=mask))
    model = kit.recipes.sequence_tagger(20, 4, encoder=own, head="crf")
    assert own in model.layers
    assert model.output_shape == (None, None, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"encoder": "bilstm_cfr"}, "backbone"),
        ({"dropout": 1.0}, "dropout"),
        ({"word_dropout": -0.1}, "word_dropout"),
        ({"word_dim": 0}, "word_dim"),
        ({"head": "CRF"}, "head"),
        ({"character_encoder": "LSTM"}, "character_encoder"),
        ({"character_units": 63}, "character_units"),
        ({"character_units": 1}, "character_units"),
        ({"label_smoothing": 0.1}, "label_smoothing"),
        ({"num_tags": 1}, "num_tags"),
    ],
)
def test_builder_refuses(arguments, key):
    with pytest.raises(SettingError) as error:
        kit.recipes.sequence_tagger(**{"vocabulary_size": 20, "num_tags": 4, **arguments})
    assert error.value.key == key


def data(seed=0, saved=None, **settings):
    given = {} if "source" in settings else {"num_sentences": 200}
    return config.call(recipe.tagged_sentences, seed, saved, **given | settings)


def test_facts_and_assets():
    splits = data(features=("word", "case", "suffix2"), target_scheme="BIOES")
    assert set(splits.facts["vocabulary_size"]) == {"word", "case", "suffix2"}
    names = splits.assets["tag_names"]
    assert splits.facts["num_tags"] == len(names)
    assert names[0] == "O"
    assert {name[0] for name in names} == set("OBIES")
    assert splits.monitors[0] == "val_f1"
    assert np.concatenate(splits.train.target("tag")).max() < len(names)
    again = data(saved=Kept(splits.assignment))
    assert list(again.train.extra("words")) == list(splits.train.extra("words"))
    with pytest.raises(KitError, match="the data changed"):
        data(saved=Kept(splits.assignment), split_seed=1)


CONLL = "Maria B-PER\nflew O\nto O\nOslo B-LOC\n\n"


def write(path, text):
    path.write_text(text)
    return str(path)


def test_splits_are_drawn_where_there_are_none(tmp_path):
    source = write(tmp_path / "a.conll", CONLL * 50)
    splits = data(source=source)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [41, 4, 5]
    assert splits.settings["source"] == source


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({"a": CONLL.replace("B-LOC", "I-LOC")}, {}, r"a.conll:4: 'I-LOC' after 'O' cannot be in BIO"),
        ({"a": CONLL + "Oslo S-LOC\n\n"}, {}, r"a.conll:2: 'O' after 'B-PER' cannot be in BIOES"),
        ({"a": CONLL}, {"scheme": "BIOES"}, r"a.conll:2: 'O' after 'B-PER' cannot be in BIOES"),
        ({"train": CONLL * 9, "test": CONLL + "Oslo B-XYZ\n\n"}, {}, r"test.conll:6: the tag 'B-XYZ' is not in the"),
        ({"a": CONLL * 9}, {"locale": "de"}, "locale: expected none where sentences are not generated"),
        ({"a": CONLL * 9}, {"max_vectors": 5}, "max_vectors: expected none without data.vectors"),
        ({"a": CONLL * 9}, {"num_sentences": 0}, "num_sentences: expected none where sentences are not generated"),
        ({"a": CONLL * 9}, {"vectors": "v.txt", "max_vectors": 0}, "max_vectors: expected at least 1, got 0"),
        ({"a": "a O\n" * 5000 + "\n" + CONLL}, {}, r"a.conll:1: a sentence of 5,000 words, expected at most 1,000"),
        ({"a": "a O\n\n" * 9}, {}, r"^source: expected at least two different tags .*got '/.*a.conll'$"),
        ({"a": CONLL}, {}, "1 examples to divide; expected at least 3"),
    ],
)
def test_bad_data_is_named(tmp_path, files, settings, message):
    for name, content in files.items():
        write(tmp_path / f"{name}.conll", content)
    source = str(tmp_path if "train" in files else tmp_path / "a.conll")
    with pytest.raises(KitError, match=message):
        data(source=source, **settings)


def test_words_of_ones_own_get_characters_and_generated_ones_do_not(tmp_path, caplog):
    given = [(["Maria", "flew"], ["B-PER", "O"])] * 9
    path = write(tmp_path / "a.conll", CONLL * 9)
    for source, has_characters in (("phrases", False), (given, True), (path, True)):
        caplog.clear()
        with caplog.at_level("INFO", "kit"):
            features = data(source=source, **{"num_sentences": 200} if source == "phrases" else {}).assets["features"]
        assert ("characters" in features["vocabularies"]) == has_characters
        assert f"data.features=auto: {', '.join(features['vocabularies'])}" in caplog.text
    assert set(data(source=path, features=("word",)).assets["features"]["vocabularies"]) == {"word"}
    asked = {"data.features": config.Text("auto")}
    assert config.resolve(config.settings_of(recipe.tagged_sentences, "data"), asked)["data"]["features"] == "auto"
    asked = {"data.features": config.Text("word,shape")}
    found = config.resolve(config.settings_of(recipe.tagged_sentences, "data"), asked)["data"]["features"]
    assert tuple(found) == ("word", "shape")


def test_bad_rows_are_left_out_and_listed_and_columns_are_kept(tmp_path):
    rows = [{"mots": ["Maria", "flew"], "tags": [1, 0]}] * 9 + [{"mots": ["Maria"], "tags": []}]
    source = write(tmp_path / "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    settings = {"source": source, "word_column": "mots", "tag_names": ("O", "B-PER")}
    with pytest.raises(KitError, match=r"a.jsonl:10: 1 tokens, but 0 tags; expected as many"):
        data(**settings)
    splits = data(**settings, on_bad="skip")
    assert splits.assets["skipped"] == ["a.jsonl:10: 1 tokens, but 0 tags; expected as many"]
    assert splits.assets["word_column"] == "mots"
    assert splits.assets["tag_names"] == ["O", "B-PER", "I-PER"]
    with pytest.raises(SettingError, match="word_column: expected none where sentences are not of a file"):
        data(source="phrases", word_column=2)


def test_no_sentences_are_none_and_not_the_default():
    with pytest.raises(KitError, match="num_sentences: expected 200 to 1000000, got 0"):
        data(num_sentences=0)


def test_a_rare_tag_stays_in_training(tmp_path):
    source = write(tmp_path / "a.conll", CONLL * 30 + "Acme B-ORG\n\n")
    for seed in range(5):
        splits = data(seed, source=source)
        assert ["Acme"] in list(splits.train.extra("words"))
        assert "I-ORG" in splits.assets["tag_names"]  # known from its scheme, though nowhere seen


@pytest.mark.slow
def test_other_vectors_are_noticed(tmp_path):
    path = tmp_path / "v.txt"
    write(path, "the 1 2 3\nzanzibar 4 5 6\n")
    settings = {**SMALL, "data": {"vectors": str(path), "num_sentences": 200}}
    settings["model"] = {**TINY["model"], "word_dim": 3}
    done = kit.train("sequence_tagging", folder=tmp_path / "run", verbose=False, **settings)
    write(path, "the 1 2 3\natlantis 4 5 6\n")
    with pytest.raises(KitError, match="the data changed since this run was started: its features differ"):
        finished.evaluate(done.folder)


def test_a_monitor_that_the_tags_do_not_allow(tmp_path):
    source = write(tmp_path / "a.conll", "the DET\ncat NOUN\n\n" * 40)
    with pytest.raises(SettingError, match=r"train.monitor: unknown name 'val_f1'"):
        kit.train(
            "sequence_tagging",
            folder=tmp_path / "run",
            data={"source": source},
            train={"monitor": "val_f1", "batch_size": 8},
        )


def test_a_wrong_encoder_setting_is_named_by_its_table(tmp_path):
    with pytest.raises(SettingError, match=r"backbone.units: expected at least 1"):
        kit.train("sequence_tagging", folder=tmp_path / "run", **{**SMALL, "backbone": {"units": 0}})


def test_vectors_are_in_the_embedding_and_know_words_that_training_lacks(tmp_path):
    path = write(tmp_path / "v.txt", "the 1 2 3\nzanzibar 4 5 6\n")
    splits = data(vectors=path, features=("word", "suffix2"))
    model = kit.recipes.sequence_tagger(**tagger_facts(splits), word_dim=3, encoder="gru")
    recipe.RECIPE.stages.prepare(model, splits)
    from kit.data.text import Features

    ids = Features(**splits.assets["features"]).encode(["The", "Zanzibar", "xyzzy"])["word"]
    rows = np.array(model.get_layer("word_embedding").embeddings)[ids]
    np.testing.assert_array_equal(rows[:2], [[1, 2, 3], [4, 5, 6]])
    assert ids[2] == 1
    wrong = kit.recipes.sequence_tagger(**tagger_facts(splits), word_dim=5, encoder="gru")
    with pytest.raises(SettingError, match=r"model.word_dim: expected 3, the width of the vectors, got 5"):
        recipe.RECIPE.stages.prepare(wrong, splits)
    with pytest.raises(SettingError, match="vectors: no file"):
        data(vectors="nowhere.txt")


def tagger_facts(splits):
    return {name: splits.facts[name] for name in ("vocabulary_size", "num_tags")}


def test_a_wrong_width_of_vectors_leaves_no_run_folder(tmp_path):
    path = write(tmp_path / "v.txt", "the 1 2 3\n")
    with pytest.raises(SettingError, match="model.word_dim"):
        kit.train("sequence_tagging", folder=tmp_path / "run", **{**SMALL, "data": {"vectors": path}})
    assert not (tmp_path / "run").exists()


def test_nothing_forbidden_is_ever_decoded():
    splits = data()
    model = kit.recipes.sequence_tagger(**tagger_facts(splits), encoder="bilstm_crf")
    recipe.RECIPE.stages.prepare(model, splits)
    layer = model.get_layer("crf")
    layer.transitions.assign(np.random.default_rng(0).normal(size=layer.transitions.shape) * 20)
    predicted, shares = tagging._decoded(model, splits.test, 32)
    names = np.array(splits.assets["tag_names"])
    tags.validate([list(names[row]) for row in predicted], "BIO")
    np.testing.assert_allclose(np.concatenate(shares).sum(1), 1, atol=1e-4)


def test_scores_are_those_of_seqeval(run):
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    splits = data(run.settings["seed"], **run.settings["data"])
    names = np.array(run.assets["tag_names"], dtype=object)
    predicted, _ = tagging._decoded(run.model, splits.test, 64)
    gold, found = ([list(names[row]) for row in rows] for rows in (splits.test.target("tag"), predicted))
    for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        expected = function(gold, found, mode="strict", scheme=IOB2)
        assert run.metrics["test"][name] == pytest.approx(expected)
    best = run.history.loc[run.metrics["best_epoch"] - 1]
    assert run.metrics["validation"]["f1"] == pytest.approx(best["val_f1"])
    assert run.metrics["validation"]["accuracy"] == pytest.approx(best["val_accuracy"])
    assert run.metrics["test"]["f1_low"] <= run.metrics["test"]["f1"] <= run.metrics["test"]["f1_high"]
    assert run.metrics["test"]["f1"] > 0.5


def test_run_folder(run):
    found = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*.*")}
    assert {
        "plots/1_learning_curves.png",
        "plots/2_confusion_matrix.png",
        "tables/1_per_entity_type.csv",
        "tables/2_sentences_with_the_worst_errors.csv",
    } <= found
    table = pd.read_csv(run.folder / "tables" / "1_per_entity_type.csv")
    assert set(table["entity"]) == {"DATE", "TIME", "MONEY", "PLACE", "LANGUAGE", "QUANTITY"}
    assert table["true"].sum() > 100


def test_predict_gives_words_back_in_order(run, tmp_path):
    table = run.predict("Maria flew to Oslo.\n\nIt costs $5.00!")
    assert list(table["token"]) == ["Maria", "flew", "to", "Oslo", ".", "It", "costs", "$", "5.00", "!"]
    assert list(table["sentence"]) == [1] * 5 + [3] * 5
    text = "Maria flew to Oslo."
    first = table[table["sentence"] == 1]
    assert [text[start:end] for start, end in zip(first["start"], first["end"], strict=True)] == list(first["token"])
    assert table["probability"].between(0, 1).all()
    words = run.predict([["Maria", "flew", "to", "Oslo", "."], ["Hi"]])
    assert list(words["tag"])[:5] == list(first["tag"])
    assert list(words.columns) == ["sentence", "token", "tag", "probability"]
    path = tmp_path / "new.txt"
    path.write_text("Maria flew to Oslo.\n")
    assert list(run.predict(path)["tag"]) == list(first["tag"])
    assert len(run.predict(" ".join(["word"] * 5000))) == 5000
    assert list(run.predict("don't stop-it", tokenized=True)["token"]) == ["don't", "stop-it"]
    assert list(run.predict("so :-) it", tokenized=True)["token"]) == ["so", ":-)", "it"]
    tagged = tmp_path / "test.conll"
    tagged.write_text("Maria B-X\nflew O\n\n")
    assert list(run.predict(tagged)["token"]) == ["Maria", "flew"]
    tagged.write_text("Maria\nflew\n\nOslo")
    assert list(run.predict(tagged)["sentence"]) == [1, 1, 2]
    texts = tmp_path / "new.jsonl"
    texts.write_text('{"text": "Maria flew to Oslo."}\n{"text": "Hi"}\n')
    table = run.predict(texts)
    assert list(table["tag"])[:5] == list(first["tag"])
    assert list(table["start"])[:3] == [0, 6, 11]


@pytest.mark.parametrize("inputs", ["", " \n ", [], [[]], [["a", ""]], 5, "caf\udce9", [["\ud83d"]]])
def test_predict_refuses(run, inputs):
    with pytest.raises(KitError):
        run.predict(inputs)


def test_tags_come_back_in_the_scheme_of_the_file(tmp_path):
    source = write(tmp_path / "a.conll", "Maria I-PER\nBerg I-PER\nflew O\nto O\nOslo I-LOC\n\n" * 60)
    settings = {
        **SMALL,
        "data": {"source": source, "target_scheme": "BIOES", "min_count": 1},
        "train": {"epochs": 12, "batch_size": 16},
    }
    done = kit.train("sequence_tagging", config="default", folder=tmp_path / "run", verbose=False, **settings)
    assert done.assets["scheme"] == "IOB1"
    assert list(done.predict("Maria Berg flew to Oslo")["tag"]) == ["I-PER", "I-PER", "O", "O", "I-LOC"]


@pytest.mark.slow
def test_plain_tags_with_attention(tmp_path):
    source = write(tmp_path / "a.conll", "the DET\ncat NOUN\nsat VERB\non ADP\nit PRON\n\n" * 40)
    settings = {**TINY, "data": {"source": source}, "model": {"encoder": "transformer", **TINY["model"]}}
    done = kit.train(
        "sequence_tagging", folder=tmp_path / "run", verbose=False, backbone={"dim": 8, "num_heads": 2}, **settings
    )
    assert (done.folder / "plots" / "3_attention_of_block1.png").exists()
    assert (done.folder / "tables" / "1_per_tag.csv").exists()
    assert set(done.metrics["test"]) == {"accuracy", "accuracy_low", "accuracy_high", "macro_f1"}
    assert "accuracy" in done.history
    again = kit.load(done.folder)
    assert list(again.predict("the cat sat")["tag"]) == list(done.predict("the cat sat")["tag"])


def test_command_line(run, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    assert main(["predict", str(run.folder), "--text", "Maria flew to Oslo."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines[:5]] == ["Maria", "flew", "to", "Oslo", "."]
    assert main(["predict", str(run.folder), "--text", "Maria", "--text", "Oslo", "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert [row["sentence"] for row in predictions] == [1, 2]
    path = write(tmp_path / "new.txt", "one\ntwo\n")
    assert main(["predict", str(run.folder), path]) == 0
    assert len(capsys.readouterr().out.split()) == 4
    assert main(["predict", str(run.folder)]) == 2
    assert "nothing to predict; expected files, --text" in capsys.readouterr().err
    assert main(["predict", str(run.folder), "--text", " "]) == 2
    assert "no words to tag" in capsys.readouterr().err
    assert main(["predict", str(run.folder), "absent.txt"]) == 2
    assert "absent.txt: cannot be read" in capsys.readouterr().err


def test_colours_on_a_terminal():
    table = pd.DataFrame({"sentence": [1, 1, 2], "token": ["in", "Oslo", "x"], "tag": ["O", "B-LOC", "O"]})
    shown = recipe.RECIPE.task.show(table, True)
    assert shown.splitlines()[1] == "x"
    assert "\033[" in shown and "Oslo" in shown and "/B-LOC" in shown
    assert recipe.RECIPE.task.show(table, False) == "in\tO\nOslo\tB-LOC\n\nx\tO\n"


def test_images_take_no_text(small_run, capsys):
    assert main(["predict", str(small_run.folder), "--text", "hi"]) == 2
    assert "image_classification takes files, not text" in capsys.readouterr().err
