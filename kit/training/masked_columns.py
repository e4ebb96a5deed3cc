"""Pre-training of networks of tables without labels: columns are masked, and told from those that are not.

Arik and Pfister, "TabNet: Attentive Interpretable Tabular Learning", 2019, section "Tabular self-supervised learning".
"""

import logging

import keras
import numpy as np
from keras import layers, ops

from kit.training import device

log = logging.getLogger("kit")

_BATCH = 256


def pretrain(model, splits):
    """Trains the encoder of a network to tell masked columns from the others, where the network wants that.

    Args:
        model: The compiled model; a network in it may have `pretraining`, what it wants, see
            `kit.models.tabular.tabnet`.
        splits: `Splits`, of which the training rows are used, without their answers.

    Raises:
        SettingError: there are several devices.
    """
    for network in model.layers:
        wanted = getattr(network, "pretraining", None)
        if wanted and wanted["epochs"]:
            device.check_one_to_pretrain()
            _train(network, wanted, splits.train)


def _train(network, wanted, examples):
    """Trains one network: the columns that are masked are drawn anew in each epoch."""
    inside = keras.Model(network.input, network.get_layer("first_norm").input)
    names = [each.name for each in network.inputs]
    rows = {name: examples.input(name) for name in names}
    features = np.asarray(inside.predict(rows, batch_size=4096, verbose=0))  # (rows, features)
    deviations = features.std(0)
    deviations[deviations == 0] = 1
    groups = (network.groups > 0).astype("float32")  # (columns, features)
    columns, width = groups.shape
    values, masked = keras.Input((width,), name="values"), keras.Input((columns,), name="masked")
    mask = ops.matmul(masked, groups)  # (batch, features)
    encoded = network.encode(values * (1 - mask), 1 - masked)
    told = layers.Dense(2 * width, activation="relu", name="decoder")(encoded)
    told = layers.Dense(width, name="reconstruction")(told)
    errors = ops.square((told - values) / deviations) * mask
    loss = ops.sum(errors, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    trainer = keras.Model({"values": values, "masked": masked}, loss)
    trainer.compile(keras.optimizers.Adam(wanted["rate"]), loss=lambda _, found: ops.mean(found), jit_compile=False)
    seed = int(np.random.randint(2**31))  # the run's, which is set before anything is built
    for epoch in range(wanted["epochs"]):
        random = np.random.default_rng([seed, epoch])
        drawn = (random.random((len(features), columns)) < wanted["share"]).astype("float32")
        order = random.permutation(len(features))
        given = {"values": features[order], "masked": drawn[order]}
        history = trainer.fit(given, np.zeros(len(features)), batch_size=_BATCH, epochs=1, shuffle=False, verbose=0)
    log.info(
        "%s: masked columns are told with a squared error of %.3f variances after %d epochs without labels",
        network.name,
        history.history["loss"][-1],
        wanted["epochs"],
    )
