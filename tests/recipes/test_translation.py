"""The recipe: builder, data, evaluation, prediction."""

import io
import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import kit
from kit import config, decoding
from kit.cli import main
from kit.data import sources, tokens
from kit.data.sources import given_pairs, pair_tfds
from kit.data.splits import Kept
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.recipes import translation as recipe
from kit.runs import finished

WORDS = {
    **{"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"},
    **{"red": "rot", "blue": "blau", "big": "groß"},
}
TINY = {
    "data": {"vocabulary_size": 300},
    "model": {"embedding_dim": 16},
    "backbone": {"dim": 16, "depth": 1, "feedforward_dim": 16, "num_heads": 2},
    "optimizer": {"learning_rate": 0.01},
    "train": {"epochs": 2, "batch_size": 32},
    "evaluate": {"bootstrap_samples": 20, "beam_width": 2},
}


def pairs(count=1000, seed=0):
    """Word-by-word translations of random words, no two alike."""
    random, found = np.random.default_rng(seed), {}
    while len(found) < count:
        words = random.choice(list(WORDS), random.integers(2, 7))
        found[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return list(found.items())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run that has learned to translate word by word, more or less."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = {
        **TINY,
        "data": {"source": pairs(), "token_kind": "word", "vocabulary_size": 100},
        "model": {"embedding_dim": 32, "label_smoothing": 0.0, "dropout": 0.0},
        "backbone": {
            "dim": 32,
            "depth": 1,
            "feedforward_dim": 64,
            "num_heads": 4,
            "dropout": 0.0,
            "positions": "rotary",
        },
        "train": {"epochs": 4, "steps_per_epoch": 300, "steps_per_execution": 20, "batch_size": 16},
    }
    return kit.train("translation", config="default", folder=folder, verbose=False, **settings)


def batch(seed=0):
    random = np.random.default_rng(seed)
    source, target = random.integers(4, 20, (8, 6)), random.integers(4, 20, (8, 5))
    source[4:, 3:] = 0
    target[4:, 3:] = 0
    target[:, 0] = tokens.START
    labels = np.concatenate([target[:, 1:], np.full((8, 1), tokens.END)], axis=1) * (target > 0)
    return {"source": source.astype("int32"), "target": target.astype("int32")}, labels.astype("int32")


@pytest.mark.parametrize(
    "architecture",
    [
        "transformer",
        "gru",
        "bilstm_bahdanau",
        "bigru_luong",
    ],
)
@pytest.mark.slow
def test_plain_fit_learns_one_batch(architecture):
    keras.utils.set_random_seed(0)
    adam = keras.optimizers.Adam(0.004)
    model = kit.recipes.translator(
        20, 10, architecture=architecture, embedding_dim=32, dropout=0.0, label_smoothing=0.0, optimizer=adam
    )
    inputs, labels = batch()
    many = {name: np.tile(ids, (120, 1)) for name, ids in inputs.items()}
    model.fit(many, np.tile(labels, (120, 1)), batch_size=8, shuffle=False, verbose=0)
    predicted = model.predict(inputs, verbose=0).argmax(-1)
    assert (predicted == labels)[labels > 0].mean() > 0.95


def test_parameters_are_those_of_the_papers():
    base = kit.recipes.translator(37_000, 512, architecture="transformer_base", embedding_dim=512)
    assert base.count_params() == 44_138_496 + 37_000 * 512  # 63 million; the paper says 65
    tiny = kit.recipes.translator(10_000, 128, architecture="transformer_tiny")
    assert tiny.count_params() == 2_605_568


def test_loss_does_not_count_padding():
    model = kit.recipes.translator(20, 10, embedding_dim=16, dropout=0.0)
    inputs, labels = batch()
    longer = {name: np.pad(ids, ((0, 0), (0, 7))) for name, ids in inputs.items()}
    one = model.evaluate(inputs, labels, verbose=0)
    assert model.evaluate(longer, np.pad(labels, ((0, 0), (0, 7))), verbose=0) == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize(
    ("size", "arguments", "layers_of_weights"),
    [
        (20, {}, {"embedding"}),
        (20, {"tie_embeddings": False}, {"embedding", "logits"}),
        ({"source": 30, "target": 20}, {}, {"source_embedding", "target_embedding"}),
        ({"source": 30, "target": 20}, {"tie_embeddings": False}, {"source_embedding", "target_embedding", "logits"}),
        (20, {"architecture": "gru_luong"}, {"embedding", "head_projection"}),
    ],
)
def test_step_by_step_is_all_at_once(size, arguments, layers_of_weights):
    model = kit.recipes.translator(size, 10, embedding_dim=16, **arguments)
    assert layers_of_weights <= {layer.name for layer in model.layers}
    inputs, _ = batch()
    whole = model.predict(inputs, verbose=0)
    step, initial_state = recipe.decoding_step(model)
    state = initial_state(ops.convert_to_tensor(inputs["source"]), 5)
    for position in range(5):
        logits, state = step(ops.convert_to_tensor(inputs["target"][:, position]), position, state)
        np.testing.assert_allclose(logits, whole[:, position], atol=1e-4)
    assert whole.shape == (8, 5, 20)


def test_greedy_is_what_the_whole_model_says_token_by_token():
    model = kit.recipes.translator(20, 10, embedding_dim=16)
    source = batch()[0]["source"]
    special = decoding.Tokens(
        start=tokens.START, end=tokens.END, forbidden=(tokens.PADDING, tokens.UNKNOWN, tokens.START)
    )
    written, _ = decoding.compiled(recipe.decoding_step(model), decoding.greedy, special, max_length=6)(source)
    target = np.full((8, 1), tokens.START, "int32")
    for _ in range(6):
        logits = model.predict({"source": source, "target": target}, verbose=0)[:, -1]
        logits[:, list(special.forbidden)] = -np.inf
        best = logits.argmax(-1)
        target = np.concatenate([target, best[:, None].astype("int32")], axis=1)
    for one, other in zip(np.asarray(written), target[:, 1:], strict=True):
        length = list(one).index(tokens.END) + 1 if tokens.END in one else 6
        np.testing.assert_array_equal(one[:length], other[:length])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"dropout": 1.0}, "dropout"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"architecture": "transfomer"}, "backbone"),
    ],
)
def test_builder_refuses(arguments, key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        kit.recipes.translator(20, 10, **arguments)


def data(saved=None, **settings):
    return config.call(recipe.translated_sentences, 0, saved, **{"vocabulary_size": 300, **settings})


def test_facts_and_assets():
    splits = data(num_sentences=400)
    assert splits.facts == {"vocabulary_size": 300, "max_length": 130, "pad_id": tokens.PADDING}
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [320, 32, 48]
    assert not set(splits.train.extra("source")) & set(splits.test.extra("source"))
    separate = data(num_sentences=400, joint_vocabulary=False, vocabulary_size=200)
    assert separate.facts["vocabulary_size"] == {"source": 200, "target": 200}
    assert len(separate.assets["tokenizers"]) == 2
    again = data(Kept(splits.assignment), num_sentences=400)
    assert again.assets == splits.assets


def test_tokens_that_a_run_has_learned_are_not_learned_again(monkeypatch):
    splits = data(num_sentences=400)
    monkeypatch.setattr(tokens.Tokenizer, "learn", None)
    again = data(Kept(splits.assignment, splits.assets), num_sentences=400)
    assert again.assets == splits.assets
    assert np.array_equal(again.test.input("source")[3], splits.test.input("source")[3])
    with pytest.raises(KitError, match="the data changed since this run was started"):
        data(Kept(splits.assignment, splits.assets), num_sentences=401)


def test_pairs_left_out_are_counted_and_none_of_the_test_is():
    rows = [("a b c d", "a b c d")] * 3 + [
        ("a " * 30, "b " * 30),
        ("a b", "a b c d a b c d c"),
        ("b c", "c b"),
        ("", ""),
    ]
    content = {"train": rows[:-1], "validation": [("b c", "c b")], "test": [("a b c d", "a b c d"), ("x " * 50, "b")]}
    settings = {"token_kind": "word", "vocabulary_size": 20, "min_count": 1, "max_length": 20, "max_ratio": 2.0}
    splits = data(source=content, **settings)
    again = data(Kept(splits.assignment), source=content, **settings)
    assert again.assets == splits.assets
    assert (again.assignment == splits.assignment).all(axis=None)
    assert len(splits.train) == 2
    assert [len(splits.validation), len(splits.test)] == [1, 2]
    assert splits.assets["pairs"] == {
        "training pairs left out that occur twice": 2,
        "training pairs left out as too long": 1,
        "training pairs left out as too uneven": 1,
        "sentences of the validation split that are also in training": 1,
        "sentences of the test split that are also in training": 1,
        "unknown tokens in the test sentences": 50,
    }
    assert (splits.assignment["split"] == "left out").sum() == 4


def test_pairs_that_cannot_be_read_are_listed(tmp_path):
    (tmp_path / "a.tsv").write_text("".join(f"word {row}\tWort {row}\n" for row in range(20)) + "word\n")
    settings = {"source": str(tmp_path / "a.tsv"), "token_kind": "word", "vocabulary_size": 30, "min_count": 1}
    with pytest.raises(KitError, match=r"a\.tsv:21: 1 columns, expected 2"):
        data(**settings)
    splits = data(**settings, on_bad="skip")
    assert splits.assets["skipped"] == ["a.tsv:21: 1 columns, expected 2 between tabs: a sentence, its translation"]
    assert data(Kept(splits.assignment), **settings, on_bad="skip").assets == splits.assets


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary_size": 100_000}, r"^vocabulary_size: expected at most \d+"),
        ({"target_locale": "xx"}, "^target_locale: expected a locale of CLDR"),
        ({"target_locale": "en"}, "^target_locale: expected another locale than en"),
        ({"max_length": 1}, "^max_length: "),
        ({"max_ratio": 0.5}, "^max_ratio: "),
        ({"source": [("a", "b")] * 50, "num_sentences": 5}, "^num_sentences: expected none"),
        ({"source": [("a", "")]}, r"pair:0: .*expected \(sentence, translation\)"),
        ({"source": {"tran": []}}, "unknown split 'tran'; did you mean 'train'"),
        ({"source": {"test": [("a", "b")]}}, "no training sentences"),
        ({"source": {"train": "text"}}, "got str"),
        ({"source": []}, "no pairs of sentences"),
        ({"source": {"train": [("a " * 300, "b")] * 5, "test": [("a", "b")]}, "vocabulary_size": 7}, "^max_length: "),
    ],
)
def test_bad_data_is_named(settings, message):
    with pytest.raises(KitError, match=message):
        data(**{"num_sentences": 200, **settings} if "source" not in settings else settings)


def test_tfds(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class TinyPairs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(features=tfds.features.Translation(languages=["pt", "en"]))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(16), "test": self._generate_examples(4)}

        def _generate_examples(self, count=0):
            for row in range(count):
                yield row, {"pt": f"número {row}", "en": f"number {row}"}

    builder = TinyPairs(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    module, place = sources.find("tfds:tiny_pairs/pt_to_en", "pairs")
    assert module is pair_tfds
    found = module.read(place, source_locale="pt_BR", target_locale="en")
    assert sorted(zip(found.sources, found.targets, strict=True))[0] == ("número 0", "number 0")
    assert (found.split == "train").sum() == 16
    for locales, message in (
        (("pt", "de"), "^target_locale: unknown name 'de'"),
        (("en", "en_GB"), "^target_locale: "),
    ):
        with pytest.raises(SettingError, match=message):
            module.read(place, source_locale=locales[0], target_locale=locales[1])


def test_given_pairs_are_as_given():
    module, place = sources.find([("a", "b"), ["c", " d "]], "pairs")
    assert module is given_pairs
    assert module.read(place).targets == ["b", "d"]
    assert given_pairs.read(sources.GivenData({"train": [("a", "b")]})).split.tolist() == ["train"]


def test_it_learns_and_the_run_folder_explains_itself(run):
    assert run.metrics["test"]["exact_match"] > 0.7
    assert run.metrics["test"]["bleu_low"] <= run.metrics["test"]["bleu"] <= run.metrics["test"]["bleu_high"]
    assert run.metrics["test"]["bleu_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")
    assert {"val_bleu", "val_chrf", "val_loss"} <= set(run.history.columns)
    table = pd.read_csv(run.folder / "tables" / "1_translations_from_best_to_worst.csv")
    assert table["chrF"].is_monotonic_decreasing
    assert (run.folder / "plots" / "2_attention.png").exists()
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "sentences of the test split" in page
    assert "BLEU signature: <code>nrefs:1" in page
    loaded = keras.models.load_model(run.folder / "best.keras", compile=False)
    assert loaded.count_params() == run.metrics["params"]


def test_predict(run, tmp_path):
    loaded = kit.load(run.folder)
    assert loaded.predict("one red two")["translation"].tolist() == ["eins rot zwei"]
    (tmp_path / "in.txt").write_text("two blue\n\nfive big\n", encoding="utf-8")
    table = loaded.predict([tmp_path / "in.txt", "one two"])
    assert table["translation"].tolist() == ["zwei blau", "", "fünf groß", "eins zwei"]
    assert table["sentence"].tolist() == [1, 2, 3, 4]
    best = loaded.predict("one red two", n_best=3, beam_width=4)
    assert best["rank"].tolist() == [1, 2, 3]
    assert best["score"].is_monotonic_decreasing
    assert best["translation"].nunique() == 3
    assert loaded.predict("one red two", method="greedy")["translation"].tolist() == ["eins rot zwei"]
    drawn = loaded.predict("one red two", method="sample", n_best=8, temperature=3.0, seed=1)
    again = loaded.predict("one red two", method="sample", n_best=8, temperature=3.0, seed=1)
    assert drawn["translation"].tolist() == again["translation"].tolist()
    assert drawn["translation"].nunique() > 2
    alone = loaded.predict("one red two", method="sample", n_best=4, top_k=1)
    assert alone["translation"].unique().tolist() == ["eins rot zwei"]
    loaded.predict("one red two", attention=str(tmp_path / "out.png"))
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_translation_depends_on_no_other(run):
    """Neither on how long the others are: a shorter one that finds no end would become longer beside them."""
    lines = ["one red", "big big big", "one", "two blue three red four big five " * 3, "five four three"]
    together = run.predict(lines, n_best=2)
    for number, line in enumerate(lines, 1):
        own = together[together["sentence"] == number]
        alone = run.predict(line, n_best=2)
        assert own["translation"].tolist() == alone["translation"].tolist()
        np.testing.assert_allclose(own["score"], alone["score"], atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ("", {}, "no text to translate"),
        ([" ", "\n"], {}, "no text to translate"),
        (5, {}, "expected a text, a file"),
        ("\ud83d", {}, "holds characters that are none"),
        ("Это другой язык", {}, "text:1: no character of it was in the training sentences"),
        ("one", {"beam_width": 5000}, r"^predict\.beam_width: expected at most \d+, the number of tokens"),
        ("one", {"beam_width": 2, "n_best": 3}, r"^predict\.n_best: expected at most 2"),
        ("one", {"method": "greedy", "n_best": 2}, r"^predict\.n_best: expected 1 with greedy"),
        ("one", {"method": "beams"}, r"^predict\.method: "),
        ("one", {"seed": 2**31}, r"^predict\.seed: "),
        ("one", {"method": "sample", "temperature": 0.0}, r"^predict\.temperature: "),
        ("one", {"length_penalty": -1.0}, r"^predict\.length_penalty: "),
        ("one", {"attention": "nowhere/out.png"}, r"^predict\.attention: "),
        ("one", {"attention": "out.pdf"}, r"^predict\.attention: "),
    ],
)
def test_predict_refuses(run, inputs, settings, message):
    with pytest.raises(KitError, match=message):
        run.predict(inputs, **settings)


@pytest.mark.slow
def test_a_sentence_longer_than_the_position_table_is_refused(tmp_path):
    settings = {**TINY, "data": {"source": pairs(80), "token_kind": "word", "vocabulary_size": 100, "max_length": 12}}
    settings["backbone"] = {**TINY["backbone"], "positions": "learned"}
    settings["data"]["source"] = {"train": pairs(80), "validation": pairs(9, seed=1), "test": [("one", "eins " * 11)]}
    done = kit.train("translation", folder=tmp_path / "run", verbose=False, **settings)
    assert len(done.predict("one " * 13)) == 1
    assert len(done.predict(["one", "Это другой язык"])) == 2  # a line among others is no reason to stop
    with pytest.raises(KitError, match="text:2: 14 tokens; expected at most 13, which the model has positions for"):
        done.predict(["one\n" + "one " * 14])


def test_what_is_held_out_decides_no_size(empty_folder):
    """The parameters of a model are a matter of training sentences and settings; what it cannot read is named."""
    held_out = {"validation": pairs(9, seed=1), "test": [("one two", "eins zwei")]}
    source = {"train": pairs(80), **held_out}
    longer = {name: source | {name: [*source[name], ("one " * 200, "eins")]} for name in ("validation", "test")}
    options = {"token_kind": "word", "vocabulary_size": 100, "max_length": 20}
    facts = data(source=source, **options).facts
    assert facts["max_length"] == 22
    assert all(data(source=each, **options).facts == facts for each in longer.values())
    settings = {"train": {"epochs": 1, "steps_per_epoch": 1}, "backbone": TINY["backbone"] | {"positions": "learned"}}
    for name, content in longer.items():
        with pytest.raises(
            KitError, match=rf"data.max_length: the source sentence \d+ of the {name} split, 'one one.*200.*at most 21"
        ):
            kit.train("translation", data={"source": content, **options}, folder=name, verbose=False, **settings)
        assert not (empty_folder / name / "config.toml").exists()


@pytest.mark.slow
def test_positions_that_are_not_learned_have_no_end(empty_folder):
    source = {"train": pairs(80), "validation": pairs(9, seed=1), "test": [("one " * 60, "eins " * 60)]}
    options = {"token_kind": "word", "vocabulary_size": 100, "max_length": 20}
    done = kit.train(
        "translation",
        data={"source": source, **options},
        folder="run",
        verbose=False,
        model=TINY["model"],
        backbone=TINY["backbone"] | {"positions": "sinusoidal"},
        train={"epochs": 1, "steps_per_epoch": 1},
        evaluate={"bootstrap_samples": 5, "beam_width": 1},
    )
    assert "bleu" in done.metrics["test"]


@pytest.mark.slow
def test_scheduled_sampling_without_attention(tmp_path):
    settings = {
        "data": {"source": pairs(80), "token_kind": "word", "vocabulary_size": 100},
        "model": {"architecture": "gru", "embedding_dim": 16},
        "backbone": {"units": 16},
        "train": {"epochs": 3, "batch_size": 16, "sampling_rate": 0.5},
        "evaluate": TINY["evaluate"],
    }
    done = kit.train("translation", folder=tmp_path / "run", verbose=False, **settings)
    assert np.isfinite(done.history["loss"]).all()
    assert not list((done.folder / "plots").glob("2_attention*"))
    with pytest.raises(KitError, match=r"^predict\.attention: expected none: this architecture has no attention"):
        done.predict("one", attention="out.png")


def test_command_line(run, capsys, monkeypatch, tmp_path):
    folder = str(run.folder)
    assert main(["predict", folder, "--text", "one two", "--n-best", "2", "--attention", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[::2] == ["1.1", "eins zwei"]
    assert len(lines) == 2
    assert (tmp_path / "a.png").exists()
    for content, expected in ((b"one\r\nfive\r\n", "eins\nfünf\n"), (b"\xef\xbb\xbftwo", "zwei\n")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main(["predict", folder]) == 0
        assert capsys.readouterr().out == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert main(["predict", folder]) == 2
    assert "standard input: not UTF-8" in capsys.readouterr().err
    assert main(["predict", folder, "--text", "one", "--nbest", "2"]) == 2
    assert "predict.nbest: unknown setting; did you mean 'n_best'" in capsys.readouterr().err
    assert main(["predict", folder, "--text", "one", "--n-best"]) == 2
    assert "predict.n_best: expected a value" in capsys.readouterr().err
    assert main(["predict", folder, "--text", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"][0]["translation"] == "eins"


def test_evaluate_again_with_another_beam(run):
    content = pairs()
    again = finished.evaluate(run.folder, data=content)
    assert again.metrics["bleu"] == pytest.approx(run.metrics["test"]["bleu"])
    wider = finished.evaluate(run.folder, overrides={"evaluate.beam_width": 4}, data=content)
    assert wider.metrics["bleu"] > 0
    with pytest.raises(SettingError, match=r"^evaluate\.beam_width: expected at most"):
        finished.evaluate(run.folder, overrides={"evaluate.beam_width": 400}, data=content)


def test_tokens_of_a_run_are_in_its_folder(run):
    assets = json.loads((run.folder / "assets" / "assets.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer(assets["tokenizers"][0])
    assert tokenizer.decode(tokenizer.encode(["eins zwei"])) == ["eins zwei"]
