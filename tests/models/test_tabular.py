"""Networks of tables: shapes, TabNet equal to its reference, columns that change nothing where they should not."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kit.blocks.table_columns import TableShape
from kit.errors import SettingError
from kit.models import tabular

EDGES = tuple(tuple(np.linspace(-2, 2, 6)) for _ in range(4))
SHAPE = TableShape(4, (5, 3), (7,), 20, EDGES, 2)
RANDOM = np.random.default_rng(0)
ROWS = {
    "numbers": RANDOM.normal(size=(10, 4)).astype("float32"),
    "categories": RANDOM.integers(0, 3, (10, 2)).astype("int32"),
    "crosses": RANDOM.integers(0, 7, (10, 1)).astype("int32"),
    "words": RANDOM.integers(0, 21, (10, 6)).astype("int32"),
}
SMALL = {
    "table_mlp": {"units": (6,), "number_dim": 2, "embedding_dim": 2},
    "resnet_mlp": {"dim": 6, "depth": 1, "embedding_dim": 2},
    "wide_and_deep": {"units": (6,), "number_dim": 2, "embedding_dim": 2},
    "tabnet": {"decision_dim": 4, "attention_dim": 4, "steps": 2},
    "tabnet_small": {},
    "ft_transformer": {"dim": 8, "depth": 1, "num_heads": 2},
}


def built(name, shape=SHAPE, **arguments):
    build, defaults = tabular.VARIANTS[name]
    return build(shape, **{**defaults, **SMALL[name], **arguments}, name=name)


def answered(model, rows=ROWS):
    return model.predict({name: rows[name] for name in model.input}, verbose=0)


@pytest.mark.parametrize("name", tabular.VARIANTS)
def test_every_network_takes_every_kind_of_column_and_each_alone(name):
    assert answered(built(name)).shape[0] == 10
    only = {
        "numbers": TableShape(4, number_edges=EDGES),
        "categories": TableShape(0, (5, 3)),
        "words": TableShape(0, word_buckets=20),
    }
    for kind, shape in only.items():
        model = built(name, shape)
        assert list(model.input) == [kind] and np.isfinite(answered(model)).all()
    with pytest.raises(SettingError, match="num_numbers"):
        built(name, TableShape(0))


@pytest.mark.parametrize("name", tabular.VARIANTS)
def test_a_saved_network_answers_alike_and_a_row_does_not_see_the_others(name, tmp_path):
    model = built(name)
    found = answered(model)
    model.save(tmp_path / "model.keras")
    assert (answered(keras.models.load_model(tmp_path / "model.keras")) == found).all()
    alone = answered(model, {kind: values[:3] for kind, values in ROWS.items()})
    np.testing.assert_allclose(alone, found[:3], atol=1e-5)


@pytest.mark.parametrize("name", [name for name in tabular.VARIANTS if name != "tabnet_small"])
def test_overfits_a_batch(name):
    keras.utils.set_random_seed(0)
    features = built(name)
    model = keras.Model(features.input, keras.layers.Dense(2)(features.output))
    labels = np.arange(10) % 2
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003 if name == "ft_transformer" else 0.02), loss, jit_compile=False)
    inputs = {kind: ROWS[kind] for kind in features.input}
    # In training: the moving means of normalisation need more steps.
    assert model.fit(inputs, labels, epochs=60, batch_size=10, verbose=0).history["loss"][-1] < 0.3


def test_the_wide_part_is_a_linear_model_of_categories_and_crosses():
    model = built("wide_and_deep")
    before = answered(model)
    assert (before[:, -2:] == 0).all()
    for kind, sizes in (("categories", SHAPE.category_sizes), ("crosses", SHAPE.cross_sizes)):
        model.get_layer(f"wide_{kind}").embeddings.assign(RANDOM.normal(size=(sum(sizes), 2)))
    one, other = (model.get_layer(f"wide_{kind}").embeddings.numpy() for kind in ("categories", "crosses"))
    expected = one[ROWS["categories"] + [0, 5]].sum(1) + other[ROWS["crosses"]].sum(1)
    np.testing.assert_allclose(answered(model)[:, -2:], expected, atol=1e-5)
    assert (answered(model)[:, :-2] == before[:, :-2]).all()


@pytest.mark.parametrize("kind", ["sparsemax", "entmax"])
def test_tabnet_is_equal_to_its_reference(kind):
    saved = np.load(Path(__file__).parents[1] / "references" / f"tabnet_{kind}.npz")
    model = tabular.VARIANTS["tabnet"][0](TableShape(6), decision_dim=4, attention_dim=4, steps=3, mask=kind)
    theirs = {name.removeprefix("weights/"): saved[name] for name in saved if name.startswith("weights/")}
    used = {"tabnet.final_mapping.weight", *(name for name in theirs if name.startswith("tabnet.initial_bn"))}
    used |= {name for name in theirs if "num_batches" in name}

    def norm(layer, name):
        parts = ("weight", "bias", "running_mean", "running_var")
        layer.set_weights([theirs[f"{name}.{part}"] for part in parts])
        used.update(f"{name}.{part}" for part in parts)

    def dense(layer, name):
        layer.set_weights([theirs[f"{name}.weight"].T])
        used.add(f"{name}.weight")

    encoder = "tabnet.encoder"
    norm(model.get_layer("first_norm"), f"{encoder}.initial_bn")
    steps = {"start": f"{encoder}.initial_splitter"}
    steps |= {f"step{number + 1}": f"{encoder}.feat_transformers.{number}" for number in range(3)}
    for ours, name in steps.items():
        for layer in range(2):
            dense(model.get_layer(f"shared{layer + 1}"), f"{name}.shared.glu_layers.{layer}.fc")
            used.add(f"{name}.shared.shared_layers.{layer}.weight")
            norm(model.get_layer(f"{ours}_shared{layer + 1}_norm"), f"{name}.shared.glu_layers.{layer}.bn.bn")
            dense(model.get_layer(f"{ours}_own{layer + 1}"), f"{name}.specifics.glu_layers.{layer}.fc")
            norm(model.get_layer(f"{ours}_own{layer + 1}_norm"), f"{name}.specifics.glu_layers.{layer}.bn.bn")
    for number in range(3):
        name = f"{encoder}.att_transformers.{number}"
        dense(model.get_layer(f"step{number + 1}_attention"), f"{name}.fc")
        norm(model.get_layer(f"step{number + 1}_attention_norm"), f"{name}.bn.bn")
    assert not set(theirs) - used
    masks = [model.get_layer(f"step{number}_mask").output for number in (1, 2, 3)]
    rows = {"numbers": saved["inputs/numbers"]}
    *masks, features = keras.Model(model.input, [*masks, model.output]).predict(rows, verbose=0)
    for number, mask in enumerate(masks, 1):
        np.testing.assert_allclose(mask, saved[f"outputs/mask{number}"], atol=1e-5)
    logits = features @ theirs["tabnet.final_mapping.weight"].T
    np.testing.assert_allclose(logits, saved["outputs/logits"], atol=1e-5)
    entropy = np.mean([np.sum(mask * np.log(mask + 1e-15), 1).mean() for mask in masks])
    np.testing.assert_allclose(entropy, saved["outputs/entropy"], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "key"),
    [
        ("table_mlp", {"units": ()}, "units"),
        ("table_mlp", {"dropout": 1.0}, "dropout"),
        ("resnet_mlp", {"depth": 0}, "depth"),
        ("resnet_mlp", {"hidden_factor": 0.0}, "hidden_factor"),
        ("wide_and_deep", {"embedding_dim": 0}, "embedding_dim"),
        ("tabnet", {"steps": 0}, "steps"),
        ("tabnet", {"relaxation": 0.5}, "relaxation"),
        ("tabnet", {"num_shared": 0, "num_independent": 0}, "num_shared"),
        ("ft_transformer", {"num_heads": 0}, "num_heads"),
    ],
)
def test_values_out_of_range(name, arguments, key):
    with pytest.raises(SettingError) as error:
        built(name, **arguments)
    assert error.value.key == key
