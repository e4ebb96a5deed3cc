"""Transformer blocks: equal to the papers' formulas, and the same position by position as all at once."""

import functools

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.transformer import TransformerDecoder, encoder_block
from kit.errors import SettingError
from tests.blocks.test_attention import sequence

DIM = 8
# With a memory; and decoders alone, as GPT-2, Llama, Qwen2 and Qwen3 have them.
DECODERS = {
    "plain": {},
    "post": {"norm": "post"},
    "learned": {"positions": "learned", "max_length": 6},
    "rotary": {"positions": "rotary", "num_key_value_heads": 1},
    "window": {"positions": "none", "window": 2},
}
LLAMA = {"normalization": "rms", "epsilon": 1e-6, "activation": "silu", "is_gated": True, "use_bias": False}
LANGUAGE_MODELS = {
    "gpt2": {"activation": "gelu_approximate", "epsilon": 1e-5, "positions": "learned", "max_length": 8},
    "llama": {**LLAMA, "positions": "rotary", "num_key_value_heads": 1},
    "qwen2": {**LLAMA, "positions": "rotary", "use_qkv_bias": True, "rotary_wavelength": 1e6},
    "qwen3": {**LLAMA, "positions": "rotary", "use_query_key_norm": True, "head_dim": 6},
    "mistral": {**LLAMA, "positions": "rotary", "window": 3},
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_with_cache_equals_the_one_without(name):
    decoder = TransformerDecoder(2, 2, 16, **DECODERS[name])
    target, memory = sequence(), sequence(5, dim=6, seed=1)
    mask = np.arange(5) < np.array([[5], [3], [1]])
    whole = np.asarray(decoder(target, memory, mask))
    state = decoder.initial_state(ops.convert_to_tensor(memory), ops.convert_to_tensor(mask), 6)
    for position in range(6):
        y, state, weights = decoder.step(ops.convert_to_tensor(target[:, position]), position, state)
        np.testing.assert_allclose(y, whole[:, position], atol=1e-5)
        assert [each.shape for each in weights] == [(3, 2, 5)] * 2
        np.testing.assert_allclose(ops.sum(weights[0], axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_decoder_alone(name, tmp_path):
    """Step by step is all at once, also behind prompts of different lengths and reloaded; the future is hidden."""
    decoder = TransformerDecoder(2, 2, 16, **LANGUAGE_MODELS[name])
    inputs = keras.Input((None, DIM))
    model = keras.Model(inputs, decoder(inputs))
    assert not any("cross" in weight.path for weight in model.weights)
    x = sequence(8)
    whole = np.asarray(model(x))
    changed = x.copy()
    changed[:, 5:] *= -2
    np.testing.assert_allclose(np.asarray(model(changed))[:, :5], whole[:, :5], atol=1e-6)
    assert np.abs(np.asarray(model(changed))[:, 5:] - whole[:, 5:]).max() > 0.01
    state = decoder.initial_state(max_length=8, batch_size=3)
    for position in range(8):
        y, state, weights = decoder.step(ops.convert_to_tensor(x[:, position]), position, state)
        np.testing.assert_allclose(y, whole[:, position], atol=1e-5)
        assert weights == []
    lengths = np.array([4, 0, 2])
    noise = np.where(np.arange(4)[:, None] < lengths[:, None, None], x[:, :4], 100).astype("float32")
    state = decoder.prefill(ops.convert_to_tensor(noise), lengths, decoder.initial_state(max_length=8, batch_size=3))
    for step in range(4):
        place = lengths + step
        newest = np.take_along_axis(x, place[:, None, None], axis=1)[:, 0]
        y, state, _ = decoder.step(ops.convert_to_tensor(newest), ops.convert_to_tensor(place, "int32"), state)
        np.testing.assert_allclose(y, whole[np.arange(3), place], atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(x), whole, atol=1e-6)


def rms(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def test_llama_block_is_the_formula():
    """Zhang and Sennrich, 2019, equation 4, and Shazeer, 2020, equation 6, around attention."""
    decoder, x = TransformerDecoder(1, 2, 16, positions="none", **LLAMA), sequence()
    decoder(x)
    random = np.random.default_rng(2)
    for weight in decoder.weights:
        weight.assign(random.normal(size=weight.shape) / 3)
    values = {weight.path.split("/", 1)[1]: np.array(weight) for weight in decoder.weights}
    assert set(values) == {
        *("norm/scale", "block1/norm0/scale", "block1/norm1/scale"),
        *(f"block1/self_attention/{name}/kernel" for name in ("query", "key", "value", "output")),
        *(f"block1/feedforward_{name}/kernel" for name in ("in", "gate", "out")),
    }
    attended = x + np.asarray(decoder._blocks[0].own(rms(x, values["block1/norm0/scale"])))
    y = rms(attended, values["block1/norm1/scale"])
    gate = y @ values["block1/feedforward_gate/kernel"]
    y = gate / (1 + np.exp(-gate)) * (y @ values["block1/feedforward_in/kernel"])
    y = attended + y @ values["block1/feedforward_out/kernel"]
    np.testing.assert_allclose(decoder(x), rms(y, values["norm/scale"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("gelu", lambda x: np.asarray(keras.activations.gelu(x, approximate=False))),
        ("gelu_approximate", lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    ],
)
@pytest.mark.parametrize("is_gated", [False, True])
def test_feed_forward_is_the_formula(activation, function, is_gated, tmp_path):
    inputs = keras.Input((None, DIM))
    model = keras.Model(inputs, FeedForward(16, activation=activation, is_gated=is_gated, name="half")(inputs))
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.shape)).normal(size=weight.shape))
    kernel, bias = ({name: np.array(weight) for name, weight in named(model, kind)} for kind in ("kernel", "bias"))
    x = sequence()
    y = x @ kernel["half_in"] + bias["half_in"]
    y = function(x @ kernel["half_gate"] + bias["half_gate"]) * y if is_gated else function(y)
    np.testing.assert_allclose(model(x), y @ kernel["half_out"] + bias["half_out"], rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
    bare = keras.Model(inputs, FeedForward(16, is_gated=is_gated, use_bias=False, name="half")(inputs))
    assert bare.count_params() == (3 if is_gated else 2) * 16 * DIM


def named(model, kind):
    return ((weight.path.split("/")[0], weight) for weight in model.weights if weight.name == kind)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder_block_with_parts_of_ones_choice(norm):
    """A bias that lets positions see themselves alone makes of a sequence a set."""
    inputs, bias = keras.Input((None, DIM)), np.where(np.eye(6), 0, -1e9).astype("float32")[None, None]
    y = encoder_block(
        inputs,
        attention=functools.partial(Attention, 2, use_bias=False),
        feedforward=functools.partial(FeedForward, 16, activation="silu", is_gated=True),
        normalization=normalization("rms", 1e-5),
        bias=bias,
        norm=norm,
        name="block1",
    )
    model = keras.Model(inputs, y)
    names = ["block1_attention", "block1_attention_norm", "block1_feedforward_gate", "block1_feedforward_norm"]
    assert set(names) <= {layer.name for layer in model.layers}
    assert isinstance(model.get_layer("block1_attention_norm"), layers.RMSNormalization)
    assert model.get_layer("block1_feedforward_norm").epsilon == 1e-5
    x = sequence()
    np.testing.assert_allclose(np.asarray(model(x))[:, ::-1], model(x[:, ::-1]), atol=1e-6)
    weights = keras.Model(inputs, model.get_layer("block1_attention").output[1])(x)
    np.testing.assert_allclose(weights, np.tile(np.eye(6), (3, 2, 1, 1)), atol=1e-6)


def test_a_bias_keeps_documents_of_a_sequence_apart():
    decoder, x = TransformerDecoder(2, 2, 16, positions="none"), sequence()
    document = np.array([0, 0, 1, 1, 1, 2])
    bias = np.where(document[:, None] == document, 0, -1e9).astype("float32")[None, None]
    together = np.asarray(decoder(x, bias=bias))
    for number in range(3):
        rows = document == number
        np.testing.assert_allclose(together[:, rows], decoder(x[:, rows]), atol=1e-5)
    state = decoder.initial_state(max_length=6, batch_size=3)
    for position in range(6):
        y, state, _ = decoder.step(x[:, position], position, state, bias=bias[:, :, position : position + 1])
        np.testing.assert_allclose(y, together[:, position], atol=1e-5)


def test_weights_lie_in_files_where_they_always_did(tmp_path):
    """What a run folder keeps must still be found: Keras stores weights under attributes' and classes' names."""
    inputs = [keras.Input((None, DIM)), keras.Input((None, DIM)), keras.Input((None,), dtype="bool")]
    model = keras.Model(inputs, TransformerDecoder(2, 2, 16, positions="learned", max_length=5)(*inputs))
    model.save_weights(tmp_path / "some.weights.h5")
    found = set()
    with h5py.File(tmp_path / "some.weights.h5") as file:
        file["layers/transformer_decoder"].visititems(
            lambda name, item: found.add(name) if isinstance(item, h5py.Dataset) else None
        )
    blocks = [f"_blocks/__decoder_block{ending}" for ending in ("", "_1")]
    parts = [
        *(f"{name}/_{part}" for name in ("own", "cross") for part in ("query", "key", "value", "output")),
        *("wide", "narrow", *(f"norms/layer_normalization{ending}" for ending in ("", "_1", "_2"))),
    ]
    names = ["_norm", *(f"{block}/{part}" for block in blocks for part in parts)]
    assert found == {"_position/vars/0", *(f"{name}/vars/{number}" for name in names for number in (0, 1))}


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"depth": 0}, "depth"),
        ({"normalization": "batch"}, "normalization"),
        ({"epsilon": 0}, "epsilon"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"feedforward_dim": 0}, "feedforward_dim"),
    ],
)
def test_refuses(arguments, key):
    with pytest.raises(SettingError, match=rf"^{key}: expected"):
        TransformerDecoder(**{"depth": 1, "num_heads": 2, "feedforward_dim": 16, **arguments})(sequence())


def test_epsilon_is_that_of_every_normalisation():
    decoder = TransformerDecoder(2, 2, 16, normalization="rms", use_query_key_norm=True, epsilon=0.02)
    decoder(sequence())
    found = [layer.epsilon for layer in decoder._flatten_layers() if isinstance(layer, layers.RMSNormalization)]
    assert len(found) == 2 * (2 + 2) + 1 and set(found) == {0.02}
