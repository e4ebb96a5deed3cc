"""Transformer blocks: the encoder's as a function, the decoder as a layer that also grows by one position at a time."""

import keras
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.position import position
from kit.blocks.regularization import branch
from kit.errors import check


def encoder_block(
    x,
    mask,
    *,
    num_heads,
    feedforward_dim,
    dropout=0.0,
    activation="gelu",
    norm="pre",
    num_key_value_heads=None,
    window=None,
    use_rotary=False,
    drop_rate=0.0,
    layer_scale=0.0,
    epsilon=1e-3,
    name,
):
    """Self-attention, then two dense layers, each around a residual connection and with its own normalisation.

    Vaswani et al., "Attention Is All You Need", 2017; normalisation in front ("pre-norm"), which needs no warm-up to be
    stable: Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020.

    Args:
        x: Sequence.
        mask: True at real positions; the others are not attended to. None where all are real.
        num_heads: Number of attention heads; divides the width of x.
        feedforward_dim: Width between the two dense layers.
        dropout: Share of the attention weights, and of what each half adds, that is dropped while training.
        activation: Name of a Keras activation.
        norm: "pre" or "post": normalisation in front of each half, or behind its residual connection.
        num_key_value_heads, window, use_rotary: As for `Attention`.
        drop_rate: Probability of dropping what each half adds (stochastic depth).
        layer_scale: What each half adds is multiplied by learned factors, one a channel, that begin at this; 0 is off.
        epsilon: Small number in the normalisations.
        name: Name of the block. The second output of the layer `<name>_attention` is the attention weights.

    Shape:
        x, out: (batch, time, dim)
        mask: (batch, time)
        attention weights: (batch, heads, time, time)
    """
    attention = Attention(
        num_heads,
        num_key_value_heads=num_key_value_heads,
        window=window,
        use_rotary=use_rotary,
        dropout=dropout,
        name=f"{name}_attention",
    )
    wide = layers.Dense(feedforward_dim, activation=activation, name=f"{name}_feedforward_in")
    narrow = layers.Dense(x.shape[-1], name=f"{name}_feedforward_out")
    halves = (
        (f"{name}_attention", f"{name}_attention_add", lambda y: attention(y, mask=mask)[0]),
        (f"{name}_feedforward", f"{name}_add", lambda y: narrow(wide(y))),
    )
    for half, sum_name, work in halves:
        normalised = layers.LayerNormalization(epsilon=epsilon, name=f"{half}_norm")
        y = layers.Dropout(dropout, name=f"{half}_dropout")(work(normalised(x) if norm == "pre" else x))
        y = branch(y, layer_scale, drop_rate, name=half)
        x = layers.Add(name=sum_name)([x, y])
        x = x if norm == "pre" else normalised(x)
    return x


class _DecoderBlock(layers.Layer):
    """Self-attention to what came before, attention to the memory, two dense layers."""

    def __init__(self, num_heads, feedforward_dim, dropout, activation, norm, pairs, window, use_rotary, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm
        self.feedforward_dim = feedforward_dim
        self.activation = activation
        self.own = Attention(
            num_heads,
            num_key_value_heads=pairs,
            is_causal=True,
            window=window,
            use_rotary=use_rotary,
            dropout=dropout,
            dtype=self.dtype_policy,
            name="self_attention",
        )
        same = {"dtype": self.dtype_policy}  # also where a model is loaded under another policy
        self.cross = Attention(num_heads, num_key_value_heads=pairs, dropout=dropout, name="cross_attention", **same)
        self.norms = [layers.LayerNormalization(name=f"norm{index}", **same) for index in range(3)]
        self.dropouts = [layers.Dropout(dropout, name=f"dropout{index}", **same) for index in range(3)]

    def build(self, x_shape, memory_shape):
        dim = x_shape[-1]
        self.wide = layers.Dense(
            self.feedforward_dim, activation=self.activation, dtype=self.dtype_policy, name="feedforward_in"
        )
        self.narrow = layers.Dense(dim, dtype=self.dtype_policy, name="feedforward_out")
        self.own.build(x_shape)
        self.cross.build(x_shape, memory_shape)
        self.wide.build(x_shape)
        self.narrow.build((None, None, self.feedforward_dim))
        for each in self.norms:
            each.build(x_shape)
        self.built = True

    def call(self, x, memory, mask, training=False):
        x = self._half(0, x, lambda y: self.own(y, training=training)[0], training)
        x = self._half(1, x, lambda y: self.cross(y, memory, mask=mask, training=training)[0], training)
        return self._half(2, x, lambda y: self.narrow(self.wide(y)), training)

    def step(self, x, position, fixed, moving):
        """Returns the newest position's output (batch, 1, dim), the new cache, and its weights over the memory."""
        following, weights = {}, []

        def look_back(y):
            y, _, following["keys"], following["values"] = self.own.grow(y, position, moving["keys"], moving["values"])
            return y

        def look_at_memory(y):
            y, share = self.cross.look(y, fixed["keys"], fixed["values"], fixed["mask"])
            weights.append(share[:, :, 0])  # (batch, heads, source)
            return y

        x = self._half(0, x, look_back, False)
        x = self._half(1, x, look_at_memory, False)
        x = self._half(2, x, lambda y: self.narrow(self.wide(y)), False)
        return x, following, weights[0]

    def _half(self, index, x, work, training):
        norm, dropout = self.norms[index], self.dropouts[index]
        if self.norm == "pre":
            return x + dropout(work(norm(x)), training=training)
        return norm(x + dropout(work(x), training=training))


@keras.saving.register_keras_serializable("kit")
class TransformerDecoder(layers.Layer):
    """Blocks that look back at the sequence so far and at a memory, for a whole sequence or position by position.

    Vaswani et al., "Attention Is All You Need", 2017.

    Args:
        depth: Number of blocks.
        num_heads: Number of attention heads.
        feedforward_dim: Width between the two dense layers of a block.
        dropout: Share of the attention weights, and of what each part of a block adds, that is dropped in training.
        activation: Name of a Keras activation.
        norm: "pre" or "post"; with "pre" there is one more normalisation at the end.
        positions: "sinusoidal", "learned", "rotary" or "none".
        max_length: Most positions, of "learned".
        num_key_value_heads: As for `Attention`.
        window: As for `Attention`, of the sequence itself; the whole memory is seen.

    Shape:
        target: (batch, time, dim)
        memory: (batch, source, memory_dim)
        mask: (batch, source), True at real positions
        out: (batch, time, dim)
    """

    def __init__(
        self,
        depth,
        num_heads,
        feedforward_dim,
        *,
        dropout=0.0,
        activation="relu",
        norm="pre",
        positions="sinusoidal",
        max_length=None,
        num_key_value_heads=None,
        window=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = {
            "depth": depth,
            "num_heads": num_heads,
            "feedforward_dim": feedforward_dim,
            "dropout": dropout,
            "activation": activation,
            "norm": norm,
            "positions": positions,
            "max_length": max_length,
            "num_key_value_heads": num_key_value_heads,
            "window": window,
        }
        check(depth >= 1, "depth", depth, "at least 1")
        self.supports_masking = True
        self.max_length = max_length if positions == "learned" else None
        self._position = position(positions, max_length, "position", self.dtype_policy)
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._blocks = [
            _DecoderBlock(
                num_heads,
                feedforward_dim,
                dropout,
                activation,
                norm,
                num_key_value_heads,
                window,
                positions == "rotary",
                dtype=self.dtype_policy,
                name=f"block{index + 1}",
            )
            for index in range(depth)
        ]
        self._norm = layers.LayerNormalization(dtype=self.dtype_policy, name="norm") if norm == "pre" else None

    def build(self, target_shape, memory_shape):
        for layer in (self._position, self._norm):
            if layer is not None:
                layer.build(target_shape)
        for block in self._blocks:
            block.build(target_shape, memory_shape)
        self.built = True

    def call(self, target, memory, mask, training=False):
        x = self._dropout(self._with_position(target, 0), training=training)
        for block in self._blocks:
            x = block(x, memory, mask, training=training)
        return x if self._norm is None else self._norm(x)

    def initial_state(self, memory, mask, max_length):
        """Returns what growing begins with: the memory's keys and values, and empty caches; see `kit.decoding`."""
        fixed, moving = [], []
        for block in self._blocks:
            keys, values = block.cross.keys_values(memory)
            fixed.append({"keys": keys, "values": values, "mask": mask})
            keys, values = block.own.empty_cache(ops.shape(memory)[0], max_length)
            moving.append({"keys": keys, "values": values})
        return {"fixed": fixed, "moving": moving}

    def step(self, x, position, state):
        """Returns the output of the newest position, the next state, and its weights over the memory, block by block.

        Args:
            x: (batch, dim)
            position: Its place, a scalar.
            state: See `initial_state`.

        Returns:
            (batch, dim), state, and a list of (batch, heads, source).
        """
        x = self._with_position(x[:, None], position)  # (batch, 1, dim)
        moving, weights = [], []
        for block, fixed, cache in zip(self._blocks, state["fixed"], state["moving"], strict=True):
            x, cache, share = block.step(x, position, fixed, cache)
            moving.append(cache)
            weights.append(share)
        x = x if self._norm is None else self._norm(x)
        return x[:, 0], {"fixed": state["fixed"], "moving": moving}, weights

    def _with_position(self, x, start):
        return x if self._position is None else self._position(x, start=start)

    def compute_mask(self, *inputs):
        return None

    def compute_output_shape(self, target_shape, memory_shape):
        return target_shape

    def get_config(self):
        return {**super().get_config(), **self._settings}
