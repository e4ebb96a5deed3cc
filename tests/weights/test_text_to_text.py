"""T5 and Switch Transformers: equal to the reference, and the way back to the published layout."""

import importlib
import json

import keras
import numpy as np
import pytest

from kit import decoding
from kit.errors import KitError, SettingError
from kit.models.text import switch_transformers as switch
from kit.models.text import t5
from kit.models.text.t5 import target_logits, writing_step
from kit.weights import loading
from tests.weights.published import fixture, publish

NAMES = pytest.mark.parametrize("name", ["t5", "t5_v1_1", "switch_transformers"])
BUILDERS = {"t5": t5.t5, "switch_transformers": switch.switch_transformers}
# Those of `transformers`, version 1.1 with a last layer of its own, for 32,128 tokens.
PARAMETERS = {
    "t5_small": 60_506_624,
    "t5_base": 222_903_552,
    "t5_v1_1_small": 76_961_152,
    "t5_v1_1_base": 247_577_856,
    "switch_t5_base_8": 619_339_008,
}


def family_of(name):
    return "switch_transformers" if name.startswith("switch") else "t5"


def loaded(name, folder, config):
    module = importlib.import_module(f"kit.weights.{family_of(name)}")
    arguments = module.arguments(config, folder)
    backbone = BUILDERS[family_of(name)](**arguments)
    model = keras.Model(backbone.input, target_logits(backbone, backbone.output))
    assert loading.load(model, module.FAMILY, folder) == []
    return module, arguments, model


@NAMES
def test_equal_to_the_reference_padding_included(name, tmp_path):
    config, weights, inputs, outputs = fixture(name)
    _, _, model = loaded(name, publish(tmp_path / name, weights, config), config)
    found = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(found, outputs["logits"], atol=1e-5)
    assert outputs["logits"].std() > 0.1


@NAMES
def test_it_writes_what_the_reference_writes(name, tmp_path):
    config, weights, inputs, outputs = fixture(name)
    _, _, model = loaded(name, publish(tmp_path / name, weights, config), config)
    step, initial_state = writing_step(model)
    state = initial_state(inputs["source"], 8)
    found, _ = decoding.greedy(step, state, decoding.Tokens(start=0, end=-1), max_length=8)
    np.testing.assert_array_equal(found, outputs["greedy"])


@NAMES
def test_written_back_it_is_bit_for_bit_what_was_read(name, tmp_path):
    config, weights, _, _ = fixture(name)
    module, arguments, model = loaded(name, publish(tmp_path / name, weights, config), config)
    back = loading.tensors_of(model, module.FAMILY)
    assert back.keys() == weights.keys()
    for key, value in weights.items():
        np.testing.assert_array_equal(back[key], value)
    again = json.loads(json.dumps(module.FAMILY.configuration(arguments)))
    assert module.arguments(again, tmp_path) == arguments


@pytest.mark.large
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_reference(name):
    variants = t5.VARIANTS | switch.VARIANTS
    backbone = BUILDERS[family_of(name)](32_128, 0, **variants[name])
    model = keras.Model(backbone.input, target_logits(backbone, backbone.output))
    assert model.count_params() == PARAMETERS[name]


@pytest.mark.parametrize("name", [*t5.VARIANTS, *switch.VARIANTS])
def test_a_later_token_of_the_target_changes_nothing_before_it(name):
    build, variants = (t5.t5, t5.VARIANTS) if name in t5.VARIANTS else (switch.switch_transformers, switch.VARIANTS)
    small = {"dim": 32, "num_heads": 2, "head_dim": 8, "feedforward_dim": 48, "depth": 2}
    small |= {} if build is t5.t5 else {"num_experts": 4}
    backbone = build(50, 0, **variants[name] | small)
    model = keras.Model(backbone.input, target_logits(backbone, backbone.output))
    source, target = np.arange(1, 9)[None], np.arange(1, 11)[None]
    changed = target.copy()
    changed[:, 6:] += 20
    one, other = (model.predict({"source": source, "target": each}, verbose=0) for each in (target, changed))
    np.testing.assert_allclose(one[:, :6], other[:, :6], atol=1e-5)
    assert np.abs(one[:, 6:] - other[:, 6:]).max(-1).min() > 1e-4


def test_step_by_step_is_all_at_once():
    backbone = t5.t5(50, 0, dim=32, num_heads=2, head_dim=8, feedforward_dim=48, depth=2, num_buckets=8)
    model = keras.Model(backbone.input, target_logits(backbone, backbone.output))
    random = np.random.default_rng(0)
    source, target = random.integers(1, 50, (3, 7)).astype("int32"), random.integers(1, 50, (3, 20)).astype("int32")
    source[1:, 4:] = 0
    whole = model.predict({"source": source, "target": target}, verbose=0)
    step, initial_state = writing_step(model)
    state = initial_state(source, 24)
    for position in range(20):
        logits, state = step(target[:, position], position, state)
        np.testing.assert_allclose(logits, whole[:, position], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "config.json has model_type 'bert'; expected 't5'"),
        ({"feed_forward_proj": "gated-swish"}, "config.json has feed_forward_proj 'gated-swish'; expected 'relu' or"),
        ({"d_kv": 7}, "has shape .*; expected"),
        ({"tie_word_embeddings": False}, "'lm_head.weight' is missing"),
    ],
)
def test_what_does_not_fit_is_refused(change, message, tmp_path):
    config, weights, _, _ = fixture("t5")
    folder = publish(tmp_path / "t5", weights, config | change)
    with pytest.raises(KitError, match=message):
        from kit.weights.family import check_type

        loaded("t5", folder, check_type(folder, importlib.import_module("kit.weights.t5").FAMILY))


def test_experts_without_a_published_layout_are_refused():
    module = importlib.import_module("kit.weights.switch_transformers")
    with pytest.raises(KitError, match="config.json has num_sparse_encoder_layers 2 of 12 layers"):
        module.arguments({"num_layers": 12, "num_sparse_encoder_layers": 2, **_said()}, "folder")


def _said():
    return {"vocab_size": 40, "d_model": 32, "num_heads": 4, "d_kv": 8, "d_ff": 64}


@pytest.mark.parametrize("key", ["head_dim", "num_heads", "num_buckets", "depth"])
def test_sizes_out_of_range_are_refused(key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        t5.t5(50, 0, **{key: 0})
