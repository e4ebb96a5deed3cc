"""Patches: an image as a sequence, or as a coarser map, of vectors."""

import keras
from keras import layers, ops

from kit.blocks.convolution import convolution_norm
from kit.blocks.inverted_residual import inverted_residual
from kit.errors import check


def patch_embedding(x, dim, patch_size, *, name):
    """Cuts an image into square patches and maps each to a vector.

    Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021. A border that is no whole patch is left out.

    Args:
        x: Image or feature map.
        dim: Width of the vectors.
        patch_size: Side of a patch, in pixels.
        name: Name of the layer.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height // patch_size, width // patch_size, dim)
    """
    return layers.Conv2D(dim, patch_size, strides=patch_size, padding="valid", name=name)(x)


def convolution_embedding(x, dim, patch_size, *, kernel_sizes=(), name):
    """Halves an image by convolutions until each vector stands for a patch, and knows what lies around it.

    Xiao et al., "Early Convolutions Help Transformers See Better", 2021: four convolutions, as many at each resolution,
    and another of single pixels. The channels double from one resolution to the next, up to `dim`.

    Args:
        x: Image or feature map.
        dim: Width of the vectors.
        patch_size: How many times smaller than the image the map becomes, a power of 2.
        kernel_sizes: Sides of kernels that share the channels of inverted residuals, in pixels, in place of plain 3x3
            convolutions (MixNet).
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / patch_size), ceil(width / patch_size), dim)

    Raises:
        SettingError: `patch_size` is no power of 2.
    """
    check(patch_size & (patch_size - 1) == 0, "patch_size", patch_size, "a power of 2 with convolutions in front")
    strides = [2] * (patch_size.bit_length() - 1) or [1]
    filters = max(1, dim // 2 ** (len(strides) - 1))
    for resolution, stride in enumerate(strides, 1):
        for index in range(1, max(1, 4 // len(strides)) + 1):
            step, place = (stride if index == 1 else 1), f"{name}{resolution}_{index}"
            if kernel_sizes and (resolution, index) != (1, 1):
                same = {"expansion": 3, "squeeze": 0.25, "activation": "silu"}
                x = inverted_residual(x, filters, kernel_sizes=kernel_sizes, stride=step, **same, name=place)
            else:
                x = convolution_norm(x, filters, stride=step, padding="same", activation="relu", name=place)
        filters *= 2
    return layers.Conv2D(dim, 1, name=name)(x)


def patch_merging(x, dim, *, epsilon=1e-5, name):
    """Joins four neighbours to one vector: half the resolution.

    Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021. An odd border is padded
    with zeros.

    Args:
        x: Feature map.
        dim: Width of the new vectors.
        epsilon: Small number in the normalisation.
        name: Prefix of the layers' names.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / 2), ceil(width / 2), dim)
    """
    height, width, channels = x.shape[1:]
    x = ops.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    x = ops.reshape(x, (-1, rows, 2, columns, 2, channels))
    x = ops.transpose(x, (0, 1, 3, 4, 2, 5))  # (batch, rows, columns, 2 (columns), 2 (rows), channels)
    x = ops.reshape(x, (-1, rows, columns, 4 * channels))
    x = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm")(x)
    return layers.Dense(dim, use_bias=False, name=name)(x)


@keras.saving.register_keras_serializable("kit")
class ClassToken(layers.Layer):
    """Puts a learned vector in front of a sequence, which gathers what the whole shows.

    Devlin et al., "BERT", 2019; Dosovitskiy et al., 2021.

    Shape:
        in: (batch, time, dim)
        out: (batch, time + 1, dim)
    """

    def build(self, input_shape):
        self.token = self.add_weight((1, 1, input_shape[-1]), initializer="zeros", name="token")
        self.built = True

    def call(self, inputs):
        token = ops.cast(self.token, inputs.dtype)
        return ops.concatenate([ops.repeat(token, ops.shape(inputs)[0], axis=0), inputs], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], None if input_shape[1] is None else input_shape[1] + 1, input_shape[2])
