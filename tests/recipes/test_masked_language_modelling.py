"""Masked language modelling: what it learns is where text classification begins."""

import numpy as np
import pytest
import tensorflow as tf

import kit
from kit.commands.export import export
from kit.data.masked_texts import Masking, masked_examples
from kit.data.sentence_pairs import Pairing, pairs
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError

WORDS = [*"abcdefgh"]
TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 3, "steps_per_execution": 1, "jit_compile": False}
BACKBONE = {"dim": 16, "depth": 1, "num_heads": 2, "feedforward_dim": 16, "max_length": 32}
DATA = {"max_length": 16, "vocabulary_size": 60, "min_count": 1}


def documents():
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, 30)) for _ in range(30)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked")
    path = folder / "book.txt"
    path.write_text("\n\n".join(documents()))
    return kit.train(
        "masked_language_modelling",
        folder=folder / "run",
        data={"source": str(path), **DATA},
        model={"backbone": "bert"},
        backbone=BACKBONE,
        train=TRAIN,
        verbose=False,
    )


def test_gaps_are_filled(run):
    table = run.predict(["a b ___ d", "[MASK] a ___"])
    assert table.columns.tolist() == ["input", "gap", "token", "probability"]
    assert table.groupby(["input", "gap"]).size().tolist() == [5, 5, 5]
    assert 1 < run.metrics["test"]["perplexity"] < 200 and run.metrics["test"]["hidden_tokens"] > 0
    alone = run.predict("a b ___ d")
    np.testing.assert_allclose(alone["probability"], table["probability"][:5], atol=1e-5)
    with pytest.raises(KitError, match="text:1: no gap; expected ___ or"):
        run.predict("a b c")
    with pytest.raises(KitError, match="tokens; expected at most 16"):
        run.predict("a ___ " * 20)


def test_the_embedding_is_the_last_layer(run):
    again = kit.load(run.folder).model
    names = [layer.name for layer in again.layers]
    assert names.count("token_embedding") == 1
    before = again.predict_on_batch({"ids": np.array([[2, 5, 3]], "int32"), "positions": np.array([[1]], "int32")})
    table = again.get_layer("token_embedding").embeddings
    table.assign(table * 2.0)
    after = again.predict_on_batch({"ids": np.array([[2, 5, 3]], "int32"), "positions": np.array([[1]], "int32")})
    assert np.abs(after - before).max() > 1e-3


LABELLED = [(f"{'ab'[row % 2]} c d {WORDS[row % 8]}", "xy"[row % 2]) for row in range(60)]


def test_classification_begins_with_its_weights(run, tmp_path):
    tuned = kit.train(
        "text_classification",
        folder=tmp_path / "run",
        data={"source": LABELLED, "max_length": 32},
        model={"backbone": "bert"},
        backbone=BACKBONE,
        train=TRAIN | {"start_from": str(run.folder), "epochs": 1},
        verbose=False,
        evaluate={"bootstrap_samples": 10},
    )
    assert "weights of" in (tuned.folder / "run.log").read_text()


def test_classification_begins_with_what_was_exported(run, tmp_path):
    done = export(run.folder, "safetensors", tmp_path / "weights")
    assert done.difference == 0
    tuned = kit.train(
        "text_classification",
        folder=tmp_path / "run",
        data={"source": LABELLED, "max_length": 32},
        model={"weights": str(done.path)},
        train=TRAIN,
        verbose=False,
        evaluate={"bootstrap_samples": 10},
    )
    assert tuned.assets["tokenizer"] == run.assets["tokenizer"] and tuned.settings["backbone"]["dim"] == 16


def test_half_of_the_pieces_may_train(run, tmp_path):
    data = {"source": str(run.folder.parent / "book.txt"), **DATA}
    settings = {"model": {"backbone": "bert"}, "backbone": BACKBONE, "train": TRAIN | {"share": 0.5}, "verbose": False}
    half = kit.train("masked_language_modelling", folder=tmp_path / "run", data=data, **settings)
    counts = [int(each.split(" training")[0].split()[-1]) for each in (_begun(run), _begun(half))]
    assert counts[1] == round(counts[0] / 2)


def _begun(run):
    return next(line for line in (run.folder / "run.log").read_text().splitlines() if " training, " in line)


def test_what_cannot_be_is_refused(run, empty_folder):
    with pytest.raises(KitError, match="2 documents; expected at least 3"):
        kit.train("masked_language_modelling", data=["a b", "c d"], verbose=False)
    with pytest.raises(SettingError, match="data.max_length: expected at most 8, backbone.max_length"):
        kit.train(
            "masked_language_modelling",
            data={"source": str(run.folder.parent / "book.txt"), **DATA},
            model={"backbone": "bert"},
            backbone=BACKBONE | {"max_length": 8},
            train=TRAIN,
            verbose=False,
        )
    assert not (empty_folder / "runs").exists()


PAIRED = DATA | {"next_sentence": True}


def stories(count=24):
    """Returns documents of six sentences, each of one word that no other document has."""
    return [" ".join(f"{WORDS[row % 8]} w{row} {WORDS[n]}." for n in range(6)) for row in range(count)]


def test_pairs_follow_each_other_or_are_of_two_documents():
    texts = stories()
    tokenizer = Tokenizer.learn(texts, kind="word", vocabulary_size=500, min_count=1, mask=True)
    first, second, owners = pairs(texts, tokenizer, 20)
    assert np.bincount(owners).min() >= 1 and (first >= 0).any(1).all() and (second >= 0).any(1).all()
    pairing = Pairing(Masking(tokenizer, 20, 0.15, False, 3), tokenizer, 20)
    whole = {"first": first, "second": second, "document": owners}
    shares = []
    for step in range(20):
        inputs, labels = pairing(tf.constant(step, tf.int64), whole, None)
        ids, told = inputs["ids"].numpy(), labels["token"].numpy()
        rows, columns = np.nonzero(told >= 0)
        ids[rows, inputs["positions"].numpy()[rows, columns]] = told[rows, columns]
        is_other, segments = labels["next_sentence"].numpy(), inputs["segments"].numpy()
        partner = []
        for row, each in enumerate(ids):
            length = int((each != tokenizer.pad_id).sum())
            assert each[0] == tokenizer.start_id and each[length - 1] == tokenizer.end_id
            cut = 1 + (first[row] >= 0).sum()
            assert (each[1:cut] == first[row][first[row] >= 0]).all() and each[cut] == tokenizer.end_id
            assert (segments[row] == (np.arange(20) > cut) * (np.arange(20) < length)).all()
            rest = each[cut + 1 : length - 1].tolist()
            same = second[row][second[row] >= 0].tolist()
            assert (rest == same) == (not is_other[row])
            partner.append(
                next(o for o, other in zip(owners, second, strict=True) if rest == other[other >= 0].tolist())
            )
        assert ((np.array(partner) != owners) == is_other).all()
        shares.append(is_other.mean())
    assert 0.4 < np.mean(shares) < 0.6
    again = pairing(tf.constant(19, tf.int64), whole, None)
    np.testing.assert_array_equal(again[0]["ids"], inputs["ids"])
    alone, labels = pairing(tf.constant(0, tf.int64), {name: value[:1] for name, value in whole.items()}, None)
    assert labels["next_sentence"].numpy().tolist() == [0] and (alone["ids"].numpy()[0] != 0).any()


def test_next_sentences_are_trained_scored_and_exported(tmp_path):
    run = kit.train(
        "masked_language_modelling",
        folder=tmp_path / "run",
        data={"source": stories(), **PAIRED},
        model={"backbone": "bert"},
        backbone=BACKBONE,
        train=TRAIN | {"epochs": 2, "monitor": "val_next_sentence_accuracy"},
        verbose=False,
    )
    scores = run.metrics["test"]
    assert scores["next_sentence_accuracy_low"] <= scores["next_sentence_accuracy"] <= 1 and scores["pairs"] > 0
    assert 0 < scores["followed_share"] < 1 and scores["hidden_tokens"] > 0
    history = run.history
    total = history["val_loss"].iloc[-1]
    assert total > scores["cross_entropy"] * 0.5 and np.isfinite(history["loss"]).all()
    assert run.predict("a ___ c.").groupby("gap").size().tolist() == [5]
    done = export(run.folder, "safetensors", tmp_path / "weights", data=stories())
    from safetensors.numpy import load_file

    names = load_file(done.path / "model.safetensors").keys()
    assert {"cls.seq_relationship.weight", "pooler.dense.weight"} <= {name.removeprefix("bert.") for name in names}
    assert {"layer", "head", "neighbours"} <= set(run.explain("a b c").table)


def test_documents_of_one_sentence_have_no_next_one():
    with pytest.raises(KitError, match="data.next_sentence: no document of the train split has two sentences or more"):
        kit.train("masked_language_modelling", data={"source": ["a b c"] * 30, **PAIRED}, verbose=False)


def test_validation_texts_that_are_trained_on_are_masked_anew():
    tokenizer = Tokenizer.learn(documents(), kind="word", vocabulary_size=50, min_count=1, mask=True)
    ids = np.tile(np.array([tokenizer.start_id, *range(5, 13), tokenizer.end_id], "int32"), (6, 1))
    maskings = [Masking(tokenizer, 10, 0.3, False, seed) for seed in (4, 0)]
    train, held_out = (masked_examples(ids, each, not row) for row, each in enumerate(maskings))
    both = train.join(held_out.take([1, 2]))
    assert len(both) == 8 and (both.input("ids")[6:] == ids[:2]).all() and both.transform is train.transform
    steps = list(both.stream(8, 0, 0, 2))
    assert all((inputs["ids"].numpy() == tokenizer.mask_id).any() for inputs, _ in steps)
    assert (steps[0][0]["positions"].numpy() != steps[1][0]["positions"].numpy()).any()
