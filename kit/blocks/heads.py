"""Heads: what turns a backbone's features into the answer of a task."""

from keras import layers

from kit.blocks.convolution import convolution_norm


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
    return layers.Dense(num_classes, dtype="float32", name=name)(x)


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
    return layers.Dense(num_classes, dtype="float32", name=name)(x)
