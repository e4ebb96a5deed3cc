"""Actor-critic: proximal policy optimisation (PPO), A2C and REINFORCE as one `keras.Model` inside `fit`.

REINFORCE with a learned baseline, advantage actor-critic and proximal policy optimisation are one training step: they
differ in which steps are learned from, how their advantages are estimated, how often they are used, and in the loss of
the policy.
"""

import keras
import tensorflow as tf

from kit.agents.agent import Agent
from kit.agents.inference import inference_function
from kit.agents.options import ActorCriticOptions, PolicyOptions, ReturnOptions
from kit.errors import SettingError


class ActorCritic(Agent):
    """Training wrapper of a network with two outputs, the parameters of a policy (actor) and state values (critic).

    It is given rounds: input `observation`, (steps, ...), with `normalize_observations` also `mean` and `variance` of
    the observations before; targets `action`, `advantage` and `return` of the same steps; and `order`,
    (gradient steps, batch), which of them are in which minibatch, all of whose gradient steps are taken in one compiled
    call. Without `order` one gradient step is taken on all steps.

    Args:
        network: Functional model from observations to parameters and value; it is what a run keeps.
        policy: One of `kit.agents.policies`, the distribution that the parameters are of.
        learning: `PolicyOptions`.
        update: `ActorCriticOptions`.
        returns: `ReturnOptions`.

    Raises:
        SettingError: the network cannot normalise observations.
    """

    def __init__(self, network, policy, learning=PolicyOptions(), update=ActorCriticOptions(), returns=ReturnOptions()):
        super().__init__(network, returns, "actor_critic")
        if learning.normalize_observations and "normalization" not in [layer.name for layer in network.layers]:
            raise SettingError("normalize_observations", "the network has no layer 'normalization'; expected false")
        self.policy = policy
        self.gae_lambda, self.target_kl = update.gae_lambda, update.target_kl
        self.clip_ratio = update.clip_ratio if update.algorithm == "ppo" else None
        self.value_coefficient, self.entropy_coefficient = learning.value_coefficient, learning.entropy_coefficient
        self.normalize_advantages = learning.normalize_advantages
        self.normalize_observations = learning.normalize_observations
        self.normalize_rewards = learning.normalize_rewards
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

    def inference(self, output):
        """Returns a function from observations to the "policy"'s parameters or to "value", with the weights of now."""
        return inference_function(self.network, ("policy", "value").index(output))

    def observation_moments(self):
        """Returns mean and variance that observations are normalised by, both flat."""
        layer = self.network.get_layer("normalization")
        return layer.moving_mean.numpy(), layer.moving_variance.numpy()

    def set_observation_moments(self, mean, variance):
        """Sets mean and variance that observations are normalised by, both flat."""
        layer = self.network.get_layer("normalization")
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)

    def learn(self, data):
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        observations = inputs["observation"]
        if self.normalize_observations and "mean" in inputs:
            self.set_observation_moments(inputs["mean"], inputs["variance"])
        steps = {name: targets[name] for name in ("action", "advantage", "return")}
        if "order" not in targets:
            parts = self._gradient_step(observations, steps, None)
        else:
            parts = self._gradient_steps(observations, steps, targets["order"])
        for mean, value in zip(self._means, parts, strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self._means}

    def _gradient_steps(self, observations, steps, order):
        """Takes a gradient step for each row of `order`; returns the mean of each number of `_gradient_step`."""
        before = self.policy.log_prob(self.network(observations, training=False)[0], steps["action"])
        steps = {**steps, "before": tf.stop_gradient(before)}

        def goes_on(index, latest, *sums):
            more = index < order.shape[0]
            return more if self.target_kl is None else tf.logical_and(more, latest < self.target_kl)

        def step(index, latest, *sums):
            rows = order[index]
            minibatch = {name: tf.gather(array, rows) for name, array in steps.items()}
            parts = self._gradient_step(tf.gather(observations, rows), minibatch, minibatch["before"])
            return index + 1, parts[4], *(total + value for total, value in zip(sums, parts, strict=True))

        zeros = [tf.constant(0.0)] * len(self._means)
        count, _, *sums = tf.while_loop(
            goes_on, step, (tf.constant(0), tf.constant(0.0), *zeros), maximum_iterations=order.shape[0]
        )
        return [total / tf.cast(count, "float32") for total in sums]

    def _gradient_step(self, observations, steps, before):
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
        if self.normalize_advantages:
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
    """Returns the clipped loss of proximal policy optimisation (PPO; Schulman et al., 2017, equation 7), a number.

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
    infer = inference_function(network, (0, 1))

    def act(observations):
        parameters, values = infer(observations)
        return policy.mode(parameters), values[:, 0]

    return act
