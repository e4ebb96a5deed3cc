"""A small generator of styles: a mapping network, from a latent vector to a style, and a synthesis network of images.

Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, with the
modulated convolutions, summed images and residual discriminator of Karras et al., "Analyzing and Improving the Image
Quality of StyleGAN", 2020. For the sake of speed the largest feature map is half as large as the image, whose pixels
are painted from there, as in DCGAN, and maps are doubled by transposed convolutions with even kernels, without a blur.
"""

import keras
from keras import layers, ops
from keras.config import floatx

from kit.blocks.conditioning import latent_inputs
from kit.blocks.style import EqualizedDense, LearnedMap, Modulation, Rolled, StyleMixing, Truncation, styled
from kit.blocks.upsampling import upsampling
from kit.errors import check
from kit.models.generative.residual_discriminator import residual_discriminator

VARIANTS = {"stylegan": {}}


def stylegan(
    latent_dim,
    num_conditions,
    image_shape,
    *,
    widths: tuple[int, ...] = (64, 32),
    style_dim: int = 64,
    mapping_layers: int = 3,
    mapping_rate: float = 0.1,
    mixing: float = 0.5,
    name: str = "stylegan",
):
    """Builds a generator of styles and a residual discriminator.

    The generator's layers `mapping` and `synthesis` are models of their own: from latent vectors to styles, and from
    styles (batch, layers, style_dim) to images.

    Args:
        latent_dim: Width of the latent vector.
        num_conditions: Number of classes that images are made for; 0 makes them without.
        image_shape: Height, width and channels of an image.
        widths: Channels of the generator's feature maps; each is half as large as the next, the last as the image.
        style_dim: Width of a style, and of the mapping network.
        mapping_layers: Number of the mapping network's layers.
        mapping_rate: Multiplier of the learning rate for the mapping network.
        mixing: Share of the images that are made of two styles while training.
        name: Prefix of the networks' names.

    Returns:
        Generator, from (batch, latent_dim) and, with classes, (batch,) to images; discriminator, from images and,
        with classes, (batch,) to (batch, 1), the logit of being real.

    Raises:
        SettingError: numbers out of range, or sides that cannot be halved so often.
    """
    height, width, _ = image_shape
    factor = 2 ** len(widths)
    check(widths and min(widths) >= 1, "widths", widths, "channels of at least 1")
    check(
        height % factor == 0 and width % factor == 0,
        "widths",
        widths,
        f"fewer, or images whose sides are multiples of {factor}: these are {height}x{width}",
    )
    check(style_dim >= 1, "style_dim", style_dim, "at least 1")
    check(mapping_layers >= 1, "mapping_layers", mapping_layers, "at least 1")
    check(mapping_rate > 0, "mapping_rate", mapping_rate, "above 0")
    check(0 <= mixing <= 1, "mixing", mixing, "a number from 0 to 1")
    mapping = _mapping(latent_dim, num_conditions, style_dim, mapping_layers, mapping_rate)
    inputs = [keras.Input(each.shape[1:], dtype=each.dtype, name=each.name) for each in mapping.inputs]
    latent, *label = inputs
    style = mapping(inputs if label else latent)
    # A second style is of the same class as the first.
    second = mapping([Rolled(name="others")(latent), *label]) if label else Rolled(name="others")(style)
    style = Truncation(name="truncation")(style)
    styles = StyleMixing(2 * len(widths), mixing, name="mixing")([style, second])
    image = _synthesis(image_shape, widths, style_dim)(styles)
    generator = keras.Model(inputs if label else latent, image, name=f"{name}_generator")
    return generator, residual_discriminator(num_conditions, image_shape, widths, name=f"{name}_discriminator")


def _mapping(latent_dim, num_conditions, style_dim, num_layers, rate):
    """Returns the model from a latent vector and, with classes, a label to a style."""
    inputs, x = latent_inputs(latent_dim, num_conditions)
    # A vector's length says nothing, and a label's weighs as much as a latent's.
    x = layers.Reshape((-1, latent_dim), name="vectors")(x)
    x = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-8)
    x = layers.Flatten(name="vector")(x)
    for index in range(1, num_layers + 1):
        x = EqualizedDense(style_dim, rate, name=f"mapping{index}")(x)
    return keras.Model(inputs, x, name="mapping")


def _synthesis(image_shape, widths, style_dim):
    """Returns the model from styles to an image: each size of map adds its share to the enlarged one of the last."""
    height, width, channels = image_shape
    factor = 2 ** len(widths)
    styles = keras.Input((2 * len(widths), style_dim), name="styles")
    each = ops.unstack(styles, axis=1)  # (batch, style_dim) each
    x = LearnedMap(height // factor, width // factor, widths[0], name="begin")(styles)
    x, image = styled(x, each[0], widths[0], name="stage1"), None
    for index, filters in enumerate(widths, 1):
        if index > 1:
            x = styled(x, each[2 * index - 3], filters, upsample=True, name=f"stage{index}_upsampling")
            x = styled(x, each[2 * index - 2], filters, name=f"stage{index}")
        share = Modulation(name=f"stage{index}_modulation")([x, each[2 * index - 1]])
        share = upsampling(share, channels, name=f"stage{index}_pixels")
        if image is not None:
            image = layers.UpSampling2D(interpolation="bilinear", name=f"stage{index}_enlarged")(image)
            share = layers.Add(name=f"stage{index}_image")([image, share])
        image = share
    image = layers.Activation("tanh", dtype=floatx(), name="image")(image)
    return keras.Model(styles, image, name="synthesis")
