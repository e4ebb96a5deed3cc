"""Recurrent layers on top of each other, for a whole sequence or step by step."""

import keras
from keras import layers, ops

from kit.blocks.recurrent import CELLS
from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class RecurrentStack(layers.Layer):
    """Recurrent layers on top of each other, each as wide as what comes in; it writes as a `TransformerDecoder` does.

    Args:
        depth: Number of layers.
        cell: "rnn", "gru" or "lstm", of `kit.blocks.recurrent.CELLS`.
        dropout: Share of what goes into each layer, and of the last one's output, that is dropped in training.
        state_dropout: Share of the state that is dropped in each step of training, the same units in all steps (Gal and
            Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016).

    Shape:
        in, out: (batch, time, dim)

    Raises:
        SettingError: a number is out of range.
    """

    max_length = None  # any number of positions

    def __init__(self, depth, *, cell="gru", dropout=0.0, state_dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check(depth >= 1, "depth", depth, "at least 1")
        check(0 <= state_dropout < 1, "state_dropout", state_dropout, "a number from 0 to below 1")
        self._settings = {"depth": depth, "cell": cell, "dropout": dropout, "state_dropout": state_dropout}
        self._dropouts = [
            layers.Dropout(dropout, dtype=self.dtype_policy, name=f"dropout{index}") for index in range(depth + 1)
        ]

    def build(self, input_shape):
        self._stack = []
        for index in range(self._settings["depth"]):
            layer = CELLS[self._settings["cell"]](
                input_shape[-1],
                return_sequences=True,
                return_state=True,
                recurrent_dropout=self._settings["state_dropout"],
                dtype=self.dtype_policy,
                name=f"layer{index + 1}",
            )
            layer.build((None, None, input_shape[-1]))
            self._stack.append(layer)
        self.built = True

    def call(self, x, training=False):
        for layer, drop in zip(self._stack, self._dropouts[:-1], strict=True):
            x = layer(drop(x, training=training), training=training)[0]
        return self._dropouts[-1](x, training=training)

    def initial_state(self, max_length=None, batch_size=None):
        """Returns the states of all layers before the first position; see `kit.decoding`."""
        states = [layer.cell.get_initial_state(batch_size) for layer in self._stack]
        return {"fixed": [], "moving": [each if isinstance(each, list | tuple) else [each] for each in states]}

    def step(self, x, position, state):
        """Returns the output of the newest position (batch, dim), the next state, and no weights.

        Args:
            x: (batch, dim)
            position: Its place, which does not matter here.
            state: See `initial_state`.
        """
        moving = []
        for layer, own in zip(self._stack, state["moving"], strict=True):
            x, following = layer.cell(x, own)
            moving.append(list(following) if isinstance(following, list | tuple) else [following])
        return x, {"fixed": state["fixed"], "moving": moving}, []

    def prefill(self, x, lengths, state):
        """Returns the state after the first `lengths` (batch,) positions of each row of x (batch, time, dim)."""
        is_read, moving = ops.arange(ops.shape(x)[1], dtype="int32") < lengths[:, None], []
        for layer, own in zip(self._stack, state["moving"], strict=True):
            x, *following = layer(x, initial_state=own, mask=is_read)
            moving.append(following)
        return {"fixed": state["fixed"], "moving": moving}

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self._settings}
