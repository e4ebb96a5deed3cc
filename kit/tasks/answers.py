"""Head of a network by what is answered: a label, several labels, or a number; compiled with the loss of each."""

import keras
from keras import layers
from keras.config import floatx

from kit.errors import check
from kit.tasks import classification, multi_label, regression


def check_answer(answer, num_classes, *, dropout, label_smoothing, loss, quantiles):
    """Raises SettingError for a setting of a head that does not go with what is answered.

    Args:
        answer: "label", "labels" or "number".
        num_classes: Number of classes or labels; 1 of a number.
        dropout: Share of the features that is dropped while training.
        label_smoothing, loss, quantiles: As for `answering`.
    """
    least = 2 if answer == "label" else 1
    check(num_classes >= least, "num_classes", num_classes, f"at least {least}")
    if answer == "number":
        check(not label_smoothing, "label_smoothing", label_smoothing, "0 of numbers")
    else:
        for key, value in (("loss", loss), ("quantiles", quantiles)):
            check(value is None, key, value, "none where the answer is no number")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")


def answering(
    inputs,
    features,
    name,
    answer,
    num_classes,
    *,
    dropout=0.0,
    label_smoothing=0.0,
    positive_weights=None,
    loss=None,
    quantiles=None,
    optimizer="adamw",
):
    """Returns a compiled model that ends in a head for what is answered.

    Args:
        inputs: Inputs of the model.
        features: Symbolic tensor (batch, dim).
        name: Name of the model.
        answer: "label", "labels" or "number".
        num_classes: Number of classes or labels.
        dropout: Share of the features that is dropped while training.
        label_smoothing: See `kit.tasks.classification.compiled` and `kit.tasks.multi_label.compiled`.
        positive_weights: See `kit.tasks.multi_label.compiled`.
        loss, quantiles: See `kit.tasks.regression`; None is "mse".
        optimizer: Keras optimizer or its name.
    """
    x = layers.Dropout(dropout, name="head_dropout")(features) if dropout else features
    if answer == "number":
        model = regression.network(inputs, x, name, loss or "mse", quantiles)
        return regression.compiled(model, optimizer, loss or "mse")
    x = layers.Dense(num_classes, dtype=floatx(), name="logits")(x)
    model = keras.Model(inputs, x, name=name)
    if answer == "labels":
        return multi_label.compiled(model, optimizer, label_smoothing, positive_weights)
    return classification.compiled(model, optimizer, label_smoothing)
