"""Transformer blocks of attention, feed-forward and normalisation that are passed in.

The encoder's block is a function; the decoder is a layer that also grows by one position at a time.
"""

import functools

import keras
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.experts import Experts
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization as normalization_of
from kit.blocks.position import position
from kit.blocks.residual_half import named_half, residual_half
from kit.errors import check


def encoder_block(
    x,
    mask=None,
    *,
    attention,
    feedforward,
    normalization=layers.LayerNormalization,
    bias=None,
    norm="pre",
    dropout=0.0,
    drop_rate=0.0,
    layer_scale=0.0,
    name,
):
    """Self-attention, then a feed-forward network, each a residual half.

    Args:
        x: Sequence.
        mask: True at real positions; the others are not attended to. None where all are real.
        attention: Function from a name to the attention layer, such as `functools.partial(Attention, 8)`.
        feedforward: Function from a name to the feed-forward network, such as `functools.partial(FeedForward, 512)`, or
            to `kit.blocks.experts.Experts`.
        normalization: Function from a name to a normalisation layer, such as `kit.blocks.normalization` returns.
        bias: Added to the scores of attention, (batch or 1, heads or 1, time, time); or None.
        norm: "pre" or "post": normalisation in front of each half, or behind its residual connection.
        dropout: Share of what each half adds that is dropped while training.
        drop_rate: Probability of dropping what each half adds (stochastic depth).
        layer_scale: What each half adds is multiplied by learned factors, one a channel, that begin at this; 0 is off.
        name: Name of the block. The second output of the layer `<name>_attention` is the attention weights.

    Shape:
        x, out: (batch, time, dim)
        mask: (batch, time)
        attention weights: (batch, heads, time, time)
    """
    attend = attention(name=f"{name}_attention")
    feed = feedforward(name=f"{name}_feedforward")
    if not isinstance(feed, layers.Layer):
        feed.create(x.shape[-1])
    half = functools.partial(
        named_half,
        normalization=normalization,
        norm=norm,
        dropout=dropout,
        drop_rate=drop_rate,
        layer_scale=layer_scale,
    )

    def look_around(y):
        return attend(y, mask=mask, bias=bias, return_attention_scores=True)[0]

    x = half(x, look_around, name=f"{name}_attention", sum_name=f"{name}_attention_add")
    return half(x, feed, name=f"{name}_feedforward", sum_name=f"{name}_add")


class _DecoderBlock(layers.Layer):  # its name is in the paths of saved weights
    """Self-attention to what came before, attention to a memory if there is one, then a feed-forward network.

    Args:
        attention, feedforward, normalization: As for `encoder_block`, causal; the functions also take a `dtype`.
        cross_attention: The same for attention to the memory; None where there is no memory.
        norm: "pre" or "post": normalisation in front of each part, or behind its residual connection.
        dropout: Share of what each part adds that is dropped while training.

    Shape:
        x, out: (batch, time, dim)
        memory: (batch, source, memory_dim), or None
        mask: (batch, source), True at real positions of the memory; None is all
        bias: Added to the scores of self-attention, (batch or 1, heads or 1, time, time); or None
    """

    def __init__(
        self,
        *,
        attention,
        feedforward,
        cross_attention=None,
        normalization=layers.LayerNormalization,
        norm="pre",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        same = {"dtype": self.dtype_policy}  # also where a model is loaded under another policy
        self.supports_masking = True  # its mask is the memory's, and it hands none on
        self.norm = norm
        self.own = attention(name="self_attention", **same)
        self.cross = None if cross_attention is None else cross_attention(name="cross_attention", **same)
        parts = range(2 if cross_attention is None else 3)
        self.norms = [normalization(name=f"norm{index}", **same) for index in parts]
        self.dropouts = [layers.Dropout(dropout, name=f"dropout{index}", **same) for index in parts]
        self.feed = feedforward(name="feedforward", **same)

    def build(self, x_shape, memory_shape=None):
        if not isinstance(self.feed, layers.Layer):
            self.feed.create(x_shape[-1])  # in front of attention, which decides what a seed draws
            self.wide, self.narrow = self.feed.wide, self.feed.narrow  # so that they are layers of this one
            if self.feed.is_gated:
                self.gate = self.feed.gate
                self.gate.build(x_shape)
        self.own.build(x_shape)
        if self.cross is not None:
            self.cross.build(x_shape, memory_shape)
        if isinstance(self.feed, layers.Layer):
            self.feed.build(x_shape)
        else:
            self.wide.build(x_shape)
            self.narrow.build((None, None, self.feed.feedforward_dim))
        for each in self.norms:
            each.build(x_shape)
        self.built = True

    def call(self, x, memory=None, mask=None, bias=None, training=False):
        x = self._part(0, x, lambda y: self.own(y, bias=bias, training=training), training)
        if self.cross is not None:
            x = self._part(1, x, lambda y: self.cross(y, memory, mask=mask, training=training), training)
        return self._part(-1, x, self.feed, training)

    def step(self, x, position, fixed, moving, bias=None, lengths=None):
        """Returns the output of new positions, the new cache, and their weights over the memory.

        Args:
            x: (batch, time, dim), mostly one position
            position, bias, lengths: As for `Attention.grow`.
            fixed: The memory's keys, values and mask; empty without memory.
            moving: The cache of keys and values.

        Returns:
            (batch, time, dim), the cache, and (batch, heads, time, source), or None without memory.
        """
        following, found = {}, []

        def look_back(y):
            y, _, following["keys"], following["values"] = self.own.grow(
                y, position, moving["keys"], moving["values"], bias=bias, lengths=lengths
            )
            return y

        def look_at_memory(y):
            y, weights = self.cross.look(y, fixed["keys"], fixed["values"], fixed.get("mask"))
            found.append(weights)
            return y

        x = self._part(0, x, look_back, False)
        if self.cross is not None:
            x = self._part(1, x, look_at_memory, False)
        return self._part(-1, x, self.feed, False), following, found[0] if found else None

    def compute_mask(self, x, previous_mask=None):
        return None

    def _part(self, index, x, work, training):
        drop = functools.partial(self.dropouts[index], training=training)
        return residual_half(x, work, self.norms[index], drop, norm=self.norm)


@keras.saving.register_keras_serializable("kit")
class TransformerDecoder(layers.Layer):
    """Blocks that look back at the sequence so far and at a memory, for a whole sequence or position by position.

    Vaswani et al., "Attention Is All You Need", 2017. Called without a memory it has no attention to one: Radford et
    al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019, with `activation="gelu_approximate"`,
    `positions="learned"`, `epsilon=1e-5`; Touvron et al., "LLaMA", 2023, with `normalization="rms"`, `epsilon=1e-6`,
    `activation="silu"`, `is_gated=True`, `use_bias=False`, `positions="rotary"`.

    Args:
        depth: Number of blocks.
        num_heads: Number of attention heads.
        feedforward_dim: Width between the dense layers of a block.
        dropout: Share of the attention weights, and of what each part of a block adds, that is dropped in training.
        activation, is_gated: As for `FeedForward`.
        norm: "pre" or "post"; with "pre" there is one more normalisation at the end.
        normalization, epsilon: As for `kit.blocks.normalization`; "layer" or "rms".
        positions: "sinusoidal", "learned", "rotary" or "none".
        max_length: Most positions, of "learned".
        num_key_value_heads, head_dim, use_qkv_bias, use_query_key_norm, is_scaled, rotary_wavelength: As for
            `Attention`.
        use_bias: Add biases in the dense layers of attention and feed-forward.
        window: As for `Attention`, of the sequence itself; the whole memory is seen. Of several the first block has the
            first, the second the second, and so on, over and over.
        experts: Settings of `kit.blocks.experts.Experts` that stand in place of the feed-forward networks, of the same
            width and activation; None has none.
        experts_interval: Of so many blocks in turn the last one has experts.

    Shape:
        target: (batch, time, dim)
        memory: (batch, source, memory_dim), or None
        mask: (batch, source), True at real positions of the memory; None is all
        bias: Added to the scores of self-attention, (batch or 1, heads or 1, time, time); or None
        out: (batch, time, dim)

    Raises:
        SettingError: a number is out of range, or there is no such normalisation.
    """

    def __init__(
        self,
        depth,
        num_heads,
        feedforward_dim,
        *,
        dropout=0.0,
        activation="relu",
        is_gated=False,
        norm="pre",
        normalization="layer",
        epsilon=1e-3,
        positions="sinusoidal",
        max_length=None,
        num_key_value_heads=None,
        head_dim=None,
        use_bias=True,
        use_qkv_bias=None,
        use_query_key_norm=False,
        is_scaled=True,
        rotary_wavelength=10000.0,
        window=None,
        experts=None,
        experts_interval=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = {
            "depth": depth,
            "num_heads": num_heads,
            "feedforward_dim": feedforward_dim,
            "dropout": dropout,
            "activation": activation,
            "is_gated": is_gated,
            "norm": norm,
            "normalization": normalization,
            "epsilon": epsilon,
            "positions": positions,
            "max_length": max_length,
            "num_key_value_heads": num_key_value_heads,
            "head_dim": head_dim,
            "use_bias": use_bias,
            "use_qkv_bias": use_qkv_bias,
            "use_query_key_norm": use_query_key_norm,
            "is_scaled": is_scaled,
            "rotary_wavelength": rotary_wavelength,
            "window": list(window) if isinstance(window, tuple | list) else window,
            "experts": experts,
            "experts_interval": experts_interval,
        }
        self._windows = list(window) if isinstance(window, tuple | list) else [window]
        check(self._windows, "window", window, "a number, or several")
        check(depth >= 1, "depth", depth, "at least 1")
        check(experts_interval >= 1, "experts_interval", experts_interval, "at least 1")
        self.supports_masking = True
        self.max_length = max_length if positions == "learned" else None
        self._position = position(positions, max_length, "position", self.dtype_policy)
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._norm_of = normalization_of(normalization, epsilon)
        cross_attention = functools.partial(
            Attention,
            num_heads,
            num_key_value_heads=num_key_value_heads,
            head_dim=head_dim,
            use_bias=use_bias,
            use_qkv_bias=use_qkv_bias,
            use_query_key_norm=use_query_key_norm,
            epsilon=epsilon,
            is_scaled=is_scaled,
            dropout=dropout,
        )
        self._parts = {
            "attention": functools.partial(
                cross_attention,
                is_causal=True,
                use_rotary=positions == "rotary",
                rotary_wavelength=rotary_wavelength,
            ),
            "cross_attention": cross_attention,
            "feedforward": functools.partial(
                FeedForward, feedforward_dim, activation=activation, is_gated=is_gated, use_bias=use_bias
            ),
            "normalization": self._norm_of,
        }
        self._experts = None
        if experts is not None:
            shape = {"feedforward_dim": feedforward_dim, "activation": activation, "is_gated": is_gated}
            self._experts = functools.partial(Experts, **shape | experts)

    def build(self, target_shape, memory_shape=None):
        parts = self._parts if memory_shape is not None else {**self._parts, "cross_attention": None}
        settings = {"norm": self._settings["norm"], "dropout": self._settings["dropout"], "dtype": self.dtype_policy}
        self._blocks = []
        for index in range(self._settings["depth"]):
            window = self._windows[index % len(self._windows)]
            own = parts | {"attention": functools.partial(parts["attention"], window=window)}
            if self._experts is not None and (index + 1) % self._settings["experts_interval"] == 0:
                own |= {"feedforward": self._experts}
            self._blocks.append(_DecoderBlock(**own, **settings, name=f"block{index + 1}"))
        self._norm = self._norm_of(dtype=self.dtype_policy, name="norm") if settings["norm"] == "pre" else None
        for layer in (self._position, self._norm):
            if layer is not None:
                layer.build(target_shape)
        for block in self._blocks:
            block.build(target_shape, memory_shape)
        self.built = True

    def call(self, target, memory=None, mask=None, bias=None, training=False):
        x = self._dropout(self._with_position(target, 0), training=training)
        for block in self._blocks:
            x = block(x, memory=memory, mask=mask, bias=bias, training=training)
        return x if self._norm is None else self._norm(x)

    @property
    def settings(self):
        """Its arguments by name."""
        return dict(self._settings)

    def initial_state(self, memory=None, mask=None, max_length=None, batch_size=None):
        """Returns what growing begins with: the memory's keys and values, and empty caches; see `kit.decoding`.

        Args:
            memory, mask: As in a call.
            max_length: Most positions of a sequence.
            batch_size: Number of sequences, where there is no memory.
        """
        fixed, moving = [], []
        for block in self._blocks:
            if block.cross is not None:
                keys, values = block.cross.keys_values(memory)
                fixed.append({"keys": keys, "values": values, **({} if mask is None else {"mask": mask})})
            keys, values = block.own.empty_cache(ops.shape(memory)[0] if batch_size is None else batch_size, max_length)
            moving.append({"keys": keys, "values": values})
        return {"fixed": fixed, "moving": moving}

    def step(self, x, position, state, bias=None):
        """Returns the output of the newest position, the next state, and its weights over the memory, block by block.

        Args:
            x: (batch, dim)
            position: Its place, a scalar or one a row (batch,).
            state: See `initial_state`.
            bias: Added to the scores of self-attention, (batch or 1, heads or 1, 1, max_length); or None.

        Returns:
            (batch, dim), state, and a list of (batch, heads, source), empty without memory.
        """
        x, state, weights = self._grown(x[:, None], position, state, bias)
        return x[:, 0], state, [each[:, :, 0] for each in weights]

    def prefill(self, x, lengths, state, bias=None):
        """Returns the state after the first positions of each row, read all at once: a prompt.

        Args:
            x: (batch, time, dim)
            lengths: How many of them are a row's own, (batch,); the others leave no trace.
            state: What `initial_state` returned.
            bias: Added to the scores of self-attention, (batch or 1, heads or 1, time, max_length); or None.
        """
        return self._grown(x, 0, state, bias, lengths)[1]

    def _grown(self, x, position, state, bias, lengths=None):
        x = self._with_position(x, position)  # (batch, time, dim)
        moving, found = [], []
        fixed = state["fixed"] or [{}] * len(self._blocks)
        for block, own, cache in zip(self._blocks, fixed, state["moving"], strict=True):
            x, cache, weights = block.step(x, position, own, cache, bias, lengths)
            moving.append(cache)
            found += [] if weights is None else [weights]
        x = x if self._norm is None else self._norm(x)
        return x, {"fixed": state["fixed"], "moving": moving}, found

    def _with_position(self, x, start):
        return x if self._position is None else self._position(x, start=start)

    def compute_mask(self, target, previous_mask=None):
        return None

    def compute_output_shape(self, target_shape, memory_shape=None):
        return target_shape

    def get_config(self):
        return {**super().get_config(), **self._settings}
