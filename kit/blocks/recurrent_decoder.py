"""Recurrent decoders of sequence-to-sequence networks, with or without attention (Bahdanau, Luong)."""

import keras
from keras import layers, ops

from kit.blocks.masking import hidden_where_false, softmax
from kit.blocks.recurrent import CELLS
from kit.errors import check

ATTENTIONS = ("none", "additive", "multiplicative")


class _AdditiveCell(layers.Layer):
    """A recurrent cell that looks at the memory with its last state before each step, as Bahdanau et al. do.

    The memory passes through as part of the state: Keras' recurrent layers know no constants.
    """

    def __init__(self, cell, units, **kwargs):
        super().__init__(**kwargs)
        self.cell = cell
        self.units = units
        sizes = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
        self.state_size = [*sizes, None, None, None]  # memory, its keys, its mask

    def build(self, input_shape, memory_dim):
        self.query = layers.Dense(self.units, dtype=self.dtype_policy, name="query")
        self.key = layers.Dense(self.units, use_bias=False, dtype=self.dtype_policy, name="key")
        self.score = layers.Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")
        self.query.build((None, self.units))
        self.key.build((None, None, memory_dim))
        self.score.build((None, None, self.units))
        self.cell.build((None, input_shape[-1] + memory_dim))
        self.output_size = self.units + memory_dim
        self.built = True

    def call(self, inputs, states, training=False):
        *own, memory, keys, bias = states
        output, context, following, _ = self.look_and_step(inputs, own, memory, keys, bias, training)
        return ops.concatenate([output, context], axis=-1), [*following, memory, keys, bias]

    def look_and_step(self, inputs, own, memory, keys, bias, training=False):
        """Returns output (batch, units), context (batch, memory_dim), new states, and weights (batch, source)."""
        scores = self.score(ops.tanh(self.query(own[0])[:, None] + keys))[..., 0] + bias  # (batch, source)
        weights = softmax(scores)
        context = ops.matmul(weights[:, None], memory)[:, 0]
        output, following = self.cell(ops.concatenate([inputs, context], axis=-1), own, training=training)
        return output, context, following if isinstance(following, list | tuple) else [following], weights


@keras.saving.register_keras_serializable("kit")
class RecurrentDecoder(layers.Layer):
    """Recurrent layers that begin with what an encoder has understood, for a whole sequence or step by step.

    Without attention: Sutskever et al., "Sequence to Sequence Learning with Neural Networks", 2014. "additive":
    Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate", 2014; the first layer
    looks at the memory before each step. "multiplicative": Luong et al., "Effective Approaches to Attention-based
    Neural Machine Translation", 2015 (global attention, "general" score, no input feeding); the output looks at it.

    Args:
        units: Width of each layer.
        cell: A name of `kit.blocks.recurrent.CELLS`.
        depth: Number of layers.
        attention: "none", "additive" or "multiplicative".
        dropout: Share of each layer's output that is dropped while training.

    Shape:
        target: (batch, time, dim)
        memory: (batch, source, memory_dim)
        mask: (batch, source), True at real positions
        summary: (batch, summary_dim), what the states of all layers begin with, each through a dense layer of its own
        out: (batch, time, units)
    """

    def __init__(self, units, *, cell="gru", depth=1, attention="additive", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check(units >= 1, "units", units, "at least 1")
        check(depth >= 1, "depth", depth, "at least 1")
        check(attention in ATTENTIONS, "attention", attention, " or ".join(map(repr, ATTENTIONS)))
        self.units = units
        self.cell = cell
        self.depth = depth
        self.attention = attention
        self.dropout = dropout
        self.max_length = None
        self.supports_masking = True
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._layers_in_time = [
            CELLS[cell](units, return_sequences=True, dtype=self.dtype_policy, name=f"layer{index + 1}")
            for index in range(depth)
        ]
        first = self._layers_in_time[0].cell
        self._num_states = len(first.state_size) if isinstance(first.state_size, list | tuple) else 1
        if attention == "additive":
            looking = _AdditiveCell(first, units, dtype=self.dtype_policy, name="attention")
            self._layers_in_time[0] = layers.RNN(looking, return_sequences=True, dtype=self.dtype_policy, name="layer1")

    def build(self, target_shape, memory_shape, summary_shape):
        memory_dim, width = memory_shape[-1], target_shape[-1]
        for index, layer in enumerate(self._layers_in_time):
            if index == 0 and self.attention == "additive":
                layer.cell.build((None, width), memory_dim)
                layer.built = True
            else:
                layer.build((None, None, width))
            width = self.units
        self._bridges = []
        for index in range(self.depth * self._num_states):
            bridge = layers.Dense(self.units, activation="tanh", dtype=self.dtype_policy, name=f"bridge{index + 1}")
            bridge.build(summary_shape)
            self._bridges.append(bridge)
        if self.attention == "additive":
            self._readout = layers.Dense(self.units, activation="tanh", dtype=self.dtype_policy, name="readout")
            self._readout.build((None, None, self.units + memory_dim + target_shape[-1]))
        elif self.attention == "multiplicative":
            self._key = layers.Dense(self.units, use_bias=False, dtype=self.dtype_policy, name="key")
            self._key.build(memory_shape)
            self._readout = layers.Dense(self.units, activation="tanh", dtype=self.dtype_policy, name="readout")
            self._readout.build((None, None, self.units + memory_dim))
        self.built = True

    def call(self, target, memory, mask, summary, training=False):
        state = self.initial_state(memory, mask, None, summary)
        x, fixed = target, state["fixed"]
        for index, (layer, states) in enumerate(zip(self._layers_in_time, state["moving"], strict=True)):
            if index == 0 and self.attention == "additive":
                both = layer(x, initial_state=[*states, memory, fixed["keys"], fixed["bias"]], training=training)
                x, context = ops.split(both, [self.units], axis=-1)
            else:
                x = layer(x, initial_state=states, training=training)
            x = self._dropout(x, training=training)
        if self.attention == "additive":
            return self._readout(ops.concatenate([x, context, target], axis=-1))
        if self.attention == "multiplicative":
            return self._look(x, fixed)[0]
        return x

    def initial_state(self, memory, mask, max_length, summary):
        """Returns what growing begins with; see `kit.decoding`."""
        started = [bridge(summary) for bridge in self._bridges]
        size = self._num_states
        fixed = {"memory": memory, "bias": hidden_where_false(mask, self.compute_dtype)}
        if self.attention == "additive":
            fixed["keys"] = self._layers_in_time[0].cell.key(memory)
        elif self.attention == "multiplicative":
            fixed["keys"] = self._key(memory)
        return {"fixed": fixed, "moving": [started[at : at + size] for at in range(0, len(started), size)]}

    def step(self, x, position, state):
        """Returns the output of the newest position, the next state, and its weights over the memory.

        Returns:
            (batch, dim), state, and a list of (batch, 1, source), empty without attention.
        """
        target, fixed, moving, weights = x, state["fixed"], [], []
        for index, (layer, states) in enumerate(zip(self._layers_in_time, state["moving"], strict=True)):
            if index == 0 and self.attention == "additive":
                x, context, following, share = layer.cell.look_and_step(
                    x, states, fixed["memory"], fixed["keys"], fixed["bias"]
                )
                weights.append(share[:, None])
            else:
                x, following = layer.cell(x, states)
            moving.append(list(following) if isinstance(following, list | tuple) else [following])
        if self.attention == "additive":
            x = self._readout(ops.concatenate([x, context, target], axis=-1))
        elif self.attention == "multiplicative":
            x, share = self._look(x[:, None], fixed)
            x, weights = x[:, 0], [share]
        return x, {"fixed": fixed, "moving": moving}, weights

    def _look(self, x, fixed):
        """Returns outputs that have looked at the memory (batch, time, units), and weights (batch, time, source)."""
        scores = ops.matmul(x, ops.swapaxes(fixed["keys"], 1, 2)) + fixed["bias"][:, None]
        weights = softmax(scores)
        return self._readout(ops.concatenate([x, ops.matmul(weights, fixed["memory"])], axis=-1)), weights

    def compute_mask(self, *inputs):
        return None

    def compute_output_shape(self, target_shape, memory_shape, summary_shape):
        return (*target_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "cell": self.cell,
            "depth": self.depth,
            "attention": self.attention,
            "dropout": self.dropout,
        }
