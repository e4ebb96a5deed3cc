"""Class conditioning of a generator: a class embedding beside the latent vector.

Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014.
"""

import keras
from keras import layers


def latent_inputs(latent_dim, num_classes, *, name="latent"):
    """Returns the input of a generator, or its two inputs, and the vector that it makes an image of.

    With classes, each has an embedding as wide as the latent vector, which is put behind it.

    Args:
        latent_dim: Width of the latent vector.
        num_classes: Number of classes; 0 is an input without.
        name: Name of the latent input.

    Shape:
        input: (batch, latent_dim); with classes a second one, (batch,)
        vector: (batch, latent_dim) or (batch, 2 * latent_dim)
    """
    latent = keras.Input((latent_dim,), name=name)
    if not num_classes:
        return latent, latent
    label = keras.Input((), dtype="int32", name="label")
    embedded = layers.Embedding(num_classes, latent_dim, name="label_embedding")(label)
    return [latent, label], layers.Concatenate(name="condition")([latent, embedded])
