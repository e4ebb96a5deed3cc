"""The conditional random field against brute force: every path of small sequences is looked at."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kit.blocks import crf
from kit.errors import SettingError

TAGS, TIME = 3, 4
LENGTHS = (4, 2, 1, 3)
MASK = np.arange(TIME) < np.array(LENGTHS)[:, None]  # (batch, time)


def random_layer(seed, start_and_end=True):
    layer = crf.CRF(start_and_end=start_and_end)
    layer.build((None, None, TAGS))
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def emissions(seed=0, batch=4, time=TIME):
    return np.random.default_rng(seed).normal(size=(batch, time, TAGS)).astype("float32") * 2


def paths(layer, scores):
    """Returns every path of a sequence with its score, written out as the definition says."""
    transitions = np.array(layer.transitions)
    start, end = (np.array(layer.start), np.array(layer.end)) if layer.start_and_end else (np.zeros(TAGS),) * 2
    allowed = {name: np.array(value) > 0 for name, value in layer.allowed.items()}
    found = {}
    for path in itertools.product(range(TAGS), repeat=len(scores)):
        pairs = list(itertools.pairwise(path))
        if not (allowed["starts"][path[0]] and allowed["ends"][path[-1]]):
            continue
        if not all(allowed["transitions"][pair] for pair in pairs):
            continue
        score = start[path[0]] + end[path[-1]] + sum(transitions[pair] for pair in pairs)
        found[path] = score + sum(scores[position, tag] for position, tag in enumerate(path))
    return found


FORBIDDEN = {
    "transitions": [[True, False, True], [True, True, True], [True, True, False]],
    "starts": [True, True, False],
    "ends": [False, True, True],
}


@pytest.mark.parametrize("constraints", [{}, {"transitions": FORBIDDEN["transitions"]}, FORBIDDEN])
@pytest.mark.parametrize("start_and_end", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force(seed, start_and_end, constraints):
    layer = random_layer(seed, start_and_end)
    layer.allow(**constraints)
    scores = emissions(seed + 10)
    potentials = layer(scores, mask=MASK)
    partition = np.array(crf.log_partition(potentials))
    best = np.array(crf.viterbi(potentials))
    shares = np.array(crf.marginals(potentials))
    for row, length in enumerate(LENGTHS):
        found = paths(layer, scores[row, :length])
        if not found:
            continue  # a single word that may neither begin nor end
        values = np.array(list(found.values()))
        total = np.log(np.exp(values - values.max()).sum()) + values.max()
        assert partition[row] == pytest.approx(total, abs=1e-4)
        assert tuple(best[row, :length]) == max(found, key=found.get)
        for position in range(length):
            for tag in range(TAGS):
                share = sum(np.exp(value - total) for path, value in found.items() if path[position] == tag)
                assert shares[row, position, tag] == pytest.approx(share, abs=1e-5)
        path = list(found)[len(found) // 2]
        labels = np.full(TIME, -1)
        labels[:length] = path
        loss = crf.CRFNegativeLogLikelihood(reduction=None)(labels[None], potentials[row : row + 1])
        # Scaled to the mean over real positions.
        assert float(np.sum(loss)) * length / TIME == pytest.approx(total - found[path], abs=1e-3)


def test_every_sequence_has_an_allowed_path_in_the_test_above():
    layer = random_layer(0)
    layer.allow(**FORBIDDEN)
    assert all(paths(layer, emissions()[row, :length]) for row, length in enumerate(LENGTHS))


def test_padding_changes_nothing():
    layer = random_layer(0)
    scores, longer = emissions(), np.concatenate([emissions(), emissions(1)], axis=1)
    mask = np.concatenate([MASK, np.zeros_like(MASK)], axis=1)
    short, long = layer(scores, mask=MASK), layer(longer, mask=mask)
    np.testing.assert_allclose(crf.log_partition(long), crf.log_partition(short), rtol=1e-6)
    np.testing.assert_array_equal(np.array(crf.viterbi(long))[:, :TIME][MASK], np.array(crf.viterbi(short))[MASK])
    np.testing.assert_allclose(
        np.array(crf.marginals(long))[:, :TIME][MASK], np.array(crf.marginals(short))[MASK], atol=1e-6
    )
    labels = np.where(MASK, 1, -1)
    loss = crf.CRFNegativeLogLikelihood()
    padded = np.concatenate([labels, np.full_like(labels, -1)], axis=1)
    assert float(loss(padded, long)) == pytest.approx(float(loss(labels, short)), rel=1e-5)


def test_long_sequences_stay_finite():
    layer = random_layer(0)
    scores = emissions(batch=1, time=3000) * 20
    potentials = layer(scores)
    labels = np.zeros((1, 3000), "int32")
    assert np.isfinite(float(tf.function(crf.CRFNegativeLogLikelihood())(labels, potentials)))
    np.testing.assert_allclose(np.array(tf.function(crf.marginals)(potentials)).sum(-1), 1, atol=1e-4)


def test_compiled_with_unknown_length_and_length_one():
    layer = random_layer(0)
    functions = (crf.viterbi, crf.marginals, crf.log_partition)
    for function in functions:
        signature = [tf.TensorSpec((None, None, TAGS, TAGS))]
        compiled = tf.function(function, input_signature=signature)
        for time in (1, 4):
            potentials = layer(emissions(time=time))
            np.testing.assert_allclose(compiled(potentials), function(potentials), atol=1e-5)


def model_of_crf(**compiled):
    inputs = keras.Input((None, TAGS))
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, mask], crf.CRF(name="crf")(keras.layers.Dense(TAGS)(inputs), mask=mask))
    model.compile(**compiled)
    return model


def test_saves_and_loads_with_what_is_forbidden(tmp_path):
    model = model_of_crf(optimizer="adam", loss=crf.CRFNegativeLogLikelihood())
    model.get_layer("crf").allow(**FORBIDDEN)
    model.save(tmp_path / "crf.keras")
    again = keras.models.load_model(tmp_path / "crf.keras")
    inputs = [emissions(), MASK]
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0))
    np.testing.assert_array_equal(again.get_layer("crf").allowed["starts"], [1, 1, 0])
    assert again.loss.get_config() == model.loss.get_config()


def test_plain_fit_learns_transitions():
    """Tags 0, 1, 2, 0, 1 ... that follow each other without a word's help: only transitions can know."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    labels = (np.arange(6) + random.integers(0, 3, (64, 1))) % 3
    scores = np.zeros((64, 6, TAGS), "float32")
    scores[np.arange(64), 0, labels[:, 0]] = 5.0  # the first word tells where the sequence begins
    model = model_of_crf(optimizer=keras.optimizers.Adam(0.1), loss=crf.CRFNegativeLogLikelihood())
    inputs = [scores, np.ones((64, 6), bool)]
    history = model.fit(inputs, labels, epochs=40, batch_size=64, verbose=0).history["loss"]
    assert history[-1] < 0.05 < history[0]
    np.testing.assert_array_equal(crf.viterbi(model.predict(inputs, verbose=0)), labels)


def test_mixed_precision_keeps_the_potentials_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert model_of_crf(optimizer="sgd", loss="mse").output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def test_refuses_constraints_of_another_shape():
    with pytest.raises(SettingError, match="starts: expected an array of shape"):
        random_layer(0).allow(starts=[True])
