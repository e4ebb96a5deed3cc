"""Texts answered with several labels, or with a number: trained, scored, predicted, over folds, served, exported."""

import numpy as np
import pandas as pd
import pytest

import kit
from kit.commands.export import export
from kit.errors import KitError, SettingError
from kit.recipes import text_classifier
from kit.serving.limits import Limits
from kit.serving.server import Server
from tests.serving.asking import ask

LETTERS = "abcdef"
TRAIN = {"epochs": 6, "batch_size": 16, "steps_per_epoch": 8, "steps_per_execution": 8, "jit_compile": False}
SETTINGS = {
    "model": {"backbone": "bag_of_ngrams", "embedding_dim": 8},
    "backbone": {"buckets": 50},
    "optimizer": {"learning_rate": 0.05, "schedule": "constant"},
    "evaluate": {"bootstrap_samples": 20},
    "verbose": False,
}
NUMBERS = ["r2", "rmse", "mae", "pearson", "spearman"]


def texts(kind, count=160):
    """Returns texts of letters; labels are those of a, b and c that are in a text, a number counts a and b."""
    random = np.random.default_rng(0)
    words = [random.choice(list(LETTERS), random.integers(2, 8)) for _ in range(count)]
    if kind == "label":
        return [(" ".join(each), "yes" if "a" in each else "no") for each in words]
    if kind == "labels":
        return [(" ".join(each), sorted({*each} & {*"abc"})) for each in words]
    return [(" ".join(each), 100 + 2.5 * (each == "a").sum() + (each == "b").sum()) for each in words]


def train(kind, folder, model=None, **settings):
    chosen = SETTINGS | {"model": SETTINGS["model"] | (model or {}), "train": TRAIN} | settings
    data = {"source": texts(kind), **chosen.pop("data", {})}
    return kit.train("text_classification", data=data, folder=folder, **chosen)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind of answer."""
    folder = tmp_path_factory.mktemp("answers")
    return {kind: train(kind, folder / kind) for kind in ("labels", "number")}


def test_several_labels(runs):
    run = runs["labels"]
    test = run.metrics["test"]
    assert test["micro_f1"] > 0.8 and test["micro_f1_low"] <= test["micro_f1"] <= test["micro_f1_high"]
    assert test["mean_average_precision"] > 0.9 and run.metrics["monitor"] == "val_loss"
    assert run.metrics["baseline"]["micro_f1"] > 0.9
    assert "TF-IDF with logistic regression of each label: micro F1" in (run.folder / "report.html").read_text()
    table = pd.read_csv(run.folder / "tables" / "1_per_label.csv")
    assert table["label"].tolist() == ["a", "b", "c"] and table["threshold"].nunique() == 1
    found = run.predict(["a b f", "d e f d", "c"])
    assert list(found) == ["input", "labels", "p(a)", "p(b)", "p(c)"]
    assert found["labels"].tolist() == ["a;b", "", "c"]
    again = kit.load(run.folder)
    pd.testing.assert_frame_equal(again.predict(["a b f"]), found[:1], atol=1e-6)
    assert kit.evaluate(run.folder, split="validation", data=texts("labels")).metrics == run.metrics["validation"]
    own = again.predict(["a b f"], thresholds="per_label")
    assert own["p(a)"][0] == pytest.approx(found["p(a)"][0])
    assert not run.metrics.get("hints")


def test_a_number(runs):
    run = runs["number"]
    test = run.metrics["test"]
    assert test["r2"] > 0.5 and test["rmse"] < test["rmse_of_training_mean"] and test["spearman"] > 0.6
    for name in NUMBERS:
        assert test[f"{name}_low"] <= test[name] <= test[f"{name}_high"]
        assert name in run.metrics["baseline"]
    errors = pd.read_csv(run.folder / "tables" / "1_largest_errors.csv")
    assert list(errors) == ["text", "number", "predicted", "error"]
    assert np.allclose(errors["predicted"] - errors["number"], errors["error"])
    assert errors["error"].abs().is_monotonic_decreasing
    plots = {path.stem for path in (run.folder / "plots").iterdir()}
    assert {"2_true_and_predicted", "3_residuals"} <= plots and set(run.history) >= {"mae", "val_mae", "val_loss"}
    found = run.predict(["a a a a", "f e d"])
    assert list(found) == ["input", "number"] and found["number"][0] > found["number"][1] + 3
    assert kit.load(run.folder).predict(["a a a a"])["number"][0] == pytest.approx(found["number"][0])
    assert kit.evaluate(run.folder, data=texts("number")).metrics == test


def test_quantiles_have_a_coverage(tmp_path):
    run = train("number", tmp_path / "run", {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]})
    test = run.metrics["test"]
    assert test["coverage_wanted"] == 0.8 and 0.3 < test["coverage"] <= 1 and test["interval_width"] > 0
    found = kit.load(run.folder).predict(["a a b", "c"])
    assert list(found) == ["input", "number", "q(0.1)", "q(0.5)", "q(0.9)"]
    assert (found["number"] == found["q(0.5)"]).all()
    assert (found["q(0.1)"] <= found["q(0.5)"]).all() and (found["q(0.5)"] <= found["q(0.9)"]).all()


@pytest.mark.parametrize("kind", ["label", "labels", "number"])
def test_over_folds(kind, tmp_path):
    """All predictions are scored together, and of several runs each knows the tokens that it has learned itself."""
    train_of = TRAIN | {"epochs": 2, "folds": 2}
    several = train(kind, tmp_path / "run", train=train_of, evaluate={"bootstrap_samples": 20, "baseline": False})
    pooled, table = several.metrics["out_of_fold"], several.out_of_fold
    assert pooled["examples"] == len(table) == 160
    answers = several.predict(["a b"], ensemble=True)
    alone = [run.predict(["a b"]) for run in several.runs]
    if kind == "labels":
        assert table["labels"].tolist() == [";".join(labels) for _, labels in _in_order(table, texts(kind))]
        assert answers["p(a)"][0] == pytest.approx(np.mean([each["p(a)"][0] for each in alone]))
        assert 0 < pooled["micro_f1"] <= 1
    elif kind == "label":
        assert answers["p(yes)"][0] == pytest.approx(np.mean([each["p(yes)"][0] for each in alone]))
    else:
        assert table["number"].tolist() == [number for _, number in _in_order(table, texts(kind))]
        assert answers["number"][0] == pytest.approx(np.mean([each["number"][0] for each in alone]))
        assert pooled["mae"] == pytest.approx((table["number"] - table["predicted"]).abs().mean())


def _in_order(table, rows):
    """Returns rows in the order of a table, whose examples are such as `text:12 1a2b3c4d`."""
    return [rows[int(name.split(" ")[0].partition(":")[2])] for name in table["example"]]


def test_served_and_exported(runs, tmp_path):
    for kind, run in runs.items():
        with Server([run.folder], port=0, limits=Limits(batch_size=4)) as server:
            answer = ask(server, "/runs/text_classification/predict", {"text": "a b\nf"}).json["predictions"]
        assert len(answer) == 2 and ("labels" if kind == "labels" else "number") in answer[0]
        done = export(run.folder, "saved_model", tmp_path / kind, data=texts(kind))
        assert done.difference < 1e-4 and done.accuracy_lost is None


@pytest.mark.parametrize("kind", ["label", "labels", "number"])
def test_long_texts_are_read_in_windows(kind, tmp_path):
    """What is scored, tabulated and predicted is a text, however many windows it has; none is in two splits."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        words, where = list(random.choice(list("defghi"), random.integers(3, 40))), random.random() < 0.5
        words[random.integers(len(words))] = "ab"[where]
        answer = {
            "label": "ab"[where],
            "labels": ["x", "b"] if where else ["x"] * (len(words) > 9),
            "number": 1.5 + where,
        }
        rows.append((" ".join(words), answer[kind]))
    data = {"source": rows, "max_length": 10, "window_stride": 5, "token_kind": "word", "min_count": 1}
    evaluate = {"bootstrap_samples": 10, "baseline": kind == "labels"}
    folds = {"folds": 2} if kind == "label" else {}
    done = kit.train(
        *("text_classification",),
        **SETTINGS | {"evaluate": evaluate},
        **{"data": data, "folder": tmp_path / "run", "train": TRAIN | {"epochs": 1} | folds},
    )
    if folds:
        assert sorted(done.out_of_fold["example"].str.split(" ").str[0]) == sorted(f"text:{row}" for row in range(60))
        assert done.metrics["out_of_fold"]["examples"] == 60
        done = done.best
    assert "texts are longer than 10 tokens and read in windows" in (done.folder / "run.log").read_text()
    found = done.predict([text for text, _ in rows[:5]])
    assert len(found) == 5
    together = done.predict([rows[0][0]])
    np.testing.assert_allclose(together.iloc[:, 2:].astype(float), found[:1].iloc[:, 2:].astype(float), atol=1e-5)
    assert kit.evaluate(done.folder, data=rows).metrics == done.metrics["test"]
    if kind == "labels":
        counts = pd.read_csv(done.folder / "tables" / "1_per_label.csv").set_index("label")["texts"]
        assignment = pd.read_csv(done.folder / "assets" / "splits.csv")
        assert len(assignment) == 60 and counts["b"] < (assignment["split"] == "test").sum()
        assert "micro_f1" in done.metrics["baseline"]


def test_rare_labels_may_count_more(tmp_path):
    run = train("labels", tmp_path / "run", data={"class_weights": "balanced"}, train=TRAIN | {"epochs": 1})
    assert run.settings["data"]["class_weights"] == "balanced"


REFUSED = {
    "model.loss: expected none where the answer is no number": ("labels", {"model": {"loss": "mae"}}),
    "model.quantiles: expected none without model.loss=quantile": ("number", {"model": {"quantiles": [0.1, 0.5]}}),
    "model.quantiles: expected rising levels": (
        "number",
        {"model": {"loss": "quantile", "quantiles": [0.1, 0.9]}},
    ),
    "model.label_smoothing: expected 0 of numbers": ("number", {"model": {"label_smoothing": 0.1}}),
    "data.class_weights: expected 'none' of numbers": ("number", {"data": {"class_weights": "balanced"}}),
    "evaluate.thresholds: expected 'one': it means nothing where data.answer is 'number'": (
        "number",
        {"evaluate": {"thresholds": "half"}},
    ),
    "train.monitor: unknown name 'val_accuracy'": ("number", {"train": TRAIN | {"monitor": "val_accuracy"}}),
    "data.answer: .* has a list of labels of each text": ("labels", {"data": {"answer": "number"}}),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_go_with_the_answer_is_refused(said, empty_folder):
    kind, settings = REFUSED[said]
    settings = {key: dict(value) for key, value in settings.items()}
    data = settings.pop("data", {})
    chosen = SETTINGS | {"train": TRAIN} | settings | {"model": SETTINGS["model"] | settings.get("model", {})}
    with pytest.raises((SettingError, KitError), match=said) as caught:
        kit.train("text_classification", data={"source": texts(kind), **data}, **chosen)
    assert "\n" not in str(caught.value) and not (empty_folder / "runs").exists()


def test_a_builder_of_each_answer():
    shared = {"vocabulary_size": 20, "backbone": "bag_of_ngrams"}
    assert text_classifier(num_classes=3, answer="labels", **shared).output.shape == (None, 3)
    assert text_classifier(num_classes=1, answer="number", **shared).output.shape == (None, 1)
    assert text_classifier(num_classes=1, answer="number", loss="quantile", **shared).output.shape == (None, 3)
    with pytest.raises(SettingError, match="num_classes: expected at least 2"):
        text_classifier(num_classes=1, **shared)


def test_a_separator_is_refused_where_texts_have_one_label_each():
    with pytest.raises(SettingError, match="answer: expected 'label' of texts that are generated, or in folders"):
        kit.train("text_classification", data={"separator": ";"}, verbose=False)
