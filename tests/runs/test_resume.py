"""A run that is killed at any moment and carried on ends like one that was not."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import kit

# All that has a state of its own: dropout, stochastic depth, augmentation, averaged weights, early stopping, layers
# that thaw, the mean of the last epochs.
DEMANDING = [
    "--train.deterministic=true",
    "--train.epochs=12",
    "--train.steps_per_epoch=6",
    "--train.patience=6",
    "--train.batch_size=50",
    "--data.translation=0.1",
    "--data.flip=true",
    "--model.dropout=0.1",
    "--backbone.widths=8,16",
    "--backbone.depths=1,1",
    "--backbone.stochastic_depth=0.2",
    "--optimizer.use_ema=true",
    "--optimizer.ema_momentum=0.9",
    "--optimizer.schedule=reduce_on_plateau",
    "--optimizer.plateau_patience=1",
    "--optimizer.learning_rate=0.003",
    "--train.freeze=[stem*,stage1*]",
    "--train.unfreeze_epochs=3",
    "--train.average_epochs=3",
]


# Sentences of many lengths, word dropout, a CRF, a score of the recipe's own that decides which epoch is best.
TAGGING = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=16",
    "--data.num_sentences=300",
    "--model.word_dim=8",
    "--model.feature_dim=4",
    "--model.character_dim=4",
    "--model.character_units=8",
    "--model.word_dropout=0.2",
    "--backbone.units=16",
]


# Batches equal in tokens, dropout, scheduled sampling, the mean of the last epochs.
TRANSLATING = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=16",
    "--train.sampling_rate=0.5",
    "--train.average_epochs=3",
    "--data.num_sentences=300",
    "--data.vocabulary_size=300",
    "--model.embedding_dim=16",
    "--backbone.dim=16",
    "--backbone.feedforward_dim=16",
    "--evaluate.bootstrap_samples=20",
]
# Two networks and optimizers, steps in turn, penalties, random changes, wanted classes, an average.
ADVERSARIAL = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=16",
    "--model.conditional=true",
    "--model.critic_steps=2",
    "--model.gradient_penalty=1",
    "--model.r1=0.1",
    "--model.augment=[color,translation,cutout]",
    "--backbone.widths=16,8",
    "--backbone.dropout=0.1",
    "--optimizer.schedule=warmup_cosine",
    "--evaluate.num_samples=200",
]
# Drawn latent vectors, a divergence that grows, images made worse, a score of the recipe's own.
ENCODING = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=16",
    "--data.noise=0.2",
    "--data.masking=0.1",
    "--model.kl_warmup_steps=30",
    "--backbone.widths=8,16",
    "--train.average_epochs=3",
    "--evaluate.num_samples=0",
]
# Layers trained alone before the first step.
PRETRAINING = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.batch_size=16",
    "--data.labelled=100",
    "--model.backbone=dbn",
    "--backbone.units=20,20",
    "--backbone.pretraining_epochs=2",
    "--backbone.persistent=true",
    "--backbone.dropout=0.2",
]
# Two pairs of networks, pools of made images that are full before the kill, and draws from them.
TRANSLATING_IMAGES = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=8",
    "--model.pool_size=20",
    "--model.identity_weight=1",
    "--backbone.widths=8,16",
    "--backbone.residual_blocks=1",
    "--backbone.discriminator_widths=8,16",
    "--optimizer.schedule=warmup_cosine",
]
# A small StyleGAN: noise, mixed styles and their mean, a penalty at every third step; steps end amid these.
STYLES = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=7",
    "--train.patience=5",
    "--train.batch_size=16",
    "--model.family=stylegan",
    "--model.conditional=true",
    "--model.critic_steps=2",
    "--model.r1_interval=3",
    "--backbone.widths=16,8",
    "--backbone.mixing=0.9",
    "--evaluate.num_samples=200",
]
# Two environments and what is remembered of them, drawn by errors over several steps, exploration, a slower copy.
ACTING = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=3",
    "--train.batch_size=16",
    "--data.num_environments=3",
    "--data.rollout_steps=20",
    "--data.gradient_steps=8",
    "--data.learning_starts=100",
    "--data.replay_size=900",
    "--data.prioritized=true",
    "--data.validation_episodes=3",
    "--data.test_episodes=3",
    "--model.n_step=3",
    "--model.dueling=true",
    "--model.target_update_steps=16",
    "--backbone.units=16,16",
]
# Rounds of two environments: moments of observations and rewards, minibatches, a divergence that may end a round.
ON_POLICY = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=3",
    "--train.batch_size=20",
    "--train.patience=5",
    "--data.environment=Pendulum-v1",
    "--data.num_environments=2",
    "--data.rollout_steps=30",
    "--data.update_epochs=2",
    "--data.squash_actions=true",
    "--data.validation_episodes=2",
    "--data.test_episodes=2",
    "--model.normalize_observations=true",
    "--model.normalize_rewards=true",
    "--model.target_kl=0.01",
    "--backbone.units=16,16",
]
# The same with numbered actions, compiled with XLA.
COMPILED = [
    "--train.epochs=8",
    "--train.steps_per_epoch=3",
    "--train.batch_size=20",
    "--data.num_environments=2",
    "--data.rollout_steps=30",
    "--data.update_epochs=2",
    "--data.validation_episodes=2",
    "--data.test_episodes=2",
    "--backbone.units=16,16",
]
EPISODES = [
    "--train.deterministic=true",
    "--train.epochs=8",
    "--train.steps_per_epoch=2",
    "--train.batch_size=4",
    "--data.num_environments=2",
    "--data.validation_episodes=2",
    "--data.test_episodes=2",
    "--model.normalize_observations=true",
    "--model.normalize_rewards=true",
    "--backbone.units=16,16",
]
SETTINGS = {
    "image_classification": DEMANDING,
    "sequence_tagging": TAGGING,
    "translation": TRANSLATING,
    "gan": ADVERSARIAL,
    "autoencoder": ENCODING,
    "image_to_image": TRANSLATING_IMAGES,
    "image_classification by layers": PRETRAINING,
    "gan of styles": STYLES,
    "dqn": ACTING,
    "actor_critic": ON_POLICY,
    "actor_critic compiled": COMPILED,
    "policy_gradient": EPISODES,
}


def start(folder, *options, recipe="image_classification"):
    words = ["-m", "kit", "train", recipe.partition(" ")[0], "--folder", str(folder)]
    settings = SETTINGS[recipe]
    return subprocess.Popen(
        [sys.executable, *words, *settings, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a shell's & may have set it aside
    )


def end(folder, *options, recipe="image_classification"):
    process = start(folder, *options, recipe=recipe)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def epochs(folder):
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def assert_same(first, second):
    assert (first / "history.csv").read_bytes() == (second / "history.csv").read_bytes()
    states = [np.load(folder / "checkpoint" / "state.npz") for folder in (first, second)]
    names = [name for name in states[0].files if name != "values"]
    assert len(names) > 20
    assert states[0].files == states[1].files
    for name in names:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)
    models = [kit.load(folder).model for folder in (first, second)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def kill_after(process, folder, count, delay):
    """Kills a run some time after its history has `count` epochs; returns whether it was still alive."""
    limit = time.monotonic() + 120
    while epochs(folder) < count and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(delay)
    alive = process.poll() is None
    os.kill(process.pid, signal.SIGKILL) if alive else None
    process.communicate()
    return alive


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unkilled") / "run"
    end(folder)
    assert epochs(folder) >= 7
    return folder


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_ends_like_unkilled(kills, unkilled, tmp_path):
    folder = tmp_path / "run"
    assert kill_after(start(folder), folder, 2, 0.05)
    if kills == 2:
        assert kill_after(start(folder), folder, epochs(folder) + 2, 0.0)
    assert epochs(folder) < epochs(unkilled)
    assert "going on after epoch" in end(folder)
    assert_same(unkilled, folder)


@pytest.mark.slow
def test_killed_before_and_after_training(unkilled, tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    while not (folder / "config.toml").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (folder / "history.csv").exists()
    process = start(folder)
    kill_after(process, folder, epochs(unkilled), 0.1)
    assert epochs(folder) == epochs(unkilled)
    end(folder)
    assert_same(unkilled, folder)


@pytest.mark.slow
def test_killed_at_many_moments(unkilled, tmp_path):
    folder, kills = tmp_path / "run", 0
    delays = np.random.default_rng(0).uniform(0.0, 0.1, 40)
    for delay in delays:
        if not kill_after(start(folder), folder, epochs(folder) + 1, delay):
            break
        kills += 1
        if (folder / "metrics.json").exists() or epochs(folder) >= epochs(unkilled):
            break
    if not (folder / "metrics.json").exists():
        end(folder)
    assert kills >= 3
    assert_same(unkilled, folder)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in SETTINGS if name != "image_classification"])
def test_another_killed_recipe_ends_like_an_unkilled_one(recipe, tmp_path):
    folders = [tmp_path / "unkilled", tmp_path / "killed"]
    end(folders[0], recipe=recipe)
    assert kill_after(start(folders[1], recipe=recipe), folders[1], 3, 0.0)
    assert 3 <= epochs(folders[1]) < 8
    end(folders[1], recipe=recipe)
    assert_same(*folders)


@pytest.mark.slow
def test_two_devices_resume_exactly(tmp_path):
    folders = [tmp_path / "unkilled", tmp_path / "killed"]
    options = ["--train.devices=2", "--train.epochs=5"]
    end(folders[0], *options)
    assert kill_after(start(folders[1], *options), folders[1], 2, 0.0)
    assert epochs(folders[1]) < 5
    end(folders[1], *options)
    assert_same(*folders)


def test_interrupt_says_how_to_go_on(tmp_path):
    folder = tmp_path / "run"
    process = start(folder, "--json")
    while epochs(folder) < 1 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f"--folder {folder} carries on" in output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == '{"error": "interrupted"}'
    assert not (folder / "metrics.json").exists()
