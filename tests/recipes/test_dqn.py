import keras
import numpy as np
import pytest
from PIL import Image

import kit
from kit import cli
from kit.agents import replay_buffer, returns
from kit.errors import KitError, SettingError
from kit.files import read_json
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds
from tests.agents.test_environments import Faulty  # noqa: F401 - registers environments that go wrong

SMALL = {
    "data": {
        "environment": "TinyDelayed-v0",
        "num_environments": 4,
        "rollout_steps": 20,
        "gradient_steps": 40,
        "learning_starts": 100,
        "replay_size": 1000,
        "validation_episodes": 5,
        "test_episodes": 10,
    },
    "model": {"target_update": "soft", "target_update_rate": 0.1},
    "backbone": {"units": [32]},
    "optimizer": {"learning_rate": 1e-2},
    "train": {"epochs": 4, "steps_per_epoch": 3, "batch_size": 32, "jit_compile": False},
}


def changed(**tables):
    return {name: SMALL[name] | tables.get(name, {}) for name in SMALL}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kit.train("dqn", folder=tmp_path_factory.mktemp("runs") / "delayed", verbose=False, **SMALL)


def test_a_run_solves_a_task_and_explains_itself(run):
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["test"]["return"] == metrics["test"]["return_iqm"] == 1
    assert metrics["test_of_last_epoch"]["episodes"] == 10
    assert {"return", "val_return", "q_value", "val_value", "exploration", "environment_steps"} <= set(run.history)
    assert run.history["environment_steps"].tolist() == [340, 580, 820, 1060]
    assert run.history["exploration"].is_monotonic_decreasing
    assert run.metrics["best_epoch"] == len(run.history) - run.history["val_return"][::-1].argmax()
    assert {"2_training", "3_returns_of_episodes"} <= {path.stem for path in (run.folder / "plots").iterdir()}
    assert len((run.folder / "tables" / "1_episodes.csv").read_text().splitlines()) == 11


def test_what_is_saved_is_a_plain_network(run):
    network = keras.models.load_model(run.folder / "best.keras")
    values = np.asarray(network(np.array([[-1, 0]], "float32")))
    assert values.shape == (1, 2) and values.argmax() == 1


def test_play_is_recorded(empty_folder, capsys):
    data = {"environment": "CartPole-v1", "validation_episodes": 2, "test_episodes": 2}
    done = kit.train(
        "dqn", folder="run", verbose=False, **changed(data=data, train={"epochs": 1, "steps_per_epoch": 1})
    )
    assert cli.main(["predict", "run", "--episodes", "2", "--video", "out.gif"]) == 0
    assert "out.gif" in capsys.readouterr().out
    table = done.predict(episodes=3)
    assert list(table) == ["episode", "return", "length"] and (table["length"] > 5).all()
    with Image.open("out.gif") as film:
        assert 5 < film.n_frames <= done.predict(episodes=2)["length"].sum()  # equal neighbours become one
    assert cli.main(["predict", "run", "--video", "out.gif"]) == 2
    assert "expected a new .gif file" in capsys.readouterr().err
    assert cli.main(["predict", "run", "photo.jpg"]) == 2
    assert "expected no inputs, but --episodes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"data": {"environment": "CartPol-v1"}}, "data.environment: unknown name 'CartPol-v1'; did you mean"),
        ({"data": {"environment": "Pendulum-v1"}}, "data.environment: .*actor_critic"),
        ({"data": {"environment": "FaultyRaises-v0"}}, "FaultyRaises-v0: could not take a step: .* on fire"),
        ({"data": {"environment": "FaultyNan-v0"}}, "FaultyNan-v0: gave observations that are nan"),
        ({"data": {"replay_size": 10**12}}, "data.replay_size: expected a whole number of at most 2147483647"),
        ({"data": {"learning_starts": 1001}}, "data.learning_starts: expected from 0 to data.replay_size, 1000, got"),
        ({"data": {"test_episodes": 10**9}}, "data.test_episodes: expected from 1 to 100000"),
        ({"model": {"n_step": 10**9}}, "model.n_step: expected at most [0-9]+, the steps of an environment"),
        ({"data": {"exploration_end": 2.0}}, "data.exploration_end: expected a share"),
        ({"model": {"network": "cnn_q_small"}, "backbone": {}}, "takes images"),
        ({"train": {"use_validation": True}}, "train.use_validation: an agent is judged by playing"),
        ({"train": {"steps_per_execution": 3}}, "train.steps_per_execution: expected 1: the data are made by acting"),
    ],
)
def test_bad_input_is_one_line(tables, said, empty_folder):
    settings = changed(**tables)
    if "backbone" in tables:
        settings.pop("backbone")
    if "patience" not in settings["train"] and settings["train"].get("use_validation"):
        settings["train"]["patience"] = 0
    with pytest.raises((KitError, SettingError), match=said) as caught:
        kit.train("dqn", verbose=False, **settings)
    assert "\n" not in str(caught.value)


def test_errors_and_several_steps(empty_folder):
    tables = {"data": {"prioritized": True}, "model": {"n_step": 2, "dueling": True}, "train": {"epochs": 5}}
    done = kit.train("dqn", verbose=False, **changed(**tables))
    assert done.metrics["test"]["return"] == 1
    with np.load(done.folder / "checkpoint" / "state.npz") as state:
        priorities = state["replay/6"]
    assert len(np.unique(priorities[priorities > 0])) > 100


def test_images_lie_in_a_file_of_the_run_folder(empty_folder, monkeypatch):
    monkeypatch.setattr(replay_buffer, "MAPPED_BYTES", 1000)
    settings = changed(data={"environment": "Lamp-v0"}, model={"network": "cnn_q_small"}, train={"epochs": 5})
    settings["backbone"] = {"filters": [8], "units": 16, "highest": 255.0}
    done = kit.train("dqn", folder="run", verbose=False, **settings)
    assert done.metrics["test"]["return"] == 1
    assert not (done.folder / "checkpoint" / "replay.dat").exists()  # of no more use
    assert (done.folder / "checkpoint" / "state.npz").stat().st_size < 100_000


def test_the_interquartile_mean_leaves_both_ends_away():
    assert returns.interquartile_mean([0, 1, 2, 3, 4, 5, 6, 1000]) == 3.5
    assert returns.interquartile_mean([3]) == 3
    assert returns.interquartile_mean([0, 0, 0, 10, 100]) == pytest.approx((0.75 * 0 + 1 * 0 + 0.75 * 10) / 2.5)


def test_a_film_is_thinned_out():
    film = returns.Video(most=10)
    for moment in range(95):
        film.add(lambda moment=moment: moment)
    assert film.frames == list(range(0, 95, film.every)) and 5 <= len(film.frames) <= 10


@pytest.mark.large
def test_cartpole_is_solved(empty_folder):
    """The shipped settings, a seed: several minutes on a busy machine."""
    done = kit.train("dqn", verbose=False)
    assert done.metrics["test_of_last_epoch"]["return"] >= 475
