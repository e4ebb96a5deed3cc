"""Losses of targets with parts: each part counts the same, whatever batch and device it is in."""

import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit.blocks import crf
from kit.training import device
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts, check_counts
from kit.training.sampling import TeacherForcing
from tests import processes
from tests.conftest import slow

TAGS = 5


def sentences():
    """Returns a batch of short easy sentences and then one of a few long hard ones, padded with -1."""
    random = np.random.default_rng(0)
    x = random.integers(1, 7, (8, 12)).astype("int32")
    y = random.integers(0, TAGS, (8, 12)).astype("int32")
    y[:4] = np.minimum(x[:4] - 1, TAGS - 1)
    y[:4, 2:] = -1
    y[6:, 10:] = -1
    return x, y


def tagger(head="softmax", kind=ModelOfParts, optimizer="sgd"):
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32")
    start = keras.initializers.Constant(2 * np.eye(7, TAGS, -1))  # sure of the easy ones
    x = layers.Embedding(7, TAGS, embeddings_initializer=start)(ids)
    loss, metrics = SparseCategoricalCrossentropy(ignore_class=-1), [Accuracy(ignore_class=-1)]
    if head == "crf":
        x, loss, metrics = crf.CRF()(x, mask=keras.ops.not_equal(ids, 0)), crf.CRFNegativeLogLikelihood(), []
    model = kind(ids, x)
    model.compile(optimizer, loss, metrics=metrics, jit_compile=False)
    return model


def mean_over_tokens(model, x, y):
    """Returns the mean over all tokens at once, sentence by sentence."""
    losses = [float(model.loss(y[row : row + 1], model(x[row : row + 1]))) for row in range(len(x))]
    counts = (y >= 0).sum(1)
    return float((np.array(losses) * counts).sum() / counts.sum())


@pytest.mark.parametrize("kind", [ModelOfParts, TeacherForcing])
@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_logged_loss_is_the_mean_over_all_tokens(head, kind):
    x, y = sentences()
    model = tagger(head, kind, keras.optimizers.SGD(0.0))
    exact = mean_over_tokens(model, x, y)
    of_batches = np.mean([float(model.loss(y[rows], model(x[rows]))) for rows in (slice(4), slice(4, 8))])
    assert abs(of_batches - exact) > 0.2 * exact  # the means of batches would be something else
    history = model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=0, shuffle=False).history
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], exact, rtol=1e-5)
    for size in (1, 3, 8):
        assert model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)["loss"] == pytest.approx(exact)


def test_metrics_are_listed_once_and_begin_anew():
    x, y = sentences()
    model = tagger(optimizer=keras.optimizers.SGD(0.0))
    loss, accuracy = model.evaluate(x, y, batch_size=4, verbose=0)
    assert loss == pytest.approx(mean_over_tokens(model, x, y))
    right = np.asarray(model(x)).argmax(-1) == y
    assert accuracy == pytest.approx(right[y >= 0].mean())
    model.reset_metrics()
    assert model.train_on_batch(x[:4], y[:4], return_dict=True)["loss"] == pytest.approx(
        mean_over_tokens(model, x[:4], y[:4])
    )


@pytest.mark.parametrize("accumulated", [None, 2])
@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_one_device_learns_as_any_other_model_of_keras(head, accumulated):
    x, y = sentences()
    found = []
    for kind in (ModelOfParts, keras.Model):
        model = tagger(head, kind, keras.optimizers.Adam(0.1, gradient_accumulation_steps=accumulated))
        model.fit(x, y, batch_size=4, epochs=3, verbose=0, shuffle=False)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_model_still_counts_tokens(tmp_path):
    x, y = sentences()
    model = tagger()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    exact = mean_over_tokens(model, x, y)
    assert again.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)["loss"] == pytest.approx(exact)
    plain = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(plain(x), model(x))


def test_taggers_and_translators_count_tokens():
    for head in ("bilstm", "bilstm_crf"):
        assert isinstance(kit.recipes.sequence_tagger(20, 4, encoder=head), ModelOfParts)
    assert isinstance(kit.recipes.translator(20, 9, embedding_dim=8), ModelOfParts)


def test_a_model_that_would_not_count_parts_is_refused():
    check_counts(tagger())
    for head in ("softmax", "crf"):
        with pytest.raises(TypeError, match="ModelOfParts"):
            check_counts(tagger(head, keras.Model))


def trained(devices, head, options):
    """Trains a tagger on so many devices; returns the losses and the weights."""
    device.split_cpu(devices)
    with device.session(devices):
        x, y = sentences()
        model = tagger(head, optimizer=keras.optimizers.SGD(0.5, **options))
        history = model.fit(x, y, batch_size=8, epochs=3, validation_data=(x, y), verbose=0, shuffle=False).history
        return history, model.get_weights()


@pytest.mark.parametrize("head", ["softmax", slow("crf")])
def test_two_devices_learn_as_one(head):
    # The first half of the batch, one device's, has 8 tokens, the other's 44.
    ended = [processes.call(trained, devices, head, {"momentum": 0.9}) for devices in (1, 2)]
    assert [each.status for each in ended] == [0, 0], ended[1].output
    (history, weights), (other_history, other_weights) = (each.result for each in ended)
    for name in history:
        np.testing.assert_allclose(other_history[name], history[name], rtol=1e-5, err_msg=name)
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
