"""BigBird with published weights: equal to the reference, block-sparse and full, and the way back."""

import keras
import numpy as np
import pytest

from kit.errors import KitError
from kit.models.text.bert import masked_tokens, next_sentence, pooled
from kit.models.text.big_bird import big_bird
from kit.weights import big_bird as family
from kit.weights import loading, published
from tests.weights.published import fixture, publish


def loaded(name, folder):
    """Returns the network of a fixture with the heads that are published, and the fixture's parts."""
    config, weights, inputs, outputs = fixture(name)
    publish(folder, weights, config)
    module, _ = published.family_of(folder)
    assert module is family
    arguments = family.arguments(config, folder)
    model = big_bird(**arguments)
    if "masked_tokens" in outputs:
        summary = pooled(model.output)
        likely = masked_tokens(model, model.output, approximate_gelu=True, epsilon=arguments["epsilon"])
        found = {"sequence": model.output, "pooled": summary, "masked_tokens": likely}
        model = keras.Model(model.input, found | {"next_sentence": next_sentence(summary)})
        assert loading.load(model, family.FAMILY, folder) == []
    else:
        loading.load(model, family.FAMILY, folder)
        model = keras.Model(model.input, {"sequence": model.output})
    return model, arguments, config, weights, inputs, outputs


@pytest.mark.parametrize("name", ["big_bird", "big_bird_full"])
def test_equal_to_the_reference_padding_included(name, tmp_path):
    model, arguments, config, weights, inputs, outputs = loaded(name, tmp_path)
    compared = 0
    for key, expected in outputs.items():
        wide = 24 if key.startswith("short_") else None  # looked at as a whole
        own = {each: value[:, :wide] for each, value in inputs.items()}
        rows = own["ids"] != 0 if expected.ndim == 3 else slice(None)
        found = np.asarray(model(own)[key.removeprefix("short_")])
        np.testing.assert_allclose(found[rows], expected[rows], atol=1e-5, err_msg=key)
        assert expected[rows].std() > 0.1
        compared += 1
    assert compared == (8 if name == "big_bird" else 1)
    back = loading.tensors_of(model, family.FAMILY)
    theirs = {key.removeprefix("bert."): value for key, value in weights.items()}
    theirs = {key: value for key, value in theirs.items() if key in back or not key.startswith("pooler")}
    assert back.keys() == theirs.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, theirs[key], err_msg=key)
    kept = family.configuration(arguments)
    assert family.arguments(kept, tmp_path) == arguments
    assert {key: config[key] for key in kept if key != "architectures"} == {
        key: value for key, value in kept.items() if key != "architectures"
    }


def test_what_a_decoder_or_another_attention_would_be_is_refused(tmp_path):
    config, *_ = fixture("big_bird")
    with pytest.raises(KitError, match="config.json has is_decoder True; expected False"):
        family.arguments(config | {"is_decoder": True}, tmp_path)
    with pytest.raises(KitError, match="config.json has attention_type 'window'; expected 'block_sparse' or"):
        family.arguments(config | {"attention_type": "window"}, tmp_path)
