"""Masked language modelling: what it learns is where text classification begins."""

import numpy as np
import pytest

import kit
from kit.commands.export import export
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
        data=LABELLED,
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
        data=LABELLED,
        model={"weights": str(done.path)},
        train=TRAIN,
        verbose=False,
        evaluate={"bootstrap_samples": 10},
    )
    assert tuned.assets["tokenizer"] == run.assets["tokenizer"] and tuned.settings["backbone"]["dim"] == 16


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
