"""A run folder or settings file of someone else's names a module: it is imported only where that was typed."""

import shutil
import sys

import pytest

import kit
from kit import config
from kit.agents.environment_spec import EnvironmentSpec
from kit.cli import main
from kit.data.sources import tfds_builder
from kit.errors import SettingError
from tests.moments import AtWrite, at, interrupt

MODULE = """
import pathlib
import gymnasium
pathlib.Path("imported").touch()
gymnasium.register("Walk-v0", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=20)
"""
NAME = "own_games:Walk-v0"


def call(capsys, *words):
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err


def forget(monkeypatch):
    """Makes this process one in which nothing was typed or imported."""
    monkeypatch.setattr(config, "_TYPED", set())
    sys.modules.pop("own_games", None)


def was_imported(folder):
    path = folder / "imported"
    found = path.exists()
    path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("name", [NAME, "a.b:X-v0"])
def test_a_name_that_was_not_typed_imports_nothing(name, empty_folder, monkeypatch):
    monkeypatch.syspath_prepend(empty_folder)
    (empty_folder / "own_games.py").write_text(MODULE)
    forget(monkeypatch)
    with pytest.raises(SettingError, match=f"environment: '{name}' in a file would run the code of .* --allow {name}"):
        EnvironmentSpec(name).make()
    assert not was_imported(empty_folder)


def test_data_sets_that_are_fetched_code_are_no_source_of_a_file():
    with pytest.raises(SettingError, match="source: 'tfds:kubric:movi_a' in a file would run the code"):
        tfds_builder.opened("tfds:kubric:movi_a")


def test_what_was_typed_is_told_to_workers(monkeypatch):
    forget(monkeypatch)
    config.note_typed({"data.environment": NAME, "model.widths": [8], "tune.space": {"x": ["m:A-v0"]}})
    assert config.typed() == ["m:A-v0", NAME]


def test_the_folder_of_a_stranger_runs_no_code(capsys, empty_folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(empty_folder)
    (empty_folder / "own_games.py").write_text(MODULE)
    forget(monkeypatch)
    folder, begun = tmp_path / "run", tmp_path / "begun"
    words = ["train", "dqn", "--config=smoke", "--folder"]
    with at(AtWrite("state.npz", is_written=True), interrupt):
        assert call(capsys, *words, begun, "--data.environment", NAME)[0] == 130
    assert was_imported(empty_folder)
    shutil.copytree(begun, folder)
    assert call(capsys, "train", "--folder", folder)[0] == 0

    stranger = ["--config", folder / "config.toml", "--folder", tmp_path / "new"]
    for command in (
        ["evaluate", folder],
        ["predict", folder],
        ["export", folder, "saved_model"],
        ["serve", folder, "--port=0"],
    ):
        forget(monkeypatch)
        status, said = call(capsys, *command)
        assert (status, len(said.splitlines())) == (2, 1), said
        assert "'own_games:Walk-v0' in a file would run the code of 'own_games'" in said
        assert not was_imported(empty_folder)
    for command in (["train", "--folder", begun], ["train", *stranger], ["train", "--dry-run", *stranger[:2]]):
        forget(monkeypatch)
        status, said = call(capsys, *command)
        assert status == 2 and "would run the code of 'own_games'" in said
        assert not was_imported(empty_folder)

    forget(monkeypatch)
    assert call(capsys, "predict", folder, "--episodes=1", "--allow", NAME)[0] == 0
    assert was_imported(empty_folder)
    forget(monkeypatch)
    assert call(capsys, "evaluate", folder, "--allow", NAME)[0] == 0
    forget(monkeypatch)
    import own_games  # noqa: F401 - whoever imports it runs its code themselves

    assert len(kit.load(folder).predict(episodes=1)) == 1
