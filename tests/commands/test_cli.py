"""The command line: verbs, JSON, and one line for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kit
from kit.cli import main
from kit.training.callbacks import Progress
from tests.conftest import draw

FAST = [
    "--train.epochs=1",
    "--train.steps_per_epoch=2",
    "--backbone.widths=4,4",
    "--backbone.depths=1,1",
    "--evaluate.bootstrap_samples=10",
]


def call(capsys, *words):
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_train_evaluate_predict_report(capsys, tmp_path):
    status, out, _ = call(capsys, "train", "image_classification", "--json", "--seed", "3", *FAST)
    assert status == 0
    result = json.loads(out.splitlines()[-1])
    folder = Path(result["folder"])
    assert folder.parts[:2] == ("runs", "image_classification")
    assert result["metrics"] == json.loads((folder / "metrics.json").read_text())
    assert "epoch 1/1" in out
    assert "epoch 1/1" in (folder / "run.log").read_text()

    status, out, _ = call(capsys, "evaluate", folder, "--json", "--evaluate.top_k=3")
    metrics = json.loads(out.splitlines()[-1])["metrics"]
    assert metrics["accuracy"] == result["metrics"]["test"]["accuracy"]
    assert "top_3_accuracy" in metrics

    image = draw(tmp_path / "image.png", (8, 8), "L")
    status, out, _ = call(capsys, "predict", folder, image, "--json")
    (prediction,) = json.loads(out.splitlines()[-1])["predictions"]
    assert prediction["input"] == str(image)
    assert prediction["label"] in "0123456789"
    status, out, _ = call(capsys, "predict", folder, tmp_path, "--predict.batch_size", "1")
    assert status == 0
    assert "image.png" in out

    (folder / "report.html").unlink()
    status, out, _ = call(capsys, "report", folder)
    assert status == 0
    assert (folder / "report.html").exists()


def test_list_and_show(capsys):
    status, out, _ = call(capsys, "list", "--json")
    listed = json.loads(out.splitlines()[-1])["recipes"]["image_classification"]
    assert status == 0
    assert "resnet18" in listed["backbone"]
    assert "default" in listed["configs"]
    _, out, _ = call(capsys, "list")
    assert "resnet18" in out
    _, out, _ = call(capsys, "show", "image_classification", "--model.backbone=lenet5", "--json")
    settings = {entry["key"]: entry for entry in json.loads(out.splitlines()[-1])["settings"]}
    assert settings["backbone.filters"]["value"] == [6, 16]
    _, out, _ = call(capsys, "list", "backbones")
    assert "swin_tiny" in out and "num_heads=" in out
    _, out, _ = call(capsys, "list", "backbones", "--json")
    assert {"variant", "recipe", "family", "arguments"} == set(json.loads(out.splitlines()[-1])["backbones"][0])
    status, _, err = call(capsys, "list", "backbone")
    assert status == 2 and "did you mean 'backbones'" in err
    _, out, _ = call(capsys, "show", "resnet8")
    assert "stage3" in out and "224x224x3" in out
    _, out, _ = call(capsys, "show", "resnet8", "--shape", "32,32,3", "--json")
    assert json.loads(out.splitlines()[-1])["shape"] == [32, 32, 3]
    for words, said in (
        (["resnet9"], "did you mean 'resnet"),
        (["resnet8", "--shape", "32"], "--shape: expected height"),
        (["lenet5", "--shape", "8,8,1"], "at least 12x12"),
        (["resnet8", "--model.dropout", "1"], "no settings"),
    ):
        status, _, err = call(capsys, "show", *words)
        assert status == 2 and said in err
    _, out, _ = call(capsys, "show", "image_classification")
    assert "train.epochs" in out
    assert "Most epochs to train" in " ".join(out.split())


def test_recipe_may_come_from_the_config(capsys, small_run, tmp_path):
    status, out, _ = call(capsys, "train", "--config", small_run.folder / "config.toml", "--folder", tmp_path / "run")
    assert status == 0
    assert "page  " in out


def write_photos(folder, change=None):
    for label in ("a", "b"):
        for index in range(8):
            draw(folder / label / f"{index}.jpg", (32, 32), value=index)
    if change:
        change(folder)
    return f"--data.source={folder}"


def truncate(folder):
    path = folder / "b" / "3.jpg"
    path.write_bytes(path.read_bytes()[:-150])


BAD_SETTINGS = {
    "--data.source=nowhere": "data.source: no file or folder 'nowhere'",
    "--train.epohcs=3": "train.epohcs: unknown setting; did you mean 'epochs'?",
    "--trian.epochs=3": "trian.epochs: unknown table [trian]; did you mean 'train'?",
    "--train.epochs=many": "train.epochs: expected a whole number, got 'many'",
    "--train.epochs=-1": "train.epochs: expected at least 0, got -1",
    "--train.epochs": "train.epochs: expected a value after it",
    "--model.dropout=5": "model.dropout: expected a number from 0 to below 1, got 5.0",
    "--model.label_smoothing=-1": "model.label_smoothing: expected a number from 0 to below 1",
    "--model.backbone=resnet17": "model.backbone: unknown name 'resnet17'; did you mean 'resnet",
    "--model.backbone=lenet5": "data.image_size: expected at least 12x12 pixels for a lenet",
    "--model.backbone=mlp --backbone.activation=rellu": "backbone.activation: expected one of 'relu'",
    "--model.backbone=resnet20 --backbone.widths=32,16,8": "backbone.widths: expected widths that do not fall",
    "--optimizer.schedule=step --optimizer.decay_at=[]": "optimizer.decay_at: expected at least one share",
    "--optimizer.beta_1=5": "optimizer.beta_1: expected a number from 0 to below 1, got 5.0",
    "--optimizer.name=muon --optimizer.weight_decay=null": "optimizer.weight_decay: expected a number, got 'null'",
    "--train.devices=3": "train.batch_size: expected a multiple of the 3 devices, got 64",
    "--train.epochs=1000000000000000000000": "train.epochs: expected a whole number of at most 2147483647",
    "--data.image_size=1000000": "data.image_size: expected 1 to 8192 pixels",
    "--data.source=~no-such-user/x": "data.source: cannot be used as a path",
    "--data.source=": "data.source: no file or folder ''",
    "--folder=~no-such-user/x": "folder: cannot be used as a path",
    "--backbone.depths=1,1": "backbone.widths: expected 2 widths",
    "--optimizer.name=adamm": "optimizer.name: unknown name 'adamm'; did you mean 'adam",
    "--optimizer.schedule=cosine": "optimizer.schedule: unknown name 'cosine'; did you mean 'warmup_cosine'?",
    "--optimizer.momentum=0.9": "optimizer.momentum: unknown setting",
    "--optimizer.learning_rate=-1": "optimizer.learning_rate: expected a number above 0",
    "--train.batch_size=5000": "train.batch_size: expected at most 1294, the number of training examples, got 5000",
    "--train.monitor=val_f1": "train.monitor: unknown name 'val_f1'",
    "--train.mixed_precision=mixed_float16": "train.mixed_precision: mixed_float16 makes a CPU about six times slower",
    "--train.steps_per_execution=7": "train.steps_per_execution: expected a divisor of the 20 steps of an epoch",
    "--data.test_fraction=2": "data.test_fraction: expected a share between 0 and 1",
    "--evaluate.top_k=0": "evaluate.top_k: expected a whole number above 0, got '0'",
    "--seed=-1": "seed: expected a whole number",
    "--config=fashion": "config: no TOML file 'fashion'; did you mean 'fashion_mnist'?",
    "--jsn": "--jsn: `kit train` has no such argument; did you mean '--json'?",
}
BAD_FOLDERS = {
    "empty": (lambda folder: [path.unlink() for path in folder.rglob("*.jpg")], "no images"),
    "one class": (
        lambda folder: [path.unlink() for path in (folder / "b").iterdir()] and (folder / "b").rmdir(),
        "class",
    ),
    "truncated": (truncate, "b/3.jpg: not a whole image"),
    "unclear splits": (
        lambda folder: draw(folder / "Test" / "a" / "9.jpg", (32, 32)),
        "holds Test but no train; expected a folder of images for each class",
    ),
    "mixed modes": (
        lambda folder: draw(folder / "a" / "9.jpg", (32, 32), "L"),
        "data.color_mode: images differ in mode",
    ),
    "few": (lambda folder: [path.unlink() for path in (folder / "b").glob("[2-9].jpg")], "class 'b' has 2 examples"),
}


def assert_refused(capsys, message, *words):
    status, out, err = call(capsys, "train", "image_classification", "--json", *words)
    assert status == 2
    assert message in err
    assert err.startswith("kit: ")
    assert len(err.splitlines()) == 1
    assert json.loads(out.splitlines()[-1])["error"] in err
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", BAD_SETTINGS)
def test_bad_settings_are_one_line_and_leave_nothing(capsys, words):
    assert_refused(capsys, BAD_SETTINGS[words], *words.split())


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_bad_data_is_one_line_and_leaves_nothing(capsys, tmp_path, kind):
    change, message = BAD_FOLDERS[kind]
    assert_refused(capsys, message, write_photos(tmp_path / "photos", change))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report", "the following arguments are required: RUN"),
        ("trian", "invalid choice: 'trian'"),
        ("", "the following arguments are required: VERB"),
        ("train --resume first", "invalid choice: 'first'"),
        ("train", "no recipe given"),
    ],
)
def test_bad_words_are_one_line(capsys, words, message):
    status, out, err = call(capsys, *words.split(), "--json")
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert json.loads(out)["error"] in err


def test_a_text_is_a_text_however_it_looks():
    from kit.commands import flags

    for words in (["--text", "--a.b=c"], ["--text=--a.b=c"], ["--text", "--n-best"]):
        overrides, rest = flags.settings(["predict", "run", *words, "--predict.n_best", "3"])
        assert overrides == {"predict.n_best": "3"}
        assert flags.without_table(rest, ("--text",)) == {}
        assert rest == ["predict", "run", f"--text={words[-1].removeprefix('--text=')}"]
    overrides, rest = flags.settings(["predict", "run", "--", "--a.b=c", "--x"])
    assert (overrides, flags.without_table(rest, ())) == ({}, {})
    assert rest == ["predict", "run", "--", "--a.b=c", "--x"]


def test_settings_may_stand_anywhere(capsys, small_run, tmp_path):
    status, out, _ = call(capsys, "evaluate", "--evaluate.top_k", "3", small_run.folder, "--json")
    assert status == 0
    assert "top_3_accuracy" in json.loads(out.splitlines()[-1])["metrics"]
    config = small_run.folder / "config.toml"
    status, out, _ = call(capsys, "train", "--config", config, "--train.epochs", "1", "--folder", tmp_path / "run")
    assert status == 0
    assert "epoch 1/1" in out


def test_the_same_command_resumes_with_a_config_and_another_backbone(capsys, tmp_path, monkeypatch):
    words = ["train", "image_classification", "--config", "fashion_mnist", "--data.source", "digits"]
    words += [
        "--model.backbone",
        "mlp",
        "--train.epochs",
        "2",
        "--train.steps_per_epoch",
        "2",
        "--folder",
        tmp_path / "run",
    ]
    begin = Progress.on_epoch_begin

    def interrupted(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_epoch_begin", interrupted)
        assert call(capsys, *words)[0] == 130
    status, out, _ = call(capsys, *words)
    assert status == 0
    assert "going on after epoch 1 of 2" in out


@pytest.mark.slow
def test_a_closed_pipe_is_no_error():
    process = subprocess.Popen([sys.executable, "-m", "kit", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait()


def test_bad_recipe_and_runs(capsys, small_run):
    status, _, err = call(capsys, "train", "image_clasification")
    assert status == 2
    assert "did you mean 'image_classification'?" in err
    status, _, err = call(capsys, "train", "image_classification", "--resume", "last")
    assert status == 2
    assert "no unfinished run" in err
    for verb in ("evaluate", "report"):
        status, _, err = call(capsys, verb, "nowhere")
        assert status == 2
        assert "nowhere: no run folder" in err


def test_help_needs_no_tensorflow():
    code = (
        "import sys, kit.cli\ntry: kit.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(kit.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "kit train image_classification" in result.stdout


@pytest.mark.parametrize("verb", ["evaluate", "predict", "tune"])
def test_a_wrong_key_is_refused_before_anything_is_loaded(small_run, verb):
    words = [str(small_run.folder), f"--{verb}.batch_sise=1"]
    words = ["image_classification", "--train.epohs=1"] if verb == "tune" else words
    code = (
        f"import sys, kit.cli\nstatus = kit.cli.main({[verb, *words]})\n"
        "assert status == 2 and not {'tensorflow', 'keras', 'multiprocessing.forkserver'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(kit.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("\n") == 1 and "unknown setting; did you mean" in result.stderr


@pytest.mark.slow
def test_a_newcomers_terminal_is_clean(tmp_path):
    words = ["-m", "kit", "train", "image_classification", "--folder", str(tmp_path / "run"), *FAST]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)
    assert result.returncode == 0
    assert result.stderr == ""
    assert all("oneDNN" not in line for line in result.stdout.splitlines())
