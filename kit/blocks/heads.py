"""Heads: what turns a backbone's features into the answer of a task."""

import keras
from keras import layers
from keras.config import floatx

from kit.blocks.convolution import convolution_norm
from kit.blocks.upsampling import initializer


def classification(x, num_classes, *, pooling="average", dropout=0.0, name="logits"):
    """Pools a feature map to a vector and maps it to one logit a class.

    Logits are float32 under every dtype policy: a softmax over few bits loses small probabilities.

    Args:
        x: Features: a map, or a vector that needs no pooling.
        num_classes: Number of classes.
        pooling: "average", "max" or "flatten".
        dropout: Share of the features dropped while training.
        name: Name of the last layer.

    Shape:
        in: (batch, height, width, channels) or (batch, channels)
        out: (batch, num_classes)
    """
    if len(x.shape) == 4:
        pool = {
            "average": layers.GlobalAveragePooling2D,
            "max": layers.GlobalMaxPooling2D,
            "flatten": layers.Flatten,
        }
        x = pool[pooling](name="pool")(x)  # (batch, channels)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(num_classes, dtype=floatx(), name=name)(x)


def auxiliary(x, num_classes, *, dropout=0.7, name):
    """A classifier in the middle of a network, there for the sake of the gradient that it sends to what is below.

    Szegedy et al., "Going Deeper with Convolutions", 2015, section 5.

    Args:
        x: Feature map.
        num_classes: Number of classes.
        dropout: Share of the features dropped while training.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, num_classes)
    """
    side = min(4, *x.shape[1:3])
    x = layers.AdaptiveAveragePooling2D(side, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(convolution_norm(x, 128, 1, name=f"{name}_1x1"))
    x = layers.Dropout(dropout, name=f"{name}_dropout")(layers.Dense(1024, activation="relu", name=f"{name}_dense")(x))
    return layers.Dense(num_classes, dtype=floatx(), name=name)(x)


def realness(image, x, num_classes=0, *, spectral=False, name="realness"):
    """A discriminator's answer: how real an image looks and, with classes, how much like one of its class.

    With classes the embedding of the class is projected on the features: Miyato and Koyama, "cGANs with Projection
    Discriminator", 2018.

    Args:
        image: Input of the discriminator.
        x: Features: a map, which is flattened, or a vector.
        num_classes: Number of classes; 0 asks for no class.
        spectral: Keep the spectral norm of the layers at 1.
        name: Name of the last layer.

    Returns:
        The input, `image`, or with classes two, the second (batch,) of integers; and the logit.

    Shape:
        in: (batch, height, width, channels) or (batch, channels)
        out: (batch, 1)
    """

    def norm(layer, name):
        return layers.SpectralNormalization(layer, dtype=floatx(), name=name) if spectral else layer

    x = layers.Flatten(name="features")(x)
    dense = layers.Dense(1, dtype=floatx(), kernel_initializer=initializer(), name=f"{name}_dense")
    logit = norm(dense, name=f"{name}_dense_norm")(x)
    if not num_classes:
        return image, layers.Identity(dtype=floatx(), name=name)(logit)
    label = keras.Input((), dtype="int32", name="label")
    # An embedding, as a dense layer: Keras' spectral normalisation makes whole numbers of what `Embedding` returns.
    embedding = layers.Dense(x.shape[-1], use_bias=False, kernel_initializer=initializer(), name="label_embedding")
    embedded = norm(embedding, name="label_embedding_norm")(keras.ops.one_hot(label, num_classes))
    fit = layers.Dot(1, dtype=floatx(), name="label_fit")([x, embedded])
    return [image, label], layers.Add(dtype=floatx(), name=name)([logit, fit])
