"""Layer-wise pre-training of restricted Boltzmann machines by contrastive divergence, without labels.

Hinton, Osindero and Teh, "A Fast Learning Algorithm for Deep Belief Nets", 2006; Hinton, "A Practical Guide to Training
Restricted Boltzmann Machines", 2012.
"""

import dataclasses
import logging
import time

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kit.terminal import duration
from kit.training import device

log = logging.getLogger("kit")

_BATCH, _MOMENTUM, _WEIGHT_DECAY = 100, 0.9, 2e-4


class ContrastiveDivergence(keras.Model):
    """Trains one restricted Boltzmann machine by `fit`.

    The gradient is that of the difference of two free energies: of the data, and of what the Markov chain has come to.

    Args:
        layer: A built `RestrictedBoltzmann`.
        seed: Seed of the chain.
        batch_size: Number of chains, where they are persistent.
    """

    def __init__(self, layer, seed=None, batch_size=_BATCH):
        super().__init__(name="contrastive_divergence")
        self.layer = layer
        self.noise = keras.random.SeedGenerator(seed)
        self.chain = None
        if layer.persistent:
            shape = (batch_size, layer.kernel.shape[0])
            self.chain = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="chain")
        self.error = keras.metrics.Mean("error")
        self.built = True

    @property
    def metrics(self):
        return [self.error]

    def train_step(self, data):
        (visible,) = data if isinstance(data, tuple) else (data,)
        start = visible if self.chain is None else ops.convert_to_tensor(self.chain)
        end, mean = self.layer.gibbs(start, self.noise)
        if self.chain is not None:
            self.chain.assign(end)
            mean = self.layer.visible_mean(self.layer(visible))
        variables = [self.layer.kernel, self.layer.hidden_bias, self.layer.visible_bias]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            loss = ops.mean(self.layer.free_energy(visible)) - ops.mean(self.layer.free_energy(end))
            loss += _WEIGHT_DECAY / 2 * ops.sum(ops.square(self.layer.kernel))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.optimizer.apply(gradients, variables)
        self.error.update_state(ops.mean(ops.square(visible - mean)))
        return {"error": self.error.result()}


def pretrain(network, below, *parts):
    """Trains the restricted Boltzmann machines of a network one after the other, from the bottom, without labels.

    Nothing is trained where the network has none, or where they want no such training.

    Args:
        network: Functional model that holds the layers.
        below: Function from a batch of the examples' input to what the network is given.
        parts: `Examples`; their labels are not looked at.

    Returns:
        Whether there was anything to train.

    Raises:
        SettingError: there are several devices.
    """
    plain = [dataclasses.replace(part, targets={}, weights=None, transform=None) for part in parts]

    def given_to(layer):
        """Returns what a layer gets of all examples, float32."""
        look = keras.Model(network.input, layer.input)
        found = [look(below(batch)) for part in plain for (batch,) in part.batches(500)]
        return np.concatenate([ops.convert_to_numpy(each).astype("float32") for each in found])

    for layer in network.layers:
        if hasattr(layer, "measure"):
            layer.measure(given_to(layer))
    machines = [layer for layer in _machines(network) if layer.epochs]
    if not machines:
        return False
    device.check_one_to_pretrain()
    log.info("%d layers are trained alone first; of an interrupted one nothing is kept", len(machines))
    seed = int(np.random.randint(2**31))  # the run's, which is set before anything is built
    for number, layer in enumerate(machines, 1):
        values = parts[0].of_values(given_to(layer))
        _train(layer, values, seed, number, len(machines))
    return True


def _machines(network):
    """Returns the layers of a network that can be trained as restricted Boltzmann machines."""
    return [layer for layer in network.layers if hasattr(layer, "free_energy")]


def _train(layer, examples, seed, number, count):
    """Trains one machine on values of its visible units."""
    bias = examples.input("values").mean(0)
    if layer.visible == "bernoulli":
        bias = np.clip(bias, 0.01, 0.99)
        bias = np.log(bias / (1 - bias))
    layer.visible_bias.assign(bias)
    size = min(_BATCH, len(examples))
    trainer = ContrastiveDivergence(layer, seed, size)
    steps = examples.steps_per_epoch(size)
    trainer.compile(
        keras.optimizers.SGD(
            # Towards 0: chains that go on need weights that hold still.
            keras.optimizers.schedules.PolynomialDecay(layer.learning_rate, layer.epochs * steps, 0.0),
            momentum=_MOMENTUM,
        ),
        steps_per_execution=max(divisor for divisor in range(1, 33) if steps % divisor == 0),
        jit_compile="auto" if device.has_gpu() else False,
        auto_scale_loss=False,  # a machine computes in float32 under every policy
    )
    trainer.optimizer.build([layer.kernel, layer.hidden_bias, layer.visible_bias])
    begun = time.perf_counter()
    history = trainer.fit(
        examples.stream(size, seed, 0, layer.epochs * steps),
        steps_per_epoch=steps,
        epochs=layer.epochs,
        shuffle=False,
        verbose=0,
    ).history["error"]
    log.info(
        "layer %d of %d, %d to %d units: squared error %.4f after %d epochs without labels, %s",
        number,
        count,
        layer.kernel.shape[0],
        layer.units,
        history[-1],
        layer.epochs,
        duration(time.perf_counter() - begun),
    )


def unroll(encoder, decoder):
    """Gives a decoder the weights of an encoder of restricted Boltzmann machines, turned around.

    Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006.

    Args:
        encoder: Model of `RestrictedBoltzmann` layers.
        decoder: Model with as many dense layers.
    """
    dense = [layer for layer in decoder.layers if isinstance(layer, keras.layers.Dense)]
    for machine, layer in zip(reversed(_machines(encoder)), dense, strict=True):
        layer.kernel.assign(ops.transpose(machine.kernel))
        layer.bias.assign(machine.visible_bias)
    standard = [layer for layer in encoder.layers if hasattr(layer, "measure")]
    if standard:
        # The last layer's answers are standardised pixels between -1 and 1 here, and logits of shares there: at a half
        # a logit is twice as steep as such a pixel.
        mean, stddev = (float(weight) for weight in (standard[0].mean, standard[0].stddev))
        dense[-1].kernel.assign(2 * stddev * dense[-1].kernel)
        dense[-1].bias.assign(2 * (mean + stddev * dense[-1].bias))
