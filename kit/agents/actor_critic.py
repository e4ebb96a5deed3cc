"""An agent that learns what to do (the actor) and what states are worth (the critic), inside `keras.Model.fit`.

REINFORCE with a learned baseline, advantage actor-critic and proximal policy optimisation are one training step: they
differ in which steps are learned from, how their advantages are estimated, how often they are used, and in the loss of
the policy.
"""

import keras
import tensorflow as tf

from kit.agents.agent import Agent, answers_of
from kit.errors import SettingError, check


class ActorCritic(Agent):
    """A network with two ends, the parameters of a policy and the value of the state, that learns from what it did.

    It is given rounds: input `observation`, (steps, ...), with `normalizes_observations` also `mean` and `variance` of
    what was seen before; targets `action`, `advantage` and `return` of the same steps;
    and `order`, (gradient steps, batch), which of them are in which minibatch, all of whose gradient steps are taken in
    one compiled call. Without `order` one gradient step is taken on all steps.

    Args:
        network: Functional model from observations to parameters and value; what is kept.
        policy: One of `kit.agents.policies`, what the parameters are of.
        discount: Factor of a reward one step later.
        gae_lambda: How far advantages look ahead; 0 one step, 1 to the end of the episode.
        clip_ratio: How far the probability of an action may move from what it was when it was taken until nothing more
            is gained by it, as a share (Schulman et al., "Proximal Policy Optimization Algorithms", 2017); None is the
            plain policy gradient.
        target_kl: Divergence from the policy that acted from which on no further step of a round is taken; None takes
            all.
        value_coefficient: Weight of the loss of the values.
        entropy_coefficient: Weight of the policy's entropy, which keeps it trying.
        normalizes_advantages: Give the advantages of a minibatch mean 0 and standard deviation 1.
        normalizes_observations: Scale observations by running moments, which are in the network.
        normalizes_rewards: Divide rewards by the standard deviation of their discounted sum.

    Raises:
        SettingError: a value is out of range.
    """

    def __init__(
        self,
        network,
        policy,
        *,
        discount=0.99,
        gae_lambda=0.95,
        clip_ratio=None,
        target_kl=None,
        value_coefficient=0.5,
        entropy_coefficient=0.0,
        normalizes_advantages=True,
        normalizes_observations=False,
        normalizes_rewards=False,
    ):
        super().__init__("actor_critic")
        check(0 <= discount <= 1, "discount", discount, "a number from 0 to 1")
        check(0 <= gae_lambda <= 1, "gae_lambda", gae_lambda, "a number from 0 to 1")
        check(clip_ratio is None or 0 < clip_ratio < 1, "clip_ratio", clip_ratio, "a share between 0 and 1")
        check(target_kl is None or target_kl > 0, "target_kl", target_kl, "a number above 0")
        check(value_coefficient >= 0, "value_coefficient", value_coefficient, "at least 0")
        check(entropy_coefficient >= 0, "entropy_coefficient", entropy_coefficient, "at least 0")
        if normalizes_observations and "normalization" not in [layer.name for layer in network.layers]:
            raise SettingError("normalize_observations", "the network has no layer 'normalization'; expected false")
        self.network, self.policy = network, policy
        self.discount, self.gae_lambda = discount, gae_lambda
        self.clip_ratio, self.target_kl = clip_ratio, target_kl
        self.value_coefficient, self.entropy_coefficient = value_coefficient, entropy_coefficient
        self.normalizes_advantages = normalizes_advantages
        self.normalizes_observations, self.normalizes_rewards = normalizes_observations, normalizes_rewards
        self.built = True
        self._means = [
            keras.metrics.Mean(name) for name in ("loss", "policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        ]
        self._value = keras.metrics.Mean("value")

    @property
    def metrics(self):
        return [*self._means, self._value]

    def call(self, observations):
        """Returns parameters of the policy, (batch, ...), and values, (batch, 1)."""
        return self.network(observations)

    def acting(self, what):
        """Returns a function from observations to the "policy"'s parameters or to "value", with the weights of now."""
        return answers_of(self.network, ("policy", "value").index(what))

    def sees_by(self):
        """Returns the moments that observations are scaled by, both flat."""
        layer = self.network.get_layer("normalization")
        return layer.moving_mean.numpy(), layer.moving_variance.numpy()

    def see_by(self, mean, variance):
        """Sets the moments that observations are scaled by, both flat."""
        layer = self.network.get_layer("normalization")
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)

    def train_step(self, data):
        seen, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        observations = seen["observation"]
        if self.normalizes_observations and "mean" in seen:
            self.see_by(seen["mean"], seen["variance"])
        steps = {name: targets[name] for name in ("action", "advantage", "return")}
        if "order" not in targets:
            parts = self._improve(observations, steps, None)
        else:
            parts = self._improve_often(observations, steps, targets["order"])
        for mean, value in zip(self._means, parts, strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self._means}

    def _improve_often(self, observations, steps, order):
        """Takes a gradient step for each row of `order`; returns the means of what `_improve` returns."""
        before = self.policy.log_prob(self.network(observations, training=False)[0], steps["action"])
        steps = {**steps, "before": tf.stop_gradient(before)}

        def goes_on(index, latest, *sums):
            more = index < order.shape[0]
            return more if self.target_kl is None else tf.logical_and(more, latest < self.target_kl)

        def step(index, latest, *sums):
            rows = order[index]
            picked = {name: tf.gather(each, rows) for name, each in steps.items()}
            found = self._improve(tf.gather(observations, rows), picked, picked["before"])
            return index + 1, found[4], *(total + value for total, value in zip(sums, found, strict=True))

        zeros = [tf.constant(0.0)] * len(self._means)
        count, _, *sums = tf.while_loop(
            goes_on, step, (tf.constant(0), tf.constant(0.0), *zeros), maximum_iterations=order.shape[0]
        )
        return [total / tf.cast(count, "float32") for total in sums]

    def _improve(self, observations, steps, before):
        """Takes a gradient step.

        Args:
            observations: (batch, ...).
            steps: Actions, advantages and returns, each (batch, ...).
            before: Logarithm of each action's probability when it was taken, (batch,); None where that is now.

        Returns:
            Loss, its parts of policy and values, entropy, an estimate of the divergence from the policy that acted, and
            the share of actions whose probability has moved too far.
        """
        advantages = steps["advantage"]
        if self.normalizes_advantages:
            scaled = advantages - tf.reduce_mean(advantages)
            scaled /= tf.math.reduce_std(scaled) + 1e-8
            advantages = tf.where(tf.shape(advantages)[0] > 1, scaled, advantages)  # of one alone nothing would be left
        with tf.GradientTape() as tape:
            parameters, values = self.network(observations, training=True)
            log_prob = self.policy.log_prob(parameters, steps["action"])
            policy_loss = self._policy_loss(log_prob, before, advantages)
            value_loss = tf.reduce_mean(tf.square(steps["return"] - values[:, 0]))
            entropy = tf.reduce_mean(self.policy.entropy(parameters))
            loss = policy_loss + self.value_coefficient * value_loss - self.entropy_coefficient * entropy
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        change = tf.zeros_like(log_prob) if before is None else log_prob - before
        divergence = tf.reduce_mean(tf.exp(change) - 1 - change)  # never below 0, unlike the mean of -change
        furthest = self.clip_ratio if self.clip_ratio is not None else 1e9
        clipped = tf.reduce_mean(tf.cast(tf.abs(tf.exp(change) - 1) > furthest, "float32"))
        return [loss, policy_loss, value_loss, entropy, divergence, clipped]

    def _policy_loss(self, log_prob, before, advantages):
        """Returns the loss of the policy, a number; see `clipped_loss`."""
        if self.clip_ratio is None or before is None:
            return -tf.reduce_mean(log_prob * advantages)
        return clipped_loss(log_prob, before, advantages, self.clip_ratio)

    def test_step(self, data):
        observations, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._value.update_state(self.network(observations, training=False)[1])
        return {self._value.name: self._value.result()}


def clipped_loss(log_prob, before, advantages, clip_ratio):
    """Returns the loss of proximal policy optimisation (Schulman et al., 2017, equation 7), a number.

    Args:
        log_prob: Logarithm of the probability of each action, (batch,).
        before: The same when it was taken, (batch,).
        advantages: How much better than the others it was, (batch,).
        clip_ratio: Change of the probability, as a share, that pays no more.
    """
    ratio = tf.exp(log_prob - before)
    clipped = tf.clip_by_value(ratio, 1 - clip_ratio, 1 + clip_ratio)
    return -tf.reduce_mean(tf.minimum(ratio * advantages, clipped * advantages))


def most_probable(network, policy):
    """Returns a function from observations to the most probable actions, and the value of the states, (batch,)."""
    answers = answers_of(network, (0, 1))

    def act(observations):
        parameters, values = answers(observations)
        return policy.mode(parameters), values[:, 0]

    return act
