"""Checkpoint averaging: the mean of the weights of the last epochs (stochastic weight averaging)."""

import logging

import keras
import numpy as np

log = logging.getLogger("kit")

# Training batches from which the statistics of batch normalisation are gathered anew.
STATISTICS_BATCHES = 50


class LastWeights(keras.callbacks.Callback):
    """Keeps the weights of the last epochs in memory.

    Args:
        network: Model whose weights are kept.
        count: Number of epochs.
    """

    def __init__(self, network, count):
        super().__init__()
        self.network = network
        self.count = count
        self.kept = []

    def on_epoch_end(self, epoch, logs=None):
        self.kept = [*self.kept, self.network.get_weights()][-self.count :]

    def arrays(self):
        return {f"last{index}": weights for index, weights in enumerate(self.kept)}

    def put_back(self, arrays):
        self.kept = [arrays[f"last{index}"] for index in range(self.count) if f"last{index}" in arrays]


def average(network, kept, batches):
    """Gives a network the mean of several weights, and gathers the statistics of its batch normalisation anew.

    The mean over the last epochs of a falling learning rate is checkpoint averaging (Vaswani et al., 2017, section
    6.1), that over a constant rate stochastic weight averaging (Izmailov et al., "Averaging Weights Leads to Wider
    Optima and Better Generalization", 2018, which gives the reason for the new statistics).

    Args:
        network: The network.
        kept: Weights of several epochs.
        batches: `STATISTICS_BATCHES` training batches, inputs first.
    """
    network.set_weights(
        [np.mean(each, axis=0, dtype="float64").astype(each[0].dtype) for each in zip(*kept, strict=True)]
    )
    norms = [
        layer
        for layer in network._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for step, batch in enumerate(batches):
        for layer in norms:
            layer.momentum = step / (step + 1)  # the mean of all batches so far
        network(batch[0], training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
