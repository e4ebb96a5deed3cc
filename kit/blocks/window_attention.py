"""Window attention (Swin): attention inside windows of a feature map, at a cost that grows with the area alone.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.position import whole
from kit.blocks.residual_half import named_half
from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class WindowAttention(Attention):
    """Self-attention inside square windows, with a learned bias for each relative position.

    With a shift the windows lie across the borders of those without: the map is rolled, and positions that come to lie
    beside each other by that alone do not look at each other. A map that no whole number of windows covers is padded
    with zeros; one that is not larger than a window is one window, never shifted.

    Args:
        num_heads: Number of heads; divides the width.
        window_size: Side of a window, in positions.
        shift: By how many positions the windows are shifted, less than `window_size`.
        dropout: Share of the attention weights that is dropped while training.

    Shape:
        in, out: (batch, height, width, dim)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, num_heads, window_size, shift=0, dropout=0.0, **kwargs):
        super().__init__(num_heads, dropout=dropout, **kwargs)
        check(window_size >= 1, "window_size", window_size, "at least 1")
        check(0 <= shift < window_size, "shift", shift, f"from 0 to below {window_size}")
        self.window_size = window_size
        self.shift = shift

    def build(self, input_shape):
        height, width, dim = input_shape[1:]
        super().build((None, None, dim))
        side = self._side = min(self.window_size, max(height, width))
        self._shift = self.shift if max(height, width) > side else 0
        self._padding = (-height % side, -width % side)
        self._windows = ((height + self._padding[0]) // side, (width + self._padding[1]) // side)
        self.bias_table = self.add_weight(
            ((2 * side - 1) ** 2, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="relative_position_bias",
        )
        place = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
        away = place[:, None] - place[None] + side - 1  # (positions, positions, 2)
        self._relative = (away[..., 0] * (2 * side - 1) + away[..., 1]).reshape(-1)
        self._hidden = self._hidden_across_borders(height, width) if self._shift or any(self._padding) else None
        self.built = True

    def _hidden_across_borders(self, height, width):
        """Returns what is added to the scores of each window, (windows, 1, positions, positions): low where apart."""
        region = np.zeros((height + self._padding[0], width + self._padding[1]), "int32")
        region[height:], region[:, width:] = -1, -1  # what was padded is apart from all
        rolled = np.roll(region, (-self._shift, -self._shift), (0, 1))
        if self._shift:
            # What came around a border is apart from what was there.
            rolled[-self._shift :] += 2 * (rolled[-self._shift :] >= 0)
            rolled[:, -self._shift :] += 4 * (rolled[:, -self._shift :] >= 0)
        (rows, columns), side = self._windows, self._side
        windows = rolled.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side * side)
        apart = windows[:, :, None] != windows[:, None, :]
        return np.where(apart, -1e4, 0.0).astype("float32")[:, None]

    def call(self, inputs, training=False):
        height, width, dim = inputs.shape[1:]
        (rows, columns), side = self._windows, self._side
        (below, right), shift = self._padding, self._shift
        x = ops.pad(inputs, ((0, 0), (0, below), (0, right), (0, 0))) if below or right else inputs
        x = _rolled(x, shift) if shift else x
        x = ops.reshape(x, (-1, rows, side, columns, side, dim))
        x = ops.reshape(
            ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, dim)
        )  # (batch * windows, positions, dim)
        keys, values = self.keys_values(x)
        bias = ops.take(whole(self.bias_table), self._relative, axis=0)
        bias = ops.transpose(ops.reshape(bias, (side * side, side * side, self.num_heads)), (2, 0, 1))[None]
        bias = ops.cast(bias, self.compute_dtype)  # (1, heads, positions, positions)
        if self._hidden is not None:
            hidden = ops.cast(ops.convert_to_tensor(self._hidden), self.compute_dtype)
            bias = ops.tile(bias + hidden, (ops.shape(inputs)[0], 1, 1, 1))  # (batch * windows, heads, ...)
        x = self._mixed(self._weights(self._queries(x), keys, bias), values, training)
        x = ops.reshape(x, (-1, rows, columns, side, side, dim))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows * side, columns * side, dim))
        x = _rolled(x, -shift) if shift else x
        return x[:, :height, :width] if below or right else x

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def get_config(self):
        return {
            **layers.Layer.get_config(self),
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "shift": self.shift,
            "dropout": self.dropout,
        }


def _rolled(x, shift):
    """Returns a map whose first rows and columns have come to its end; `ops.roll` would not run in LiteRT."""
    for axis in (1, 2):
        parts = ops.split(x, [shift % x.shape[axis]], axis=axis)
        x = ops.concatenate(parts[::-1], axis=axis)
    return x


def swin_block(
    x, *, num_heads, window_size, shift=0, feedforward_ratio=4, dropout=0.0, drop_rate=0.0, epsilon=1e-5, name
):
    """Attention inside windows, then two dense layers, each normalised in front and around a residual connection.

    Args:
        x: Feature map.
        num_heads: Number of attention heads; divides the channels.
        window_size: Side of a window, in positions.
        shift: By how many positions the windows are shifted: 0 and half a window in turn.
        feedforward_ratio: Width between the two dense layers as a multiple of the channels.
        dropout: Share of the attention weights, and of what each half adds, that is dropped while training.
        drop_rate: Probability of dropping what each half adds (stochastic depth).
        epsilon: Small number in the normalisations.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in, out: (batch, height, width, channels)
    """
    attend = WindowAttention(num_heads, window_size, shift, dropout, name=f"{name}_attention")
    feed = FeedForward(feedforward_ratio * x.shape[-1], activation="gelu", name=f"{name}_feedforward")
    half = functools.partial(
        named_half, normalization=normalization("layer", epsilon), dropout=dropout, drop_rate=drop_rate
    )
    x = half(x, attend, name=f"{name}_attention", sum_name=f"{name}_attention_add")
    return half(x, feed, name=f"{name}_feedforward", sum_name=name)
