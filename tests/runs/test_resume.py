"""A run that is killed at any moment, by SIGKILL, and carried on ends like one that was not.

Each process kills itself, at an exact moment. Every recipe is also interrupted in `tests/test_conformance.py`.
"""

import signal

import pytest

from kit import recipes
from tests import processes
from tests.conformance import assert_same
from tests.moments import AfterBatch, AtWrite

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
# Of each recipe what has the most state; one that is not here is killed with its small settings.
SETTINGS = {
    "actor_critic": ON_POLICY,
    "autoencoder": ENCODING,
    "dqn": ACTING,
    "gan": ADVERSARIAL,
    "image_classification": DEMANDING,
    "image_to_image": TRANSLATING_IMAGES,
    "policy_gradient": EPISODES,
    "sequence_tagging": TAGGING,
    "translation": TRANSLATING,
}
# What else of a recipe has a state of its own.
MORE = {
    "image_classification by layers": PRETRAINING,
    "gan of styles": STYLES,
    "actor_critic compiled": COMPILED,
}
# Each of them may be tested by a process of its own; image_classification is killed at many moments.
OTHERS = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"killed {name}"))
    for name in recipes.names()
    if name != "image_classification"
]


def words(kind, folder, *options):
    """Returns the command that trains a recipe, or carries it on."""
    recipe = kind.partition(" ")[0]
    settings = {**SETTINGS, **MORE}.get(kind, ["--config=smoke"])
    return ["train", recipe, "--folder", folder, *settings, *options]


def end(kind, folder, *options):
    """Trains to the end in a new process; returns what it printed."""
    return processes.kit_done(*words(kind, folder, *options))


def kill(kind, folder, moment, *options):
    """Trains in a new process that kills itself at a moment."""
    ended = processes.kit(*words(kind, folder, *options), dies=moment)
    assert ended.status == -signal.SIGKILL, ended.output


def epochs(folder):
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unkilled") / "run"
    end("image_classification", folder)
    assert epochs(folder) >= 7
    return folder


def test_the_settings_are_those_of_recipes():
    assert {kind.partition(" ")[0] for kind in (*SETTINGS, *MORE)} <= set(recipes.names())


@pytest.mark.slow
@pytest.mark.parametrize("recipe", OTHERS)
def test_a_killed_recipe_ends_like_an_unkilled_one(recipe, tmp_path):
    check_killed(recipe, tmp_path)


@pytest.mark.large
@pytest.mark.parametrize("kind", MORE)
def test_what_else_has_a_state_ends_like_unkilled(kind, tmp_path):
    check_killed(kind, tmp_path)


def check_killed(kind, folder):
    unkilled, killed = folder / "unkilled", folder / "killed"
    end(kind, unkilled)
    last = min(4, epochs(unkilled))
    kill(kind, killed, AfterBatch(epoch=last, batch=2))
    assert epochs(killed) == last - 1 < epochs(unkilled)
    assert f"going on after epoch {last - 1} of" in end(kind, killed)
    assert_same(unkilled, killed)


@pytest.mark.slow
def test_killed_at_many_moments(unkilled, tmp_path):
    folder = tmp_path / "run"
    for moment, done in (
        (AtWrite("splits.csv"), 0),
        (AtWrite("config.toml"), 0),
        (AtWrite("config.toml", is_written=True), 0),
        (AfterBatch(epoch=1, batch=3), 0),
        (AtWrite("state.npz"), 0),
        (AtWrite("state.npz", is_written=True), 0),  # what is saved counts, though the history lacks it
        (AtWrite("history.csv", count=2, is_written=True), 3),
        (AfterBatch(epoch=4, batch=6), 3),
        (AtWrite("state.npz", count=2), 4),
        (AtWrite("history.csv", count=epochs(unkilled) - 4), epochs(unkilled) - 1),  # the last epoch is saved
        (AtWrite("calibration.json"), epochs(unkilled)),
        (AtWrite("best.keras", is_written=True), epochs(unkilled)),
        (AtWrite("2_confusion_matrix.png"), epochs(unkilled)),
        (AtWrite("report.html", is_written=True), epochs(unkilled)),
        (AtWrite("metrics.json"), epochs(unkilled)),
    ):
        kill("image_classification", folder, moment)
        assert epochs(folder) == done, moment
        assert not (folder / "metrics.json").exists()
    end("image_classification", folder)
    assert_same(unkilled, folder)
    assert not list(folder.rglob(".writing-*"))


@pytest.mark.slow
def test_two_devices_resume_exactly(tmp_path):
    folders = [tmp_path / "unkilled", tmp_path / "killed"]
    options = ["--train.devices=2", "--train.epochs=4", "--train.average_epochs=0"]
    end("image_classification", folders[0], *options)
    kill("image_classification", folders[1], AfterBatch(epoch=3, batch=2), *options)
    assert epochs(folders[1]) == 2
    end("image_classification", folders[1], *options)
    assert_same(*folders)


def test_interrupt_says_how_to_go_on(tmp_path):
    folder = tmp_path / "run"
    command = ["train", "image_classification", "--config=smoke", "--folder", folder, "--json"]
    ended = processes.kit(*command, dies=AfterBatch(epoch=2, batch=2), signal_=signal.SIGINT)
    assert ended.status == 130, ended.output
    assert f"--folder {folder} carries on" in ended.output
    assert "Traceback" not in ended.output
    assert ended.output.splitlines()[-1] == '{"error": "interrupted"}'
    assert epochs(folder) == 1 and not (folder / "metrics.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image_classification", "sequence_tagging", "translation", "gan"])
def test_a_run_that_is_told_to_end_loses_nothing_of_its_epoch(kind, tmp_path):
    unkilled, stopped = tmp_path / "unkilled", tmp_path / "stopped"
    short = ["--train.steps_per_execution=1", "--train.epochs=4"]
    end(kind, unkilled, *short)
    for moment in (AfterBatch(epoch=1, batch=2), AfterBatch(epoch=1, batch=1), AfterBatch(epoch=3, batch=3)):
        ended = processes.kit(*words(kind, stopped, *short), dies=moment, signal_=signal.SIGTERM)
        assert ended.status == 130, ended.output
        assert f"saved in epoch {moment.epoch}, after step" in ended.output
    assert "going on in epoch 1 of" in ended.output
    end(kind, stopped, *short)
    assert_same(unkilled, stopped)
