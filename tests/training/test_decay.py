"""Weight decay: decided for every weight of every architecture, and obeyed by every recipe's optimizers."""

import ast
import functools
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit import recipes
from kit.blocks.attention import Attention
from kit.blocks.crf import CRF
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.position import LearnedPosition
from kit.blocks.transformer import encoder_block
from kit.models.vision.vit import vit
from kit.runs import settings as schema
from kit.runs.assembly import assembled
from kit.runs.python_inputs import PythonInputs
from kit.training import checkpoint, decay, device, optimizers
from kit.training.checkpoint import inside
from tests import processes
from tests.conftest import slow
from tests.models.test_refusals import REGISTRIES

# Larger than elsewhere, so that every variant can be built.
FACTS = {
    "vision": {"input_shape": (64, 64, 3)},
    "image_to_image": {"image_shape": (64, 64, 3)},
    "values": {"observation_shape": (84, 84, 4)},
    "policies": {"observation_shape": (84, 84, 4)},
}


# Of blocks and experts that are all alike so many are looked at.
_ENOUGH = {"num_experts": 4, "top_k": 2}


def variants():
    """Yields every variant; one of each builder and choice of words, whatever its numbers, is not slow."""
    seen = set()
    for registry, (table, facts) in REGISTRIES.items():
        for name, (build, arguments) in table.items():
            choices = {key: value if isinstance(value, str) else bool(value) for key, value in arguments.items()}
            alike = (build, *sorted(choices.items()))
            known = facts | FACTS.get(registry, {})
            known = {key: value for key, value in known.items() if key in inspect.signature(build).parameters}
            fewer = {key: min(arguments[key], most) for key, most in _ENOUGH.items() if arguments.get(key)}
            parameter = (slow if alike in seen else pytest.param)(build, known | arguments | fewer)
            yield pytest.param(*parameter.values, id=f"{registry}-{name}", marks=parameter.marks)
            seen.add(alike)


def undecided(*models):
    """Returns the weights that the table says nothing about."""
    every = [layer for model in models for layer in model._flatten_layers()]
    weights = {(type(layer).__name__, each.name): layer for layer in every for each in layer._trainable_variables}
    return [weight for weight, layer in weights.items() if decay.decided(layer, weight[1]) is None]


@pytest.mark.parametrize(("build", "arguments"), variants())
def test_every_weight_of_every_variant_is_decided(build, arguments):
    with keras.StatelessScope(initialize_variables=False):  # no weight gets numbers
        made = build(**arguments)
    assert not undecided(*(made if isinstance(made, tuple) else [made]))
    keras.utils.clear_session()  # nor later on: some would take a hundred gigabytes


def weights_in_source():
    """Yields the class and the name of every weight that a layer of kit makes, whichever variant has it."""
    for path in sorted((Path(kit.__file__).parent / "blocks").glob("*.py")):
        for found in (node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)):
            for call in (node for node in ast.walk(found) if isinstance(node, ast.Call)):
                if getattr(call.func, "attr", "") == "add_weight":
                    given = {each.arg: each.value for each in call.keywords}
                    if getattr(given.get("trainable"), "value", True):
                        yield found.name, given["name"].value


@pytest.mark.parametrize(("kind", "name"), weights_in_source())
def test_every_weight_of_a_block_is_decided(kind, name):
    assert name in decay.KINDS.get(kind, ())


def test_the_table_holds_nothing_that_is_not_there():
    blocks = {kind for kind, _ in weights_in_source()}
    keras_own = {base.__name__ for each in vars(layers).values() if inspect.isclass(each) for base in each.__mro__}
    assert set(decay.KINDS) <= blocks | keras_own


def decayed(model, variable):
    """Returns whether a step without a gradient makes a weight smaller."""
    variable.assign(np.ones(variable.shape))
    optimizer = keras.optimizers.SGD(1.0, weight_decay=0.5)
    decay.sparing(optimizer, model)
    optimizer.build(model.trainable_variables)
    nothing = [np.zeros(each.shape, "float32") for each in model.trainable_variables]
    optimizer.apply(nothing, model.trainable_variables)
    return float(np.max(variable)) == pytest.approx(0.5)


def test_a_vision_transformer_decays_its_kernels_alone():
    model = vit((16, 16, 3), patch_size=8, dim=8, num_heads=2, depth=1, feedforward_dim=8, layer_scale=0.1)
    found = {variable.path.split("/", 1)[-1]: decayed(model, variable) for variable in model.trainable_variables}
    assert {name for name, is_decayed in found.items() if is_decayed} == {name for name in found if "kernel" in name}
    for part in ("token", "embeddings", "factor", "gamma", "beta", "bias"):
        assert any(name.endswith(part) for name in found), part


def test_a_modern_text_transformer_spares_its_scales():
    vectors = keras.Input((5, 8))
    attention = functools.partial(Attention, 2, use_query_key_norm=True)
    parts = {"attention": attention, "feedforward": functools.partial(FeedForward, 8)}
    x = encoder_block(LearnedPosition(5)(vectors), **parts, normalization=normalization("rms"), name="block")
    model = keras.Model(vectors, x[0] if isinstance(x, tuple) else x)
    found = {variable.path: decayed(model, variable) for variable in model.trainable_variables}
    assert {name for name, is_decayed in found.items() if is_decayed} == {name for name in found if "kernel" in name}
    assert sum(name.endswith("scale") for name in found) == 4  # two of attention's own, of queries and keys


def test_tokens_and_transitions_decay_and_slopes_do_not():
    ids = keras.Input((3,), dtype="int32")
    x = layers.PReLU(name="slope")(layers.Embedding(4, 2, name="tokens")(ids))
    model = keras.Model(ids, CRF(name="crf")(x))
    found = {variable.path: decayed(model, variable) for variable in model.trainable_variables}
    assert found == {
        "tokens/embeddings": True,
        "slope/alpha": False,
        **dict.fromkeys(("crf/transitions", "crf/start", "crf/end"), True),
    }


class Own(layers.Layer):
    """A layer of somebody's own."""

    def build(self, input_shape):
        self.matrix = self.add_weight((2, 2), name="matrix")
        self.vector = self.add_weight((2,), name="vector")
        self.shift = self.add_weight((2, 2), name="head_bias")


def test_of_an_unknown_layer_matrices_decay():
    layer = Own()
    layer.build(None)
    assert [decay.decided(layer, each.name) for each in layer.weights] == [None] * 3
    assert [decay.decays(layer, each) for each in layer.weights] == [True, False, False]


def test_a_subclass_is_of_the_kind_of_its_base():
    class Slim(layers.Dense):
        pass

    assert (decay.decided(Slim(1), "kernel"), decay.decided(Slim(1), "bias")) == (True, False)


def test_who_has_chosen_what_to_spare_is_asked_no_more():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="one")])
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    assert decay.sparing(optimizer, model) is optimizer
    kernel, bias = model.trainable_variables
    assert (optimizer._use_weight_decay(kernel), optimizer._use_weight_decay(bias)) == (False, True)
    wrapped = decay.sparing(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW()), model)
    assert [inside(wrapped)._use_weight_decay(each) for each in (kernel, bias)] == [True, False]


def test_a_decay_of_muons_other_half_spares_biases_too():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    settings = {"name": "muon", "schedule": "constant", "learning_rate": 1.0, "adam_weight_decay": 0.5}
    optimizer = decay.sparing(optimizers.build(settings, 10)[0], model)
    model.layers[0].bias.assign([1.0, 1.0])
    optimizer.build(model.trainable_variables)
    optimizer.apply([np.zeros(each.shape, "float32") for each in model.trainable_variables], model.trainable_variables)
    assert np.asarray(model.layers[0].bias) == pytest.approx(1.0)


def step_without_gradient(devices, policy):
    """Takes a step whose gradient is zero on so many devices; returns a kernel and a bias that were ones."""
    device.split_cpu(devices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "has_gpu", lambda: policy == "mixed_float16" and devices == 1)
        with device.session(devices, policy):
            ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
            model = keras.Sequential([keras.Input((2,)), layers.Dense(1, **ones)])
            model.compile(decay.sparing(keras.optimizers.SGD(1.0, weight_decay=0.5), model), "mse")
            model.fit(np.zeros((4, 2)), np.ones((4, 1)), batch_size=4, verbose=0)
            return [each.tolist() for each in model.get_weights()]


@pytest.mark.parametrize(("devices", "policy"), [(1, "float32"), (2, "float32"), (1, "mixed_float16")])
def test_it_spares_on_every_device_and_precision(devices, policy):
    ended = processes.call(step_without_gradient, devices, policy)
    assert ended.result == [[[0.5], [0.5]], [1.0]], ended.output


@pytest.mark.parametrize("name", recipes.names())
def test_the_optimizers_of_every_recipe_obey(name, tmp_path):
    recipe = recipes.get(name)
    settings = schema.resolve(recipe, "smoke", {}, 0)
    with assembled(recipe, tmp_path / "run", settings, PythonInputs(), is_rehearsal=True) as parts:
        chosen = [inside(each) for each in checkpoint.optimizers(parts.model)]
        for optimizer in chosen:
            if not optimizer.built:
                optimizer.build(parts.model.trainable_variables)
        seen = set()
        for layer in parts.model._flatten_layers():
            for variable in layer._trainable_variables:
                for optimizer in chosen:
                    if any(variable is each for each in optimizer._trainable_variables):
                        assert decay.decided(layer, variable.name) is not None, (type(layer).__name__, variable.name)
                        assert optimizer._use_weight_decay(variable) == decay.decays(layer, variable), variable.path
                        seen.add(variable.path)
        is_tables = seen and all(path.endswith("/embeddings") for path in seen)  # nothing else is learned
        has_both = any("kernel" in path for path in seen) and any("bias" in path or "beta" in path for path in seen)
        assert is_tables or has_both
