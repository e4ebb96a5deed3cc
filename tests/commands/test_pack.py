"""`kit pack`: from a source to a pack that training reads, and one line for whatever goes wrong."""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest

import kit
from kit import cli
from kit.data import packed, split_rule
from tests import moments
from tests.conftest import draw


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for row in range(60):
        draw(tmp_path / "photos" / "ab"[row % 2] / f"{row}.png", (8, 8), value=int(rng.integers(0, 255)))
    return tmp_path / "photos"


def refused(capsys, *words):
    assert cli.main(["pack", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_it_packs_tells_and_looks_whether_it_is_whole(photos, capsys):
    assert cli.main(["pack", "photos", "p"]) == 0
    out = capsys.readouterr().out
    assert "60 labelled images" in out and "--data.source p" in out
    assert cli.main(["pack", "p", "--check"]) == 0
    assert "check sums are right\nsource has not changed since" in capsys.readouterr().out
    draw(photos / "a" / "new.png", (8, 8))
    assert cli.main(["pack", "p", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["source_changed"] is True
    assert cli.main(["pack", "photos", "p", "--overwrite"]) == 0
    shard = photos.parent / "p" / "image-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert "image-00000.bin: damaged" in refused(capsys, "p", "--check")
    shard.unlink()
    assert "image-00000.bin: missing" in refused(capsys, "p", "--check")


def test_what_cannot_be_packed_is_said_in_one_line(photos, capsys):
    assert cli.main(["pack", "photos", "p"]) == 0
    capsys.readouterr()
    assert "--overwrite replaces it" in refused(capsys, "photos", "p")
    (photos.parent / "mine").mkdir()
    (photos.parent / "mine" / "file").write_text("")
    assert "something else than a pack" in refused(capsys, "photos", "mine", "--overwrite")
    assert "is in the source" in refused(capsys, "photos", "photos/p")
    assert "is a pack already" in refused(capsys, "p", "q", "--recipe", "image_classification")
    assert "expected SOURCE and OUT" in refused(capsys, "photos")
    assert "no pack; expected a folder" in refused(capsys, "photos", "--check")
    assert "what can be packed: labelled images" in refused(capsys, "photos", "q", "--recipe", "translation")
    assert "does not decide how examples are packed; data.on_bad does" in refused(
        capsys, "photos", "q", "--data.image_size", "8"
    )
    assert "--overwrite" in refused(capsys, "photos", "q", "--overwrit")
    (photos / "a" / "bad.png").write_bytes(b"none")
    assert "bad.png: not a whole image" in refused(capsys, "photos", "q")
    assert not (photos.parent / "q").exists()


SMALL = {
    "model": {"backbone": "resnet20"},
    "backbone": {"widths": (4, 4, 4), "depths": (1, 1, 1)},
    "train": {"epochs": 2, "batch_size": 8, "steps_per_epoch": 3, "steps_per_execution": 1, "jit_compile": False},
}


def weights(run):
    return [each.tobytes() for each in run.model.get_weights()]


@pytest.mark.slow
def test_training_on_a_pack_ends_with_the_same_bits(photos):
    kit.pack("photos", "p", verbose=False)
    first, second = (
        kit.train("image_classification", data={"source": each}, verbose=False, **SMALL) for each in ("photos", "p")
    )
    assert weights(first) == weights(second) and first.metrics["test"] == second.metrics["test"]


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.slow
def test_more_examples_than_are_listed_keep_the_rule_and_go_on(photos, monkeypatch):
    monkeypatch.setattr(split_rule, "MOST_LISTED", 50)
    kit.pack("photos", "p", verbose=False)
    train = functools.partial(kit.train, "image_classification", data={"source": "p"}, verbose=False, **SMALL)
    with pytest.raises(KeyboardInterrupt), moments.at(moments.AfterBatch(2, 2), interrupt):
        train(folder="run")
    assets = photos.parent / "run" / "assets"
    facts = json.loads((assets / "splits.json").read_text())
    assert not (assets / "splits.csv").exists() and facts["examples"] == 60 == sum(facts["counts"].values())
    assert weights(train(folder="run")) == weights(train(folder="whole"))
    with pytest.raises(KeyboardInterrupt), moments.at(moments.AfterBatch(2, 2), interrupt):
        train(folder="other")
    draw(photos / "a" / "new.png", (8, 8), value=3)
    kit.pack("photos", "p", overwrite=True, verbose=False)
    with pytest.raises(kit.errors.KitError, match="changed since this run"):
        train(folder="other")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "kind"),
    [("masked_language_modelling", None), ("text_classification", None), ("text_to_text", "language_modelling")],
)
def test_packed_texts_end_with_the_same_bits_and_are_cut_once(recipe, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    rng, words = np.random.default_rng(0), [f"w{row}" for row in range(60)]
    texts = [" ".join(rng.choice(words, 30)) for _ in range(60)]
    if recipe == "text_classification":
        source = tmp_path / "t.csv"
        source.write_text("text,label\n" + "".join(f"{text},{'ab'[row % 2]}\n" for row, text in enumerate(texts)))
    else:
        source = tmp_path / "t.txt"
        source.write_text("\n\n".join(texts))
    smoke = Path(kit.__file__).parents[1] / "recipes" / recipe / "smoke.toml"
    settings = tmp_path / "settings.toml"  # without the number of generated texts
    settings.write_text(re.sub("num_texts.*\n|source.*\n", "", smoke.read_text()))
    kit.pack(source, "p", recipe=kind or recipe, verbose=False)
    data, runs = {"objective": "span_corruption", "max_length": 24} if recipe == "text_to_text" else {}, []
    for each in (source, tmp_path / "p", tmp_path / "p"):
        runs.append(kit.train(recipe, config=settings, data={"source": str(each), **data}, verbose=False))
        made = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
        if len(runs) == 2:
            first = made
    assert weights(runs[0]) == weights(runs[1]) == weights(runs[2]) and made == first != {}
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


def test_a_half_pack_is_refused_by_training(photos, capsys):
    kit.pack("photos", "p", verbose=False)
    (photos.parent / "p" / packed.FILE).unlink()
    (photos.parent / "p").rename(photos.parent / f"p{packed.GROWING}")
    assert cli.main(["train", "image_classification", "--data.source", f"p{packed.GROWING}", "--dry-run"]) == 2
    assert "a pack that is not whole" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_image_is_named_in_one_line_while_it_trains(photos, capsys):
    kit.pack("photos", "p", verbose=False)
    shard = photos.parent / "p" / "image-00000.bin"
    shard.write_bytes(bytes(len(shard.read_bytes())))
    assert cli.main(["train", "image_classification", "--data.source", "p", "--train.epochs", "1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"kit: {photos.parent / 'p'}: ") and "not a whole image" in error
