"""An agent that learns the value of its actions, inside `keras.Model.fit`: many gradient steps in one compiled call.

Mnih et al., "Human-level control through deep reinforcement learning", 2015.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from kit.agents.agent import Agent, answers_of
from kit.errors import check


class DeepQ(Agent):
    """A network that values actions, and a slower copy of it that values what comes behind them.

    It is given rounds of minibatches, each array (gradient steps, batch, ...): inputs `observation` and `following`,
    the observation several steps later; targets `action`, `reward`, the discounted sum of the rewards in between, and
    `factor`, of the value of `following`; and weights of the losses. All gradient steps of a round are taken in one
    compiled call.

    Args:
        network: Functional model from observations (batch, ...) to values (batch, actions); what is kept.
        discount: Factor of a reward one step later.
        n_step: Steps whose rewards are added before the value of what follows is estimated.
        double: Choose the action whose value follows by the network, and value it by the copy (van Hasselt, Guez and
            Silver, "Deep Reinforcement Learning with Double Q-learning", 2016).
        huber_delta: Error from which on the loss grows in a straight line; 0 squares all errors.
        target_update_steps: Gradient steps after which the copy is made anew.
        target_update_rate: Share of the way to the network that the copy goes in every gradient step instead, as in
            Lillicrap et al., "Continuous control with deep reinforcement learning", 2016; 0 makes it anew.

    Raises:
        SettingError: a value is out of range.
    """

    def __init__(
        self,
        network,
        *,
        discount=0.99,
        n_step=1,
        double=True,
        huber_delta=1.0,
        target_update_steps=1000,
        target_update_rate=0.0,
    ):
        super().__init__("deep_q")
        check(0 <= discount <= 1, "discount", discount, "a number from 0 to 1")
        check(n_step >= 1, "n_step", n_step, "at least 1")
        check(huber_delta >= 0, "huber_delta", huber_delta, "at least 0")
        check(target_update_steps >= 1, "target_update_steps", target_update_steps, "at least 1")
        check(0 <= target_update_rate <= 1, "target_update_rate", target_update_rate, "a share from 0 to 1")
        self.network = network
        self.discount, self.n_step, self.double, self.huber_delta = discount, n_step, double, huber_delta
        self.target_update_steps, self.target_update_rate = target_update_steps, target_update_rate
        self.num_actions = network.outputs[0].shape[-1]
        self.target = keras.models.clone_model(network)
        self.target.trainable = False
        self.target.set_weights(network.get_weights())
        # Not the optimizer's own count, which goes by accumulated gradients.
        self.turn = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="turn")
        self.built = True
        self.errors = None
        self._means = [keras.metrics.Mean(name) for name in ("loss", "q_value")]

    @property
    def metrics(self):
        return self._means

    def call(self, observations):
        """Returns the values of actions, (batch, actions)."""
        return self.network(observations)

    def acting(self):
        """Returns a function from observations (environments, ...) to values, with the weights of now."""
        return answers_of(self.network)

    def follow(self):
        """Gives the copy the weights of the network, after that was given others."""
        self.target.set_weights(self.network.get_weights())

    def remember_errors(self, shape):
        """Keeps the errors of a round, (gradient steps, batch), for a replay that draws by them."""
        if self.errors is None:
            self.errors = tf.Variable(tf.zeros(shape), trainable=False)

    def train_step(self, data):
        seen, targets, weights = data
        count, batch = seen["observation"].shape[:2]
        # Where the copy rests for many steps: one large product is faster than many small ones, if it fits into memory.
        part = math.gcd(count, self.target_update_steps)
        rests = not self.target_update_rate and count <= 8 * part and len(seen["observation"].shape) == 3
        part = part if rests else count
        losses = []
        for start in range(0, count, part):
            pieces = [
                each[start : start + part]
                for each in (
                    seen["observation"],
                    seen["following"],
                    targets["action"],
                    targets["reward"],
                    targets["factor"],
                    weights,
                )
            ]
            losses.append(self._learn(pieces, part, batch, rests))
        loss, value, errors = zip(*losses, strict=True)
        if self.errors is not None:
            self.errors.assign(tf.concat(errors, 0))
        for mean, values in zip(self._means, (loss, value), strict=True):
            mean.update_state(tf.add_n(values) / len(values))
        return {mean.name: mean.result() for mean in self._means}

    def _renew(self, turn):
        """Makes the copy anew where it is due."""
        is_due = turn % self.target_update_steps == 0
        tf.cond(is_due, lambda: self._move(1.0), lambda: tf.constant(0))

    def _learn(self, pieces, count, batch, rests):
        """Takes gradient steps, with `rests` such that the copy is the same in all; returns losses, values, errors."""
        observations, following, actions, rewards, factors, weights = pieces
        later, turn = None, tf.convert_to_tensor(self.turn)
        if rests:
            self._renew(turn)
            flat = tf.reshape(following, (count * batch, *following.shape[2:]))
            later = tf.reshape(self.target(flat, training=False), (count, batch, self.num_actions))

        def step(index, losses, values, errors):
            if not rests and not self.target_update_rate:
                self._renew(turn + index)
            follows = following[index]
            values_then = later[index] if later is not None else self.target(follows, training=False)
            if self.double:
                chosen = tf.argmax(self.network(follows, training=False), -1, output_type=tf.int32)
                value = tf.gather(values_then, chosen, batch_dims=1)
            else:
                value = tf.reduce_max(values_then, -1)
            wanted = rewards[index] + factors[index] * value
            loss, found, error = self._improve(observations[index], actions[index], wanted, weights[index])
            if self.target_update_rate:
                self._move(self.target_update_rate)
            return index + 1, losses + loss, values + found, errors.write(index, error)

        errors = tf.TensorArray(tf.float32, count, element_shape=(batch,))
        zero = tf.constant(0.0)
        _, loss, value, errors = tf.while_loop(
            lambda index, *_: index < count, step, (tf.constant(0), zero, zero, errors), maximum_iterations=count
        )
        self.turn.assign_add(count)
        return loss / count, value / count, errors.stack()

    def _improve(self, observations, actions, wanted, weights):
        """Takes a gradient step; returns its loss, the mean value of the actions, and how wrong each was, (batch,)."""
        with tf.GradientTape() as tape:
            values = tf.gather(self.network(observations, training=True), actions, batch_dims=1)
            errors = wanted - values
            loss = tf.reduce_mean(weights * self._loss_of(errors))
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, tf.reduce_mean(values), errors

    def _loss_of(self, errors):
        """Returns the loss of each error, half its square for small ones."""
        if not self.huber_delta:
            return 0.5 * tf.square(errors)
        size = tf.abs(errors)
        near = tf.minimum(size, self.huber_delta)
        return near * (size - 0.5 * near)

    def _move(self, share):
        """Moves the copy a share of the way to the network."""
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
    values_now = answers_of(network)

    def act(observations):
        values = values_now(observations)
        return values.argmax(-1), values.max(-1)

    return act
