import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.training.adversarial import LOSSES, Adversarial
from kit.training.collapse import CollapseWarning
from kit.training.diff_augment import POLICIES, diff_augment


def dense_pair(conditional=False):
    latent, image = keras.Input((3,)), keras.Input((4, 4, 1))
    label = keras.Input((), dtype="int32")
    extra = [label] if conditional else []

    def known(x):
        return keras.layers.Concatenate()([x, keras.layers.Embedding(2, 2)(label)]) if conditional else x

    pixels = keras.layers.Dense(16, activation="tanh")(known(latent))
    generator = keras.Model([latent, *extra] if extra else latent, keras.layers.Reshape((4, 4, 1))(pixels))
    hidden = keras.layers.Dense(8, activation="tanh")(keras.layers.Flatten()(image))
    return generator, keras.Model([image, *extra] if extra else image, keras.layers.Dense(1)(known(hidden)))


def pair(conditional=False, **settings):
    keras.utils.set_random_seed(0)
    model = Adversarial(*dense_pair(conditional), seed=0, **settings)
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.05))
    return model


def batch(count=8):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, 4, 4, 1)).astype("uint8"), np.arange(count, dtype="int32") % 2


def slow(name, real, fake):
    """The losses as the papers write them; the two networks' in turn."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    return {
        "non_saturating": (
            -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean(),
            -np.log(sigmoid(fake)).mean(),
        ),
        "least_squares": (((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
        "hinge": (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_the_papers(name):
    real, fake = np.random.default_rng(0).normal(size=(2, 6, 1)).astype("float32") * 2
    loss, generator_loss = LOSSES[name](real, fake)
    found = [float(loss), float(generator_loss(fake))]
    assert found == pytest.approx(slow(name, real.astype("float64"), fake.astype("float64")), rel=1e-5)


def test_every_image_counts_the_same_whatever_its_batch():
    model, (images, _) = pair(loss="wasserstein"), batch(6)
    images[4:] = 255
    model.average.set_weights([np.zeros(weight.shape) for weight in model.average.get_weights()])
    answers = [np.asarray(model.discriminator(each)).mean() for each in (images / 127.5 - 1, np.zeros((1, 4, 4, 1)))]
    found = model.evaluate(images, np.zeros(6), batch_size=4, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(answers[1] - answers[0], rel=1e-4)


def test_each_network_has_its_optimizer_and_moves_in_its_turn():
    model = pair(critic_steps=3)
    before = [network.get_weights() for network in (model.generator, model.discriminator)]
    moved = []
    for _ in range(6):
        model.train_on_batch(*batch())
        now = [network.get_weights() for network in (model.generator, model.discriminator)]
        moved.append(
            [any((a != b).any() for a, b in zip(*each, strict=True)) for each in zip(before, now, strict=True)]
        )
        before = now
    assert moved == [[False, True], [False, True], [True, True]] * 2
    assert [int(each.iterations) for each in model.optimizers] == [2, 6]


def test_the_generator_learns_from_the_discriminator_alone():
    """Its gradient is that of its loss through the discriminator as it is after its own step."""
    model = pair()
    model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(0.05))
    state = [np.array(variable) for variable in (model.noise.state, *model.generator.variables)]
    model.train_on_batch(*batch())
    stepped = model.generator.get_weights()
    model.noise.state.assign(state[0])
    for variable, value in zip(model.generator.variables, state[1:], strict=True):
        variable.assign(value)
    latent = keras.random.normal((8, 3), seed=model.noise)

    def loss(values):
        for variable, value in zip(model.generator.trainable_variables, values, strict=True):
            variable.assign(value)
        return float(keras.ops.mean(keras.ops.softplus(-model.discriminator(model.generator(latent)))))

    values, small = [np.array(each) for each in state[1:]], 1e-2
    for index, place in ((0, (1, 2)), (1, (5,))):
        ends = []
        for sign in (1, -1):
            changed = [each.copy() for each in values]
            changed[index][place] += sign * small
            ends.append(loss(changed))
        slope = (ends[0] - ends[1]) / (2 * small)
        assert values[index][place] - stepped[index][place] == pytest.approx(slope, rel=0.02, abs=1e-5)


def test_penalties_are_those_of_slow_differences():
    model = pair()
    images = np.random.default_rng(1).normal(size=(2, 4, 4, 1)).astype("float32")
    found = np.asarray(model._squared_slopes(keras.ops.convert_to_tensor(images), []))
    for index, image in enumerate(images):
        slopes = []
        for place in np.ndindex(4, 4, 1):
            ends = []
            for sign in (1, -1):
                moved = image.copy()
                moved[place] += sign * 1e-2
                ends.append(float(model.discriminator(moved[None])[0, 0]))
            slopes.append((ends[0] - ends[1]) / 2e-2)
        assert found[index] == pytest.approx(np.square(slopes).sum(), rel=0.02)


def test_a_penalty_at_every_step_is_the_same_when_it_is_added_apart():
    """Only the first of these steps has the penalty, by the other path, and twice as large a one."""
    found = []
    for settings in ({"r1": 2.0}, {"r1": 1.0, "r1_interval": 2}):
        model = pair(**settings)
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.05))
        loss = model.train_on_batch(*batch(), return_dict=True)["loss"]
        found.append([loss, *model.discriminator.get_weights()])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("critic_steps", [1, 2])
def test_a_penalty_now_and_then_is_taken_when_it_is_due(critic_steps):
    def moves(**settings):
        """Returns how far the discriminator goes in each of six steps on the same images, from where it began."""
        model = pair(critic_steps=critic_steps, **settings)
        model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.05))
        state, begin, found = np.array(model.noise.state), model.discriminator.get_weights(), []
        for _ in range(6):
            model.noise.state.assign(state)
            model.discriminator.set_weights(begin)
            model.train_on_batch(*batch())
            found.append([a - b for a, b in zip(model.discriminator.get_weights(), begin, strict=True)])
        return found

    without, with_it = moves(), moves(r1=1.0, r1_interval=3)
    for step, (one, other) in enumerate(zip(without, with_it, strict=True)):
        difference = max(np.abs(a - b).max() for a, b in zip(one, other, strict=True))
        assert (difference > 1e-4) == (step % 3 == 0), step


def test_clipped_weights_stay_within_their_bound():
    model = pair(loss="wasserstein", weight_clip=0.02)
    model.train_on_batch(*batch())
    assert max(np.abs(weight).max() for weight in model.discriminator.get_weights()) <= 0.02


def test_the_average_follows_and_makes_pixels():
    model = pair(ema_momentum=0.5)
    before = model.average.get_weights()
    model.train_on_batch(*batch())
    for old, new, mean in zip(before, model.generator.get_weights(), model.average.get_weights(), strict=True):
        assert mean == pytest.approx(old + 0.9 * (new - old), abs=1e-6)  # at first it keeps little
    for _ in range(10):
        model.train_on_batch(*batch())
    before = model.average.get_weights()
    model.train_on_batch(*batch())
    for old, new, mean in zip(before, model.generator.get_weights(), model.average.get_weights(), strict=True):
        assert mean == pytest.approx((old + new) / 2, abs=1e-6)
    latent = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = np.asarray(model.average(latent)) * 127.5 + 127.5
    assert np.asarray(model.sampler(latent)) == pytest.approx(expected, abs=1e-3)
    assert expected.min() >= 0 and expected.max() <= 255


@pytest.mark.parametrize(
    "settings",
    [
        {"r1": 1.0},
        {"r1": 1.0, "r1_interval": 3, "critic_steps": 2},
        {"gradient_penalty": 10.0, "loss": "wasserstein"},
        {"augment": tuple(POLICIES)},
        {"critic_steps": 2},
    ],
)
@pytest.mark.parametrize("conditional", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_part_trains_and_repeats(settings, conditional):
    found = []
    for _ in range(2):
        model = pair(conditional, **settings)
        model.fit(*batch(), batch_size=4, epochs=2, verbose=0, shuffle=False)
        found.append([np.array(each) for each in model.variables])
        assert np.isfinite(model.evaluate(*batch(), verbose=0, return_dict=True)["loss"])
    assert all((a == b).all() for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "hinges"}, "loss: unknown name 'hinges'; did you mean 'hinge'"),
        ({"critic_steps": 0}, "critic_steps: expected at least 1"),
        ({"r1_interval": 0}, "r1_interval: expected at least 1"),
        ({"r1": -1.0}, "r1: expected at least 0"),
        ({"ema_momentum": 1.0}, "ema_momentum: expected a number from 0 to below 1"),
        ({"augment": ("colour",)}, "augment: unknown name 'colour'; did you mean 'color'"),
    ],
)
def test_impossible_settings(settings, said):
    with pytest.raises(SettingError, match=said):
        Adversarial(*dense_pair(), **settings)


@pytest.mark.parametrize("policy", POLICIES)
def test_changes_are_each_images_own_and_let_gradients_through(policy):
    import tensorflow as tf

    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(images)
        changed = diff_augment(images, (policy,), keras.random.SeedGenerator(0))
    assert changed.shape == images.shape and np.isfinite(changed).all()
    gradient = tape.gradient(changed, images, tf.ones_like(changed))
    assert np.abs(gradient).reshape(6, -1).sum(1).min() > 0
    same = diff_augment(tf.repeat(images[:1], 6, 0), (policy,), keras.random.SeedGenerator(0))
    assert np.ptp(same, axis=0).max() > 0.1


def test_translation_moves_and_brings_in_black():
    images = np.ones((40, 8, 8, 1), "float32")
    moved = np.asarray(diff_augment(images, ("translation",), keras.random.SeedGenerator(0)))
    assert set(np.unique(moved)) == {-1.0, 1.0}
    assert set((moved == 1).sum((1, 2, 3))) == {64, 56, 49}


def test_a_collapse_is_said_once(caplog):
    warning = CollapseWarning(10)
    courses = [{"val_diversity": 0.1}, *[{"val_diversity": 0.9, "val_modes_covered": 10.0}] * 3]
    courses += (
        [{"val_diversity": 0.8, "val_modes_covered": 2.0}] * 2 + [{"val_diversity": 0.9}] + [{"val_diversity": 0.2}]
    )
    for epoch, logs in enumerate(courses):
        warning.on_epoch_end(epoch, logs)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and "epoch 5" in said[0] and "2 of 10 classes" in said[0] and "20% as diverse" in said[1]
