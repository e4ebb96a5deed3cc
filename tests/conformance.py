"""Conformance: the checks that every recipe has to pass, each of which looks at one small training of it.

A recipe is covered by being registered and by `recipes/<name>/smoke.toml`, with which it trains in seconds.
`test_conformance.py` runs them over all recipes.
"""

import base64
import contextlib
import dataclasses
import hashlib
import io
import json
import math
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kit
from kit import cli, config, recipes
from kit.commands.export import export
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.runs.settings import resolve, shipped_settings
from kit.serving.limits import Limits
from kit.serving.server import Server
from kit.training import checkpoint
from tests import moments, processes
from tests.serving.asking import ask, ask_at_once, png, random_images

CONFIG = "smoke"
# What JAX compiles anew in another process may round otherwise.
IS_EXACT = keras.backend.backend() == "tensorflow"
SPLITS = ("train", "validation", "test")
# In the middle of the second epoch: there is a checkpoint, and steps behind it that are lost.
INTERRUPTED = moments.AfterBatch(epoch=2, batch=2)


@dataclasses.dataclass(frozen=True)
class Smoke:
    """A small training of a recipe, and what a new process makes of its folder.

    Args:
        name: Name of the recipe.
        run: What `kit.train` returned.
        folder: A folder for what else is made of it.
        predictions: What `predictions` returned here.
        again: What `seen_again` returned in a new process.
    """

    name: str
    run: object
    folder: Path
    predictions: dict
    again: dict


def smoke(name, folder):
    """Trains a recipe, and looks at its folder in a new process; returns `Smoke`."""
    run = train(name, folder / "run")
    ended = processes.call(seen_again, run.folder, folder / "there")
    assert ended.status == 0, ended.output
    return Smoke(name, run, folder, predictions(run, folder / "here"), ended.result)


def train(name, folder, **settings):
    """Trains a recipe with its small settings."""
    return kit.train(name, config=CONFIG, folder=folder, verbose=False, **settings)


def predictions(run, folder):
    """Returns what a run predicts, and what it writes into the new folder that it works in.

    Args:
        run: What `kit.load` returned.
        folder: The folder.

    Returns:
        Dictionary: `table` in CSV, and of each file written its hash.
    """
    folder.mkdir()
    with contextlib.chdir(folder):
        for inputs in _inputs(run, Path("inputs")):
            try:
                table = run.predict(inputs)
            except KitError:  # it takes other ones
                continue
            files = {
                str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(Path().rglob("*"))
                if path.is_file() and path.parts[0] != "inputs"
            }
            return {"table": table.to_csv(index=False), "files": files}
    raise AssertionError(f"tests/conformance.py: {run.recipe.name} takes none of the inputs that are tried here")


def _inputs(run, folder):
    """Yields what a recipe may take: nothing, texts, or images of the size that its network takes, in files."""
    yield None
    yield ["Maria flew to Oslo on 3 May 2031.", "It costs 5 dollars."]
    yield ["Maria ___ to Oslo on 3 May ___.", "It costs ___ dollars."]
    yield ["Who flew to Oslo?\tMaria flew to Oslo on 3 May 2031.", "How much is it?\tIt costs 5 dollars."]
    yield ["u1", "u2"]  # users of generated tastes
    yield [_row(run, value) for value in ("1", "2.5")]
    shape = run.model.inputs[0].shape[1:]
    if len(shape) == 3:
        folder.mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
        for index, image in enumerate(pixels):
            Image.fromarray(image[..., 0] if shape[-1] == 1 else image).save(folder / f"{index}.png")
        yield [str(folder / f"{index}.png") for index in range(2)]


def _row(run, value):
    """Returns a row of a table: a value for each part of an input, with tabs between them."""
    return "\t".join([value] * len(run.recipe.task.parts(run.assets)))


def seen_again(run_folder, folder):
    """Returns what a finished run is where it is loaded: its predictions, its assets, and its scores on all splits."""
    run = kit.load(run_folder)
    scores = {}
    for split in SPLITS:
        try:
            scores[split] = kit.evaluate(run_folder, split=split).metrics
        except KitError as error:
            scores[split] = str(error)
    assets = json.loads(json.dumps(run.assets))
    return {"predictions": predictions(run, folder), "assets": assets, "scores": scores}


def check_settings_are_documented(name, capsys):
    assert cli.main(["show", name, "--config", CONFIG, "--json"]) == 0
    settings = json.loads(capsys.readouterr().out.splitlines()[-1])["settings"]
    assert not [setting["key"] for setting in settings if not setting["meaning"] or not setting["expects"]]
    tables = {"data", "model", "optimizer", "train"} | ({"backbone"} if recipes.get(name).backbones else set())
    assert tables <= {each["key"].partition(".")[0] for each in settings}


def check_unknown_settings_are_refused(name, folder):
    path = shipped_settings(name) / f"{CONFIG}.toml"
    known = next(key for key in config.read_toml(path) if key.startswith("model.") or key.startswith("data."))
    table, _, key = known.partition(".")
    with pytest.raises(SettingError, match=f"^{table}.{key}s: unknown setting; did you mean '{key}'") as caught:
        train(name, folder, **{table: {f"{key}s": 1}})
    assert "\n" not in str(caught.value) and not folder.exists()


def check_no_split_depends_on_the_seed(name):
    """The seed of a run leaves the division, and all of what is scored, as it is; `data.split_seed` moves it."""
    recipe = recipes.get(name)
    settings = resolve(recipe, CONFIG, {}, 0)["data"]
    first, other = (config.call(recipe.data, seed, None, **settings) for seed in (0, 1))
    assert first.assignment.equals(other.assignment)
    for part in ("validation", "test"):
        scored = [next(iter(getattr(splits, part).batches(8))) for splits in (first, other)]
        assert _digest(scored[0]) == _digest(scored[1])
    if "split_seed" in settings:
        moved = config.call(recipe.data, 0, None, **settings | {"split_seed": 1})
        assert not first.assignment.equals(moved.assignment)


def _digest(batch):
    """Returns a hash of all arrays of a batch."""
    import keras

    arrays = [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(batch)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def check_facts_bind_to_the_builder(smoke):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # to compile takes longer than a few steps
    try:
        rehearsed = kit.dry_run(smoke.name, config=CONFIG, verbose=False)
    finally:
        tf.config.run_functions_eagerly(False)
    assert rehearsed["params"] == smoke.run.metrics["params"] > 0
    assert rehearsed["epochs"] == 2 and rehearsed["steps_per_epoch"] >= 2


def check_two_epochs(smoke):
    history, metrics = smoke.run.history, smoke.run.metrics
    assert list(history["epoch"]) == [1, 2] and metrics["epochs"] == 2
    assert np.isfinite(history.to_numpy(dtype=float)).all()
    assert {"loss", "learning_rate", metrics["monitor"]} <= set(history)
    values = history[metrics["monitor"]]
    assert values[metrics["best_epoch"] - 1] in (values.min(), values.max())
    for split in ("test", "validation"):
        _assert_numbers(metrics[split])


def _assert_numbers(metrics):
    numbers = {name: value for name, value in metrics.items() if not isinstance(value, str)}
    assert numbers and all(math.isfinite(value) for value in numbers.values()), metrics


def check_run_folder(smoke):
    folder = smoke.run.folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found >= {
        *("config.toml", "environment.json", "history.csv", "run.log", "checkpoint/state.npz", "best.keras"),
        *("metrics.json", "report.html", "assets/assets.json", "assets/splits.csv", "plots/1_learning_curves.png"),
    }
    assert not [name for name in found if name.rpartition("/")[2].startswith(".") and name != ".lock"]
    assert read_json(folder / "metrics.json") == smoke.run.metrics
    assert pd.read_csv(folder / "history.csv").equals(smoke.run.history)
    assert config.read_toml(folder / "config.toml")["recipe"] == smoke.name


def check_assets_are_json(smoke):
    assets = json.loads(json.dumps(smoke.run.assets))
    assert smoke.again["assets"] == assets
    saved = read_json(smoke.run.folder / "assets" / "assets.json")
    assert saved and {name: assets[name] for name in saved} == saved


def check_page(smoke):
    path = smoke.run.folder / "report.html"
    page = path.read_text(encoding="utf-8")
    assert f"kit train {smoke.name} --config" in page and "data:image/png" in page
    assert "http" not in page.replace("http-equiv", ""), "the page needs something from elsewhere"
    path.unlink()
    assert kit.report(smoke.run.folder) == path
    assert path.read_text(encoding="utf-8") == page


def check_plots(smoke):
    paths = list((smoke.run.folder / "plots").iterdir())
    assert "1_learning_curves.png" in [path.name for path in paths]
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 50 and len(image.convert("L").getcolors()) > 1, f"{path.name} is blank"


def check_same_predictions_in_a_new_process(smoke):
    here, there = smoke.predictions, smoke.again["predictions"]
    assert len(here["table"].splitlines()) > 1
    if IS_EXACT:
        assert there["table"] == here["table"]
    else:
        tables = [pd.read_csv(io.StringIO(each["table"])) for each in (here, there)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=1e-6)
    assert there["files"] == here["files"]


def check_same_scores_in_a_new_process(smoke):
    scores = smoke.again["scores"]
    for split in ("validation", "test"):
        assert scores[split] == (smoke.run.metrics[split] if IS_EXACT else pytest.approx(smoke.run.metrics[split]))
    if isinstance(scores["train"], str):  # agents have no examples to be scored on
        assert "expected 'validation' or 'test'" in scores["train"] and "\n" not in scores["train"]
    else:
        _assert_numbers(scores["train"])
        assert set(scores["train"]) == set(scores["test"])


def check_interrupted_and_resumed(smoke):
    """An interrupted run that is carried on ends with the same bits, and so do, up to there, two runs with one seed."""
    folder = smoke.folder / "interrupted"
    with moments.at(INTERRUPTED, moments.interrupt), pytest.raises(KeyboardInterrupt):
        train(smoke.name, folder)
    whole = (smoke.run.folder / "history.csv").read_text().splitlines(keepends=True)
    assert (folder / "history.csv").read_text() == "".join(whole[:2])
    resumed = kit.train(folder=folder, verbose=False)
    assert_same(smoke.run.folder, folder)
    for split in ("test", "validation"):
        assert resumed.metrics[split] == smoke.run.metrics[split]


def check_no_epoch_keeps_what_it_began_with(smoke):
    """Without an epoch nothing is trained: a run's weights give its scores once more, and are kept."""
    settings = {"epochs": 0, "start_from": str(smoke.run.folder)}
    run = train(smoke.name, smoke.folder / "as_it_is", train=settings)
    assert run.metrics["epochs"] == run.metrics["best_epoch"] == 0 and not len(run.history)
    assert kit.load(run.folder).metrics == run.metrics
    for ours, theirs in zip(run.model.get_weights(), smoke.run.model.get_weights(), strict=True):
        assert ours.dtype.kind != "f" or np.array_equal(ours, theirs)  # counters of steps begin again
    for name, value in smoke.run.metrics["test"].items():
        assert run.metrics["test"][name] == pytest.approx(value, rel=1e-5), name
    assert "best epoch" not in (run.folder / "report.html").read_text(encoding="utf-8")


def assert_same(first, second):
    """Asserts that two run folders hold the same history, checkpoint and weights, bit for bit."""
    assert (first / "history.csv").read_bytes() == (second / "history.csv").read_bytes()
    states = [checkpoint.load(folder / "checkpoint" / "state.npz")[0] for folder in (first, second)]
    assert states[0].keys() == states[1].keys() >= {"variables", "best"}
    for name, arrays in states[0].items():
        for one, other in zip(arrays, states[1][name], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    models = [kit.load(folder).model for folder in (first, second)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def check_exported_or_refused(smoke, format):
    path = smoke.folder / "exported"
    try:
        done = export(smoke.run.folder, format, path)
    except KitError as error:
        assert str(error).startswith(f"{format}: ") and "\n" not in str(error)
        assert not path.exists()
    else:
        assert done.difference < 1e-3 and done.examples and path.exists()


def check_served(smoke):
    """Requests at the same time are answered as each is alone, by `run.predict`."""
    with Server([smoke.run.folder], port=0, limits=Limits(batch_size=4)) as server:
        (about,) = ask(server, "/runs").json["runs"]
        requests = _requests(smoke.run, about)
        answers = ask_at_once(server, [(f"/runs/{smoke.name}/predict", *request) for request, _ in requests])
        refused = ask(server, f"/runs/{smoke.name}/predict", {"settings": {"output": "/tmp/x", "video": "/tmp/x.gif"}})
        assert refused.status == 422 and "no setting of a request" in refused.error
    for number, (answer, (_, alone)) in enumerate(zip(answers, requests, strict=True)):
        assert answer.status == 200, answer.body
        folder = smoke.folder / f"alone-{number}"
        folder.mkdir()
        with contextlib.chdir(folder):
            expected = alone(smoke.run)
        _assert_answered(answer.json["predictions"], expected, folder)


def _takes(run, text):
    try:
        run.predict(text)
    except KitError:
        return False
    return True


def _requests(run, about):
    """Returns requests to a served run, each with the function that predicts the same."""
    places = {"output": "made"} if "output" in config.names_of(run.recipe.task.predict) else {}
    found = []
    if about["takes"] == "text":
        texts = ["Maria flew to Oslo on 3 May 2031.", "5 dollars", "It costs 5 dollars.\n\nMay 3, 2031", "3 May"]
        if len(about["parts"]) > 1:
            texts = [text.replace("\n\n", "\n\nWhen?\t") for text in (f"How much?\t{text}" for text in texts)]
        with_gaps = ["Maria ___ to Oslo on ___ May.", "5 ___", "It ___ 5 dollars.\n\nMay ___, 2031", "___ May"]
        known_words = ["list", "a string", "a number\n\nthe value", "it is"]  # of one that learns from Python's manual
        rows = [_row(run, "1"), _row(run, "2.5"), f"{_row(run, '1')}\n\n{_row(run, '3')}"]
        known_users = ["u1", "u2", "u3\n\nu4", "u5"]  # of generated tastes
        tried = (texts, with_gaps, known_words, rows, known_users)
        texts = next(each for each in tried if all(_takes(run, text) for text in each))
        found += [(({"text": text},), lambda run, text=text: run.predict(text)) for text in texts]
    if about["takes"] == "images":
        for image in random_images(about["image_shape"], 5):
            found.append(((png(image), "image/png"), lambda run, image=image: run.predict(image[None], **places)))
    if about["makes"]:
        most = {each["name"]: each["most"] for each in about["settings"]}
        counted = next((name for name in ("count", "episodes") if name in most), None)
        for seed in (0, 1):
            asked = {counted: 2, "seed": seed} if counted else {}
            content = {"settings": asked, **({"animation": True} if about["animates"] else {})}
            found.append(((content,), lambda run, asked=asked: run.predict(**asked, **places)))
    assert found, f"tests/conformance.py: {run.recipe.name} takes none of the requests that are tried here"
    return found


def _assert_answered(rows, expected, folder):
    """Asserts that the rows of an answer are those of a table, pictures included."""
    assert len(rows) == len(expected) > 0
    for row, (_, known) in zip(rows, expected.iterrows(), strict=True):
        for name, value in known.items():
            if name == "file":
                image = Image.open(io.BytesIO(base64.b64decode(row["image"].partition(",")[2])))
                pixels = [np.asarray(each).astype(int) for each in (image, Image.open(folder / value))]
                assert abs(pixels[0] - pixels[1]).max() <= 1  # what is half way may be rounded either way
            elif isinstance(value, str):
                assert row[name] == value or name == "input"
            else:
                assert math.isclose(row[name], value, rel_tol=1e-3, abs_tol=1e-4), name


def check_tuned(name, folder, capsys):
    """Two trials of what the recipe's default settings search, but for what its small data and training fix."""
    small, default = (config.read_toml(shipped_settings(name) / f"{file}.toml") for file in (CONFIG, "default"))
    words = ["--tune.trials=2", "--json", "--folder", str(folder)]
    for key, value in small.items():
        if key.startswith(("data.", "train.")):
            words.append(f"--{key}={str(value).lower() if isinstance(value, bool) else value}")
            searched = any(other.startswith(f"tune.space.{key}") for other in default)
            words += [f"--tune.space.{key}=false"] if searched else []
    assert cli.main(["tune", name, *words]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    trials = pd.read_csv(folder / "trials.csv")
    assert done["trials"] == 2 and list(trials["state"]) == ["completed"] * 2
    assert done["best"] and done["score"] in list(trials["score"])
    assert (folder / "report.html").exists()
