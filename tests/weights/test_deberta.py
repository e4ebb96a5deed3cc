"""DeBERTa with published weights: equal to the reference, and the way back to the published layout."""

import numpy as np
import pytest

from kit.blocks.disentangled_attention import buckets_of
from kit.models.text.deberta import deberta
from kit.weights import loading, published
from tests.weights.published import fixture, publish


@pytest.mark.parametrize("name", ["deberta", "deberta_v2", "deberta_v2_apart"])
def test_equal_to_the_reference(name, tmp_path):
    config, weights, inputs, outputs = fixture(name)
    folder = publish(tmp_path, weights, config)
    module, _ = published.family_of(folder)
    arguments = module.arguments(config, folder)
    model = deberta(**arguments)
    assert loading.load(model, module.FAMILY, folder) == []
    is_real = inputs["ids"] != 0
    found = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(found[is_real], outputs["sequence"][is_real], atol=1e-5)
    assert outputs["sequence"][is_real].std() > 0.1
    back = loading.tensors_of(model, module.FAMILY)
    assert back.keys() == weights.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, weights[key], err_msg=key)
    kept = module.configuration(arguments)
    again = module.arguments(kept, folder)
    assert again == arguments and kept["model_type"] == config["model_type"]


def test_near_distances_are_told_apart_and_far_ones_joined():
    found = buckets_of(np.arange(-511, 512), 256, 512)
    assert found[511] == 0 and (found[511 - 128 : 511 + 129] == np.arange(-128, 129)).all()
    assert (np.diff(found) >= 0).all() and found[-1] == 255 and found[0] == -255
    assert (found == -found[::-1]).all()
    assert (buckets_of(np.arange(-3, 4), 0, 8) == np.arange(-3, 4)).all()


def test_padding_changes_nothing():
    model = deberta(12, 0, dim=8, depth=2, num_heads=2, feedforward_dim=16, buckets=4, max_distance=8, convolution=3)
    ids = np.array([[2, 5, 9, 3], [2, 6, 3, 0]], "int32")
    segments = np.zeros_like(ids)
    y = model.predict({"ids": ids, "segments": segments}, verbose=0)
    wide = {"ids": np.pad(ids, ((0, 0), (0, 9))), "segments": np.pad(segments, ((0, 0), (0, 9)))}
    np.testing.assert_allclose(model.predict(wide, verbose=0)[:, :4][ids != 0], y[ids != 0], atol=1e-5)
