"""What takes fewer operations gives what Keras' own layers, optimizers and losses do."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kit.training import fused
from kit.training.losses import SparseCategoricalCrossentropy


def network(**settings):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.BatchNormalization(momentum=0.8, **settings)(x)
    x = layers.Dense(2)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.BatchNormalization()(x))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def trained(model):
    random = np.random.default_rng(0)
    model.fit(random.normal(3, 2, (32, 6, 5, 3)), random.normal(size=(32, 2)), batch_size=8, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}, {"axis": 2}])
def test_weights_gradients_and_moments_are_the_same(settings):
    plain, model = trained(network(**settings)), network(**settings)
    with fused.batch_normalization(model):
        found = trained(model)
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_it_is_one_operation_and_only_for_so_long():
    model = network()
    layer = model.layers[2]
    inputs = tf.random.normal((4, 4, 3, 4))

    def operations():
        graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(inputs).graph
        return {operation.type for operation in graph.get_operations()}

    with fused.batch_normalization(model):
        assert "FusedBatchNormV3" in operations()
        # At inference, and where it is frozen, the moving statistics are Keras' business.
        np.testing.assert_array_equal(layer(inputs), type(layer).call(layer, inputs))
        layer.trainable = False
        np.testing.assert_array_equal(layer(inputs, training=True), layer(inputs))
        layer.trainable = True
    assert "FusedBatchNormV3" not in operations() and "call" not in vars(layer)


def test_gradients_of_gradients_are_the_same():
    model = network()
    layer, inputs = model.layers[2], tf.random.normal((4, 4, 3, 4))

    def twice():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                answer = tf.reduce_sum(layer(inputs, training=True) ** 3)
            slope = tf.reduce_sum(inner.gradient(answer, inputs) ** 2)
        return outer.gradient(slope, inputs).numpy()

    plain = twice()
    with fused.batch_normalization(model):
        np.testing.assert_allclose(twice(), plain, rtol=1e-3, atol=1e-3)


def writer(label_smoothing=0.1, optimizer="adam", dropout=0.0):
    """Returns a small tagger of words by words, whose last layer is its embedding."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None,), dtype="int32")
    embedding = layers.ReversibleEmbedding(11, 6, reverse_dtype="float32")
    x = layers.LayerNormalization(name="norm")(embedding(inputs))
    x = layers.Dropout(dropout)(layers.Dense(6, activation="relu")(x) + x)
    model = keras.Model(inputs, embedding(x, reverse=True))
    model.compile(optimizer, SparseCategoricalCrossentropy(label_smoothing, ignore_class=0), jit_compile=False)
    return model


def written(model, steps=3):
    random = np.random.default_rng(0)
    ids, labels = random.integers(0, 11, (2, 8 * steps, 5))
    history = model.fit(ids, labels, batch_size=8, shuffle=False, verbose=0).history
    return [np.array(history["loss"]), *model.get_weights()]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.Adam(0.01, global_clipnorm=1.0),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
        lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    ],
)
def test_a_network_of_sequences_learns_the_same(label_smoothing, optimizer):
    plain, model = written(writer(label_smoothing, optimizer())), writer(label_smoothing, optimizer())
    with fused.training(model):
        found = written(model)
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert all("call" not in vars(layer) for layer in model.layers)
    assert "update_step" not in vars(model.optimizer)


def test_no_pass_is_made_over_the_gradient_of_logits():
    model = writer()
    with fused.training(model):
        ids = tf.ones((2, 5), tf.int32)
        graph = tf.function(model.train_step).get_concrete_function((ids, ids)).graph
        kinds = [operation.type for operation in graph.get_operations()]
    assert "ResourceApplyAdam" in kinds and "TensorScatterUpdate" not in kinds and "SquaredDifference" not in kinds


def test_a_cross_entropy_is_exact_however_small_the_share():
    ids, found = np.random.default_rng(0).integers(1, 11, (4, 5)), []
    for context in (contextlib.nullcontext, fused.training):
        model = writer(label_smoothing=0.0)
        model.set_weights([1e3 * weight for weight in model.get_weights()])
        with context(model):
            found.append(model.evaluate(ids, ids[::-1], verbose=0))
    assert found[0] > 1e3 and found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.001])
def test_dropout_keeps_share_and_mean_and_goes_on_where_its_seed_stands(rate):
    layer = layers.Dropout(rate, seed=3)
    model = keras.Sequential([layer])
    inputs = tf.ones((317, 1001))
    model.build(inputs.shape)
    state = layer.seed_generator.state.numpy()
    model.compile("sgd", "mse")
    with fused.training(model):
        first, second = layer(inputs, training=True), layer(inputs, training=True)
        layer.seed_generator.state.assign(state)
        np.testing.assert_array_equal(first, layer(inputs, training=True))
        np.testing.assert_array_equal(layer(inputs), inputs)
    assert np.mean(first == 0) == pytest.approx(rate, rel=0.1)
    assert np.mean(first) == pytest.approx(1, abs=0.01)
    both = np.mean((first.numpy() == 0) & (second.numpy() == 0))
    assert both == pytest.approx(rate**2, rel=0.1, abs=1e-5)  # independent of each other
    neighbours = np.mean((first.numpy()[:, 1:] == 0) & (first.numpy()[:, :-1] == 0))
    assert neighbours == pytest.approx(rate**2, rel=0.1, abs=1e-5)


def test_gradients_of_gradients_of_layer_normalisation_are_the_same():
    model = writer()
    layer, inputs = model.get_layer("norm"), tf.random.normal((4, 5, 6))

    def twice():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                answer = tf.reduce_sum(layer(inputs) ** 3)
            slope = tf.reduce_sum(inner.gradient(answer, inputs) ** 2)
        return outer.gradient(slope, inputs).numpy()

    plain = twice()
    with fused.training(model):
        np.testing.assert_allclose(twice(), plain, rtol=1e-3, atol=1e-3)


def products(count):
    """Returns a network that multiplies in every way, and so many images."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.Conv2D(16, 3, padding="same", groups=2, name="grouped")(x)
    x = layers.Reshape((16, 16))(x)
    x = layers.Dense(24, activation="relu")(layers.Conv1D(16, 3, dilation_rate=2, padding="causal")(x))
    x = layers.Dense(3)(layers.Dense(16)(layers.Flatten()(x)))
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model, np.random.default_rng(0).normal(size=(count, 8, 8, 4)).astype("float32")


def test_products_of_bfloat16_are_near_and_only_for_so_long():
    model, images = products(16)
    exact = model(images).numpy()

    def kinds():
        graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(images).graph
        found = (each for each in graph.get_operations() if each.type in ("Conv2D", "MatMul"))
        return sorted(each.outputs[0].dtype.name for each in found)

    assert "grouped" not in [layer.name for layer in fused.multiplying_layers(model)]
    with fused.training(model, "bfloat16"):
        near = model(images).numpy()
        # The last layer has few outputs; the convolution of two groups is compiled by itself.
        assert kinds() == ["bfloat16"] * 4 + ["float32"]
    np.testing.assert_allclose(near, exact, atol=0.02 * np.abs(exact).max())
    assert np.abs(near - exact).max() > 0
    np.testing.assert_array_equal(model(images), exact)
    assert "bfloat16" not in kinds() and not any("call" in vars(layer) for layer in model.layers)


def test_what_bfloat16_learns_is_near():
    (model, images), (other, _) = products(32), products(32)
    targets = np.random.default_rng(1).normal(size=(32, 3))
    begun = model.get_weights()
    with fused.training(model):
        model.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)
    with fused.training(other, "bfloat16"):
        other.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)
    assert {weight.dtype.name for weight in other.get_weights()} == {"float32"}
    before, one, two = (
        np.concatenate([weight.ravel() for weight in weights])
        for weights in (begun, model.get_weights(), other.get_weights())
    )
    assert 0 < np.linalg.norm(two - one) < 0.05 * np.linalg.norm(one - before)


def test_muon_orthogonalises_in_bfloat16_and_only_for_so_long():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(48), layers.Dense(24)])
    optimizer = keras.optimizers.Muon(0.01)
    model.compile(optimizer, "mse")
    for shape in ((20, 48), (48, 24), (16, 16)):
        update = tf.constant(np.random.default_rng(0).normal(size=shape) * 50, "float32")
        exact = optimizer.zeropower_via_newtonschulz5(update, 5).numpy()
        with fused.training(model, "bfloat16"):
            near = optimizer.zeropower_via_newtonschulz5(update, 5)
        assert near.dtype == "float32" and 0 < np.linalg.norm(near - exact) < 0.1 * np.linalg.norm(exact)
        with fused.training(model):
            np.testing.assert_array_equal(optimizer.zeropower_via_newtonschulz5(update, 5), exact)
    assert "zeropower_via_newtonschulz5" not in vars(optimizer)
