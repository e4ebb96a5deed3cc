import pytest

from kit import config, recipes
from kit.errors import SettingError
from kit.runs import settings as schema
from kit.tuning import space

RECIPE = "image_classification"
SAMPLED = {"min": 1e-4, "max": 1e-2, "sampling": "log"}


def read(**entries):
    return space.read(config.nested({key.replace("__", "."): entry for key, entry in entries.items()}))


def checked(entries, overrides=None):
    space.check(
        space.read(config.nested(entries)), recipes.get(RECIPE), schema.find_config("default", RECIPE), overrides or {}
    )


def test_ranges_choices_and_conditions_are_read_parents_first():
    parameters = read(
        optimizer__momentum={"min": 0.8, "max": 0.9, "when": {"optimizer": {"name": "sgd"}}},
        optimizer__name=["adam", "sgd"],
        train__batch_size={"min": 32, "max": 128, "step": 2, "sampling": "log"},
    )
    assert [parameter.key for parameter in parameters] == ["optimizer.name", "train.batch_size", "optimizer.momentum"]
    assert parameters[2].when == {"optimizer.name": ("sgd",)}
    assert parameters[1].is_whole and not parameters[2].is_whole


def test_every_recipe_ships_a_space_that_its_settings_allow():
    for name in recipes.names():
        path = schema.find_config("default", name)
        parameters = space.read(space.of_file(path)[1])
        space.check(parameters, recipes.get(name), path, {})
        searched = {parameter.key.partition(".")[0] for parameter in parameters}
        assert {"model", "optimizer", "train"} <= searched


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "nothing to search"),
        ({"optimizer.learning_rate": 0.1}, "optimizer.learning_rate: expected a list"),
        ({"optimizer.learning_rate": []}, "expected a list of values"),
        ({"optimizer.learning_rate": [0.1, 0.1]}, "different values"),
        ({"optimizer.learning_rate": {"min": 1}}, "`max`: expected a number"),
        ({"optimizer.learning_rate": {"min": 1, "max": 1}}, "`min` below `max`"),
        ({"optimizer.learning_rate": {"min": 0, "max": 1, "sampling": "log"}}, "`min` above 0"),
        ({"optimizer.learning_rate": {"min": 0, "max": 1, "sampling": "logg"}}, "did you mean 'log'"),
        ({"optimizer.learning_rate": {"min": 0, "max": 1, "step": 0}}, "`step`"),
        ({"optimizer.learning_rate": {"min": 0, "maxi": 1}}, "did you mean 'max'"),
        ({"optimizer.learning_rat": SAMPLED}, "did you mean 'learning_rate'"),
        ({"optimizer.momentum": {"min": 0.5, "max": 0.9}}, "optimizer.momentum: unknown setting"),
        ({"optimizer.learning_rate": {**SAMPLED, "when": {"optimizer.nam": "sgd"}}}, "not searched"),
        ({"optimizer.learning_rate": [SAMPLED, SAMPLED]}, "expected a condition `when`"),
        ({"model.backbone": ["resnet8", "resnet9"]}, "unknown name 'resnet9'"),
        ({"model.dropout": ["much"]}, "model.dropout: expected a number"),
        ({"train.epochs": [1, 2]}, "cannot be searched"),
        ({"data.validation_fraction": [0.1, 0.2]}, "cannot be searched"),
        ({"optimizer.learning_rate": {"min": 0.1, "max": float("inf")}}, "`max`: expected a number"),
        ({"train.batch_size": {"min": 16, "max": 64, "step": 2.5}}, "`step`: expected a whole number"),
        ({"train.batch_size": [0, 1]}, "train.batch_size: expected at least 1"),
        ({"optimizer.learning_rate": {"min": -1.0, "max": 1.0}}, "expected a number above 0"),
        ({"optimizer.weight_decay": [None]}, "got NoneType"),
        (
            {"optimizer.name": ["sgd"], "optimizer.nesterov": {"values": [True], "when": {"optimizer.name": "adam"}}},
            "never",
        ),
        (
            {
                "train.batch_size": {"min": 1, "max": 2},
                "model.dropout": {"values": [0.1], "when": {"train.batch_size": 1}},
            },
            "a range",
        ),
        ({"seed": [1, 2]}, "cannot be searched"),
        ({"modle.dropout": [0.1]}, "cannot be searched"),
    ],
)
def test_an_impossible_space_is_one_line_that_names_the_key(entries, said):
    with pytest.raises(SettingError) as error:
        checked(entries)
    assert said in str(error.value) and str(error.value).startswith("tune.space")


def test_a_setting_that_another_value_takes_away_needs_a_condition():
    with pytest.raises(SettingError, match=r"optimizer.momentum: unknown setting.*with optimizer.name = 'adamw'"):
        checked({"optimizer.name": ["sgd", "adamw"], "optimizer.momentum": [0.9]}, {"optimizer.name": "sgd"})


def test_settings_wait_for_each_other():
    with pytest.raises(SettingError, match="wait for each other"):
        read(
            model__dropout={"values": [0.1], "when": {"model.label_smoothing": 0.1}},
            model__label_smoothing={"values": [0.1], "when": {"model.dropout": 0.1}},
        )


def test_flags_are_toml():
    tables = space.from_flags({"tune.space.model.dropout": "[0.1, 0.2]"})
    assert tables == {"model": {"dropout": [0.1, 0.2]}}
    with pytest.raises(SettingError, match="tune.space.model.dropout: expected a list or a range"):
        space.from_flags({"tune.space.model.dropout": "0.1 0.2"})


def test_an_entry_replaces_the_whole_entry_of_its_key():
    merged = space.merged(
        config.nested({"model.dropout": SAMPLED, "train.batch_size": [1]}), {"model": {"dropout": [0.5]}}
    )
    assert merged == {"model": {"dropout": [0.5]}, "train": {"batch_size": [1]}}


def test_keras_tuner_gets_names_types_and_conditions():
    parameters = space.read(
        config.nested(
            {
                "optimizer.name": ["adamw", "sgd"],
                "optimizer.learning_rate": [
                    {"min": 1e-4, "max": 1e-2, "sampling": "log", "when": {"optimizer.name": "adamw"}},
                    {"min": 0.1, "max": 1, "when": {"optimizer.name": "sgd"}},
                ],
                "backbone.widths": [[8, 16], [16, 32]],
                "train.batch_size": {"min": 16, "max": 64, "step": 16},
                "model.dropout": [0, 0.5],
            }
        )
    )
    types = space.check(parameters, recipes.get(RECIPE), schema.find_config("default", RECIPE), {})
    found = space.hyperparameters(parameters, types)
    kinds = {each.name: type(each).__name__ for each in found.space}
    assert kinds["train.batch_size"] == "Int" and kinds["optimizer.learning_rate"] == "Float"
    assert kinds["optimizer.learning_rate#1"] == "Float"
    found.values = {
        "optimizer.name": "sgd",
        "optimizer.learning_rate#1": 0.3,
        "backbone.widths": "[16, 32]",
        "train.batch_size": 32,
        "model.dropout": 0.0,
        "tuner/epochs": 3,
    }
    assert space.overrides(parameters, found.values) == {
        "optimizer.name": "sgd",
        "optimizer.learning_rate": 0.3,
        "backbone.widths": [16, 32],
        "train.batch_size": 32,
        "model.dropout": 0,
    }


def test_conditions_may_stand_on_conditions_and_on_two_settings():
    entries = {
        "model.backbone": ["resnet8", "mlp"],
        "optimizer.name": ["adamw", "sgd"],
        "optimizer.nesterov": {"values": [True, False], "when": {"optimizer.name": "sgd"}},
        "optimizer.momentum": {"min": 0, "max": 0.9, "when": {"optimizer.nesterov": True}},
        "backbone.stem": {
            "values": ["cifar", "strided"],
            "when": {"model.backbone": "resnet8", "optimizer.name": "sgd"},
        },
    }
    parameters = space.read(config.nested(entries))
    types = space.check(parameters, recipes.get(RECIPE), schema.find_config("default", RECIPE), {})
    found = space.hyperparameters(parameters, types)
    found.values = {"model.backbone": "resnet8", "optimizer.name": "sgd", "optimizer.nesterov": True}
    assert found.is_active("optimizer.momentum") and found.is_active("backbone.stem")
    found.values = {"model.backbone": "resnet8", "optimizer.name": "adamw"}
    assert not found.is_active("optimizer.momentum") and not found.is_active("backbone.stem")
    kinds = {each.name: type(each).__name__ for each in found.space}
    assert kinds["optimizer.momentum"] == "Float", "a fraction, though its ends are whole and adamw has none"


def test_steps_of_fractions_reach_both_ends():
    (parameter,) = read(model__dropout={"min": 0.0, "max": 0.3, "step": 0.1})
    assert parameter.values == (0.0, 0.1, 0.2, 0.3)


def test_numpy_numbers_and_tuples_are_taken():
    import numpy as np

    widths, rate = read(backbone__widths=[(8, 16), (16, 32)], model__dropout=[np.float64(0.1), np.float32(0.5)])
    assert widths.values == ([8, 16], [16, 32]) and rate.values == (0.1, 0.5)


def test_alternatives_hold_every_value_that_changes_a_shape():
    parameters = read(
        model__backbone=["resnet8", "mlp"], model__dropout={"min": 0.0, "max": 0.5}, train__batch_size=[1, 2]
    )
    assert list(space.alternatives(parameters)) == [{"model.backbone": "resnet8"}, {"model.backbone": "mlp"}]
