"""Text classification: pairs, published weights with their tokenizer, and the way back to the published layout."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kit
from kit import config
from kit.commands.export import export
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.tasks.text_baselines import of_label as baseline
from kit.weights import loading, published
from kit.weights.tensors import Tensors
from tests.weights.published import fixture, publish

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 1, "jit_compile": False}
QUICK = {"train": TRAIN, "evaluate": {"bootstrap_samples": 10}, "verbose": False}
SMALL = {"model": {"backbone": "text_cnn", "embedding_dim": 4}, "backbone": {"filters": 2, "kernel_sizes": [2]}}


def texts(count=60, pairs=False):
    """Returns texts of letters whose class is the first of them; of pairs whether both begin alike."""
    random = np.random.default_rng(0)
    rows = []
    for row in range(count):
        first, second = (" ".join(random.choice(list("abcd"), random.integers(2, 7))) for _ in range(2))
        rows.append(
            (first, second, str(first[0] == second[0])) if pairs else (f"{'ab'[row % 2]} {first}", "xy"[row % 2])
        )
    return rows


@pytest.fixture
def folder(tmp_path):
    """A tiny BERT as it is published: weights, sizes and word pieces."""
    content, weights, _, _ = fixture("bert")
    path = publish(tmp_path / "weights", weights, content)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return path


def test_pairs(tmp_path):
    run = kit.train("text_classification", data=texts(pairs=True), folder=tmp_path / "run", **SMALL, **QUICK)
    assert set(run.model.input) == {"ids", "segments"} and run.assets["num_texts"] == 2
    mistakes = pd.read_csv(run.folder / "tables" / "3_most_confident_mistakes.csv", dtype={"label": str})
    assert {"text", "second text", "label", "prediction", "probability"} == set(mistakes.columns) and len(mistakes)
    baseline = run.metrics["baseline"]
    assert baseline["name"] == "TF-IDF with logistic regression" and 0 <= baseline["accuracy"] <= 1
    assert "Beside it, TF-IDF with logistic regression: accuracy" in (run.folder / "report.html").read_text()
    table = run.predict([("a b c", "a d"), ("b", "c")])
    assert table["input"].tolist() == ["a b c | a d", "b | c"]
    with pytest.raises(KitError, match="1 texts; expected 2, with a tab between them"):
        run.predict("a b c")


def short(data):
    """Returns data of texts that are no longer than the published network's positions."""
    return {"source": data, "max_length": 16}


def test_texts_longer_than_the_positions_are_refused(folder, tmp_path):
    with pytest.raises(SettingError, match="data.max_length: expected at most 16, backbone.max_length, got 64"):
        kit.train("text_classification", data=texts(), model={"weights": str(folder)}, folder=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


def test_published_weights_bring_sizes_and_tokenizer(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = kit.train(
        "text_classification", data=short(texts()), model={"weights": folder.name}, folder=tmp_path / "run", **QUICK
    )
    settings = config.read_toml(run.folder / "config.toml")
    assert settings["model.backbone"] == "bert" and settings["backbone.dim"] == 32 and settings["backbone.depth"] == 2
    assert settings["data.tokenizer"] == settings["model.weights"] == str(folder)
    assert run.model.get_layer("bert").get_layer("token_embedding").embeddings.shape == (40, 32)
    assert run.assets["embeddings"] == 40 and len(WORDS) < 40
    again = kit.load(run.folder)
    assert again.predict("a b").equals(run.predict("a b"))


def test_exported_it_is_published_again(folder, tmp_path):
    run = kit.train(
        "text_classification", data=short(texts()), model={"weights": str(folder)}, folder=tmp_path / "run", **QUICK
    )
    done = export(run.folder, "safetensors", tmp_path / "tuned", data=texts())
    assert done.difference == 0 and done.accuracy_lost == 0
    assert {path.name for path in done.path.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    content = json.loads((done.path / "config.json").read_text())
    assert content["model_type"] == "bert" and content["id2label"] == {"0": "x", "1": "y"}
    assert json.loads((done.path / "tokenizer_config.json").read_text())["cls_token"] == "[CLS]"
    tensors = Tensors(done.path)
    module, _ = published.family_of(done.path)
    own = loading.tensors_of(run.model.get_layer("bert"), module.FAMILY)
    for name, value in own.items():
        np.testing.assert_array_equal(tensors[name], value)
    tuned = {"model": {"weights": str(done.path)}, "train": TRAIN | {"epochs": 1}, "evaluate": QUICK["evaluate"]}
    kit.train("text_classification", data=short(texts()), folder=tmp_path / "second", verbose=False, **tuned)


def test_what_published_weights_are_not_is_refused(folder, tmp_path, empty_folder):
    cases = {
        "model.backbone: expected 'bert'": {"model": {"weights": str(folder), "backbone": "text_cnn"}},
        "model.weights: no folder 'nowhere'": {"model": {"weights": "nowhere"}},
        "no published layout is known for 'text_cnn'": None,
    }
    for said, settings in cases.items():
        if settings is None:
            run = kit.train("text_classification", data=texts(), folder=tmp_path / "run", **SMALL, **QUICK)
            with pytest.raises(KitError, match=said):
                export(run.folder, "safetensors", data=texts())
            continue
        with pytest.raises(SettingError, match=said):
            kit.train("text_classification", data=texts(), **settings, **QUICK)
    with pytest.raises(SettingError, match="model.weights: .* holds a bert, which image_classification has no use for"):
        kit.train("image_classification", model={"weights": str(folder)}, verbose=False)
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *map(str, range(20))]) + "\n")
    with pytest.raises(KitError, match="51 tokens; expected at most 40, which have embeddings"):
        kit.train("text_classification", data=texts(), model={"weights": str(folder)}, **QUICK)
    assert not (empty_folder / "runs").exists()


def test_offline_a_name_is_refused_at_once(empty_folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SettingError, match="model.weights: hf:no/such cannot be fetched, and is not in the cache"):
        kit.train("text_classification", data=texts(), model={"weights": "hf:no/such"}, **QUICK)
    assert not (empty_folder / "runs").exists()


def test_labels_that_are_no_classes(empty_folder):
    with pytest.raises(SettingError, match="data.target: 40 different labels of 40 texts"):
        kit.train("text_classification", data=[(f"text {row}", str(row)) for row in range(40)], **QUICK)
    with pytest.raises(KitError, match="only one class, 'a'; expected at least two"):
        kit.train("text_classification", data=[("text", "a")] * 20, **QUICK)


def test_a_baseline_that_cannot_be_fitted_costs_no_training(tmp_path):
    """Texts without a word have no TF-IDF; among many texts the rare class is in the trial of its time, too."""
    signs = [(sign * (2 + row % 5), "ab"[sign == "?"]) for row in range(30) for sign in "!?"]
    run = kit.train("text_classification", data=signs, folder=tmp_path / "signs", **SMALL, **QUICK)
    assert "baseline" not in run.metrics
    assert "baseline: TF-IDF with logistic regression cannot be fitted" in (run.folder / "run.log").read_text()
    rare = [(f"word {row}", "a") for row in range(2000)] + [(f"other {row}", "b") for row in range(4)]
    splits = config.call(kit.recipes.text_classification.labelled_texts, 0, None, source=rare)
    assert baseline(splits, {"baseline": True}, 1e6)["accuracy"] > 0.99


def test_rare_classes_count_more():
    rows = [(f"a {row}", "a") for row in range(40)] + [(f"b {row}", "b") for row in range(10)]
    splits = config.call(kit.recipes.text_classification.labelled_texts, 0, None, source=rows, class_weights="balanced")
    labels, weights = splits.train.target("label"), splits.train.weights.values(splits.train.rows)
    totals = [weights[labels == label].sum() for label in (0, 1)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


WORDY = [(f"{a} {b} the cat", "xy"[row % 2]) for row in range(40) for a, b in [("good" if row % 2 else "Bad", "film")]]
VECTORS = {"good": [1.0, 0.0, 0.5], "bad": [-1.0, 0.5, 0.0], "film": [0.0, 2.0, 0.0], "unseen": [3.0, 3.0, 3.0]}


def write_vectors(path, vectors=VECTORS):
    if path.suffix == ".bin":
        rows = [word.encode() + b" " + np.array(row, "<f4").tobytes() + b"\n" for word, row in vectors.items()]
        path.write_bytes(f"{len(vectors)} 3\n".encode() + b"".join(rows))
    else:
        path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in vectors.items()))
    return str(path)


def of_vectors(path, folder, backbone="text_cnn", model=None, **train):
    return kit.train(
        "text_classification",
        folder=folder,
        data={"source": WORDY, "vectors": path},
        model={"backbone": backbone, "embedding_dim": 3} | (model or {}),
        train={"epochs": 1, "batch_size": 8, "steps_per_execution": 1, "jit_compile": False} | train,
        evaluate={"bootstrap_samples": 10},
        verbose=False,
    )


@pytest.mark.parametrize("name", ["words.txt", "words.bin"])
def test_the_embedding_begins_with_word_vectors_and_may_stay(name, tmp_path):
    run = of_vectors(write_vectors(tmp_path / name), tmp_path / "run", freeze=["token_embedding"])
    tokenizer = Tokenizer(run.assets["tokenizer"])
    table = np.asarray(run.model.get_layer("token_embedding").embeddings)
    for text, word in (("good", "good"), ("Bad", "bad"), ("unseen", "unseen"), ("film", "film")):
        (token,) = tokenizer.encode([text])[0]
        assert token != tokenizer.unknown_id
        np.testing.assert_array_equal(table[token], np.float32(VECTORS[word]))
    assert len(run.predict(["an unseen film"])) == 1


def test_word_vectors_that_cannot_be_are_refused(tmp_path):
    good = write_vectors(tmp_path / "words.txt")
    with pytest.raises(SettingError, match="model.embedding_dim: expected 3, the width of the vectors, got 8"):
        of_vectors(good, tmp_path / "run", model={"embedding_dim": 8})
    with pytest.raises(SettingError, match="backbone.dim: expected 3, the width of the vectors"):
        of_vectors(good, tmp_path / "run", backbone="bag_of_ngrams")
    strange = write_vectors(tmp_path / "strange.txt", {"zzz": [1.0, 2.0, 3.0]})
    with pytest.raises(
        SettingError, match="data.vectors: none of the 1 words of .*strange.txt is in the training texts"
    ):
        of_vectors(strange, tmp_path / "run")
    (tmp_path / "ragged.txt").write_text("good 1 2 3\nbad 1 2\n")
    with pytest.raises(KitError, match="ragged.txt:2: 2 numbers after the word, expected 3"):
        of_vectors(str(tmp_path / "ragged.txt"), tmp_path / "run")
    (tmp_path / "latin.txt").write_bytes("gut 1 2 3\nschön 1 2 3\n".encode("latin-1"))
    with pytest.raises(KitError, match="latin.txt:2: not UTF-8"):
        of_vectors(str(tmp_path / "latin.txt"), tmp_path / "run")
    cut = (tmp_path / "cut.bin").write_bytes(Path(write_vectors(tmp_path / "words.bin")).read_bytes()[:-3])
    assert cut > 0
    with pytest.raises(KitError, match="cut.bin: word 4: expected 3 numbers of 4 bytes"):
        of_vectors(str(tmp_path / "cut.bin"), tmp_path / "run")


def test_a_number_is_exported_in_its_unit(folder, tmp_path):
    numbers = [(text, 1000 + 5.5 * row) for row, (text, _) in enumerate(texts())]
    run = kit.train(
        "text_classification", data=short(numbers), model={"weights": str(folder)}, folder=tmp_path / "run", **QUICK
    )
    done = export(run.folder, "safetensors", tmp_path / "tuned", data=numbers)
    content = json.loads((done.path / "config.json").read_text())
    assert content["problem_type"] == "regression" and content["id2label"] == {"0": "LABEL_0"}
    tensors, last = Tensors(done.path), run.model.get_layer("number")
    deviation, mean = run.assets["deviation"], run.assets["mean"]
    np.testing.assert_allclose(tensors["classifier.weight"], last.kernel.numpy().T * deviation, rtol=1e-6)
    np.testing.assert_allclose(tensors["classifier.bias"], last.bias.numpy() * deviation + mean, rtol=1e-6)
