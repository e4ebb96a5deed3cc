import keras
import numpy as np
import pytest
import tensorflow as tf

from kit.errors import SettingError
from kit.training.cycle import CycleConsistent, ImagePool

NETWORKS = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")


def translator(name):
    image = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(image)
    return keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", activation="tanh")(x), name=name)


def judge():
    image = keras.Input((4, 4, 1))
    return keras.Model(image, keras.layers.Conv2D(1, 3, padding="same")(image))


def networks():
    return translator("a_to_b"), translator("b_to_a"), judge(), judge()


def cycle(optimizer=None, **settings):
    keras.utils.set_random_seed(0)
    model = CycleConsistent(*networks(), seed=0, **settings)
    model.compile(optimizer or keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.05))
    return model


def batch(count=6):
    return tuple(np.random.default_rng(0).integers(0, 256, (2, count, 4, 4, 1)).astype("uint8"))


def pairs(*kinds):
    return tf.data.Dataset.from_tensors((kinds,))


def slow(model, a, b):
    """The losses as the paper writes them (equations 1 to 3 with least squares, and section 5.2)."""
    a, b = (images.astype("float64") / 127.5 - 1 for images in (a, b))

    def made(name, images):
        return np.asarray(getattr(model, name)(images.astype("float32")), "float64")

    fake_b, fake_a = made("a_to_b", a), made("b_to_a", b)
    answers = {
        (name, kind): made(f"discriminator_{name}", images)
        for name, kind, images in (("a", "real", a), ("a", "fake", fake_a), ("b", "real", b), ("b", "fake", fake_b))
    }
    return {
        "loss": sum(
            ((answers[name, "real"] - 1) ** 2).mean() / 2 + (answers[name, "fake"] ** 2).mean() / 2 for name in "ab"
        ),
        "generator_loss": sum(((answers[name, "fake"] - 1) ** 2).mean() for name in "ab"),
        "cycle_loss": np.abs(made("b_to_a", fake_b) - a).mean() + np.abs(made("a_to_b", fake_a) - b).mean(),
        "identity_loss": np.abs(made("a_to_b", b) - b).mean() + np.abs(made("b_to_a", a) - a).mean(),
    }


def test_losses_are_the_papers():
    model, (a, b) = cycle(), batch()
    found = model.evaluate(pairs(a, b), verbose=0, return_dict=True)
    assert found == pytest.approx(slow(model, a, b), rel=1e-4)


def test_every_image_counts_the_same_whatever_its_batch():
    model, (a, b) = cycle(), batch(6)
    b[4:] = 255
    batches = tf.data.Dataset.from_tensor_slices(((a, b),)).batch(4)  # of four and two
    assert model.evaluate(batches, verbose=0, return_dict=True) == pytest.approx(slow(model, a, b), rel=1e-4)


def test_without_an_identity_loss_nothing_else_changes():
    model, (a, b) = cycle(identity_weight=0.0), batch()
    found = model.evaluate(pairs(a, b), verbose=0, return_dict=True)
    assert found == pytest.approx(slow(model, a, b) | {"identity_loss": 0.0}, rel=1e-4)


@pytest.mark.parametrize("weights", [{}, {"cycle_weight": 3.0, "identity_weight": 0.0}])
def test_generators_follow_the_gradient_of_their_losses_together(weights):
    model, (a, b) = cycle(keras.optimizers.SGD(1.0), **weights), batch()
    before = {name: getattr(model, name).get_weights() for name in NETWORKS}
    model.train_on_batch((a, b))
    stepped = {name: getattr(model, name).get_weights() for name in NETWORKS[:2]}
    factors = {"generator_loss": 1.0, "cycle_loss": model.cycle_weight, "identity_loss": model.identity_weight}
    for name in NETWORKS:
        getattr(model, name).set_weights(before[name])
    for name, place in (("a_to_b", (1, 1, 0, 2)), ("b_to_a", (0, 2, 0, 1))):
        totals = []
        for change in (1e-3, -1e-3):
            changed = [weight.copy() for weight in before[name]]
            changed[0][place] += change
            getattr(model, name).set_weights(changed)
            losses = slow(model, a, b)
            totals.append(sum(factor * losses[key] for key, factor in factors.items()))
        getattr(model, name).set_weights(before[name])
        slope = (totals[0] - totals[1]) / 2e-3
        assert before[name][0][place] - stepped[name][0][place] == pytest.approx(slope, rel=0.02, abs=1e-3)


@pytest.mark.parametrize("still", [0, 1])
def test_each_optimizer_moves_its_networks_alone(still):
    model = cycle()
    model.optimizers[still].learning_rate = 0.0
    before = [getattr(model, name).get_weights() for name in NETWORKS]
    model.train_on_batch(batch())
    now = [getattr(model, name).get_weights() for name in NETWORKS]
    moved = [any((a != b).any() for a, b in zip(*each, strict=True)) for each in zip(before, now, strict=True)]
    assert moved == ([False, False, True, True] if still == 0 else [True, True, False, False])
    assert [int(each.iterations) for each in model.optimizers] == [1, 1]


def test_the_network_is_of_pixels_and_of_the_weights_that_train(tmp_path):
    model, (a, b) = cycle(), batch()
    model.train_on_batch((a, b))
    in_b, in_a = (np.asarray(each) for each in model.network([a, b]))
    for made, name, images in ((in_b, "a_to_b", a), (in_a, "b_to_a", b)):
        expected = np.asarray(getattr(model, name)(images.astype("float32") / 127.5 - 1)) * 127.5 + 127.5
        np.testing.assert_allclose(made, expected, atol=1e-3)
        assert model.network.get_layer(name) is getattr(model, name)
        assert 0 <= made.min() < made.max() <= 255
    model.network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert (np.asarray(again([a, b])[0]) == in_b).all()


def images(*numbers):
    return np.broadcast_to(np.array(numbers, "float32")[:, None, None, None], (len(numbers), 2, 2, 1))


def shown(pool, *numbers):
    return np.asarray(pool(images(*numbers)))[:, 0, 0, 0].tolist()


def test_a_pool_is_filled_and_then_shows_old_images_in_half_of_the_cases():
    pool = ImagePool(5, (2, 2, 1), seed=0)
    assert shown(pool, 1, 2) == [1, 2]
    assert shown(pool, 3, 4) == [3, 4]
    assert shown(pool, 5, 6) == [5, 6]  # there is room for one of them
    held, old = {1.0, 2.0, 3.0, 4.0, 5.0}, 0
    for step in range(60):
        new = [10.0 + 2 * step, 11.0 + 2 * step]
        for image, seen in zip(new, shown(pool, *new), strict=True):
            if seen != image:
                assert seen in held
                held, old = held - {seen} | {image}, old + 1
    assert set(np.asarray(pool.images)[:, 0, 0, 0].tolist()) == held
    assert 40 < old < 80


def test_a_pool_smaller_than_a_batch_and_none():
    pool = ImagePool(2, (2, 2, 1), seed=0)
    assert shown(pool, 1, 2, 3, 4) == [1, 2, 3, 4]
    for _ in range(20):
        found = shown(pool, 5, 6, 7, 8)
        assert found[2:] == [7, 8] and set(found[:2]) <= {1, 2, 5, 6}
    none = ImagePool(0, (2, 2, 1), seed=0)
    assert shown(none, 1, 2) == [1, 2] and not none.variables


def test_a_checkpoint_has_the_pools_and_the_draws():
    from kit.training import checkpoint

    model = cycle(pool_size=4)
    kept = {id(variable) for variable in checkpoint.variables(model)}
    assert {id(variable) for pool in (model.pool_a, model.pool_b) for variable in pool.variables} <= kept
    assert {id(pool.noise.state) for pool in (model.pool_a, model.pool_b)} <= kept
    assert len(kept) == len(checkpoint.variables(model))


@pytest.mark.parametrize("settings", [{"pool_size": 4}, {"pool_size": 0, "identity_weight": 0.0, "loss": "hinge"}])
def test_every_part_trains_and_repeats(settings):
    a, b = batch(8)
    data = tf.data.Dataset.from_tensor_slices((a, b)).batch(4).map(lambda a, b: ((a, b),))
    found = []
    for _ in range(2):
        model = cycle(**settings)
        history = model.fit(data, epochs=2, verbose=0).history
        assert set(history) == {"loss", "generator_loss", "cycle_loss", "identity_loss"}
        found.append([np.array(each) for each in model.variables])
    assert all((one == other).all() for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "hinges"}, "loss: unknown name 'hinges'; did you mean 'hinge'"),
        ({"cycle_weight": -1.0}, "cycle_weight: expected at least 0"),
        ({"identity_weight": -1.0}, "identity_weight: expected at least 0"),
        ({"pool_size": -1}, "pool_size: expected at least 0"),
    ],
)
def test_impossible_settings(settings, said):
    with pytest.raises(SettingError, match=said):
        CycleConsistent(*networks(), **settings)
