"""Deep belief networks: restricted Boltzmann machines on top of each other.

Hinton, Osindero and Teh, "A Fast Learning Algorithm for Deep Belief Nets", 2006.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.boltzmann import RestrictedBoltzmann, pixels_as
from kit.errors import check

VARIANTS = {
    "dbn": {"units": (500, 500, 2000)},
    "dbn_small": {"units": (256, 256)},
}


def dbn(
    input_shape,
    *,
    units: tuple[int, ...] = (500, 500, 2000),
    visible: Literal["bernoulli", "gaussian"] = "bernoulli",
    pretraining_epochs: int = 10,
    pretraining_rate: float | None = None,
    gibbs_steps: int = 1,
    persistent: bool = False,
    dropout: float = 0.0,
    name: str = "dbn",
):
    """Flattens the image and passes it through layers that are trained one by one, without labels, beforehand.

    Args:
        input_shape: Height, width and channels of an image.
        units: Width of each hidden layer.
        visible: What pixels are to the first layer: "bernoulli" takes them for probabilities, as it suits digits and
            drawings; "gaussian" for numbers, which are brought to mean 0 and variance 1, as it suits photographs.
        pretraining_epochs: Passes over the training images for each layer; 0 begins with random weights.
        pretraining_rate: Learning rate of these; by default 0.05, and 0.001 where pixels are numbers.
        gibbs_steps: Steps of the Markov chain in contrastive divergence (the k of CD-k).
        persistent: Let the chain go on from batch to batch (persistent contrastive divergence).
        dropout: Share of each hidden layer's outputs dropped while the whole network is trained.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels), between -1 and 1
        out: (batch, units[-1])

    Raises:
        SettingError: a width is below 1, or a value out of range.
    """
    check(units and min(units) >= 1, "units", units, "widths of at least 1")
    check(pretraining_epochs >= 0, "pretraining_epochs", pretraining_epochs, "at least 0")
    check(pretraining_rate is None or pretraining_rate > 0, "pretraining_rate", pretraining_rate, "above 0")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)  # (batch, height * width * channels)
    x = pixels_as(x, visible)
    for index, width in enumerate(units, 1):
        kind = visible if index == 1 else "bernoulli"
        x = RestrictedBoltzmann(
            width,
            visible=kind,
            epochs=pretraining_epochs,
            learning_rate=pretraining_rate or (0.05 if kind == "bernoulli" else 0.001),
            gibbs_steps=gibbs_steps,
            persistent=persistent,
            name=f"stage{index}",
        )(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"stage{index}_dropout")(x)
    return keras.Model(inputs, x, name=name)
