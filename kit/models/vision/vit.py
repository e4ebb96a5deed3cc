"""Vision Transformer: an image as a sequence of patches.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", 2021: table 1; the
smaller sizes: Touvron et al., "Training data-efficient image transformers", 2021. Convolutions in front of attention:
Xiao et al., "Early Convolutions Help Transformers See Better", 2021, also with kernels of several sizes as in MixNet.
"""

import functools
from typing import Literal

import keras
from keras import layers

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.patch import ClassToken, convolution_embedding, patch_embedding
from kit.blocks.position import LearnedPosition
from kit.blocks.transformer import encoder_block
from kit.errors import check

_TI, _S, _B = (
    {"dim": dim, "depth": 12, "num_heads": heads, "feedforward_dim": 4 * dim}
    for dim, heads in ((192, 3), (384, 6), (768, 12))
)
_SMALL = {"patch_size": 4, "pooling": "average", "stochastic_depth": 0.1}

VARIANTS = {
    **{
        f"vit_{name}_{patch}": {**size, "patch_size": patch}
        for name, size in (("tiny", _TI), ("small", _S), ("base", _B))
        for patch in (16, 32)
    },
    "vit": {},
    # For images of 28 to 64 pixels.
    "vit_small_image": {"dim": 128, "depth": 4, "num_heads": 4, "feedforward_dim": 256, **_SMALL},
    "vitc_small_image": {
        "dim": 96,
        "depth": 2,
        "num_heads": 3,
        "feedforward_dim": 192,
        "stem": "convolution",
        **_SMALL,
    },
    "mixvit": {"dim": 64, "depth": 2, "num_heads": 2, "feedforward_dim": 128, "stem": "mixed", **_SMALL},
}


def vit(
    input_shape,
    *,
    patch_size: int = 16,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    feedforward_dim: int = 3072,
    stem: Literal["patch", "convolution", "mixed"] = "patch",
    pooling: Literal["class_token", "average"] = "class_token",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    layer_scale: float = 0.0,
    epsilon: float = 1e-6,
    name: str = "vit",
):
    """Maps patches to vectors and passes them through blocks of self-attention.

    Args:
        input_shape: Height, width and channels of an image.
        patch_size: Side of a patch, in pixels; with convolutions, how many times smaller their map is than the image.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each.
        feedforward_dim: Width between the two dense layers of a block.
        stem: "patch" (each patch on its own), "convolution" or "mixed" (convolutions of several kernel sizes).
        pooling: "class_token" or "average": what becomes of the sequence.
        dropout: Share of attention weights and of what a block adds that is dropped while training.
        stochastic_depth: Probability of dropping the last block; earlier blocks are dropped linearly less.
        layer_scale: What the blocks add is multiplied by learned factors that begin at this; 0 is off.
        epsilon: Small number in the normalisations.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, dim)

    Raises:
        SettingError: a number is out of range, or the image is smaller than a patch.
    """
    sizes = {"patch_size": patch_size, "dim": dim, "depth": depth, "feedforward_dim": feedforward_dim}
    for key, value in sizes.items():
        check(value >= 1, key, value, "at least 1")
    check(num_heads >= 1 and dim % num_heads == 0, "num_heads", num_heads, f"a divisor of the width ({dim})")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    check(0 <= stochastic_depth < 1, "stochastic_depth", stochastic_depth, "a number from 0 to below 1")
    check(layer_scale >= 0, "layer_scale", layer_scale, "at least 0")
    size = tuple(input_shape[:2])
    check(min(size) >= patch_size, "data.image_size", size, f"at least {patch_size}x{patch_size} pixels")
    inputs = keras.Input(input_shape, name="image")
    if stem == "patch":
        x = patch_embedding(inputs, dim, patch_size, name="stem_patches")
    else:
        kernels = (3, 5, 7) if stem == "mixed" else ()
        x = convolution_embedding(inputs, dim, patch_size, kernel_sizes=kernels, name="stem_patches")
    x = layers.Reshape((-1, dim), name="stem_sequence")(x)  # (batch, patches, dim)
    if pooling == "class_token":
        x = ClassToken(name="stem_class_token")(x)
    x = LearnedPosition(x.shape[1], name="stem_position")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x)
    norm_of = normalization("layer", epsilon)
    for index in range(depth):
        x = encoder_block(
            x,
            attention=functools.partial(Attention, num_heads, dropout=dropout),
            feedforward=functools.partial(FeedForward, feedforward_dim, activation="gelu"),
            normalization=norm_of,
            dropout=dropout,
            drop_rate=stochastic_depth * index / max(depth - 1, 1),
            layer_scale=layer_scale,
            name=f"block{index + 1}",
        )
    x = norm_of(name="stage1")(x)
    x = x[:, 0] if pooling == "class_token" else layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, x, name=name)
