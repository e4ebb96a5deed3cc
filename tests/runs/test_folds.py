"""Cross-validation: a run a fold, each the one that its fold alone gives; out-of-fold predictions, and an ensemble."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import cli, config
from kit.commands.export import export
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.reporting import several as page
from kit.runs import finished, run
from kit.scoring.classification import softmax
from tests.conformance import assert_same
from tests.conftest import TINY, draw
from tests.moments import AtWrite, interrupted
from tests.recipes.test_dqn import SMALL
from tests.runs.test_resume import end, epochs, kill
from tests.runs.test_seeds import changed, same

DIGITS = {**TINY, "train": TINY["train"] | {"steps_per_epoch": 3}}
TAGGED = {
    "model": {"word_dim": 8, "feature_dim": 4, "character_dim": 4, "character_units": 8},
    "backbone": {"units": 8},
    "train": {"epochs": 2, "steps_per_epoch": 4, "batch_size": 8, "patience": 0},
    "evaluate": {"bootstrap_samples": 20},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Three folds of a classifier of images."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return kit.train("image_classification", folder=folder, verbose=False, **changed(DIGITS, folds=3))


def conllu(path, documents=12):
    """Writes tagged sentences of several documents, a word of each in no other."""
    text = ""
    for document in range(documents):
        text += f"# newdoc id = d{document}\n"
        for sentence in range(3):
            words = [("a", "DET"), (f"w{document}", "NOUN"), ("runs", "VERB"), (f"x{sentence}", "ADV")]
            text += f"# sent_id = d{document}-{sentence}\n"
            rows = (f"{row}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n" for row, (word, tag) in enumerate(words, 1))
            text += "".join(rows) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Three folds of a tagger whose groups are documents."""
    folder = tmp_path_factory.mktemp("tagged")
    data = {"source": str(conllu(folder / "all.conllu")), "group": "newdoc id"}
    return kit.train("sequence_tagging", folder=folder / "run", data=data, verbose=False, **changed(TAGGED, folds=3))


def test_each_is_the_run_that_its_fold_alone_gives(digits, tmp_path):
    for number in (0, 2):
        keras.utils.clear_session()  # names are counted as in a new process
        folder = tmp_path / str(number)
        kit.train("image_classification", folder=folder, data={"fold": (number, 3)}, verbose=False, **DIGITS)
        same(digits.folder / f"fold-{number}", folder)


def test_each_example_is_tested_once_in_strata(digits):
    tables = [pd.read_csv(digits.folder / f"fold-{number}" / "assets" / "splits.csv") for number in range(3)]
    tested = np.array([table["split"] == "test" for table in tables])
    assert (tested.sum(0) == 1).all()
    for table in tables:
        assert set(table["split"]) == {"train", "validation", "test"}
        counts = table[table["split"] == "test"]["label"].value_counts()
        assert counts.max() - counts.min() <= 4


def test_the_folder_explains_itself(digits):
    folder = digits.folder
    assert {path.name for path in folder.iterdir()} >= {"config.toml", "metrics.json", "report.html", "run.log"}
    settings = config.read_toml(folder / "config.toml")
    assert settings["train.folds"] == 3 and "data.fold" not in settings
    for number in range(3):
        own = config.read_toml(folder / f"fold-{number}" / "config.toml")
        assert own["data.fold"] == [number, 3] and own["train.folds"] == 0 and own["seed"] == 0
    metrics = read_json(folder / "metrics.json")
    assert metrics == digits.metrics and metrics["folds"] == [0, 1, 2]
    found = [read_json(folder / f"fold-{number}" / "metrics.json") for number in range(3)]
    for name, score in metrics["test"].items():
        values = [each["test"][name] for each in found]
        assert score["folds"] == values and "seeds" not in score
        assert score["mean"] == pytest.approx(np.mean(values))
        assert score["std"] == pytest.approx(np.std(values, ddof=1))
        assert score["iqm_low"] <= score["iqm"] <= score["iqm_high"]
    text = (folder / "report.html").read_text()
    assert all(f'<a href="fold-{number}/report.html">' in text for number in range(3))
    assert "Cross-validation." in text and "tables/out_of_fold.csv" in text and "Confusion matrix" in text
    assert "Test split" not in text and "http" not in text and "--config" in text


def test_predictions_of_all_folds_are_one_table(digits):
    table = pd.read_csv(digits.folder / "tables" / "out_of_fold.csv", dtype={"label": str, "prediction": str})
    names = [f"p({digit})" for digit in range(10)]
    assert table.columns.tolist() == ["example", "fold", "label", "prediction", "probability", *names]
    splits = pd.read_csv(digits.folder / "fold-0" / "assets" / "splits.csv")
    assert sorted(table["example"]) == sorted(splits["example"])
    labels = splits.set_index("example")["label"]
    assert (labels[table["example"]].astype(str).to_numpy() == table["label"]).all()
    right = table["label"] == table["prediction"]
    pooled = digits.metrics["out_of_fold"]
    assert pooled["accuracy"] == pytest.approx(right.mean()) and pooled["examples"] == len(table) == 1797
    assert pooled["accuracy_low"] < pooled["accuracy"] < pooled["accuracy_high"]
    for number in range(3):
        own = read_json(digits.folder / f"fold-{number}" / "metrics.json")["test"]["accuracy"]
        assert right[table["fold"] == number].mean() == pytest.approx(own)
    assert len(digits.out_of_fold) == 1797
    matrix = pd.read_csv(digits.folder / "tables" / "1_per_class.csv")
    assert matrix["images"].sum() == 1797


def test_what_python_gets(digits):
    assert [each.settings["data"]["fold"] for each in digits.runs] == [[number, 3] for number in range(3)]
    assert digits.table["run"].tolist() == ["fold-0", "fold-1", "fold-2"] and digits.table["fold"].tolist() == [0, 1, 2]
    assert repr(digits).startswith("Runs(image_classification, ") and "3 folds" in repr(digits)
    assert "3 folds" in digits._repr_html_()
    again = kit.load(digits.folder)
    assert again.metrics == digits.metrics and again.best.folder == digits.best.folder


def test_an_ensemble_is_the_mean_of_probabilities(digits, capsys):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    mean = np.mean([one.predict(images).filter(like="p(") for one in digits.runs], 0)
    together = digits.predict(images, ensemble=True)
    np.testing.assert_allclose(together.filter(like="p("), mean, rtol=1e-5)
    assert (together["label"] == mean.argmax(1).astype(str)).all()
    plain = [softmax(one.model.predict_on_batch(images)) for one in digits.runs]
    unscaled = digits.predict(images, ensemble=True, temperature_scaling=False).filter(like="p(")
    np.testing.assert_allclose(unscaled, np.mean(plain, 0), rtol=1e-5)
    with pytest.raises(SettingError, match=r"predict\.ensemble: .*fold-0 holds one run; expected several"):
        digits.runs[0].predict(images, ensemble=True)
    with pytest.raises(SettingError, match=r"predict\.ensemble: expected true or false, got 'x'"):
        digits.predict(images, ensemble="x")
    path = str(draw(Path("a.png"), (8, 8), "L"))
    assert cli.main(["predict", str(digits.folder), path, "--ensemble", "true", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"the mean of all 3 folds of {digits.folder} is applied\n"
    answer = json.loads(captured.out.splitlines()[-1])
    assert answer["folder"] == str(digits.folder)
    assert answer["predictions"][0]["probability"] == pytest.approx(
        digits.predict(path, ensemble=True)["probability"][0]
    )
    assert cli.main(["predict", str(digits.folder), path]) == 0
    assert capsys.readouterr().err == f"{digits.best.folder} is applied, the best of its folds by validation\n"


def test_what_else_is_done_with_the_folder(digits, capsys):
    folder = digits.folder
    text = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert kit.report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text() == text
    assert finished.evaluate(folder).metrics == digits.metrics["test"]
    assert cli.main(["evaluate", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"] == digits.metrics["test"]
    with pytest.raises(KitError, match=r"holds several runs; expected single runs, such as .*fold-"):
        finished.compare([folder, digits.best.folder])
    assert export(folder, "saved_model", "exported").difference < 1e-3


def test_documents_stay_in_one_fold_and_words_are_a_table(tagged):
    tables = [pd.read_csv(tagged.folder / f"fold-{number}" / "assets" / "splits.csv") for number in range(3)]
    for table in tables:
        assert (table.groupby("group")["split"].nunique() == 1).all() and table["group"].nunique() == 12
    words = tagged.out_of_fold
    assert words.columns.tolist() == ["example", "fold", "word", "token", "label", "prediction", "probability"]
    assert len(words) == 12 * 3 * 4 and words.groupby("example")["fold"].nunique().max() == 1
    right = (words["label"] == words["prediction"]).mean()
    assert tagged.metrics["out_of_fold"]["accuracy"] == pytest.approx(right)
    assert tagged.metrics["out_of_fold"]["examples"] == 36
    for number in range(3):
        own = words[words["fold"] == number]
        found = read_json(tagged.folder / f"fold-{number}" / "metrics.json")["test"]["accuracy"]
        assert (own["label"] == own["prediction"]).mean() == pytest.approx(found)


def test_an_ensemble_of_taggers_with_vocabularies_of_their_own(tagged):
    # Words of a fold's test documents are unknown to it alone.
    assert len({json.dumps(each.assets["features"]) for each in tagged.runs}) == 3
    together = tagged.predict("a w1 runs x1", ensemble=True, tokenized=True)
    assert together["token"].tolist() == ["a", "w1", "runs", "x1"] and together["probability"].between(0, 1).all()
    alone = finished.Run.predict(
        kit.load(tagged.folder / "fold-0"), "a w1 runs x1", tokenized=True
    )  # one member is itself
    same_three = tagged.ensemble
    for values in (same_three.model.models, same_three.model.assets):
        values[:] = [values[0]] * 3
    first = same_three.predict("a w1 runs x1", tokenized=True)
    expected = tagged.best.predict("a w1 runs x1", tokenized=True)
    pd.testing.assert_frame_equal(first, expected)
    assert alone.columns.tolist() == expected.columns.tolist()


@pytest.mark.slow
def test_answers_without_a_mean_are_refused_and_pairs_are_a_table(tmp_path):
    rows = "".join(f"{a} {b}\t{b} {a}\tt{a}\n" for a in "abcdefgh" for b in "uvwxyz")
    (tmp_path / "pairs.tsv").write_text(f"en\tde\ttalk\n{rows}", encoding="utf-8")
    data = {"source": str(tmp_path / "pairs.tsv"), "group": "talk", "token_kind": "word", "vocabulary_size": 18}
    done = kit.train(
        "translation",
        folder=tmp_path / "run",
        verbose=False,
        data=data | {"min_count": 1},
        model={"embedding_dim": 8},
        backbone={"dim": 8, "feedforward_dim": 8},
        train={"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "folds": 2},
        evaluate={"bootstrap_samples": 20},
    )
    table = done.out_of_fold
    assert table.columns.tolist() == ["example", "fold", "source", "label", "prediction"] and len(table) == 48
    assert done.metrics["out_of_fold"]["examples"] == 48 and "bleu" in done.metrics["out_of_fold"]
    with pytest.raises(SettingError, match=r"predict\.ensemble: answers of translation have no mean; expected false"):
        done.predict("a u", ensemble=True)


@pytest.mark.slow
def test_images_that_come_back_are_a_table_and_made_ones_none(tmp_path):
    train = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 16, "folds": 2}
    done = kit.train("autoencoder", folder=tmp_path / "run", data={"noise": 0.3}, train=train, verbose=False)
    table, scores = done.out_of_fold, done.metrics["out_of_fold"]
    assert table.columns.tolist()[:4] == ["example", "fold", "label", "error"] and len(table) == 1797
    assert scores["mean_squared_error"] == pytest.approx(table["error"].mean()) and "psnr_gain" in scores
    made = kit.train("gan", folder=tmp_path / "gan", train=train, evaluate={"num_samples": 20}, verbose=False)
    assert made.out_of_fold is None and "out_of_fold" not in made.metrics
    assert not (tmp_path / "gan" / "tables").exists()


@pytest.mark.parametrize("when", [(1, 1), *(pytest.param(each, marks=pytest.mark.slow) for each in ((2, 0), (3, 1)))])
def test_what_was_interrupted_ends_like_what_was_not(digits, when, monkeypatch, capsys):
    with interrupted(monkeypatch, *when):
        kit.train("image_classification", folder="run", **changed(DIGITS, folds=3))
    out = capsys.readouterr().out
    assert out.count("--folder run carries on") == 1 and "--folder run/fold" not in out
    with pytest.raises(KitError, match=r"run: this run is not finished; .* --folder run`"):
        kit.load("run")
    with pytest.raises(SettingError, match=r"train\.folds: the run in run was started with 3, not 4"):
        kit.train("image_classification", folder="run", train={"folds": 4})
    with pytest.raises(SettingError, match=r"data\.split_seed: the run in run was started with 0, not 5"):
        kit.train("image_classification", folder="run", data={"split_seed": 5})
    kept = {path: path.stat().st_mtime_ns for path in Path("run").glob("fold-*/metrics.json")}
    done = kit.train("image_classification", folder="run", verbose=False, **changed(DIGITS, folds=3))
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items())
    for number in range(3):
        same(done.folder / f"fold-{number}", digits.folder / f"fold-{number}")
    assert (
        done.metrics["test"] == digits.metrics["test"] and done.metrics["out_of_fold"] == digits.metrics["out_of_fold"]
    )
    tables = [folder / "tables" / "out_of_fold.csv" for folder in (done.folder, digits.folder)]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert kit.train("image_classification", folder="run", verbose=False).metrics == done.metrics


@pytest.mark.slow
def test_killed_in_the_second_fold_it_ends_like_that_fold_alone(tmp_path):
    flags = ("--train.epochs=5", "--train.patience=0")
    several, alone = tmp_path / "several", tmp_path / "alone"
    kill("image_classification", several, AtWrite("state.npz", count=5 + 3), "--train.folds=2", *flags)
    assert epochs(several / "fold-1") == 2 and (several / "fold-0" / "metrics.json").exists()
    output = end("image_classification", several, "--train.folds=2", *flags)
    assert "fold 0, 1 of 2: finished before" in output and "going on after epoch 2" in output
    end("image_classification", alone, "--data.fold=1,2", *flags)
    assert_same(several / "fold-1", alone)
    for name in ("config.toml", "predictions.csv"):
        assert (several / "fold-1" / name).read_bytes() == (alone / name).read_bytes()


def test_killed_before_the_statistics_they_are_written(digits):
    shutil.copytree(digits.folder, "run")
    for name in ("metrics.json", "report.html", "tables/out_of_fold.csv"):
        (Path("run") / name).unlink()
    done = kit.train("image_classification", folder="run", verbose=False)
    assert done.metrics == digits.metrics and (Path("run") / "tables" / "out_of_fold.csv").exists()
    for name in ("metrics.json", "fold-1/predictions.csv"):
        (Path("run") / name).unlink()
    with pytest.raises(KitError, match=r"fold-1/predictions.csv: missing; expected the predictions of this fold"):
        kit.train("image_classification", folder="run", verbose=False)


def test_a_test_split_of_the_source_is_left_closed(idx, tmp_path):
    settings = {**DIGITS, "train": {"epochs": 1, "batch_size": 10, "folds": 3, "patience": 0}}
    done = kit.train("image_classification", folder=tmp_path / "run", data=str(idx), verbose=False, **settings)
    table = pd.read_csv(done.folder / "fold-0" / "assets" / "splits.csv")
    closed = table["split"] == "unused"
    assert closed.sum() == 20 and len(done.out_of_fold) == 60
    assert not set(done.out_of_fold["example"]) & set(table["example"][closed])
    assert finished.evaluate(done.folder).metrics == done.metrics["test"]


def test_folds_by_time_go_forward(tmp_path):
    rows = ["path,label,day"]
    for row in range(48):
        draw(tmp_path / "scans" / f"{row}.png", (8, 8), "L", value=row)
        rows.append(f"scans/{row}.png,{'ab'[row % 2]},2031-{1 + row // 24:02}-{1 + row % 24:02}")
    (tmp_path / "scans.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = {"source": str(tmp_path / "scans.csv"), "time": "day"}
    settings = {**TINY, "train": {"epochs": 1, "batch_size": 4, "folds": 3, "patience": 0}}
    done = kit.train("image_classification", folder=tmp_path / "run", data=data, verbose=False, **settings)
    tables = [pd.read_csv(folder / "assets" / "splits.csv") for folder in done.folders]
    assert [(table["split"] == "unused").sum() for table in tables] == [24, 12, 0]
    for table in tables:
        days = table.groupby("split")["time"]
        assert days.max()["train"] < days.min()["validation"] and days.max()["validation"] < days.min()["test"]
    assert len(done.out_of_fold) == 36
    assert "Forward chaining" in (done.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": {"folds": 1}}, "train.folds: expected 0, or at least 2, got 1"),
        ({"train": {"folds": -2}}, "train.folds: expected 0, or at least 2, got -2"),
        ({"train": {"folds": 2.5}}, "train.folds: expected a whole number, got 2.5"),
        ({"train": {"folds": 3, "seeds": 2}}, "train.folds: expected 0 with several seeds"),
        ({"train": {"folds": 200}}, "train.folds: expected at most 174, the number of examples of class '8', got 200"),
        ({"train": {"folds": 3}, "data": {"fold": (0, 3)}}, "data.fold: expected none with train.folds, which sets it"),
        ({"train": {"folds": 3}, "data": {"group": "digits"}}, "data.group: 'digits' is in no name"),
        ({"data": {"fold": (3, 3)}}, r"data.fold: expected such as \[0, 5\] to \[4, 5\]"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(settings, said, empty_folder):
    with pytest.raises(KitError, match=said) as caught:
        kit.train("image_classification", verbose=False, **settings)
    assert "\n" not in str(caught.value)
    assert not (empty_folder / "runs").exists()


def test_what_has_no_examples_or_one_beginning_is_refused(empty_folder):
    with pytest.raises(
        SettingError, match="train.folds: expected 0: dqn makes its data by acting; train.seeds repeats"
    ):
        kit.train("dqn", verbose=False, **changed(SMALL, folds=3))
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    with pytest.raises(SettingError, match=r"train\.folds: expected 0 with a model of one's own"):
        kit.train(model=model, train={"folds": 2}, verbose=False)
    with pytest.raises(SettingError, match=r"train\.folds: expected 0 for a run that is part of something else"):
        run.train_trial(
            "image_classification", {"train.folds": 2}, config=None, folder=empty_folder / "run", seed=0, watch=None
        )


def test_other_verbs(capsys, empty_folder):
    one, three = (kit.dry_run("image_classification", verbose=False, **changed(DIGITS, folds=n)) for n in (0, 3))
    assert three["examples"]["test"] == 599 and one["examples"]["test"] == 359
    steps = three["steps_per_epoch"] * three["epochs"] * 3
    assert three["seconds_estimated"] == pytest.approx(three["seconds_per_step"] * steps, abs=0.06)
    assert cli.main(["train", "image_classification", "--train.folds=200", "--dry-run"]) == 2
    assert "train.folds: expected at most 174" in capsys.readouterr().err
    assert cli.main(["tune", "image_classification", "--train.folds=2"]) == 2
    assert "train.folds: expected 0: all trials have one division" in capsys.readouterr().err
    assert cli.main(["show", "image_classification"]) == 0
    assert "out-of-fold predictions" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_terminal_says_which_fold_and_what_came_out(capsys):
    flags = [f"--{name}.{key}={value}" for name in ("train", "evaluate") for key, value in DIGITS[name].items()]
    flags.append("--model.backbone=mlp")
    assert cli.main(["train", "image_classification", "--folder", "runs/a", "--train.folds=2", *flags]) == 0
    out = capsys.readouterr().out
    assert "fold 0, 1 of 2\n" in out and "fold 1, 2 of 2\n" in out
    last = out.splitlines()[-4:]
    assert last[0].startswith("test  accuracy 0.") and " ± " in last[0]
    assert last[1].startswith("out of fold  examples 1,797   accuracy 0.")
    assert last[2] == "page  runs/a/report.html"
    assert last[3] == "use   kit predict runs/a INPUT --ensemble true   # the mean of all 2 folds"


def test_statistics_over_folds_say_so():
    assert page.statistics([1.0, 2.0], "folds")["folds"] == [1.0, 2.0]
    assert page.kind_of({"folds": [0, 1]}) == "folds" and page.kind_of({"seeds": [0, 1]}) == "seeds"
