"""Encoders of sequences, all of the registry."""

import ast
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from kit.blocks.recurrent import PeepholeLSTMCell
from kit.errors import SettingError
from kit.models import text
from kit.models.text import seq2seq, text_to_text

DIM = 8
LENGTHS = np.array([6, 3, 1])
MASK = np.arange(6) < LENGTHS[:, None]


def build(variant, **arguments):
    function, defaults = text.VARIANTS[variant]
    known = inspect.signature(function).parameters
    width = {next(name for name in ("units", "dim", "filters") if name in known): 8}
    return function(DIM, **{**defaults, **width, **arguments}, name=variant)


def sequences(time=6, seed=0):
    return np.random.default_rng(seed).normal(size=(3, time, DIM)).astype("float32")


@pytest.mark.parametrize("variant", text.VARIANTS)
def test_shape_reload_and_padding(variant, tmp_path):
    model = build(variant)
    x = sequences()
    y = model.predict([x, MASK], verbose=0)
    assert y.shape[:2] == (3, 6)
    assert y.shape == (3, *model.compute_output_shape([(3, 6, DIM), (3, 6)])[1:])
    assert any(layer.name == "stage1" for layer in model.layers)
    longer = np.concatenate([x, sequences(4, seed=1)], axis=1)
    changed = np.where(np.concatenate([MASK, np.zeros((3, 4), bool)], 1)[..., None], longer, 100.0).astype("float32")
    padded = model.predict([changed, np.concatenate([MASK, np.zeros((3, 4), bool)], axis=1)], verbose=0)
    np.testing.assert_allclose(padded[:, :6][MASK], y[MASK], atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict([x, MASK], verbose=0), y, atol=1e-6)


IDS = np.array([[2, 5, 9, 3, 7, 3], [2, 6, 3, 0, 0, 0], [3, 0, 0, 0, 0, 0]], "int32")
SEGMENTS = np.array([[0, 0, 0, 0, 1, 1], [0] * 6, [0] * 6], "int32")
NARROW = {"bag_of_ngrams": {"dim": 8, "buckets": 50}, "bert": {"dim": 8, "num_heads": 2, "feedforward_dim": 16}}


@pytest.mark.parametrize("variant", ["bag_of_ngrams", "bert_tiny"])
def test_of_tokens_shape_reload_and_padding(variant, tmp_path):
    function, defaults = text.OF_TOKENS[variant]
    model = function(12, 0, **defaults | NARROW[function.__name__], name=variant)
    y = model.predict({"ids": IDS, "segments": SEGMENTS}, verbose=0)
    assert y.shape == (3, 6, 8) and any(layer.name == "stage1" for layer in model.layers)
    wide = np.pad(IDS, ((0, 0), (0, 4)))
    padded = model.predict({"ids": wide, "segments": np.pad(SEGMENTS, ((0, 0), (0, 4)))}, verbose=0)
    np.testing.assert_allclose(padded[:, :6][IDS != 0], y[IDS != 0], atol=1e-5)
    moved = model.predict({"ids": IDS, "segments": 1 - SEGMENTS}, verbose=0)
    assert (np.abs(moved - y)[IDS != 0].max(-1) > 0).all()  # the second text is told from the first
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict({"ids": IDS, "segments": SEGMENTS}, verbose=0), y, atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "millions"), [("bert_tiny", 4.4), ("bert_mini", 11.2), ("bert_small", 28.8), ("bert_base", 109.5)]
)
def test_parameters_of_bert_are_the_papers(variant, millions):
    """Turc et al., 2019, table 1; with the pooler, which is a head here, and 30,522 tokens."""
    function, arguments = text.OF_TOKENS[variant]
    dim = arguments["dim"]
    keras.backend.clear_session()
    model = function(30_522, 0, **arguments)
    assert (model.count_params() + dim * dim + dim) / 1e6 == pytest.approx(millions, abs=0.06)


def test_ngrams_tell_the_order():
    function, _ = text.OF_TOKENS["bag_of_ngrams"]
    for count, is_seen in ((1, False), (2, True)):
        model = function(12, 0, dim=8, max_ngram=count)
        turned = IDS[:1, ::-1].copy()
        flat = np.zeros((1, 6), "int32")
        one, other = (model.predict({"ids": ids, "segments": flat}, verbose=0).mean(1) for ids in (IDS[:1], turned))
        assert (np.abs(one - other).max() > 1e-6) == is_seen


@pytest.mark.parametrize("variant", ["rnn", "lstm", "gru", "peephole_lstm"])
def test_one_direction_does_not_see_the_future(variant):
    model = build(variant)
    x, mask = sequences(), np.ones((3, 6), bool)
    changed = x.copy()
    changed[:, 4:] += 1
    one, other = (model.predict([each, mask], verbose=0) for each in (x, changed))
    np.testing.assert_array_equal(one[:, :4], other[:, :4])
    assert (one[:, 4:] != other[:, 4:]).any()


@pytest.mark.parametrize("variant", ["birnn", "bilstm", "bigru", "bipeephole_lstm", "cnn_bilstm", "transformer"])
def test_the_others_see_all_of_it(variant):
    model = build(variant)
    x, mask = sequences(), np.ones((3, 6), bool)
    changed = x.copy()
    changed[:, 5] *= -1  # a constant added to it would vanish in layer normalisation
    one, other = (model.predict([each, mask], verbose=0) for each in (x, changed))
    assert (np.abs(one[:, 0] - other[:, 0]).max(-1) > 1e-5).all()


def test_peephole_cell_is_the_papers():
    """Gers et al., 2002, equations 3 to 8, written out for one step."""
    cell = PeepholeLSTMCell(2)
    cell.build((None, 3))
    random = np.random.default_rng(0)
    for weight in cell.weights:
        weight.assign(random.normal(size=weight.shape))
    x, h, c = (random.normal(size=(1, size)).astype("float32") for size in (3, 2, 2))
    kernel, recurrent, peephole, bias = (np.array(weight) for weight in cell.weights)

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    gates = [
        x @ kernel[:, 2 * k : 2 * k + 2] + h @ recurrent[:, 2 * k : 2 * k + 2] + bias[2 * k : 2 * k + 2]
        for k in range(4)
    ]
    content = sigmoid(gates[1] + peephole[1] * c) * c + sigmoid(gates[0] + peephole[0] * c) * np.tanh(gates[2])
    output = sigmoid(gates[3] + peephole[2] * content) * np.tanh(content)
    found, (state, kept) = cell(x, [h, c])
    np.testing.assert_allclose(found, output, rtol=1e-4)
    np.testing.assert_allclose(kept, content, rtol=1e-4)
    np.testing.assert_allclose(state, output, rtol=1e-4)


def test_peephole_lstm_without_peepholes_is_an_lstm():
    peephole, plain = (
        keras.layers.RNN(PeepholeLSTMCell(4), return_sequences=True),
        keras.layers.LSTM(4, return_sequences=True),
    )
    x = sequences()
    peephole(x), plain(x)
    kernel, recurrent, bias = plain.get_weights()
    peephole.set_weights([kernel, recurrent, np.zeros((3, 4)), bias])
    np.testing.assert_allclose(peephole(x), plain(x), atol=1e-6)


def test_forget_gate_starts_open():
    cell = PeepholeLSTMCell(3)
    cell.build((None, 2))
    np.testing.assert_array_equal(cell.bias, [0] * 3 + [1] * 3 + [0] * 6)


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("rnn", 8 * (8 + 8 + 1)),
        ("lstm", 4 * 8 * (8 + 8 + 1)),
        ("gru", 3 * 8 * (8 + 8 + 2)),
        ("peephole_lstm", 4 * 8 * (8 + 8 + 1) + 3 * 8),
        ("bilstm", 2 * 4 * 8 * (8 + 8 + 1)),
        # Each block: 4 projections with bias, 2 normalisations, 2 dense layers; a normalisation at the end.
        ("transformer", 2 * (4 * (8 * 8 + 8) + 4 * 8 + 8 * 512 + 512 + 512 * 8 + 8) + 2 * 8),
    ],
)
def test_parameters(variant, parameters):
    assert build(variant).count_params() == parameters


@pytest.mark.parametrize("variant", text.VARIANTS)
def test_settings_are_annotated_and_documented(variant):
    function, arguments = text.VARIANTS[variant]
    parameters = inspect.signature(function).parameters
    assert set(arguments) <= set(parameters)
    for name in parameters:
        assert f"        {name}: " in function.__doc__, name
    assert "Shape:" in function.__doc__


@pytest.mark.parametrize(
    ("variant", "arguments", "key"),
    [
        ("bilstm", {"units": 0}, "units"),
        ("bilstm", {"depth": 0}, "depth"),
        ("bilstm", {"dropout": 1.0}, "dropout"),
        ("cnn_bilstm", {"convolutions": -1}, "convolutions"),
        ("cnn", {"dilations": ()}, "dilations"),
        ("cnn", {"kernel_size": 2}, "kernel_size"),
        ("transformer", {"num_heads": 3}, "num_heads"),
        ("transformer", {"dropout": -0.1}, "dropout"),
    ],
)
def test_refuses_what_cannot_be(variant, arguments, key):
    with pytest.raises(SettingError) as error:
        build(variant, **arguments)
    assert error.value.key == key


def test_every_module_is_registered():
    imported = set()
    for registry in (text, seq2seq, text_to_text):
        source = ast.parse(inspect.getsource(registry))
        imported |= {
            alias.name
            for node in ast.walk(source)
            if isinstance(node, ast.ImportFrom) and node.module == "kit.models.text"
            for alias in node.names
        }
    files = {path.stem for path in Path(text.__file__).parent.glob("*.py")} - {
        "__init__",
        "seq2seq",
        "text_to_text",
        "causal_decoder",
    }
    assert imported == files
