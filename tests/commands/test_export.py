"""Other formats give the answers of the Keras model, or say why they cannot."""

import json

import pytest

import kit
from kit.cli import main
from kit.commands.export import FORMATS, export
from kit.errors import KitError, SettingError
from tests.conftest import TINY


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in ("safetensors", "word2vec")])
def test_formats(small_run, tmp_path, format):
    done = export(small_run.folder, format, tmp_path / "new" / "model")
    assert done.path.exists()
    assert done.examples == 359
    assert done.accuracy_lost <= (0.01 if format == "litert_int8" else 0)
    if format != "litert_int8":
        assert done.difference < 1e-3
    assert [path.name for path in done.path.parent.iterdir()] == ["model"]
    with pytest.raises(KitError, match="exists already"):
        export(small_run.folder, format, tmp_path / "new" / "model")


def test_an_address_to_write_to(small_run):
    import fsspec

    store = fsspec.filesystem("memory")
    done = export(small_run.folder, "saved_model", "memory://exports/model")
    assert done.path == "memory://exports/model" and store.exists("/exports/model/saved_model.pb")
    with pytest.raises(SettingError, match="output: 'memory://exports/model' exists already"):
        export(small_run.folder, "saved_model", "memory://exports/model")
    store.rm("/exports", recursive=True)


def test_command_line(small_run, tmp_path, capsys):
    assert main(["export", str(small_run.folder), "onnx", "--output", str(tmp_path / "m.onnx"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["path"] == str(tmp_path / "m.onnx")
    assert main(["export", str(small_run.folder), "onxn"]) == 2
    assert "format: unknown name 'onxn'; did you mean 'onnx'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_format_that_cannot_carry_a_model_says_so(tmp_path):
    settings = {
        "data": {"num_sentences": 200},
        "model": {"encoder": "gru", "character_units": 8},
        "backbone": {"units": 8},
        "train": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 16},
        "evaluate": {"bootstrap_samples": 10},
    }
    done = kit.train("sequence_tagging", folder=tmp_path / "run", verbose=False, **settings)
    with pytest.raises(KitError, match="litert cannot carry recurrent layers"):
        export(done.folder, "litert")
    exported = export(done.folder, "saved_model")
    assert exported.path == done.folder / "exports" / "saved_model"
    assert not list((done.folder / "exports").glob(".writing-*"))


def test_a_missing_package_is_named(small_run, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(KitError, match=r"onnx: tf2onnx is not installed; pip install \"\.\[export\]\""):
        export(small_run.folder, "onnx", tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_an_artefact_that_differs_is_not_kept(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr("kit.commands.export._TOLERANCE", -1.0)
    with pytest.raises(KitError, match="its outputs differ by"):
        export(small_run.folder, "saved_model", tmp_path / "model")
    assert not list(tmp_path.glob("model*"))


def test_unknown_format(small_run):
    with pytest.raises(SettingError, match="format"):
        export(small_run.folder, "coreml")


def test_dry_run_writes_nothing(empty_folder, capsys):
    words = [f"--{table}.{key}={value}" for table, keys in TINY.items() for key, value in keys.items()]
    words = [word.replace("(", "").replace(")", "") for word in words]
    assert main(["train", "image_classification", "--dry-run", "--json", *words]) == 0
    out = capsys.readouterr().out
    result = json.loads(out.splitlines()[-1])
    assert result["steps_per_epoch"] == 4
    assert result["params"] > 100
    assert result["examples"] == {"train": 1294, "validation": 144, "test": 359}
    assert "a training step of 64 examples takes about" in out
    assert list(empty_folder.iterdir()) == []
    assert main(["train", "image_classification", "--dry-run", "--folder", "x"]) == 2
    assert "trains no run" in capsys.readouterr().err
