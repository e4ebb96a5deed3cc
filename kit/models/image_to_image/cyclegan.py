"""CycleGAN: a residual generator from image to image, and a PatchGAN discriminator.

Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017.
"""

import keras
from keras import layers
from keras.config import floatx

from kit.blocks.instance_norm import instance_norm, mirrored_convolution, mirrored_residual
from kit.blocks.upsampling import initializer, upsampling
from kit.errors import check

VARIANTS = {
    # Section 7.2, for images of 256x256 pixels; the discriminator's patches are 70x70.
    "cyclegan": {},
    # The same with less of everything, for images of 8 to 32 pixels.
    "cyclegan_small": {
        "widths": (32, 64),
        "residual_blocks": 2,
        "kernel_size": 3,
        "discriminator_widths": (32, 64),
    },
}


def cyclegan(
    direction,
    image_shape,
    *,
    widths: tuple[int, ...] = (64, 128, 256),
    residual_blocks: int = 9,
    kernel_size: int = 7,
    discriminator_widths: tuple[int, ...] = (64, 128, 256, 512),
    name: str = "cyclegan",
):
    """Builds a generator with residual blocks in its middle, and a discriminator of patches (PatchGAN).

    Args:
        direction: Name of the generator, such as `a_to_b`.
        image_shape: Height, width and channels of an image.
        widths: Channels of the generator's maps; each is half as large as the one before, the first as the image.
        residual_blocks: Residual blocks on the smallest map.
        kernel_size: Side of the generator's first and last kernel, in pixels; odd.
        discriminator_widths: Channels of the discriminator's maps; each but the last is half as large as the one
            before.
        name: Prefix of the discriminator's name.

    Returns:
        Generator, from images to images; discriminator, from images to (batch, rows, columns, 1), the logit of being
        real of each of many patches that overlap.

    Raises:
        SettingError: widths below 1, sides that cannot be halved so often, or images too small.
    """
    height, width = image_shape[:2]
    side, factor = min(height, width), 2 ** (len(widths) - 1)
    check(widths and min(widths) >= 1, "widths", widths, "channels of at least 1")
    check(
        height % factor == 0 and width % factor == 0,
        "widths",
        widths,
        f"fewer, or images whose sides are multiples of {factor}: these are {height}x{width}",
    )
    check(residual_blocks >= 0, "residual_blocks", residual_blocks, "at least 0")
    least = 2 * factor if residual_blocks else factor
    check(side >= least, "widths", widths, f"fewer, or sides of at least {least}: these are {height}x{width}")
    check(kernel_size >= 1 and kernel_size % 2 == 1, "kernel_size", kernel_size, "an odd number")
    check(kernel_size < 2 * side, "kernel_size", kernel_size, f"less than twice the images' side, {side}")
    check(
        discriminator_widths and min(discriminator_widths) >= 1,
        "discriminator_widths",
        discriminator_widths,
        "channels of at least 1",
    )
    last = side // 2 ** (len(discriminator_widths) - 1)
    check(
        last >= 3,
        "discriminator_widths",
        discriminator_widths,
        f"fewer, or larger images: of {height}x{width} nothing is left to judge",
    )
    return _generator(direction, image_shape, widths, residual_blocks, kernel_size), _discriminator(
        f"{name}_discriminator_{direction}", image_shape, discriminator_widths
    )


def _generator(name, image_shape, widths, residual_blocks, kernel_size):
    image = keras.Input(image_shape, name="image")
    x = _norm_relu(mirrored_convolution(image, widths[0], kernel_size, name="stage1_conv"), "stage1")
    for index, filters in enumerate(widths[1:], 2):
        x = _norm_relu(_down(x, filters, 3, 2, False, f"stage{index}_conv"), f"stage{index}")
    for index in range(1, residual_blocks + 1):
        x = mirrored_residual(x, name=f"residual{index}")
    for index, filters in enumerate(reversed(widths[:-1]), len(widths) + 1):
        x = _norm_relu(upsampling(x, filters, 3, name=f"stage{index}_upsampling"), f"stage{index}")
    x = mirrored_convolution(x, image_shape[-1], kernel_size, use_bias=True, dtype=floatx(), name="pixels")
    return keras.Model(image, layers.Activation("tanh", dtype=floatx(), name="translated")(x), name=name)


def _discriminator(name, image_shape, widths):
    image = keras.Input(image_shape, name="image")
    x = image
    for index, filters in enumerate(widths, 1):
        stride = 2 if index < len(widths) else 1
        x = _down(x, filters, 4, stride, index == 1, f"stage{index}_conv")
        x = instance_norm(x, name=f"stage{index}_norm") if index > 1 else x
        x = layers.LeakyReLU(0.2, name=f"stage{index}")(x)
    x = _down(x, 1, 4, 1, True, "realness_conv")
    return keras.Model(image, layers.Identity(dtype=floatx(), name="realness")(x), name=name)


def _down(x, filters, kernel_size, stride, use_bias, name):
    """Returns a convolution of a map with a row of zeros on each side."""
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    arguments = {"use_bias": use_bias, "kernel_initializer": initializer(), "name": name}
    return layers.Conv2D(filters, kernel_size, strides=stride, **arguments)(x)


def _norm_relu(x, name):
    return layers.ReLU(name=name)(instance_norm(x, name=f"{name}_norm"))
