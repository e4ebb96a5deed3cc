"""Recurrent blocks: one pass over the time, or one in each direction."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("kit")
class PeepholeLSTMCell(layers.Layer):
    """One step of an LSTM whose gates see the cell's content, which Keras lacks; `keras.layers.RNN` runs it over time.

    Gers and Schmidhuber, "Recurrent nets that time and count", 2000; Gers, Schraudolph and Schmidhuber, "Learning
    Precise Timing with LSTM Recurrent Networks", 2002: input and forget gate see the content before the step, the
    output gate sees the one after it, each unit its own.

    Args:
        units: Width of the output and of the cell's content.

    Shape:
        in: (batch, input_dim); state: output (batch, units) and content (batch, units)
        out: (batch, units), and the new state
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 4 * self.units), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, 4 * self.units), "orthogonal", name="recurrent_kernel")
        self.peephole = self.add_weight((3, self.units), "zeros", name="peephole")  # input, forget, output gate
        self.bias = self.add_weight((4 * self.units,), self._open_forget_gate, name="bias")

    def _open_forget_gate(self, shape, dtype=None):
        """Jozefowicz et al., "An Empirical Exploration of Recurrent Network Architectures", 2015."""
        gates = ops.reshape(ops.cast(ops.arange(4) == 1, dtype), (4, 1))
        return ops.reshape(ops.repeat(gates, self.units, axis=1), shape)

    def call(self, inputs, states, training=False):
        output, content = states
        gates = ops.matmul(inputs, self.kernel) + ops.matmul(output, self.recurrent_kernel) + self.bias
        into, forget, candidate, out = ops.split(gates, 4, axis=-1)
        into = ops.sigmoid(into + self.peephole[0] * content)
        forget = ops.sigmoid(forget + self.peephole[1] * content)
        content = forget * content + into * ops.tanh(candidate)
        output = ops.sigmoid(out + self.peephole[2] * content) * ops.tanh(content)
        return output, [output, content]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(2)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _peephole_lstm(units, return_sequences, name, return_state=False, dtype=None):
    cell = PeepholeLSTMCell(units, dtype=dtype)
    return layers.RNN(cell, return_sequences=return_sequences, return_state=return_state, dtype=dtype, name=name)


CELLS = {
    "rnn": layers.SimpleRNN,
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "peephole_lstm": _peephole_lstm,
}


def recurrent(x, mask, units, *, cell="lstm", bidirectional=False, name):
    """Passes a sequence through a recurrent layer; padded positions neither change its state nor are changed by it.

    Args:
        x: Sequence.
        mask: True at real positions.
        units: Width in each direction.
        cell: "rnn" (Elman, 1990), "lstm" (Hochreiter and Schmidhuber, 1997), "gru" (Cho et al., 2014) or
            "peephole_lstm".
        bidirectional: Run a second layer from the end to the start and put both side by side (Schuster and Paliwal,
            1997).
        name: Name of the layer.

    Shape:
        x: (batch, time, dim)
        mask: (batch, time)
        out: (batch, time, units), or twice the units
    """
    if not bidirectional:
        return CELLS[cell](units, return_sequences=True, name=name)(x, mask=mask)
    both = layers.Bidirectional(CELLS[cell](units, return_sequences=True, name=f"{name}_forward"), name=name)
    return both(x, mask=mask)
