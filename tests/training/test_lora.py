"""Low-rank adaptation: what trains, what stays, and what is left at the end."""

import keras
import numpy as np
import pytest

import kit
from kit.errors import SettingError
from kit.training import lora, transfer
from tests import processes
from tests.moments import AfterBatch
from tests.training.test_layer_rates import BERT, QUICK, TEXTS, network

SETTINGS = {"data": TEXTS, "model": {"backbone": "bert_tiny"}, "backbone": BERT, **QUICK}
TRAIN = {"epochs": 2, "steps_per_epoch": 2, "steps_per_execution": 1, "batch_size": 16}


def test_merged_kernels_answer_as_the_matrices_do():
    model = network()
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    names, before = [weight.path for weight in model.weights], model.predict(x, verbose=0)
    lora.begin(model, 2)
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-6)  # one of the two is 0 at first
    trained = sorted(weight.name for weight in model.trainable_weights)
    assert trained == ["bias", "kernel", *3 * ["lora_kernel_a"], *3 * ["lora_kernel_b"]]  # the last layer's, and theirs
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, x[:, :1], epochs=3, verbose=0)
    after, merged = model.predict(x, verbose=0), lora.merged_weights(model)
    assert np.abs(after - before).max() > 1e-2
    lora.merge(model)
    assert [weight.path for weight in model.weights] == names
    for one, other in zip(model.get_weights(), merged, strict=True):
        np.testing.assert_array_equal(one, other)
    model.predict_function = None
    np.testing.assert_allclose(model.predict(x, verbose=0), after, rtol=1e-5)
    assert (
        len(model.trainable_weights) == len(names)
        and not model.get_layer("backbone").get_layer("embedding").lora_enabled
    )


def test_a_run_ends_with_a_network_without_matrices(tmp_path):
    """All but dense kernels of the backbone is as it was, and the saved model is loaded again with the same answers."""
    start = kit.train("text_classification", folder=tmp_path / "start", train={**TRAIN, "epochs": 1}, **SETTINGS)
    train = {**TRAIN, "lora_rank": 2, "start_from": str(start.folder)}
    run = kit.train("text_classification", folder=tmp_path / "run", train=train, **SETTINGS)
    assert "matrices of rank 2 beside 12 dense layers" in (run.folder / "run.log").read_text()
    before, after = (transfer.layers_by_path(each.model) for each in (start, run))
    for name in ("token_embedding", "position_embedding", "embedding_norm", "block1_attention_norm"):
        path = f"bert_tiny/{name}"
        assert all(
            (one == other).all()
            for one, other in zip(before[path].get_weights(), after[path].get_weights(), strict=True)
        )
    path = "bert_tiny/block1_feedforward_in"
    kernels = [each[path].get_weights() for each in (before, after)]
    assert np.abs(kernels[0][0] - kernels[1][0]).max() > 0 and (kernels[0][1] == kernels[1][1]).all()
    again = kit.load(run.folder)
    assert not [weight.path for weight in again.model.weights if "lora" in weight.path]
    texts = ["good morning", "bonne nuit"]
    assert again.predict(texts)["label"].tolist() == run.predict(texts)["label"].tolist()
    assert run.model.count_params() == start.model.count_params()


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    words = ["train", "text_classification", "--model.backbone", "bert_tiny"]
    words += [f"--data.{key}={value}" for key, value in TEXTS.items()]
    words += [f"--backbone.{key}={value}" for key, value in BERT.items()]
    words += [f"--train.{key}={value}" for key, value in {**TRAIN, "lora_rank": 2, "layer_decay": 0.9}.items()]
    words += ["--evaluate.bootstrap_samples=20", "--evaluate.baseline=false"]
    processes.assert_killed_ends_alike(tmp_path, AfterBatch(epoch=2, batch=1), *words)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"lora_rank": 4, "freeze": ["backbone"]}, "train.freeze: expected none with train.lora_rank"),
        ({"lora_rank": -1}, "train.lora_rank: expected 0 to 32767"),
        ({"lora_rank": 2}, "train.lora_rank: expected 0: .* has no backbone with dense layers"),
    ],
)
def test_what_cannot_be_adapted_is_refused(train, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        kit.train("image_classification", folder=tmp_path / "run", train=train, verbose=False)
