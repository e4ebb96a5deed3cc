"""Several devices that train one model: every recipe is scored on them, or says in one line that it takes one alone."""

import json

import pytest

import kit
from kit import recipes
from tests import processes
from tests.conformance import CONFIG

# Agents, and recipes of two networks or of what all examples of a step share.
ALONE = {"dqn", "policy_gradient", "actor_critic", "gan", "image_to_image", "recommendation"}


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.names())
def test_two_devices_train_and_score(name, tmp_path):
    settings = ("--train.devices", "2", "--train.epochs", "1", "--train.steps_per_epoch", "2")
    ended = processes.kit("train", name, "--config", CONFIG, "--folder", str(tmp_path / "run"), *settings)
    if name in ALONE:
        line = ended.output.splitlines()[-1]
        assert ended.status == 2 and "train.devices: " in line and "expected 1" in line
        return
    assert ended.status == 0, ended.output
    on_two = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["test"]
    on_one = kit.evaluate(tmp_path / "run").metrics
    numbers = {key: value for key, value in on_two.items() if not isinstance(value, str)}
    assert numbers and numbers == pytest.approx({key: on_one[key] for key in numbers}, rel=1e-3, abs=1e-4)
