"""Swin Transformer: attention inside windows, which are shifted from block to block.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021: section 3.3.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.patch import convolution_embedding, patch_embedding, patch_merging
from kit.blocks.stages import named_blocks
from kit.blocks.window_attention import swin_block
from kit.errors import check

VARIANTS = {
    "swin": {},
    "swin_tiny": {"dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24), "stochastic_depth": 0.2},
    "swin_small": {"dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24), "stochastic_depth": 0.3},
    "swin_base": {"dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32), "stochastic_depth": 0.5},
    # For images of 28 to 64 pixels.
    "swin_small_image": {
        **{"dim": 48, "depths": (2, 2), "num_heads": (3, 6), "feedforward_ratio": 2, "stem": "convolution"},
        **{"patch_size": 2, "window_size": 7, "stochastic_depth": 0.1},
    },
}


def swin(
    input_shape,
    *,
    dim: int = 96,
    depths: tuple[int, ...] = (2, 2, 6, 2),
    num_heads: tuple[int, ...] = (3, 6, 12, 24),
    patch_size: int = 4,
    stem: Literal["patch", "convolution"] = "patch",
    window_size: int = 7,
    feedforward_ratio: int = 4,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    name: str = "swin",
):
    """Stages of attention inside windows, each after the first at half the resolution and twice as wide.

    Args:
        input_shape: Height, width and channels of an image.
        dim: Width of the first stage.
        depths: Number of blocks in each stage; every second one has shifted windows.
        num_heads: Number of attention heads in each stage.
        patch_size: Side of the patches that the image is cut into, in pixels; with convolutions, how many times smaller
            their map is than the image.
        stem: "patch" (each patch on its own) or "convolution".
        window_size: Side of a window, in patches.
        feedforward_ratio: Width between the two dense layers of a block as a multiple of the stage's.
        dropout: Share of attention weights and of what a block adds that is dropped while training.
        stochastic_depth: Probability of dropping the last block; earlier blocks are dropped linearly less.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / s, width / s, dim * 2 ** (stages - 1)), s being patch_size * 2 ** (stages - 1)

    Raises:
        SettingError: a number is out of range, or the image is smaller than a patch.
    """
    sizes = {"dim": dim, "patch_size": patch_size, "window_size": window_size, "feedforward_ratio": feedforward_ratio}
    for key, value in sizes.items():
        check(value >= 1, key, value, "at least 1")
    check(len(depths) and min(depths) >= 1, "depths", depths, "depths of at least 1")
    check(len(num_heads) == len(depths) and min(num_heads) >= 1, "num_heads", num_heads, f"{len(depths)} numbers")
    for index, heads in enumerate(num_heads):
        check(dim * 2**index % heads == 0, "num_heads", num_heads, f"divisors of the widths {dim} * 2 ** stage")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    check(0 <= stochastic_depth < 1, "stochastic_depth", stochastic_depth, "a number from 0 to below 1")
    size = tuple(input_shape[:2])
    check(min(size) >= patch_size, "data.image_size", size, f"at least {patch_size}x{patch_size} pixels")
    inputs = keras.Input(input_shape, name="image")
    embedding = patch_embedding if stem == "patch" else convolution_embedding
    x = embedding(inputs, dim, patch_size, name="stem_patches")
    x = layers.LayerNormalization(epsilon=1e-5, name="stem_norm")(x)
    for position, (stage, index, layer) in enumerate(named_blocks(depths)):
        if stage > 1 and index == 1:
            x = patch_merging(x, 2 * x.shape[-1], name=f"merging{stage - 1}")
        x = swin_block(
            x,
            num_heads=num_heads[stage - 1],
            window_size=window_size,
            shift=0 if index % 2 else window_size // 2,
            feedforward_ratio=feedforward_ratio,
            dropout=dropout,
            drop_rate=stochastic_depth * position / max(sum(depths) - 1, 1),
            name=layer,
        )
    x = layers.LayerNormalization(epsilon=1e-5, name="final_norm")(x)
    return keras.Model(inputs, x, name=name)
