"""Learning rates that get smaller from layer to layer."""

import keras
import numpy as np
import pytest

import kit
from kit.errors import SettingError
from kit.training import fused, layer_rates, transfer

TEXTS = {"num_texts": 240, "source": "languages", "vocabulary_size": 300, "max_length": 12}
BERT = {"dim": 8, "depth": 2, "num_heads": 2, "feedforward_dim": 16, "max_length": 16}
QUICK = {"evaluate": {"bootstrap_samples": 20, "baseline": False}, "verbose": False}


def network():
    """Returns a classifier on a backbone of an embedding and two numbered layers."""
    keras.utils.set_random_seed(0)
    inner = keras.Input((4,))
    x = keras.layers.Dense(4, name="embedding")(inner)
    x = keras.layers.LayerNormalization(name="embedding_norm")(x)
    for number in (1, 2):
        x = keras.layers.Dense(4, activation="tanh", name=f"block{number}_dense")(x)
    backbone = keras.Model(inner, x, name="backbone")
    outer = keras.Input((4,))
    return keras.Model(outer, keras.layers.Dense(1, name="logits")(backbone(outer)))


def steps(optimizer, decay, is_fused=False):
    """Returns what one step changes each weight by, by its layer."""
    model = network()
    model.compile(optimizer, loss="mse")
    model.optimizer.build(model.trainable_variables)
    before = {path: layer.get_weights() for path, layer in transfer.layers_by_path(model).items()}
    draw = np.random.default_rng(0)
    examples = draw.normal(size=(16, 4)).astype("float32"), draw.normal(size=(16, 1)).astype("float32")
    with fused.training(model), layer_rates.lowered(model, model, decay):
        model.fit(*examples, batch_size=16, verbose=0)
    assert "update_step" not in vars(model.optimizer) and "_apply_weight_decay" not in vars(model.optimizer)
    layers = transfer.layers_by_path(model)
    return {
        path.split("/")[-1]: layers[path].get_weights()[0] - weights[0]
        for path, weights in before.items()
        if weights and not isinstance(layers[path], keras.Model)
    }


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.Adam(0.1),
        lambda: keras.optimizers.AdamW(0.1, weight_decay=0.3),
        lambda: keras.optimizers.RMSprop(0.1),
        lambda: keras.optimizers.Lion(0.1, weight_decay=0.3),
    ],
)
def test_each_group_of_layers_takes_a_smaller_step(optimizer):
    """Decay of the weights included; all below the first numbered layer are one group."""
    whole, lowered = steps(optimizer(), 1.0), steps(optimizer(), 0.5)
    factors = {"logits": 1, "block2_dense": 0.5, "block1_dense": 0.25, "embedding": 0.125, "embedding_norm": 0.125}
    for name, factor in factors.items():
        np.testing.assert_allclose(lowered[name], factor * whole[name], rtol=2e-4, atol=1e-7, err_msg=name)


def test_a_run_says_how_slow_its_lowest_layers_are_and_resumes(tmp_path):
    settings = {"data": TEXTS, "model": {"backbone": "bert_tiny"}, "backbone": BERT, **QUICK}
    train = {"epochs": 2, "steps_per_epoch": 2, "steps_per_execution": 1, "layer_decay": 0.5}
    run = kit.train("text_classification", folder=tmp_path / "run", train=train, **settings)
    text = (run.folder / "run.log").read_text()
    assert "3 groups of layers; the lowest, from token_embedding on, has 0.125 times the learning rate" in text


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("dqn", "train.layer_decay: expected 1, since dqn fine-tunes no backbone"),
        ("gan", "train.layer_decay: expected 1, since gan fine-tunes no backbone"),
    ],
)
def test_what_has_no_backbone_is_refused(recipe, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        kit.train(recipe, folder=tmp_path / "run", train={"layer_decay": 0.9}, verbose=False)
