"""BERT with published weights: equal to the reference, refusals, and the way back to the published layout."""

import json

import keras
import ml_dtypes
import numpy as np
import pytest

from kit.errors import KitError
from kit.models.text.bert import bert, masked_tokens, next_sentence, pooled
from kit.weights import bert as published
from kit.weights import family, loading
from kit.weights.tensors import Tensors
from tests.weights.published import fixture, publish


def with_heads(arguments):
    """Returns BERT with its heads, for outputs by name, from keywords of the builder."""
    backbone = bert(**arguments)
    summary = pooled(backbone.output)
    outputs = {
        "sequence": backbone.output,
        "pooled": summary,
        "masked_tokens": masked_tokens(backbone, backbone.output, epsilon=arguments["epsilon"]),
        "next_sentence": next_sentence(summary),
    }
    return keras.Model(backbone.input, outputs)


@pytest.fixture
def parts(tmp_path):
    config, weights, inputs, outputs = fixture("bert")
    return publish(tmp_path / "bert", weights, config), config, weights, inputs, outputs


def loaded(folder, config):
    model = with_heads(published.arguments(config, folder))
    assert loading.load(model, published.FAMILY, folder) == []
    return model


def test_equal_to_the_reference_padding_included(parts):
    folder, config, _, inputs, outputs = parts
    found = loaded(folder, config).predict(inputs, verbose=0)
    is_real = inputs["ids"] != 0
    for name, expected in outputs.items():
        rows = is_real if expected.ndim == 3 else slice(None)
        np.testing.assert_allclose(found[name][rows], expected[rows], atol=1e-5, err_msg=name)
        assert expected[rows].std() > 0.1


def test_shards_are_one_network(parts, tmp_path):
    folder, config, weights, inputs, _ = parts
    shards = publish(tmp_path / "shards", weights, config, shards=3)
    one, other = (loaded(each, config).predict(inputs, verbose=0)["sequence"] for each in (folder, shards))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_floats_of_fewer_bits_are_read_as_float32(parts, tmp_path, kind):
    _, config, weights, _, _ = parts
    short = publish(tmp_path / "short", {name: value.astype(kind) for name, value in weights.items()}, config)
    name = "bert.pooler.dense.weight"
    assert Tensors(short)[name].dtype == np.float32
    np.testing.assert_array_equal(Tensors(short)[name], weights[name].astype(kind).astype(np.float32))


def test_without_heads_theirs_are_told(parts, caplog):
    folder, config, _, inputs, outputs = parts
    model = bert(**published.arguments(config, folder))
    with caplog.at_level("INFO", "kit"):
        loading.load(model, published.FAMILY, folder)
    assert "not used of the published weights: bert.pooler.dense.bias" in caplog.text
    is_real = inputs["ids"] != 0
    found = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(found[is_real], outputs["sequence"][is_real], atol=1e-5)


def test_written_back_it_is_bit_for_bit_what_was_read(parts):
    folder, config, weights, _, _ = parts
    found = loading.tensors_of(loaded(folder, config), published.FAMILY)
    theirs = {name.removeprefix("bert."): value for name, value in weights.items()}
    assert found.keys() == theirs.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    own = published.configuration(published.arguments(config, folder))
    assert own.items() <= (config | {"position_embedding_type": "absolute", "architectures": ["BertModel"]}).items()


def changed(weights, **more):
    return weights | {name.replace("__", "."): value for name, value in more.items()}


REFUSED = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "another family": (
        lambda folder: (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"})),
        "config.json has model_type 'gpt2'; expected 'bert'",
    ),
    "pickle": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "model.safetensors is missing; pytorch_model.bin is a pickle",
    ),
    "damaged": (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "missing or damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_cannot_be_used_is_refused(parts, name):
    folder = parts[0]
    spoil, said = REFUSED[name]
    spoil(folder)
    with pytest.raises(KitError, match=said):
        model = bert(**published.arguments(family.check_type(folder, published.FAMILY), folder))
        loading.load(model, published.FAMILY, folder)


def test_what_does_not_fit_leaves_the_network_as_it_was(parts, tmp_path):
    folder, config, weights, _, _ = parts
    name = "bert.encoder.layer.1.output.dense.weight"
    cases = {
        "another shape": (
            weights | {name: weights[name].T.copy()},
            r"1.output.dense.weight has shape \(64, 32\); expected \(32, 64\)",
        ),
        "missing": (
            {key: value for key, value in weights.items() if key != name},
            "'encoder.layer.1.output.dense.weight' is missing",
        ),
        "left over": (
            weights | {"bert.encoder.layer.2.output.dense.bias": weights["cls.predictions.bias"]},
            "layer.2.output.dense.bias' has no place in a bert",
        ),
    }
    for case, (tensors, said) in cases.items():
        model = bert(**published.arguments(config, folder))
        before = model.get_weights()
        with pytest.raises(KitError, match=said):
            loading.load(model, published.FAMILY, publish(tmp_path / case, tensors, config))
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_missing_shard_is_named(parts, tmp_path):
    _, config, weights, _, _ = parts
    folder = publish(tmp_path / "shards", weights, config, shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(KitError, match="model-00002-of-00002.safetensors is missing, one of 2"):
        Tensors(folder)


def test_a_shard_elsewhere_is_not_opened(parts, tmp_path):
    _, config, weights, _, _ = parts
    folder = publish(tmp_path / "shards", weights, config, shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00001", "../model-00001"))
    with pytest.raises(KitError, match="expected files in the same folder"):
        Tensors(folder)
