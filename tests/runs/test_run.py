"""The one path, from settings to a run folder that explains itself."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import config, recipes
from kit.data.splits import Splits
from kit.errors import KitError, SettingError
from kit.runs import finished, kept, run
from kit.runs import folder as folders
from kit.runs import settings as schema
from kit.runs.assembly import assembled
from kit.runs.memory import is_about_memory
from kit.runs.python_inputs import PythonInputs
from kit.training import device
from kit.training.callbacks import Progress
from tests.conftest import TINY, draw

FILES = {
    "config.toml",
    "history.csv",
    "best.keras",
    "metrics.json",
    "report.html",
    "environment.json",
    "assets/assets.json",
    "assets/splits.csv",
    "checkpoint/state.npz",
    "plots/1_learning_curves.png",
    "plots/2_confusion_matrix.png",
    "tables/1_per_class.csv",
}


def test_run_folder_is_whole(small_run):
    folder = small_run.folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found >= FILES
    assert not [name for name in found if name.split("/")[-1].startswith(".") and name != ".lock"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == small_run.metrics
    assert set(metrics) - {"hints"} == {
        "advice",
        "test",
        "validation",
        "train_seconds",
        "train_cpu_seconds",
        "examples_per_second",
        "params",
        "monitor",
        "epochs",
        "best_epoch",
        "chosen",
    }
    assert 0 <= metrics["test"]["accuracy"] <= 1
    history = pd.read_csv(folder / "history.csv")
    assert list(history["epoch"]) == [1, 2]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} <= set(history.columns)
    counts = pd.read_csv(folder / "assets" / "splits.csv")["split"].value_counts()
    assert counts.to_dict() == {"train": 1294, "test": 359, "validation": 144}


@pytest.mark.slow
def test_best_model_loads_in_plain_keras(small_run):
    code = (
        "import keras, sys; model = keras.models.load_model(sys.argv[1]); "
        "assert model.output_shape == (None, 10); assert 'kit' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(small_run.folder / "best.keras")], check=True)


def test_config_of_a_run_repeats_it(small_run, tmp_path):
    again = run.train_with(
        "image_classification", {}, config=small_run.folder / "config.toml", folder=tmp_path / "again"
    )
    assert (again.folder / "history.csv").read_bytes() == (small_run.folder / "history.csv").read_bytes()
    for first, second in zip(again.model.get_weights(), small_run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    other = kit.train("image_classification", folder=tmp_path / "other", seed=1, **TINY)
    assert (other.folder / "history.csv").read_bytes() != (small_run.folder / "history.csv").read_bytes()


def test_best_epoch_is_what_is_evaluated(tmp_path):
    settings = {**TINY, "train": {"epochs": 4, "steps_per_epoch": 6}, "optimizer": {"learning_rate": 0.03}}
    done = kit.train("image_classification", folder=tmp_path / "run", **settings)
    values, kept = done.history["val_accuracy"], done.metrics["best_epoch"] - 1
    least = values.max() - (values.max() * (1 - values.max()) / 144) ** 0.5
    assert values[kept] >= least and (values[kept + 1 :] < least).all()
    assert done.metrics["validation"]["accuracy"] == pytest.approx(values[kept], abs=1e-6)
    assert "a standard error of 144 labelled images" in done.metrics["chosen"]
    assert done.metrics["chosen"] in (done.folder / "report.html").read_text("utf-8")


def test_early_stopping_and_monitor(tmp_path):
    settings = {
        **TINY,
        "train": {"epochs": 20, "steps_per_epoch": 1, "patience": 2, "min_delta": 1.0, "monitor": "val_loss"},
        "optimizer": {"learning_rate": 1e-12, "schedule": "constant"},
    }
    done = kit.train("image_classification", folder=tmp_path / "run", **settings)
    assert done.metrics["epochs"] < 20


def test_averaged_weights_are_the_ones_kept(tmp_path):
    settings = {**TINY, "optimizer": {"use_ema": True, "ema_momentum": 0.5, "learning_rate": 0.003}}
    done = kit.train("image_classification", folder=tmp_path / "run", **settings)
    best = done.history.loc[done.metrics["best_epoch"] - 1]
    assert done.metrics["validation"]["accuracy"] == pytest.approx(best["val_accuracy"], abs=1e-6)


def test_a_diverging_run_says_so_and_keeps_nothing_that_is_not_a_number(tmp_path):
    settings = {**TINY, "optimizer": {"name": "sgd", "learning_rate": 1e30, "schedule": "constant"}}
    with pytest.raises(KitError, match=r"loss became .* optimizer\.learning_rate"):
        kit.train("image_classification", folder=tmp_path / "run", **settings)
    assert not (tmp_path / "run" / "checkpoint" / "state.npz").exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(KitError, match="holds other files"):
        kit.train("image_classification", folder=tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(KitError, match="not a folder"):
        kit.train("image_classification", folder=tmp_path / "file")


def test_a_held_folder_is_refused(tmp_path):
    from filelock import FileLock

    folder = tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / ".lock"), pytest.raises(KitError, match="another live run holds this folder"):
        kit.train("image_classification", folder=folder, **TINY)


def unfinished(folder, monkeypatch, **more):
    """Makes a run that was interrupted in its second epoch."""
    begin = Progress.on_epoch_begin

    def interrupted(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Progress, "on_epoch_begin", interrupted)
        kit.train("image_classification", folder=folder, **{**TINY, **more})


def test_resume_refuses_other_settings(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    unfinished(folder, monkeypatch)
    with pytest.raises(SettingError, match=r"train\.epochs: the run in .* was started with 2, not 5"):
        kit.train("image_classification", folder=folder, train={"epochs": 5})
    with pytest.raises(SettingError, match="seed: the run in"):
        kit.train("image_classification", folder=folder, seed=5)
    with pytest.raises(KitError, match="this run is not finished"):
        kit.load(folder)
    done = kit.train("image_classification", folder=folder, **TINY)
    assert done.metrics["epochs"] == 2


def test_resume_keeps_the_precision_and_says_what_is_another(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(device, "precision", lambda asked: "mixed_bfloat16")  # as on a GPU
        unfinished(folder, monkeypatch)
    path = folder / "environment.json"
    begun = json.loads(path.read_text())
    assert begun["mixed_precision"] == "mixed_bfloat16"
    path.write_text(json.dumps(begun | {"keras": "3.1.0", "devices": "GPU /physical_device:GPU:0"}))
    done = kit.train("image_classification", folder=folder, **TINY)
    assert {layer.dtype_policy.name for layer in done.model.layers} >= {"mixed_bfloat16"}
    said = (folder / "run.log").read_text()
    assert f"this run began with keras 3.1.0, now {keras.__version__}; a GPU, now a CPU: its result may differ" in said


@pytest.mark.parametrize(
    ("devices", "asked", "kept"),
    [("GPU x", "auto", "mixed_bfloat16"), ("CPU x", "auto", "float32"), ("CPU x", "mixed_bfloat16", "mixed_bfloat16")],
)
def test_the_precision_of_runs_from_before_it_was_kept(tmp_path, devices, asked, kept):
    assert folders.kept_precision(tmp_path) is None
    (tmp_path / "config.toml").write_text(f'[train]\nmixed_precision = "{asked}"\n')
    (tmp_path / "environment.json").write_text(json.dumps({"devices": devices}))
    assert folders.kept_precision(tmp_path) == kept


def test_resume_notices_changed_data(tmp_path, photos, monkeypatch):
    folder = tmp_path / "run"
    small = {"train": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2}}
    unfinished(folder, monkeypatch, data={"source": str(photos), "validation_fraction": 0.3}, **small)
    (photos / "cat" / "0.png").rename(photos / "cat" / "other.png")
    with pytest.raises(KitError, match="the data changed since this run was started"):
        kit.train("image_classification", folder=folder)


def test_the_evaluation_may_differ_on_resume(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    unfinished(folder, monkeypatch)
    with pytest.raises(SettingError, match="evaluate.top_k: expected a whole number above 0, got 0"):
        kit.train("image_classification", folder=folder, evaluate={"top_k": 0})
    done = kit.train("image_classification", folder=folder, evaluate={"top_k": 3})
    assert "top_3_accuracy" in done.metrics["test"]
    assert "evaluate.top_k is 3 from now on; this run began with 5" in (folder / "run.log").read_text()
    saved = config.read_toml(folder / "config.toml")
    assert (saved["evaluate.top_k"], saved["evaluate.bootstrap_samples"]) == (3, 50)


def test_a_moved_source_is_carried_on(tmp_path, photos, monkeypatch):
    folder = tmp_path / "run"
    small = {"train": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2}}
    unfinished(folder, monkeypatch, data={"source": str(photos), "validation_fraction": 0.3}, **small)
    moved = tmp_path / "elsewhere" / "photos"
    shutil.copytree(photos, moved)
    draw(moved / "dog" / "7.png", (10, 12), value=99)
    with pytest.raises(KitError, match="the data changed since this run was started: .*7.png"):
        kit.train("image_classification", folder=folder, data=moved)
    shutil.copy(photos / "dog" / "7.png", moved / "dog" / "7.png")
    shutil.rmtree(photos)
    done = kit.train("image_classification", folder=folder, data=moved)
    assert done.settings["data"]["source"] == config.read_toml(folder / "config.toml")["data.source"] == str(moved)
    assert f"data.source is '{moved}' from now on; this run began with '{photos}'" in (folder / "run.log").read_text()


def test_a_source_whose_content_nothing_tells_is_no_other_one(tmp_path):
    (tmp_path / "config.toml").write_text('[data]\nsource = "tfds:mnist"\n')
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "assets.json").write_text('{"class_names": ["0", "1"]}')
    splits = Splits(
        None, None, None, {}, {"class_names": ["0", "1"]}, pd.DataFrame({"example": ["train 0", "train 1"]})
    )
    kept.check_assets(tmp_path, splits, "tfds:mnist")
    with pytest.raises(SettingError, match="data.source: the run in .* was started with 'tfds:mnist', not 'tfds:fash"):
        kept.check_assets(tmp_path, splits, "tfds:fashion_mnist")
    splits.assignment = pd.DataFrame({"example": ["a.tsv:1 0123abcd", "a.tsv:2 4567cdef"]})
    kept.check_assets(tmp_path, splits, "elsewhere/a.tsv")


def test_a_deterministic_run_goes_on_with_the_same_versions_alone(tmp_path):
    (tmp_path / "config.toml").touch()
    now = folders.environment()
    (tmp_path / "environment.json").write_text(json.dumps(now))
    folders.warn_of_changes(tmp_path, deterministic=True)
    (tmp_path / "environment.json").write_text(json.dumps(now | {"tensorflow": "1.0.0"}))
    folders.warn_of_changes(tmp_path)
    with pytest.raises(KitError, match="began with tensorflow 1.0.0, now 2.*; expected the same"):
        folders.warn_of_changes(tmp_path, deterministic=True)


def test_one_training_at_a_time_in_a_process(tmp_path):
    settings = schema.resolve(recipes.get("image_classification"), "smoke", {}, 0)
    recipe, inputs, said = recipes.get("image_classification"), PythonInputs(), []

    def other():
        try:
            kit.train("image_classification", config="smoke", folder=tmp_path / "other", verbose=False)
        except KitError as error:
            said.append(str(error))

    with assembled(recipe, tmp_path / "run", settings, inputs):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert said == ["another thread of this process trains; expected one after the other, or several processes"]
    assert not (tmp_path / "other").exists()
    with assembled(recipe, tmp_path / "run", settings, inputs) as parts:
        assert parts.network


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"model": {"backbone": "mlp"}, "backbone": {"units": [2 * 10**9]}},
            "backbone.units: does not fit into memory",
        ),
        ({"config": 5}, "config: cannot be used as a path"),
        ({"folder": 5}, "folder: cannot be used as a path"),
        ({"data": {"source": 5}}, "data"),
        ({"backbone": {"widths": {8, 16}}}, "backbone.widths: expected a list"),
        ({"seed": 10**5000}, "seed: expected a whole number from 0 to 2147483647, got a number of thousands of digits"),
        ({"seed": "1"}, "seed: expected a whole number"),
    ],
)
def test_misuse_in_python_is_one_line(settings, said):
    with pytest.raises(KitError, match=said) as caught:
        kit.train("image_classification", verbose=False, **settings)
    assert "\n" not in str(caught.value) and not Path("runs").exists()


def test_loading_what_is_no_path():
    with pytest.raises(KitError, match="folder: cannot be used as a path"):
        kit.load(None)


def test_which_errors_are_about_memory():
    import tensorflow as tf

    for error in (
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        ValueError("Maximum allowed dimension exceeded"),
        ValueError("array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size."),
        tf.errors.InvalidArgumentError(None, None, "Encountered overflow when multiplying 3 with 5"),
    ):
        assert is_about_memory(error)
    for error in (ValueError("no"), KeyError("out of memory"), tf.errors.InvalidArgumentError(None, None, "shapes")):
        assert not is_about_memory(error)


SMALL = {"train": {"epochs": 1, "batch_size": 4, "steps_per_epoch": 2}}


@pytest.mark.parametrize("kind", ["folder", "csv", "npz", "idx"])
def test_other_contents_of_the_same_names_are_noticed(tmp_path, photos, idx, monkeypatch, kind):
    changed, source = photos / "dog" / "7.png", photos
    if kind == "csv":
        source = tmp_path / "photos.csv"
        rows = [f"photos/{label}/{index}.png,{label}" for label in ("cat", "dog") for index in range(12)]
        source.write_text("\n".join(["path,label", *rows]))
    elif kind == "npz":
        changed = source = tmp_path / "photos.npz"
        images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), "uint8")
        np.savez(source, images=images, labels=np.arange(40) % 2)
    elif kind == "idx":
        source, changed = idx, idx / "train-images-idx3-ubyte.gz"
    folder, given = tmp_path / "run", {"data": {"source": str(source), "validation_fraction": 0.3}, **SMALL}
    done = kit.train("image_classification", folder=folder, **given)
    before, content = finished.evaluate(folder).metrics, changed.read_bytes()
    os.utime(changed, (1, 1))  # a copy has other times
    assert finished.evaluate(folder).metrics == before
    if kind in ("folder", "csv"):
        draw(changed, (10, 12), value=99)
    elif kind == "npz":
        np.savez(source, images=255 - images, labels=np.arange(40) % 2)
    else:
        changed.write_bytes(gzip.compress(gzip.decompress(content)[:16] + bytes(60 * 12 * 12)))
    said = rf"the data changed since this run was started: \S*{changed.name} (had [\d,]+ bytes|has another content)"
    with pytest.raises(KitError, match=said):
        finished.evaluate(folder)
    changed.write_bytes(content)
    assert finished.evaluate(folder).metrics == before
    (folder / "assets" / "files.csv").unlink()  # a run from before it was kept
    assert finished.evaluate(done.folder).metrics == before


def test_evaluate_again_gives_the_same(small_run):
    again = finished.evaluate(small_run.folder, overrides={"evaluate.bootstrap_samples": 50})
    assert again.metrics["accuracy"] == small_run.metrics["test"]["accuracy"]
    with pytest.raises(SettingError, match="split: unknown name 'tset'; did you mean 'test'"):
        finished.evaluate(small_run.folder, split="tset")


def test_report_is_written_anew(small_run):
    page = small_run.folder / "report.html"
    before = page.read_text()
    page.unlink()
    assert kit.report(small_run.folder) == page
    assert page.read_text() == before
    assert "kit train image_classification --config" in before
    assert "http" not in before.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("best.keras", b"junk"),
        ("history.csv", b""),
        ("metrics.json", b"{"),
        ("assets/assets.json", b"{"),
        ("config.toml", b""),
    ],
)
def test_damaged_run_folders_name_the_file(small_run, tmp_path, name, content):
    folder = tmp_path / "copy"
    shutil.copytree(small_run.folder, folder)
    (folder / name).write_bytes(content)
    with pytest.raises(KitError, match=f"{name}: (missing or )?damaged"):
        kit.load(folder)


def test_a_damaged_assignment_is_named(small_run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(small_run.folder, folder)
    (folder / "assets" / "splits.csv").write_text("junk")
    with pytest.raises(KitError, match="splits.csv: missing or damaged"):
        finished.evaluate(folder)


def test_what_a_kill_at_the_start_leaves_is_no_obstacle(tmp_path):
    folder = tmp_path / "run"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "splits.csv").write_text("example,split,la")
    (folder / "assets" / ".writing-12345678-assets.json").write_text("{")
    (folder / ".writing-12345678-config.toml").write_text("recipe")
    kit.train("image_classification", folder=folder, **TINY)
    assert not list(folder.rglob(".writing-*"))


def test_a_kill_before_the_end_is_carried_on(small_run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(small_run.folder, folder)
    for name in ("metrics.json", "report.html", "best.keras"):
        (folder / name).unlink()
    done = kit.train("image_classification", folder=folder)
    assert (folder / "report.html").exists()
    assert done.metrics["test"] == small_run.metrics["test"]


def test_a_refused_run_takes_nothing_of_the_users_away(tmp_path):
    precious = tmp_path / "run" / "assets" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("x")
    with pytest.raises(KitError, match=r"holds other files \(assets/precious.txt\)"):
        kit.train("image_classification", folder=tmp_path / "run")
    precious.rename(tmp_path / "run" / "environment.json")
    with pytest.raises(SettingError):
        kit.train("image_classification", folder=tmp_path / "run", train={"epochs": -1})
    assert (tmp_path / "run" / "environment.json").read_text() == "x"
    assert precious.parent.is_dir()


def test_a_refused_run_leaves_no_folder(tmp_path):
    with pytest.raises(SettingError):
        kit.train("image_classification", folder=tmp_path / "a" / "b", train={"epochs": -1})
    assert not (tmp_path / "a").exists()


def test_python_values_of_every_kind_are_taken(photos):
    recipe = recipes.get("image_classification")
    given = {"data.source": photos, "train.epochs": np.int64(3), "optimizer.learning_rate": np.float32(0.5)}
    settings = schema.resolve(recipe, None, given, None)
    assert settings["data"]["source"] == str(photos)
    assert settings["train"]["epochs"] == 3
    with pytest.raises(SettingError, match="train: expected a dictionary of settings, got 5"):
        kit.train("image_classification", train=5)


@pytest.mark.slow
def test_a_repeated_config_leaves_derived_values_open(small_run, tmp_path):
    done = run.train_with(
        "image_classification",
        {"train.epochs": 1},
        folder=tmp_path / "run",
    )
    saved = config.read_toml(done.folder / "config.toml")
    assert "train.steps_per_epoch" not in saved
    assert saved["train.steps_per_execution"] == "auto"
    decided = json.loads((done.folder / "environment.json").read_text())
    assert decided["steps_per_execution"] >= 1


def test_loading_what_is_no_run(tmp_path):
    with pytest.raises(KitError, match="no run folder"):
        kit.load(tmp_path)


def test_every_shipped_toml_binds():
    count = 0
    for name in recipes.names():
        for path in schema.shipped_settings(name).rglob("*.toml"):
            settings = schema.resolve(recipes.get(name), path, {}, None)
            assert settings["recipe"] == name
            count += 1
    assert count == len(list(schema.shipped_settings("image_classification").parent.rglob("*.toml")))
    assert count >= 3


def test_another_backbone_drops_the_numbers_of_the_file():
    recipe = recipes.get("image_classification")
    settings = schema.resolve(recipe, None, {"model.backbone": "resnet18"}, None)
    assert tuple(settings["backbone"]["depths"]) == (2, 2, 2, 2)
    assert settings["backbone"]["stem"] == "imagenet"
    settings = schema.resolve(recipe, None, {"optimizer.name": "sgd", "optimizer.schedule": "constant"}, None)
    assert "warmup_fraction" not in settings["optimizer"]
    with pytest.raises(SettingError, match=r"optimizer\.momentum: unknown setting"):
        schema.resolve(recipe, None, {"optimizer.momentum": 0.9}, None)


def test_settings_are_where_the_signatures_say():
    recipe = recipes.get("image_classification")
    keys = {setting.key for setting in schema.settings_of(recipe, {})}
    assert {"model.backbone", "backbone.depths", "optimizer.weight_decay", "train.epochs", "data.source"} <= keys
    assert not keys & {"model.optimizer", "model.input_shape", "model.num_classes", "data.seed", "backbone.name"}
    undocumented = [setting.key for setting in schema.settings_of(recipe, {}) if not setting.meaning]
    assert not undocumented


def test_every_way_of_training_at_once(tmp_path):
    settings = {
        "data": {"class_weights": "balanced", "flip": True},
        "model": {"l2": 1e-4, "dropout": 0.1},
        "backbone": TINY["backbone"],
        "optimizer": {"name": "sgd", "momentum": 0.9, "gradient_accumulation_steps": 2, "learning_rate": 0.01},
        "train": {"epochs": 1, "steps_per_epoch": 4, "tensorboard": True, "mixed_precision": "mixed_bfloat16"},
        "evaluate": {"bootstrap_samples": 10},
    }
    done = kit.train("image_classification", folder=tmp_path / "run", verbose=False, **settings)
    assert list((tmp_path / "run" / "tensorboard" / "train").iterdir())
    assert done.model.get_layer("resnet8").dtype_policy.name == "mixed_bfloat16"
    again = kit.load(done.folder)
    images = np.zeros((2, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(again.predict(images)["probability"], done.predict(images)["probability"], rtol=1e-2)
    assert again.settings["optimizer"]["momentum"] == done.settings["optimizer"]["momentum"] == 0.9


@pytest.mark.slow
def test_python_runs_are_logged_and_quiet_when_asked(tmp_path, capsys):
    kit.train("image_classification", folder=tmp_path / "run", verbose=False, **TINY)
    assert "epoch 2/2" in (tmp_path / "run" / "run.log").read_text()
    assert "epoch" not in capsys.readouterr().out
    kit.train("image_classification", folder=tmp_path / "other", **TINY)
    assert "epoch 2/2" in capsys.readouterr().out
