"""The half of a Transformer block: attention or feed-forward with normalisation, dropout and a residual connection."""

import operator

from keras import layers

from kit.blocks.regularization import branch


def residual_half(x, work, normalization, dropout, *, norm="pre", add=operator.add):
    """One half of a Transformer block: work around a residual connection, with a normalisation of its own.

    Vaswani et al., "Attention Is All You Need", 2017; normalisation in front ("pre-norm"), which needs no warm-up to be
    stable: Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020.

    Args:
        x: Sequence.
        work: Function from the sequence to what is added to it: attention or feed-forward.
        normalization: Normalisation layer, or a function like one.
        dropout: Function that what is added passes through: dropout, stochastic depth.
        norm: "pre" or "post": normalisation in front of the work, or behind the residual connection.
        add: Function of two sequences to their sum.

    Shape:
        x, out: (batch, ..., dim)
    """
    x = add(x, dropout(work(normalization(x) if norm == "pre" else x)))
    return x if norm == "pre" else normalization(x)


def named_half(x, work, normalization, *, norm="pre", dropout=0.0, drop_rate=0.0, layer_scale=0.0, name, sum_name):
    """A `residual_half` of a functional network, whose layers have names: `<name>_norm`, `<name>_dropout` ...

    Args:
        x, work, norm: As for `residual_half`.
        normalization: Function from a name to a normalisation layer.
        dropout: Share of what is added that is dropped while training.
        drop_rate: Probability of dropping all of it (stochastic depth).
        layer_scale: What is added is multiplied by learned factors, one a channel, that begin at this; 0 is off.
        name: Prefix of the layers' names.
        sum_name: Name of the layer that adds.
    """
    dropped = layers.Dropout(dropout, name=f"{name}_dropout")
    return residual_half(
        x,
        work,
        normalization(name=f"{name}_norm"),
        lambda y: branch(dropped(y), layer_scale, drop_rate, name=name),
        norm=norm,
        add=lambda x, y: layers.Add(name=sum_name)([x, y]),
    )
