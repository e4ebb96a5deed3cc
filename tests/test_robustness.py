"""What must not go wrong silently: a full disk, a file that wants to run code, odd names, very many files."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import kit
from kit import cli
from kit.errors import KitError
from kit.files import atomic
from tests import processes
from tests.conftest import TINY, draw

_SMALL = {"train": {"epochs": 1, "steps_per_epoch": 2}, "evaluate": {"bootstrap_samples": 20}}
_ON_A_SMALL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from kit.cli import main
sys.exit(main(sys.argv[2:]))
"""


def on_a_small_disk(size, *words):
    """Runs a command in a process whose files cannot grow beyond a size, as on a disk that is full."""
    return subprocess.run(
        [sys.executable, "-c", _ON_A_SMALL_DISK, str(size), *words], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(tmp_path):
    command = ["train", "image_classification", "--folder", str(tmp_path / "run"), "--train.epochs", "2"]
    command += ["--backbone.widths", "16,32", "--backbone.depths", "1,1", "--evaluate.bootstrap_samples", "20"]
    done = on_a_small_disk(60_000, *command)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"kit: {tmp_path / 'run' / 'checkpoint' / 'best-1.npz'}: cannot be written (File too large)")
    assert not [path for path in (tmp_path / "run").rglob("*") if "writing" in path.name]
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert cli.main(command) == 0
    assert kit.load(tmp_path / "run").metrics["epochs"] == 2


@pytest.mark.slow
def test_a_full_disk_before_the_first_file_leaves_nothing(tmp_path):
    done = on_a_small_disk(1000, "train", "image_classification", "--folder", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_error_that_is_no_full_disk_is_left_as_it_is(tmp_path):
    with pytest.raises(PermissionError), atomic(tmp_path / "x"):
        raise PermissionError(13, "Permission denied")


def test_a_model_with_a_lambda_is_not_run(small_run, tmp_path):
    import keras

    shutil.copytree(small_run.folder, tmp_path / "run")
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Lambda(lambda x: __import__("pathlib").Path("executed").touch() or x)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "run" / "best.keras")
    os.remove("executed")
    with pytest.raises(
        KitError, match=r"best\.keras: missing or damaged \(Requested the deserialization of a `Lambda`"
    ):
        kit.load(tmp_path / "run")
    assert not os.path.exists("executed")


def test_a_model_that_names_a_function_of_the_system_is_not_run(small_run, tmp_path):
    shutil.copytree(small_run.folder, tmp_path / "run")
    with zipfile.ZipFile(small_run.folder / "best.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1] |= {
        "module": "subprocess",
        "class_name": "Popen",
        "config": {"args": ["touch", "executed"]},
        "registered_name": None,
    }
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "run" / "best.keras", "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    with pytest.raises(KitError, match=r"best\.keras: missing or damaged"):
        kit.load(tmp_path / "run")
    assert not os.path.exists("executed")


def test_names_with_spaces_and_letters_of_all_alphabets(tmp_path, capsys):
    photos = tmp_path / "Fotos für Zoë 写真"
    for label in ("Katze – groß", "собака"):
        for index in range(8):
            draw(photos / label / f"Bild {index} ü.png", value=index)
    folder = tmp_path / "Läufe 1" / "erster lauf"
    words = ["--data.source", str(photos), "--folder", str(folder), "--train.epochs", "1", "--train.batch_size", "4"]
    words += ["--backbone.widths", "8,16", "--backbone.depths", "1,1", "--evaluate.bootstrap_samples", "20"]
    assert cli.main(["train", "image_classification", *words]) == 0
    capsys.readouterr()
    picture = photos / "собака" / "Bild 0 ü.png"
    assert cli.main(["predict", str(folder), str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert [each["input"] for each in found] == [str(picture)]
    assert found[0]["label"] in ("Katze – groß", "собака")
    assert cli.main(["evaluate", str(folder)]) == 0
    assert "собака" in capsys.readouterr().out
    assert "Katze – groß" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_hundred_thousand_files(tmp_path):
    first = [draw(tmp_path / "originals" / f"{index}.png", (8, 8), "L", index) for index in range(50)]
    for label in range(4):
        (tmp_path / "photos" / str(label)).mkdir(parents=True)
        for index in range(25_000):
            os.link(first[(index + label) % 50], tmp_path / "photos" / str(label) / f"{index}.png")
    settings = {**_SMALL, "backbone": TINY["backbone"]}
    done = kit.train("image_classification", data=tmp_path / "photos", folder=tmp_path / "run", **settings)
    rows = (tmp_path / "run" / "assets" / "splits.csv").read_text().splitlines()
    assert len(rows) == 100_001
    assert np.isfinite(done.metrics["test"]["cross_entropy"])


def _train_within(more, words):
    """Runs a command in a process that may take so many bytes beside those that it has."""
    import resource

    import psutil

    from kit.cli import main

    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))
    return main(words)


def test_images_that_do_not_fit_under_a_limit_of_memory_are_one_line(tmp_path):
    for index in range(2):
        draw(tmp_path / "photos" / str(index) / "0.png", (8, 8), "L", index)
        for copy in range(1, 300):
            os.link(tmp_path / "photos" / str(index) / "0.png", tmp_path / "photos" / str(index) / f"{copy}.png")
    words = ["train", "image_classification", "--data.source", str(tmp_path / "photos"), "--data.image_size", "2048"]
    ended = processes.call(_train_within, 2 << 30, [*words, "--data.in_memory=true", "--folder", str(tmp_path / "run")])
    assert ended.result == 2, ended.output
    assert "Traceback" not in ended.output
    last = ended.output.strip().splitlines()[-1]
    assert "images: 600 of 2048x2048 need 2.5 GB of memory" in last and "GB are free" in last
    assert not (tmp_path / "run").exists()


def _memory_of_trainings(count, folder):
    """Trains again and again; returns the memory that is held after each training, in bytes."""
    import psutil

    held = []
    for seed in range(count):
        kit.train("image_classification", config="smoke", folder=folder / str(seed), seed=seed, verbose=False)
        held.append(psutil.Process().memory_info().rss)
    return held


@pytest.mark.slow
def test_thirty_trainings_in_one_process_leave_memory_flat(tmp_path):
    ended = processes.call(_memory_of_trainings, 30, tmp_path)
    assert ended.status == 0, ended.output
    assert max(ended.result[5:]) < 1.05 * ended.result[4], [round(held / 1e6) for held in ended.result]
