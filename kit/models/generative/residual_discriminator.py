"""A discriminator of residual blocks.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 4.1 and appendix B.
"""

import math

import keras
from keras import layers

from kit.blocks import heads
from kit.blocks.style import BatchDeviation
from kit.blocks.upsampling import halving


def residual_discriminator(num_conditions, image_shape, widths, *, name):
    """Builds a residual discriminator, whose sizes of maps are the generator's, back to front.

    It needs no normalisation under a penalty on its gradients (R1), and sees how much the images of a batch differ.

    Args:
        num_conditions: Number of classes that images are made for; 0 looks at images alone.
        image_shape: Height, width and channels of an image.
        widths: Channels of the feature maps, the last one's first, as a generator has them.
        name: Name of the model.

    Returns:
        Model from images and, with classes, (batch,) to (batch, 1), the logit of being real.
    """
    image = keras.Input(image_shape, name="image")
    *others, filters = widths
    x = layers.LeakyReLU(0.2, name="stage1")(halving(image, filters, use_bias=True, name="stage1_conv"))
    for index, filters in enumerate(reversed(others), 2):
        prefix = f"stage{index}"
        y = layers.Conv2D(x.shape[-1], 3, padding="same", name=f"{prefix}_conv")(x)
        y = layers.LeakyReLU(0.2, name=f"{prefix}_relu")(y)
        y = layers.Conv2D(filters, 4, strides=2, padding="same", name=f"{prefix}_halving")(y)
        y = layers.LeakyReLU(0.2, name=f"{prefix}_halved")(y)
        x = layers.AveragePooling2D(2, name=f"{prefix}_pool")(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"{prefix}_shortcut")(x)
        x = layers.Add(name=f"{prefix}_add")([x, y])
        x = layers.Rescaling(math.sqrt(0.5), name=prefix)(x)  # as much variance as each of the two had
    x = BatchDeviation(name="deviation")(x)
    x = layers.LeakyReLU(0.2, name="last")(layers.Conv2D(filters, 3, padding="same", name="last_conv")(x))
    x = layers.Dense(filters, name="dense")(layers.Flatten(name="flatten")(x))
    x = layers.LeakyReLU(0.2, name="dense_relu")(x)
    inputs, x = heads.realness(image, x, num_conditions)
    return keras.Model(inputs, x, name=name)
