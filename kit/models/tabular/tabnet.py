"""TabNet: looks at a few columns in each of several steps, which it chooses row by row.

Arik and Pfister, "TabNet: Attentive Interpretable Tabular Learning", 2019.
"""

import functools
from typing import Literal

import keras
import numpy as np
from keras import layers, ops

from kit.blocks.ghost_batch_norm import GhostBatchNormalization
from kit.blocks.sparsemax import SparseMask
from kit.blocks.table_columns import flat_columns
from kit.errors import check

VARIANTS = {
    "tabnet": {},
    "tabnet_small": {"decision_dim": 8, "attention_dim": 8, "steps": 3, "embedding_dim": 1},
}


def tabnet(
    columns,
    *,
    decision_dim: int = 16,
    attention_dim: int = 16,
    steps: int = 4,
    relaxation: float = 1.3,
    num_shared: int = 2,
    num_independent: int = 2,
    mask: Literal["sparsemax", "entmax"] = "sparsemax",
    sparsity: float = 1e-3,
    embedding_dim: int = 2,
    virtual_batch_size: int = 128,
    momentum: float = 0.98,
    pretraining_epochs: int = 0,
    pretraining_rate: float = 0.02,
    masked_share: float = 0.2,
    name: str = "tabnet",
):
    """Builds the encoder: the sum over steps of what is made of the columns that a step chooses.

    Args:
        columns: `kit.blocks.table_columns.TableShape`.
        decision_dim: Width of what a step adds to the answer (N_d).
        attention_dim: Width of what the choice of the next step goes by (N_a).
        steps: Number of steps.
        relaxation: How often a column may be used: 1 is in one step alone (gamma).
        num_shared: Gated layers of a feature transformer that all steps share.
        num_independent: Those that each step has of its own.
        mask: "sparsemax" or "entmax": how columns are chosen.
        sparsity: Factor of the entropy of the choices in the loss.
        embedding_dim: Width of the embedding of a category.
        virtual_batch_size: Rows that are normalised together.
        momentum: Share of the moving means of normalisation that stays.
        pretraining_epochs: Passes over the training rows before training, in which masked columns are told from the
            others, without labels; 0 is none.
        pretraining_rate: Learning rate of these.
        masked_share: Share of the columns that is masked then.
        name: Name of the model.

    Shape:
        in: `numbers` (batch, numbers), `categories` (batch, categories), `words` (batch, words), those that there are
        out: (batch, decision_dim)
        masks: outputs of the layers `step1_mask`, `step2_mask` ..., (batch, columns)

    Raises:
        SettingError: a value out of range.
    """
    for key, value in (
        ("decision_dim", decision_dim),
        ("attention_dim", attention_dim),
        ("steps", steps),
        ("embedding_dim", embedding_dim),
        ("virtual_batch_size", virtual_batch_size),
    ):
        check(value >= 1, key, value, "at least 1")
    check(relaxation >= 1, "relaxation", relaxation, "at least 1")
    for key, value in (("num_shared", num_shared), ("num_independent", num_independent)):
        check(value >= 0, key, value, "at least 0")
    check(num_shared + num_independent >= 1, "num_shared", num_shared, "at least 1 where none is independent")
    for key, value in (("sparsity", sparsity), ("pretraining_epochs", pretraining_epochs)):
        check(value >= 0, key, value, "at least 0")
    check(0 <= momentum < 1, "momentum", momentum, "a number from 0 to below 1")
    check(pretraining_rate > 0, "pretraining_rate", pretraining_rate, "a number above 0")
    check(0 < masked_share < 1, "masked_share", masked_share, "a number between 0 and 1")
    inputs = columns.inputs()
    x, widths = flat_columns(
        inputs, columns, embedding_dim=embedding_dim, number_embedding="none", number_dim=1
    )  # (batch, features)
    norm = functools.partial(GhostBatchNormalization, virtual_batch_size, momentum)
    groups, made = _groups(widths), {}  # (columns, features)

    def layer(name, make):
        """Returns a layer; one of a name that was made already is the same one."""
        if name not in made:
            made[name] = make(name=name)
        return made[name]

    def features(x, step):
        return feature_transformer(x, decision_dim + attention_dim, num_shared, num_independent, layer, norm, step)

    def encode(x, prior=None):
        x = layer("first_norm", functools.partial(layers.BatchNormalization, momentum=0.99, epsilon=1e-5))(x)
        look, found = features(x, "start")[:, decision_dim:], 0
        for step in (f"step{number}" for number in range(1, steps + 1)):
            logits = layer(f"{step}_attention", functools.partial(_dense, len(widths), "linear"))(look)
            logits = layer(f"{step}_attention_norm", norm)(logits)
            prior = ops.ones_like(logits) if prior is None else prior
            chosen = layer(f"{step}_mask", functools.partial(SparseMask, mask, sparsity / steps))(logits, prior)
            prior = prior * (relaxation - chosen)  # (batch, columns)
            own = chosen if groups.shape[0] == groups.shape[1] else ops.matmul(chosen, groups)  # (batch, features)
            out = features(x * own, step)
            found = found + layer(f"{step}_decision", functools.partial(layers.Activation, "relu"))(
                out[:, :decision_dim]
            )
            look = out[:, decision_dim:]
        return found

    network = keras.Model(inputs, encode(x), name=name)
    network.encode, network.groups = encode, groups
    network.pretraining = {"epochs": pretraining_epochs, "rate": pretraining_rate, "share": masked_share}
    return network


def _dense(units, kind, name):
    return layers.Dense(units, use_bias=False, kernel_initializer=_Glorot(kind), name=name)


def feature_transformer(x, width, num_shared, num_independent, layer, norm, step):
    """Gated layers, each but the first a residual one: some that all steps share, some of one step alone.

    Args:
        x: Features.
        width: Width of what comes out.
        num_shared, num_independent: Numbers of layers.
        layer: Function `(name, make)` that returns a layer, the same for the same name.
        norm: Function from a name to a normalisation layer.
        step: Prefix of the layers' names.

    Shape:
        in: (batch, features)
        out: (batch, width)
    """
    names = [(f"shared{index}", f"{step}_shared{index}") for index in range(1, num_shared + 1)]
    names += [(f"{step}_own{index}",) * 2 for index in range(1, num_independent + 1)]
    for index, (name, own) in enumerate(names):
        y = layer(name, functools.partial(_dense, 2 * width, "gated"))(x)
        y = layer(f"{own}_norm", norm)(y)
        y = y[:, :width] * ops.sigmoid(y[:, width:])
        x = y if index == 0 else (x + y) * np.sqrt(0.5).astype("float32")
    return x


@keras.saving.register_keras_serializable("kit")
class _Glorot(keras.initializers.Initializer):
    """Normal initializer of TabNet's reference: wider than Glorot's where few values become many.

    Args:
        kind: "gated", of layers in front of a gate, or "linear".
    """

    def __init__(self, kind="linear"):
        self.kind = kind

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = shape
        gain = (fan_in + fan_out) / np.sqrt(4 * fan_in if self.kind == "linear" else fan_in)
        return keras.random.normal(shape, stddev=float(np.sqrt(2 * gain / (fan_in + fan_out))), dtype=dtype)

    def get_config(self):
        return {"kind": self.kind}


def _groups(widths):
    """Returns which share of a column's weight each of its features gets, (columns, features)."""
    found = np.zeros((len(widths), sum(widths)), "float32")
    start = 0
    for row, width in enumerate(widths):
        found[row, start : start + width] = 1 / width
        start += width
    return found
