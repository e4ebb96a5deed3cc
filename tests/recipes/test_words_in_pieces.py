"""Sequence tagging by encoders of tokens: words in pieces, from published weights or from a pre-training."""

import numpy as np
import pytest

import kit
from kit import recipes
from kit.commands.export import export
from kit.data.sequences import tagged_examples, words_of
from kit.data.word_pieces import Pieces
from kit.errors import KitError, SettingError
from kit.training.transfer import layers_by_path
from kit.weights import published
from tests import processes
from tests.moments import AfterBatch
from tests.weights.published import fixture, publish

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##do", "##able", "it", ".", "walk", "##s", "a", "cat"]
TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 3, "steps_per_execution": 1, "jit_compile": False}
QUICK = {"train": TRAIN, "evaluate": {"bootstrap_samples": 10}, "verbose": False}
SENTENCE = ["a", "cat", "walks", "."]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of published weights of BERT with its list of word pieces."""
    config, arrays, _, _ = fixture("bert")
    folder = publish(tmp_path_factory.mktemp("published") / "bert", arrays, config)
    more = [f"w{number}" for number in range(config["vocab_size"] - len(TOKENS))]
    (folder / "vocab.txt").write_text("\n".join([*TOKENS, *more]) + "\n")
    return folder


def sentences(count=40):
    random = np.random.default_rng(0)
    words = {"a": "DET", "it": "PRON", "cat": "NOUN", "walks": "VERB", "walk": "VERB", "undoable": "ADJ", ".": "PUNCT"}
    found = []
    for _ in range(count):
        chosen = random.choice(list(words), random.integers(2, 6)).tolist()
        found.append((chosen, [words[word] for word in chosen]))
    return found


def data(**more):
    return {"source": sentences(), "max_pieces": 16, **more}


@pytest.fixture(scope="module")
def run(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger") / "run"
    return kit.train("sequence_tagging", folder=folder, data=data(), model={"weights": str(weights)}, **QUICK)


def test_words_are_pieces_and_the_first_of_each_is_known(weights):
    tokenizer, embeddings = published.tokenizer_of(weights)
    pieces = Pieces(tokenizer.to_json(), embeddings, 9)
    examples = tagged_examples([["undoable", "it"], ["it"], ["walks", "\u200b", "A"]], pieces, [[1, 0], [0], [2, 1, 0]])
    inputs, labels = examples.arrays([0, 1, 2])
    names = {name: number for number, name in enumerate(TOKENS)}
    ids = [
        [names[token] for token in row]
        for row in (
            ["[CLS]", "un", "##do", "##able", "it", "[SEP]"],
            ["[CLS]", "it", "[SEP]", "[PAD]", "[PAD]", "[PAD]"],
            ["[CLS]", "walk", "##s", "[UNK]", "a", "[SEP]"],  # a word without pieces is an unknown one
        )
    ]
    assert inputs["ids"].tolist() == ids
    assert inputs["first_pieces"].tolist() == [[1, 4, -1], [1, -1, -1], [1, 3, 4]]
    assert labels.tolist() == [[1, 0, -1], [0, -1, -1], [2, 1, 0]] and words_of(examples).tolist() == [2, 1, 3]
    with pytest.raises(KitError, match=r"a sentence of 3 words \(undoable undoable undoable ...\) has 11 pieces; .* 9"):
        pieces.columns([["undoable"] * 3])


def test_a_word_is_what_its_first_piece_becomes(weights):
    """And neither padding nor the sentences beside it change its answer."""
    arguments = {"pad_id": 0, "backbone": "bert", "dropout": 0.0}
    config = fixture("bert")[0]
    sizes = published.settings_of(weights)
    own = {key.partition(".")[2]: value for key, value in sizes.items() if key.startswith("backbone.")}
    from kit.models.text import OF_TOKENS

    backbone = OF_TOKENS["bert"][0](config["vocab_size"], 0, **own)
    model = recipes.sequence_tagger(config["vocab_size"], 3, **arguments | {"backbone": backbone})
    ids = np.array([[2, 5, 6, 7, 8, 3], [2, 8, 3, 0, 0, 0]], "int32")
    firsts = np.array([[1, 4], [1, -1]], "int32")
    logits = model.predict_on_batch({"ids": ids, "first_pieces": firsts})
    sequence = backbone.predict_on_batch({"ids": ids, "segments": 0 * ids})
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits[0], sequence[0, [1, 4]] @ kernel + bias, atol=1e-5)
    alone = model.predict_on_batch({"ids": ids[1:, :3], "first_pieces": firsts[1:, :1]})
    np.testing.assert_allclose(logits[1, :1], alone[0], atol=1e-5)


def test_weights_bring_network_and_tokenizer_and_scores_are_of_words(run, weights):
    assert run.settings["model"]["backbone"] == "bert"
    assert run.settings["data"]["tokenizer"] == str(weights) and run.settings["model"]["head"] == "auto"
    table = run.predict(["a cat walks.", "Undoable."])
    assert table["token"].tolist() == ["a", "cat", "walks", ".", "Undoable", "."]
    assert set(table["tag"]) <= {"DET", "PRON", "NOUN", "VERB", "ADJ", "PUNCT"}
    loaded = kit.load(run.folder)
    assert loaded.predict(["a cat walks.", "Undoable."]).equals(table)
    with pytest.raises(KitError, match="pieces; expected at most 16"):
        run.predict("undoable " * 200)
    figures = [path.name for path in (run.folder / "plots").iterdir()]
    assert sum("attention" in name for name in figures) == fixture("bert")[0]["num_hidden_layers"]


def test_explanations_are_of_words(run):
    found = run.explain("a cat walks.", steps=8)
    assert found.table["token"].tolist() == SENTENCE
    assert found.arrays["sentence_1"].shape == (4, 4)
    assert found.table["gap"].max() < 0.2


def test_the_fine_tuned_network_is_exported_as_published(run, tmp_path):
    done = export(run.folder, "safetensors", tmp_path / "tuned", data=sentences())
    assert done.difference == 0
    again = kit.train(
        "sequence_tagging",
        folder=tmp_path / "again",
        data=data(),
        model={"weights": str(done.path)},
        **QUICK | {"train": {"epochs": 0}},
    )
    layers = layers_by_path(again.model)
    for path, layer in layers_by_path(run.model).items():
        if path.startswith("bert/") and layer.weights:
            pairs = zip(layer.get_weights(), layers[path].get_weights(), strict=True)
            assert all((one == other).all() for one, other in pairs), path


@pytest.mark.slow
def test_a_pre_training_is_where_a_tagger_begins(tmp_path):
    backbone = {"dim": 16, "depth": 1, "num_heads": 2, "feedforward_dim": 16, "max_length": 32}
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(" ".join(words) for words, _ in sentences(90)))
    start = kit.train(
        "masked_language_modelling",
        folder=tmp_path / "start",
        data={"source": str(path), "max_length": 16, "vocabulary_size": 60, "min_count": 1},
        model={"backbone": "bert"},
        backbone=backbone,
        train=TRAIN,
        verbose=False,
    )
    training = {**TRAIN, "start_from": str(start.folder), "freeze": ["backbone"]}
    run = kit.train(
        "sequence_tagging",
        folder=tmp_path / "run",
        data=data(tokenizer=str(start.folder)),
        model={"backbone": "bert"},
        backbone=backbone,
        **QUICK | {"train": training},
    )
    networks = start.model, run.model.get_layer("bert")
    np.testing.assert_array_equal(*(each.get_layer("token_embedding").get_weights()[0] for each in networks))


@pytest.mark.slow
def test_a_killed_training_ends_as_one_that_was_not(weights, tmp_path):
    path = tmp_path / "tags.conll"
    blocks = ["".join(f"{word}\t{tag}\n" for word, tag in zip(*each, strict=True)) for each in sentences()]
    path.write_text("\n".join(blocks))
    words = ["train", "sequence_tagging", f"--data.source={path}", "--config=default", f"--model.weights={weights}"]
    words += ["--model.head=crf", "--data.max_pieces=16", "--train.epochs=2", "--train.steps_per_epoch=2"]
    words += ["--train.batch_size=8", "--evaluate.bootstrap_samples=10"]
    processes.assert_killed_ends_alike(tmp_path, AfterBatch(epoch=2, batch=1), *words)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": {"backbone": "bert_tiny"}}, r"model\.backbone: takes pieces of words; expected data\.tokenizer"),
        (
            {"model": {"backbone": "bilstm"}, "data": {"tokenizer": True}},
            r"model\.backbone: takes whole words; expected one of tokens",
        ),
        ({"data": {"features": ["word"]}}, r"data\.features: expected 'auto' where data\.tokenizer cuts words"),
        ({"data": {"max_pieces": 17}}, r"data\.max_pieces: expected at most 16, backbone\.max_length, got 17"),
        ({"data": {"max_pieces": 3}}, r"pieces; expected at most 3 \(data\.max_pieces\)"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message, weights, tmp_path):
    own = {key: str(weights) if key == "tokenizer" else value for key, value in settings.get("data", {}).items()}
    model = settings.get("model", {"weights": str(weights)})
    with pytest.raises((KitError, SettingError), match=message):
        kit.train("sequence_tagging", folder=tmp_path / "run", data=data(**own), model=model, **QUICK)
    assert not (tmp_path / "run").exists()
