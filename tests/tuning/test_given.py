"""What a command states is not searched: on the command line and in Python, from the beginning and carried on."""

import logging

import pytest

import kit
from kit import cli
from kit.config import read_toml
from kit.errors import SettingError
from kit.runs import schema
from kit.tuning import study
from tests.tuning.test_study import SMALL

IMAGES = schema.get("image_classification")


def searched(folder, overrides, recipe=IMAGES, config=None, space=None):
    """Returns the keys that are searched where these settings are stated, and the file that would be written."""
    _, content, parameters, _ = study._settings(recipe, folder, overrides, config, None, space)
    return [parameter.name for parameter in parameters], content


def test_what_is_given_leaves_the_space_and_what_depends_on_it_too(empty_folder, caplog):
    caplog.set_level(logging.INFO, "kit")
    folder = empty_folder / "study"
    whole, _ = searched(folder, {})
    assert "model.backbone" in whole and "optimizer.momentum" in whole and not caplog.text
    names, content = searched(folder, {"model.backbone": "mlp", "optimizer.name": "adamw"})
    assert sorted(names) == [
        "data.translation",
        "model.label_smoothing",
        "optimizer.learning_rate",
        "optimizer.weight_decay",
        "train.batch_size",
    ]
    assert content["model"]["backbone"] == "mlp" and "backbone" not in content["tune"]["space"]["model"]
    assert content["tune"]["space"]["optimizer"]["learning_rate"] == [{"min": 1e-3, "max": 3e-2, "sampling": "log"}]
    (line,) = caplog.messages
    assert line == (
        "not searched: given: model.backbone, optimizer.name; pointless with what was given: optimizer.momentum"
    )


def test_values_are_compared_as_the_settings_they_become(empty_folder):
    space = {"train.batch_size": [16, 32], "data.translation": {"values": [0.1], "when": {"train": {"epochs": [3, 4]}}}}
    for epochs, left in ((3, ["train.batch_size", "data.translation"]), (5, ["train.batch_size"])):
        assert searched(empty_folder / "study", {"train.epochs": epochs}, space=space)[0] == left


def test_what_no_setting_of_another_backbone_is_leaves_too(empty_folder):
    names, _ = searched(empty_folder / "study", {"model.backbone": "gru_luong"}, schema.get("translation"))
    assert "backbone.positions" not in names and "model.dropout" in names


def test_given_and_searched_is_a_contradiction(empty_folder):
    flags = {"model.backbone": "mlp", "tune.space.model.backbone": '["mlp", "resnet8"]'}
    with pytest.raises(SettingError, match=r"tune.space.model.backbone: model.backbone = 'mlp' was given, too"):
        searched(empty_folder / "study", flags)
    with pytest.raises(SettingError, match="was given, too"):
        kit.tune("image_classification", space={"model.backbone": ["mlp"]}, model={"backbone": "mlp"}, verbose=False)
    names, _ = searched(empty_folder / "study", {"model.backbone": "mlp", "tune.space.model.backbone": "false"})
    assert "model.backbone" not in names


def test_nothing_left_is_one_line(empty_folder):
    path = empty_folder / "own.toml"
    path.write_text('[tune.space]\nmodel.backbone = ["mlp", "resnet8"]\n')
    with pytest.raises(SettingError, match="tune.space: nothing is left to search: model.backbone"):
        searched(empty_folder / "study", {"model.backbone": "mlp"}, config=str(path))


def test_the_same_command_carries_a_study_on(empty_folder):
    settings = {f"{table}.{key}": value for table, each in SMALL.items() for key, value in each.items()}
    flags = [f"--{key}={value}" for key, value in (settings | {"optimizer.name": "adamw"}).items()]
    command = ["tune", "image_classification", "--folder", "study", "--tune.workers", "1", "--tune.trials"]
    assert cli.main([*command, "1", *flags]) == 0
    assert cli.main([*command, "2", *flags]) == 0
    found = kit.tune(folder="study", trials=3, verbose=False)  # what was given stands in the study
    assert len(found.trials) == 3 and "model.backbone" not in found.trials and "model.backbone" not in found.best
    assert read_toml(found.folder / "best.toml")["model.backbone"] == "mlp"
    assert all(
        read_toml(path)["optimizer.name"] == "adamw" and read_toml(path)["model.backbone"] == "mlp"
        for path in found.folder.glob("trials/*/config.toml")
    )
