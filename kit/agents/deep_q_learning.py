"""Deep Q-learning (DQN) inside `keras.Model.fit`: many gradient steps in one compiled call.

Mnih et al., "Human-level control through deep reinforcement learning", 2015.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from kit.agents.agent import Agent
from kit.agents.inference import inference_function
from kit.agents.options import QLearningOptions, ReturnOptions


class DeepQLearning(Agent):
    """Training wrapper of deep Q-learning: a Q-network, and a target network, its slower copy.

    It is given rounds of minibatches, each array (gradient steps, batch, ...): inputs `observation` and `following`,
    the observation several steps later; targets `action`, `reward`, the discounted sum of the rewards in between, and
    `factor`, of the value of `following`; and weights of the losses. All gradient steps of a round are taken in one
    compiled call.

    Args:
        network: Functional model from observations (batch, ...) to values (batch, actions); it is what a run keeps.
        learning: `QLearningOptions`.
        returns: `ReturnOptions`.
    """

    def __init__(self, network, learning=QLearningOptions(), returns=ReturnOptions()):
        super().__init__(network, returns, "deep_q")
        self.n_step, self.double, self.huber_delta = learning.n_step, learning.double, learning.huber_delta
        self.target_update_steps = learning.target_update_steps
        self.target_update_rate = learning.target_update_rate if learning.target_update == "soft" else 0.0
        self.num_actions = network.outputs[0].shape[-1]
        self.target = keras.models.clone_model(network)
        self.target.trainable = False
        self.target.set_weights(network.get_weights())
        # Not the optimizer's own count, which goes by accumulated gradients.
        self.gradient_steps = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="gradient_steps"
        )
        self.built = True
        self.td_errors = None
        self._means = [keras.metrics.Mean(name) for name in ("loss", "q_value")]

    @property
    def metrics(self):
        return self._means

    def call(self, observations):
        """Returns the values of actions, (batch, actions)."""
        return self.network(observations)

    def inference(self):
        """Returns a function from observations (environments, ...) to values, with the weights of now."""
        return inference_function(self.network)

    def follow(self):
        """Gives the target network the weights of the network, after that was given others."""
        self.target.set_weights(self.network.get_weights())

    def keep_td_errors(self, shape):
        """Keeps the temporal-difference errors of a round, (gradient steps, batch), for prioritised replay."""
        if self.td_errors is None:
            self.td_errors = tf.Variable(tf.zeros(shape), trainable=False)

    def learn(self, data):
        inputs, targets, weights = data
        count, batch = inputs["observation"].shape[:2]
        # Where the target network rests for many steps, one large product is faster than many small ones, if it fits
        # into memory.
        part = math.gcd(count, self.target_update_steps)
        rests = not self.target_update_rate and count <= 8 * part and len(inputs["observation"].shape) == 3
        part = part if rests else count
        losses = []
        for start in range(0, count, part):
            pieces = [
                array[start : start + part]
                for array in (
                    inputs["observation"],
                    inputs["following"],
                    targets["action"],
                    targets["reward"],
                    targets["factor"],
                    weights,
                )
            ]
            losses.append(self._learn(pieces, part, batch, rests))
        loss, value, errors = zip(*losses, strict=True)
        if self.td_errors is not None:
            self.td_errors.assign(tf.concat(errors, 0))
        for mean, values in zip(self._means, (loss, value), strict=True):
            mean.update_state(tf.add_n(values) / len(values))
        return {mean.name: mean.result() for mean in self._means}

    def _update_target(self, taken):
        """Makes the target network anew where it is due (hard update)."""
        is_due = taken % self.target_update_steps == 0
        tf.cond(is_due, lambda: self._move_target(1.0), lambda: tf.constant(0))

    def _learn(self, pieces, count, batch, rests):
        """Takes gradient steps, with `rests` by one target network; returns mean loss and value, and the errors."""
        observations, following, actions, rewards, factors, weights = pieces
        later, taken = None, tf.convert_to_tensor(self.gradient_steps)
        if rests:
            self._update_target(taken)
            flat = tf.reshape(following, (count * batch, *following.shape[2:]))
            later = tf.reshape(self.target(flat, training=False), (count, batch, self.num_actions))

        def step(index, losses, values, errors):
            if not rests and not self.target_update_rate:
                self._update_target(taken + index)
            after = following[index]
            values_after = later[index] if later is not None else self.target(after, training=False)
            if self.double:
                chosen = tf.argmax(self.network(after, training=False), -1, output_type=tf.int32)
                value = tf.gather(values_after, chosen, batch_dims=1)
            else:
                value = tf.reduce_max(values_after, -1)
            target = rewards[index] + factors[index] * value
            loss, mean, error = self._gradient_step(observations[index], actions[index], target, weights[index])
            if self.target_update_rate:
                self._move_target(self.target_update_rate)
            return index + 1, losses + loss, values + mean, errors.write(index, error)

        errors = tf.TensorArray(tf.float32, count, element_shape=(batch,))
        zero = tf.constant(0.0)
        _, loss, value, errors = tf.while_loop(
            lambda index, *_: index < count, step, (tf.constant(0), zero, zero, errors), maximum_iterations=count
        )
        self.gradient_steps.assign_add(count)
        return loss / count, value / count, errors.stack()

    def _gradient_step(self, observations, actions, targets, weights):
        """Takes a gradient step; returns its loss, the mean value of the actions, and the error of each, (batch,)."""
        with tf.GradientTape() as tape:
            values = tf.gather(self.network(observations, training=True), actions, batch_dims=1)
            errors = targets - values
            loss = tf.reduce_mean(weights * self._huber_loss(errors))
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, tf.reduce_mean(values), errors

    def _huber_loss(self, errors):
        """Returns the Huber loss of each error: half its square up to `huber_delta`, then a straight line."""
        if not self.huber_delta:
            return 0.5 * tf.square(errors)
        size = tf.abs(errors)
        near = tf.minimum(size, self.huber_delta)
        return near * (size - 0.5 * near)

    def _move_target(self, share):
        """Moves the target network a share of the way to the network (soft update)."""
        for slow, fast in zip(self.target.variables, self.network.variables, strict=True):
            slow.assign(fast if share == 1 else slow + share * (fast - slow))
        return tf.constant(0)

    def test_step(self, data):
        observations, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        mean = self._means[1]
        mean.update_state(ops.max(self.network(observations, training=False), -1))
        return {mean.name: mean.result()}


def greedy(network):
    """Returns a function from observations to the actions of the highest value, and that value, both (batch,)."""
    values_of = inference_function(network)

    def act(observations):
        values = values_of(observations)
        return values.argmax(-1), values.max(-1)

    return act
