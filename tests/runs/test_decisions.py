"""Settings that data of a user's own decide."""

import itertools

import numpy as np
import pytest
from PIL import Image

import kit
from kit import config, recipes
from kit.errors import KitError, SettingError
from kit.runs import decisions, schema, speed
from kit.runs import settings as run_settings
from kit.runs.python_inputs import PythonInputs
from kit.tasks.own_data import Facts

DECIDING = [name for name in recipes.names() if schema.get(name).decided]


@pytest.mark.parametrize("name", recipes.names())
def test_rules_and_own_toml_come_together(name):
    offered = schema.get(name)
    has_file = (run_settings.shipped_settings(name) / "own.toml").exists()
    assert has_file == bool(offered.decided)
    if has_file:
        flat = config.read_toml(run_settings.find_config("own", name))
        assert {key for key, value in flat.items() if value == "auto"} <= set(offered.decided)
        assert "data.source" not in flat


def ruled(name, flat, **known):
    """Returns flat settings as the rules of a recipe decide them by facts."""
    facts = Facts(**known, settings=flat)
    decided = {}
    for key, rule in recipes.get(name).own_data.rules.items():
        if key in decided:
            continue
        value, reason = rule(facts)
        values = value if isinstance(value, dict) else {key: value}
        assert key in values and reason != ""
        decided |= values
        facts.settings = facts.settings | values
    return decided


@pytest.mark.parametrize("name", DECIDING)
def test_rules_give_settings_that_can_be(name):
    """Whatever the data: the decided settings resolve, and more examples never mean more epochs or smaller batches."""
    flat = config.flatten(run_settings.resolve(schema.get(name), "own", {}, 0))
    before = {}
    for examples in (20, 300, 5000, 60_000, 1_000_000):
        texts = {"tokens": 12 * examples, "words": examples, "length": 30}
        for side, channels, answer in itertools.product((8, 28, 64, 500), (1, 3), ("label", "labels", "number")):
            images = {"side": side, "channels": channels, "is_of_one_size": side < 500}
            decided = ruled(name, flat, examples=examples, classes=5, answer=answer, **images, **texts)
            epochs, batch_size = before.get((side, channels, answer), (10**6, 0))
            now = decided.get("train.epochs", 0), decided.get("train.batch_size", 0)
            assert epochs >= now[0] and batch_size <= now[1]
            before[side, channels, answer] = now
            sizes = recipes.get(name).own_data.sizes
            facts = Facts(examples, side=side, channels=channels, answer=answer, settings=flat | decided)
            sized = [] if sizes is None else sizes(facts)
            times = [each.times for each in sized]
            assert times == sorted(times) and (not times or 1.0 in times)
        rest = {key: value for key, value in flat.items() if key.partition(".")[0] in ("data", "model", "train")}
        for values in ({}, *(each.values for each in sized)):
            run_settings.completed(schema.get(name), rest | decided | values)


def test_all_pixels_of_many_small_images_are_seen():
    flat = config.flatten(run_settings.resolve(schema.get("image_classification"), "own", {}, 0))
    for examples, stem in ((9000, None), (15_000, None), (54_000, "cifar")):
        decided = ruled("image_classification", flat, examples=examples, classes=10, side=28, channels=1)
        assert decided.get("backbone.stem") == stem and decided["train.epochs"] == 30
        sizes = recipes.get("image_classification").own_data.sizes(Facts(examples, side=28, settings=flat | decided))
        stems = [each.values.get("backbone.stem") for each in sizes]  # None is as the rule says
        assert stems == (["strided", "strided", None, None, None] if stem else [None] * 4)


@pytest.fixture
def photographs(tmp_path):
    """A folder of two classes of coloured images of several sizes."""
    draw = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(draw.normal(level, 30, (90 + number, 120, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def decided(overrides, config_file=None, name="image_classification"):
    settings = run_settings.resolve(schema.get(name), config_file, overrides, None)
    return settings, decisions.decided(recipes.get(name), settings, PythonInputs())


def test_a_folder_decides_and_what_is_stated_stays(photographs, caplog):
    caplog.set_level("INFO", "kit")
    overrides = {"data.source": str(photographs), "train.epochs": 3, "data.flip": False}
    before, after = decided(overrides)
    assert before["train"]["batch_size"] == before["model"]["backbone"] == "auto"
    assert after["data"]["image_size"] == 64 and after["train"]["batch_size"] == 16
    assert after["train"]["epochs"] == 3 and after["data"]["flip"] is False
    assert "auto" not in config.flatten({key: after[key] for key in ("model", "optimizer")}).values()
    assert "train.batch_size = 16: 29 training examples" in caplog.text


@pytest.mark.parametrize("odd", ["preview.png", "train/1.png"])
def test_what_training_takes_the_rules_take_too(photographs, odd):
    """An image beside the folders of classes, and a class that is called like a split."""
    pixels = np.zeros((90, 120, 3), "uint8")
    for number in range(20 if odd.startswith("train") else 1):
        path = photographs / odd.replace("1.png", f"{number}.png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels + number).save(path)
    after = decided({"data.source": str(photographs)})[1]
    assert after["train"]["batch_size"] == 16


def test_photographs_begin_with_published_weights_that_are_here(photographs, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "kit")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    own = {"data.source": str(photographs)}
    assert decided(own)[1]["model"]["weights"] is None
    assert "no published weights are on this machine" in caplog.text
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_128_no_top.h5").touch()
    after = decided(own)[1]
    assert (after["model"]["backbone"], after["model"]["weights"]) == ("mobilenetv2", "imagenet")
    assert after["data"]["image_size"] == 128
    assert after["train"]["freeze"] == ("backbone",) and after["train"]["unfreeze_epochs"] >= 1
    stated = decided(own | {"model.backbone": "resnet20"})[1]
    assert (stated["model"]["backbone"], stated["model"]["weights"]) == ("resnet20", None)


def test_published_weights_take_small_steps_in_tagging(tmp_path):
    path = tmp_path / "words.conll"
    path.write_text("\n".join("a\tDET\ncat\tNOUN\n" for _ in range(200)))
    usual = decided({"data.source": str(path)}, name="sequence_tagging")[1]
    overrides = {"data.source": str(path), "model.backbone": "bert"}
    settings = run_settings.resolve(schema.get("sequence_tagging"), None, overrides, None)
    settings["model"]["weights"] = "a folder"
    published = decisions.decided(recipes.get("sequence_tagging"), settings, PythonInputs())
    assert usual["optimizer"]["learning_rate"] == 0.005 and published["optimizer"]["learning_rate"] == 3e-4
    assert published["model"]["backbone"] == "bert" and published["train"]["batch_size"] == 16


def test_embedded_data_and_named_settings_decide_nothing(photographs):
    for overrides, name in (
        ({}, None),
        ({"data.source": "digits"}, None),
        ({"data.source": str(photographs)}, "default"),
    ):
        before, after = decided(overrides, name)
        assert after is before and before["train"]["epochs"] == 30


def test_settings_of_a_backbone_are_those_of_the_default_one(photographs):
    _, after = decided({"data.source": str(photographs), "backbone.widths": [8], "backbone.depths": [1]})
    assert after["model"]["backbone"] == "resnet8" and after["backbone"]["widths"] == (8,)


def test_auto_is_a_value_only_where_data_may_decide():
    with pytest.raises(SettingError, match="train.epochs: expected a whole number, got 'auto'"):
        run_settings.resolve(schema.get("dqn"), None, {"train.epochs": "auto"}, None)
    with pytest.raises(SettingError, match="train.patience"):
        run_settings.resolve(schema.get("translation"), None, {"train.patience": "auto"}, None)


def test_a_run_keeps_what_was_decided(photographs, tmp_path):
    """Also where it is carried on, and where its settings train another one."""
    few = {"epochs": 1, "steps_per_epoch": 2}
    quick = {"backbone": {"widths": [8], "depths": [1]}, "evaluate": {"bootstrap_samples": 20}, "verbose": False}
    run = kit.train(data=str(photographs), recipe="image_classification", train=few, folder=tmp_path / "run", **quick)
    flat = config.read_toml(run.folder / "config.toml")
    assert "auto" not in [flat[key] for key in schema.get("image_classification").decided if key in flat]
    assert flat["train.batch_size"] == 16
    again = kit.train("image_classification", folder=run.folder, data=str(photographs), verbose=False)
    assert again.metrics == run.metrics
    other = kit.train(config=run.folder / "config.toml", folder=tmp_path / "other", verbose=False)
    assert other.metrics["test"] == run.metrics["test"]


def test_recipes_without_rules_say_that_their_numbers_are_of_other_data(photographs, caplog):
    caplog.set_level("INFO", "kit")
    decisions.tell_beginning(schema.get("gan"), {"data.source": str(photographs)})
    assert "default.toml of gan: its numbers suit the embedded data" in caplog.text


def test_held_out_sentences_decide_nothing(tmp_path):
    """The vocabulary and the lengths that a translator gets are those of training pairs."""
    short = [("one red house", "ein rotes Haus"), ("two red houses", "zwei rote Häuser"), ("a house", "ein Haus")] * 20
    long = [(" ".join(f"w{number}" for number in range(90)), " ".join(f"v{number}" for number in range(90)))]
    data = {"train": short, "validation": short[:5], "test": short[:5]}
    for name in ("validation", "test"):
        known = PythonInputs(data), PythonInputs(data | {name: long})
        settings = run_settings.resolve(schema.get("translation"), None, {"data.source": "given"}, None)
        one, other = (decisions.decided(recipes.get("translation"), settings, inputs) for inputs in known)
        assert one == other


def test_sentences_of_a_generator_are_read_once(tmp_path):
    sentences = [(["Oslo", "is", "cold"], ["B-LOC", "O", "O"]), (["it", "is", "warm"], ["O", "O", "O"])] * 30
    told = kit.dry_run("sequence_tagging", data=(each for each in sentences), verbose=False)
    assert sum(told["examples"].values()) == 60


def test_minutes_choose_the_size_of_the_network(photographs, monkeypatch, caplog):
    """The more minutes, the larger, and never one that has too few epochs in them; what is stated stays."""
    caplog.set_level("INFO", "kit")
    recipe, found = recipes.get("image_classification"), {}
    monkeypatch.setattr(speed, "seconds_per_example", lambda *words: 0.05)
    for minutes in (0.5, 3, 12, 60):
        asked = {"data.source": str(photographs), "train.minutes": minutes}
        settings = run_settings.resolve(schema.get(recipe.name), None, asked, None)
        found[minutes] = decisions.decided(recipe, settings, PythonInputs())["backbone"]
    steps = [(each["depths"], each["widths"]) for each in found.values()]
    assert len({str(step) for step in steps}) >= 3
    assert steps == sorted(steps, key=lambda step: (step[0], step[1]))
    assert "epochs of it, measured here" in caplog.text
    stated = {"data.source": str(photographs), "train.minutes": 60, "model.backbone": "lenet5"}
    settings = run_settings.resolve(schema.get(recipe.name), None, stated, None)
    assert decisions.decided(recipe, settings, PythonInputs())["model"]["backbone"] == "lenet5"


def test_a_rehearsal_by_the_clock_tells_the_epochs_that_go_into_it(photographs):
    told = kit.dry_run("image_classification", data=str(photographs), train={"minutes": 2}, verbose=False)
    assert told["seconds_estimated"] == pytest.approx(120, rel=0.5) and told["epochs"] > 1


def rows(count):
    """A table whose rows have a number, a class, and a price."""
    draw = np.random.default_rng(0)
    size = draw.integers(20, 200, count)
    return {"size": size.astype(float), "kind": draw.choice(["a", "b"], count), "price": size * 1.5}


@pytest.mark.parametrize(
    ("count", "target", "expected"),
    [
        (200, "kind", (32, 40, None, (256, 256), 0.5, 0.001)),
        (200, "price", (32, 40, "huber", (256, 256), 0.2, 0.001)),
        (40_000, "kind", (256, 15, None, (256, 256), 0.2, 0.001)),
        (40_000, "price", (256, 33, "huber", (512, 256), 0.2, 0.002)),
    ],
)
def test_a_table_decides_by_its_rows_and_its_answer(count, target, expected, caplog):
    caplog.set_level("INFO", "kit")
    recipe = recipes.get("tabular_prediction")
    asked = {"data.source": "given", "data.target": target}
    settings = run_settings.resolve(schema.get(recipe.name), None, asked, None)
    found = decisions.decided(recipe, settings, PythonInputs(rows(count)))
    train, network = found["train"], found["backbone"]
    sizes = train["batch_size"], train["epochs"], found["model"]["loss"], network["units"], network["dropout"]
    assert (*sizes, found["optimizer"]["learning_rate"]) == expected
    assert "training rows" in caplog.text and caplog.text.count("data.target") == 0


def test_held_out_rows_of_a_table_decide_nothing():
    known = {"train": rows(60), "validation": rows(20), "test": rows(20)}
    recipe = recipes.get("tabular_prediction")
    settings = run_settings.resolve(
        schema.get(recipe.name), None, {"data.source": "given", "data.target": "kind"}, None
    )
    one, other = (
        decisions.decided(recipe, settings, PythonInputs(known | {"test": rows(count)})) for count in (20, 9000)
    )
    assert one == other


def test_minutes_make_the_network_of_a_table_narrower(monkeypatch):
    recipe, found = recipes.get("tabular_prediction"), []
    monkeypatch.setattr(speed, "seconds_per_example", lambda *words: 0.05)
    for minutes in (0.5, 60):
        asked = {"data.source": "given", "data.target": "kind", "train.minutes": minutes}
        settings = run_settings.resolve(schema.get(recipe.name), None, asked, None)
        found.append(decisions.decided(recipe, settings, PythonInputs(rows(200)))["backbone"]["units"])
    assert found == [(64, 64), (256, 256)]


def test_a_class_of_one_row_is_refused_in_the_word_of_all_kinds(tmp_path):
    table = {"size": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "a", "a", "b"]}
    with pytest.raises(KitError, match="class 'b' has 1 examples to divide; expected at least 3"):
        kit.train(
            "tabular_prediction", data={"source": table, "target": "kind"}, folder=tmp_path / "run", verbose=False
        )
