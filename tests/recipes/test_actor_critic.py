"""Recipes that learn a policy, from the settings to the run folder."""

import gymnasium
import keras
import numpy as np
import pytest
from PIL import Image

import kit
from kit import cli
from kit.errors import KitError, SettingError
from kit.files import read_json
from tests.agents.test_actor_critic import Target
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds
from tests.agents.test_environments import Acts, Faulty  # noqa: F401 - register environments

DATA = {"environment": "TinyDelayed-v0", "num_environments": 4, "validation_episodes": 5, "test_episodes": 10}
SMALL = {
    "actor_critic": {
        "data": DATA | {"rollout_steps": 32, "update_epochs": 4},
        "backbone": {"units": [16]},
        "optimizer": {"learning_rate": 1e-2},
        "train": {"epochs": 4, "steps_per_epoch": 5, "batch_size": 32, "jit_compile": False},
    },
    "policy_gradient": {
        "data": DATA | {"max_steps": None},
        "backbone": {"units": [16]},
        "optimizer": {"learning_rate": 1e-2},
        "train": {"epochs": 4, "steps_per_epoch": 5, "batch_size": 32, "jit_compile": False},
    },
}


def changed(recipe, **tables):
    settings = {name: content | tables.get(name, {}) for name, content in SMALL[recipe].items()}
    settings["data"] = {key: value for key, value in settings["data"].items() if value is not None}
    return {**settings, **{name: content for name, content in tables.items() if name not in settings}}


@pytest.fixture(scope="module", params=list(SMALL))
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    config = tmp_path_factory.mktemp("settings") / "empty.toml"
    config.write_text(f'recipe = "{request.param}"\n')
    return kit.train(request.param, config=config, folder=folder, verbose=False, **changed(request.param))


def test_a_run_solves_a_task_and_explains_itself(run):
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["test"]["return"] == metrics["test"]["return_iqm"] == 1
    assert metrics["test_of_last_epoch"]["episodes"] == 10 and metrics["score_cpu_seconds"] > 0
    assert {"return", "val_return", "entropy", "policy_loss", "value_loss", "environment_steps"} <= set(run.history)
    steps = 4 * 32 * 5 if run.recipe.name == "actor_critic" else 32 * 2 * 5
    assert run.history["environment_steps"].tolist() == [steps, 2 * steps, 3 * steps, 4 * steps]
    assert run.history["entropy"].iloc[-1] < run.history["entropy"].iloc[0]
    assert {"2_training", "3_returns_of_episodes"} <= {path.stem for path in (run.folder / "plots").iterdir()}


def test_what_is_saved_is_a_plain_network(run):
    network = keras.models.load_model(run.folder / "best.keras")
    logits, value = network(np.array([[-1, 0]], "float32"))
    assert np.asarray(logits).argmax() == 1 and value.shape == (1, 1)


@pytest.mark.parametrize("recipe", SMALL)
def test_vectors_and_moments_are_saved_with_the_agent(recipe, empty_folder, capsys, monkeypatch):
    gymnasium.register("Pictured-v0", lambda **_: Pictured())
    monkeypatch.setattr(Pictured, "metadata", {"render_modes": ["rgb_array"], "render_fps": 10})
    settings = changed(
        recipe,
        data={"environment": "Pictured-v0", "squash_actions": True},
        model={"normalize_observations": True, "normalize_rewards": True, "entropy_coefficient": 0.01},
        train={"epochs": 6, "steps_per_epoch": 10},
        optimizer={"learning_rate": 3e-3},
    )
    done = kit.train(recipe, folder="run", verbose=False, **settings)
    assert done.metrics["test"]["return"] > -1
    again = kit.load("run")
    mean = np.asarray(again.model.get_layer("normalization").moving_mean)
    assert mean.any()
    assert cli.main(["predict", "run", "--episodes", "2", "--video", "out.gif"]) == 0
    assert "out.gif" in capsys.readouterr().out
    assert list(done.predict(episodes=3)["length"]) == [1, 1, 1]
    with Image.open("out.gif") as film:
        assert film.size == (200, 200)
    for words, said in ((["--video", "out.gif"], "expected a new .gif file"), (["photo.jpg"], "expected no inputs")):
        assert cli.main(["predict", "run", *words]) == 2
        assert said in capsys.readouterr().err


class Pictured(Target):
    """Draws itself in numbers between 0 and 1."""

    def render(self):
        return np.full((10, 10, 3), self.side * 0.5)


@pytest.mark.parametrize("recipe", SMALL)
@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"data": {"environment": "CartPol-v1"}}, "data.environment: unknown name 'CartPol-v1'; did you mean"),
        (
            {"data": {"environment": "Unbounded-v0"}},
            "'Unbounded-v0' has actions of .* without bounds",
        ),
        ({"data": {"environment": "Many-v0"}}, r"expected numbered actions \(Discrete\) or vectors \(Box\)"),
        ({"data": {"environment": "FaultyRaises-v0"}}, "FaultyRaises-v0: could not take a step: .* on fire"),
        ({"data": {"environment": "FaultyNan-v0", "time_limit": 5}}, "FaultyNan-v0: gave observations that are nan"),
        ({"model": {"policy": "gaussian"}}, "model.policy: the environment's actions are numbered"),
        ({"data": {"environment": "Bounded-v0"}, "model": {"policy": "categorical"}}, "model.policy: .* are vectors"),
        ({"model": {"discount": 2.0}}, "model.discount: expected a number from 0 to 1"),
        ({"model": {"network": "cnn_policy_small"}, "backbone": None}, "takes images"),
        ({"train": {"steps_per_execution": 3}}, "train.steps_per_execution: expected 1: the data are made by acting"),
        ({"train": {"batch_size": 30}}, "expected a divisor of the"),
        ({"data": {"squash_actions": True}}, "data.squash_actions: expected false: the environment's actions are"),
    ],
)
def test_bad_input_is_one_line(recipe, tables, said, empty_folder):
    settings = changed(recipe, **{name: content for name, content in tables.items() if content is not None})
    if "backbone" in tables:
        settings.pop("backbone")
    with pytest.raises((KitError, SettingError), match=said) as caught:
        kit.train(recipe, verbose=False, **settings)
    assert "\n" not in str(caught.value)


def test_what_fits_one_way_of_learning_alone(empty_folder):
    with pytest.raises(SettingError, match=r"data.update_epochs: a2c learns from each rollout once.*batch_size 128"):
        kit.train("actor_critic", verbose=False, **changed("actor_critic", model={"algorithm": "a2c"}))
    with pytest.raises(SettingError, match="train.jit_compile: expected false: rounds are of different sizes"):
        kit.train("policy_gradient", verbose=False, **changed("policy_gradient", train={"jit_compile": True}))
    with pytest.raises(KitError, match="actor_critic: no loss says whether an agent acts well"):
        kit.find_learning_rate("actor_critic", verbose=False, **changed("actor_critic"))


def test_moments_of_an_earlier_run_are_kept(empty_folder):
    settings = changed(
        "actor_critic", model={"normalize_observations": True}, train={"epochs": 1, "steps_per_epoch": 1}
    )
    first = kit.train("actor_critic", folder="first", verbose=False, **settings)
    layer = first.model.get_layer("normalization")
    layer.moving_mean.assign([7, 8])
    first.model.save("changed.keras")
    settings["train"] |= {"start_from": "changed.keras"}
    second = kit.train("actor_critic", folder="second", verbose=False, **settings)
    np.testing.assert_array_equal(second.model.get_layer("normalization").moving_mean, [7, 8])


def test_a_budget_of_steps_ends_the_training(empty_folder):
    settings = changed("policy_gradient", data={"max_steps": 500}, train={"epochs": 10})
    done = kit.train("policy_gradient", verbose=False, **settings)
    assert done.history["environment_steps"].tolist() == [320, 640]


@pytest.mark.large
@pytest.mark.parametrize(("recipe", "config", "least"), [("policy_gradient", None, 475), ("actor_critic", None, 495)])
def test_cartpole_is_solved(recipe, config, least, empty_folder):
    done = kit.train(recipe, config=config, verbose=False)
    assert done.metrics["test"]["return"] >= least
