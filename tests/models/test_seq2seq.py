"""Encoder-decoders, all of the registry."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from kit.errors import SettingError
from kit.models.text import seq2seq

DIM, TIME = 8, 5
MASK = np.arange(6) < np.array([6, 3, 1])[:, None]


def build(variant, **arguments):
    function, defaults = seq2seq.VARIANTS[variant]
    if "units" in inspect.signature(function).parameters:
        return function(DIM, **{**defaults, "units": 8, **arguments}, name=variant)
    small = {"dim": 8, "feedforward_dim": 16, "num_heads": 2, "depth": 1}
    return function(DIM, 12, **{**defaults, **small, **arguments}, name=variant)


def inputs(time=TIME, source=6, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(3, length, DIM)).astype("float32") for length in (source, time)]


def called(model, *arrays):
    """Returns the output without compiling the model, which would take longer than all else here."""
    return np.asarray(model([ops.convert_to_tensor(array) for array in arrays]))


def grown(model, source, mask, target):
    """Returns the output position by position, as decoding gets it."""
    encoder, projections, decoder = seq2seq.parts(model)
    memory, *more = encoder([source, mask]).values()
    state = decoder.initial_state(memory, ops.convert_to_tensor(mask), target.shape[1], *more)
    found = []
    for position in range(target.shape[1]):
        x = ops.convert_to_tensor(target[:, position])
        for projection in projections:
            x = projection(x)
        y, state, weights = decoder.step(x, position, state)
        found.append(np.asarray(y))
        for each in weights:
            np.testing.assert_allclose(ops.sum(ops.cast(each, "float32"), axis=-1), 1, atol=0.02)
            assert np.asarray(each)[2, :, 1:].max() < 1e-6  # the last sentence has one word
    return np.stack(found, axis=1), len(weights)


@pytest.mark.parametrize("variant", seq2seq.VARIANTS)
def test_variant(variant, tmp_path):
    """Step by step is all at once, also after reloading; the future is hidden; padding changes nothing."""
    model = build(variant)
    source, target = inputs()
    whole = called(model, source, MASK, target)
    assert whole.shape == (3, TIME, 8)
    step_by_step, layers_of_attention = grown(model, source, MASK, target)
    np.testing.assert_allclose(step_by_step, whole, atol=1e-5)
    assert (layers_of_attention > 0) == ("transformer" in variant or "_" in variant)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(called(again, source, MASK, target), whole, atol=1e-6)
    np.testing.assert_allclose(grown(again, source, MASK, target)[0], whole, atol=1e-5)
    changed = target.copy()
    changed[:, 3:] *= -2
    np.testing.assert_allclose(called(model, source, MASK, changed)[:, :3], whole[:, :3], atol=1e-5)
    longer = np.where(np.pad(MASK, ((0, 0), (0, 4)))[..., None], np.pad(source, ((0, 0), (0, 4), (0, 0))), 100.0)
    padded = called(model, longer.astype("float32"), np.pad(MASK, ((0, 0), (0, 4))), target)
    np.testing.assert_allclose(padded, whole, atol=1e-5)
    other = called(model, inputs(seed=1)[0], MASK, target)
    assert np.abs(other - whole).max() > 1e-3


def test_parameters_are_those_of_the_papers():
    function, variant = seq2seq.VARIANTS["transformer_base"]
    # With a shared embedding of 37,000 tokens 63 million; the paper says 65.
    assert function(512, 512, **variant).count_params() == 44_138_496
    function, variant = seq2seq.VARIANTS["transformer_tiny"]
    assert function(128, 128, **variant).count_params() == 1_325_568


def test_narrow_embeddings_are_projected():
    model = build("transformer", dim=16)
    source, target = inputs()
    whole = called(model, source, MASK, target)
    np.testing.assert_allclose(grown(model, source, MASK, target)[0], whole, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "more"),
    [
        *(("transformer", {"positions": kind}) for kind in ("sinusoidal", "learned", "rotary", "none")),
        *((variant, {}) for variant in ("gru", "bilstm_bahdanau", "bigru_luong")),
    ],
)
def test_a_model_of_few_bits_is_the_same_when_loaded_under_another_policy(variant, more, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(variant, **more)
        model.save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    again = keras.models.load_model(tmp_path / "model.keras")
    source, target = inputs()
    source, target, mask = ops.cast(source, "bfloat16"), ops.cast(target, "bfloat16"), ops.convert_to_tensor(MASK)
    whole = model([source, mask, target])
    np.testing.assert_array_equal(again([source, mask, target]), whole)
    step_by_step, _ = grown(again, source, mask, target)
    np.testing.assert_allclose(step_by_step.astype("float32"), ops.cast(whole, "float32"), atol=0.1)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "peephole_lstm"])
def test_every_cell(cell):
    model = build("bigru_bahdanau", cell=cell)
    source, target = inputs()
    whole = called(model, source, MASK, target)
    np.testing.assert_allclose(grown(model, source, MASK, target)[0], whole, atol=1e-5)


def test_half_precision_with_a_window_is_a_number():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build("transformer", window=2)
    finally:
        keras.config.set_dtype_policy(before)
    source, target = (ops.cast(each, "float16") for each in inputs())
    assert np.isfinite(np.asarray(model([source, ops.convert_to_tensor(MASK), target]))).all()


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("variant", ["bilstm_bahdanau", "gru_luong", "rnn"])
def test_depth(variant, depth):
    model = build(variant, depth=depth)
    source, target = inputs()
    whole = called(model, source, MASK, target)
    np.testing.assert_allclose(grown(model, source, MASK, target)[0], whole, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "arguments", "key"),
    [
        ("transformer", {"num_heads": 3}, "num_heads"),
        ("transformer", {"positions": "relative"}, "positions"),
        ("transformer", {"norm": "both"}, "norm"),
        ("transformer", {"dropout": 1.0}, "dropout"),
        ("gru", {"units": 0}, "units"),
        ("gru", {"attention": "dot"}, "attention"),
        ("gru", {"dropout": -0.1}, "dropout"),
    ],
)
def test_refuses(variant, arguments, key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        build(variant, **arguments)
