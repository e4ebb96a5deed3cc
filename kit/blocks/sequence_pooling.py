"""Pooling of sequences: mean, maximum, attention or the first position, over what is no padding."""

from keras import layers, ops

from kit.blocks.masking import hidden_where_false
from kit.errors import check

KINDS = ("mean", "max", "attention", "first")


def sequence_pooling(x, mask, kind="mean", *, name="pool"):
    """Makes a vector of a sequence, whose padding has no part in it.

    Attention is that of Yang et al., "Hierarchical Attention Networks for Document Classification", 2016, section 2.2:
    weights from a dense layer, tanh and a learned vector.

    Args:
        x: Sequence.
        mask: True at real positions.
        kind: "mean", "max", "attention", or "first": the first position alone, as BERT's.
        name: Prefix of the layers' names; of "attention" the layer `<name>_weights` returns logits of the weights.

    Shape:
        x: (batch, time, dim)
        mask: (batch, time)
        out: (batch, dim)

    Raises:
        SettingError: an unknown kind.
    """
    check(kind in KINDS, "pooling", kind, " or ".join(map(repr, KINDS)))
    if kind == "first":
        return x[:, 0]
    if kind == "max":
        return ops.max(x + hidden_where_false(mask, x.dtype)[..., None], axis=1)
    if kind == "mean":
        weights = ops.cast(mask, x.dtype)
        return ops.sum(x * weights[..., None], axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)[:, None]
    scores = layers.Dense(x.shape[-1], activation="tanh", name=f"{name}_dense")(x)
    scores = layers.Dense(1, use_bias=False, name=f"{name}_weights")(scores)[..., 0]  # (batch, time)
    weights = ops.softmax(scores + hidden_where_false(mask, x.dtype), axis=-1)
    return ops.sum(x * weights[..., None], axis=1)
