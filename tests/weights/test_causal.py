"""Networks that write, with published weights: equal to the reference, and the way back to the published layout."""

import importlib
import json

import keras
import numpy as np
import pytest

from kit import decoding
from kit.errors import KitError
from kit.models.text import gpt2, llama, recurrent_writer
from kit.models.text.causal_decoder import next_tokens, writing_step
from kit.weights import loading
from tests.weights.published import fixture, publish

BUILDERS = {"gpt2": gpt2.gpt2} | dict.fromkeys(
    ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe"), llama.llama
)
FAMILIES = pytest.mark.parametrize("name", BUILDERS)


def loaded(name, folder, config):
    module = importlib.import_module(f"kit.weights.{name}")
    arguments = module.arguments(config, folder)
    length = {"length": 8} if name == "gpt2" else {}
    backbone = BUILDERS[name](separator=None, **length, **arguments)
    model = keras.Model(backbone.input, next_tokens(backbone, backbone.output))
    assert loading.load(model, module.FAMILY, folder) == []
    return module, arguments, model


@FAMILIES
def test_equal_to_the_reference_padding_included(name, tmp_path):
    config, weights, inputs, outputs = fixture(name)
    _, _, model = loaded(name, publish(tmp_path / name, weights, config), config)
    found = model.predict(inputs, verbose=0)
    is_real = inputs["ids"] != 0
    np.testing.assert_allclose(found[is_real], outputs["logits"][is_real], atol=1e-5)
    assert outputs["logits"][is_real].std() > 0.1


@FAMILIES
def test_it_writes_what_the_reference_writes(name, tmp_path):
    config, weights, inputs, outputs = fixture(name)
    _, _, model = loaded(name, publish(tmp_path / name, weights, config), config)
    step, initial_state, prefill = writing_step(model)
    tokens = decoding.Tokens(start=None, end=-1)
    prompt = inputs["ids"][:1, :4]
    for read in (None, prefill):  # token by token, and all at once
        state = initial_state({"ids": prompt}, 11)
        found, _ = decoding.greedy(step, state, tokens, max_length=8, prompt=prompt, prefill=read)
        np.testing.assert_array_equal(found, outputs["greedy"])


@FAMILIES
def test_written_back_it_is_bit_for_bit_what_was_read(name, tmp_path):
    config, weights, _, _ = fixture(name)
    module, arguments, model = loaded(name, publish(tmp_path / name, weights, config), config)
    back = loading.tensors_of(model, module.FAMILY)
    assert back.keys() == weights.keys()
    for key, value in weights.items():
        np.testing.assert_array_equal(back[key], value)
    again = json.loads(json.dumps(module.FAMILY.configuration(arguments)))
    assert module.arguments(again, tmp_path) == arguments


@pytest.mark.parametrize("name", [*gpt2.VARIANTS, *llama.VARIANTS])
def test_a_later_token_changes_nothing_before_it(name):
    build, variants = (gpt2.gpt2, gpt2.VARIANTS) if name in gpt2.VARIANTS else (llama.llama, llama.VARIANTS)
    small = {"dim": 32, "num_heads": 4, "head_dim": 8, "feedforward_dim": 48, "depth": 2}
    small |= {"num_key_value_heads": 2} if build is llama.llama else {"max_length": 16}
    small |= {"num_experts": 4, "top_k": 2} if variants[name].get("num_experts") else {}
    small |= {"window": (0, 3)} if variants[name].get("window") and build is gpt2.gpt2 else {}
    backbone = build(50, None, *([] if build is llama.llama else [16]), **variants[name] | small)
    model = keras.Model(backbone.input, next_tokens(backbone, backbone.output))
    ids = np.arange(1, 11)[None]
    changed = ids.copy()
    changed[:, 6:] += 20
    one, other = (model.predict({"ids": each}, verbose=0) for each in (ids, changed))
    np.testing.assert_allclose(one[:, :6], other[:, :6], atol=1e-6)
    assert np.abs(one[:, 6:] - other[:, 6:]).max(-1).min() > 1e-4


@pytest.mark.parametrize("cell", recurrent_writer.VARIANTS)
def test_a_recurrent_network_writes_what_it_tells(cell):
    backbone = recurrent_writer.recurrent_writer(50, None, cell=cell, dim=16)
    model = keras.Model(backbone.input, next_tokens(backbone, backbone.output))
    step, initial_state, prefill = writing_step(model)
    prompt, lengths = np.array([[3, 4, 5, 6], [7, 8, 0, 0]]), np.array([4, 2])
    tokens = decoding.Tokens(start=None, end=-1)
    settings = {"max_length": 6, "prompt": prompt, "lengths": lengths}
    all_at_once, _ = decoding.greedy(step, initial_state({"ids": prompt}, 9), tokens, prefill=prefill, **settings)
    one_by_one, _ = decoding.greedy(step, initial_state({"ids": prompt}, 9), tokens, **settings)
    np.testing.assert_array_equal(all_at_once, one_by_one)
    for row, length in enumerate(lengths):
        ids = list(prompt[row, :length])
        for token in np.asarray(all_at_once)[row]:
            assert model.predict({"ids": np.array([ids])}, verbose=0)[0, -1].argmax() == token
            ids.append(token)


def test_nothing_is_seen_of_a_text_that_stands_before(name="qwen3_tiny"):
    small = {"dim": 32, "head_dim": 8, "depth": 2}
    backbone = llama.llama(50, 1, **llama.VARIANTS[name] | small)
    model = keras.Model(backbone.input, next_tokens(backbone, backbone.output))
    ids = np.array([[1, 5, 6, 7, 1, 8, 9, 10]])
    changed = np.array([[1, 15, 16, 17, 1, 8, 9, 10]])
    one, other = (model.predict({"ids": each}, verbose=0) for each in (ids, changed))
    np.testing.assert_allclose(one[:, 4:], other[:, 4:], atol=1e-6)
    assert np.abs(one[:, 1:4] - other[:, 1:4]).max() > 1e-4


def test_stretched_positions_are_refused(tmp_path):
    config, weights, _, _ = fixture("llama")
    config["rope_parameters"] = {"rope_type": "llama3", "rope_theta": 5e5}
    with pytest.raises(KitError, match="config.json has rope_type 'llama3'; expected 'default'"):
        loaded("llama", publish(tmp_path / "llama", weights, config), config)


# Parameters of the published networks, by their cards; tokens beside.
PARAMETERS = {
    "gpt2": (50257, 124_439_808),
    "gpt2_medium": (50257, 354_823_168),
    "gpt2_large": (50257, 774_030_080),
    "gpt2_xl": (50257, 1_557_611_200),
    "llama_7b": (32000, 6_738_415_616),
    "llama_13b": (32000, 13_015_864_320),
    "llama3_1b": (128256, 1_235_814_400),
    "mistral_7b": (32000, 7_241_732_096),
    "mixtral_8x7b": (32000, 46_702_792_704),
    "qwen2_0.5b": (151936, 494_032_768),
    "qwen2_1.5b": (151936, 1_543_714_304),
    "qwen2_7b": (152064, 7_615_616_512),
    "qwen3_0.6b": (151936, 596_049_920),
    "qwen3_1.7b": (151936, 1_720_574_976),
    "qwen3_8b": (151936, 8_190_735_360),
    "qwen3_30b_a3b": (151936, 30_532_122_624),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_has_as_many_parameters_as_the_published_one(name):
    build, variants = (gpt2.gpt2, gpt2.VARIANTS) if name in gpt2.VARIANTS else (llama.llama, llama.VARIANTS)
    tokens, expected = PARAMETERS[name]
    counts = []
    for depth in (1, 2):  # all blocks are alike
        length = {"length": 1024} if build is gpt2.gpt2 else {}
        with keras.StatelessScope(initialize_variables=False):  # nothing takes memory
            backbone = build(tokens, None, **length, **variants[name] | {"depth": depth})
            model = keras.Model(backbone.input, next_tokens(backbone, backbone.output))
            counts.append(model.count_params())
        keras.utils.clear_session()  # nor later on
    assert counts[0] + (variants[name]["depth"] - 1) * (counts[1] - counts[0]) == expected
