"""Heads: what turns a backbone's features into the answer of a task."""

from keras import layers


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
