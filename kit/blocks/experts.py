"""Experts: several feed-forward networks, of which a router chooses few for each position (mixture of experts)."""

import contextlib
import contextvars

import keras
from keras import layers, ops
from keras.config import floatx

from kit import backend
from kit.blocks.feedforward import FeedForward
from kit.errors import check

# What is called for each layer of experts that a network passes through, while somebody looks on.
_watching = contextvars.ContextVar("watching", default=None)


@contextlib.contextmanager
def watched():
    """Yields a list to which each layer of experts that is called adds what it does.

    For each a dictionary: `name` of the layer, `positions` that chose each expert, and those of them that it `took`,
    both (experts,).
    """
    seen = []
    token = _watching.set(seen)
    try:
        yield seen
    finally:
        _watching.reset(token)


@keras.saving.register_keras_serializable("kit")
class Experts(layers.Layer):
    """Feed-forward networks of which a router chooses `top_k` for each position, weighted by their probabilities.

    Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017; with a
    `capacity_factor` and `top_k=1`: Fedus, Zoph and Shazeer, "Switch Transformers", 2021, whose loss for an even load
    (equations 4 to 6) is added; gated, `top_k=2` and with renormalised probabilities: Jiang et al., "Mixtral of
    Experts", 2024.

    A position costs what its own experts cost, not what all do.

    Args:
        num_experts: Number of experts.
        feedforward_dim: Width between the dense layers of an expert.
        top_k: Number of experts of a position.
        activation: Name of a Keras activation, or "gelu_approximate".
        is_gated: Multiply an expert's first dense layer by another one, which has the activation then.
        normalize: Divide the probabilities of the chosen experts by their sum.
        capacity_factor: Each expert takes so many times its even share of the positions of a sequence, in their order;
            those behind pass with nothing added. None takes all.
        capacity: That number itself, of each sequence; None goes by `capacity_factor`.
        jitter: While training the router sees its inputs times numbers up to so much from 1.
        load_loss: Factor of the loss for an even load, of each sequence where there is a capacity, else of the batch.

    Shape:
        in, out: (batch, time, dim)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(
        self,
        num_experts,
        feedforward_dim,
        *,
        top_k=2,
        activation="silu",
        is_gated=True,
        normalize=True,
        capacity_factor=None,
        capacity=None,
        jitter=0.0,
        load_loss=0.01,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check(num_experts >= 1, "num_experts", num_experts, "at least 1")
        check(feedforward_dim >= 1, "feedforward_dim", feedforward_dim, "at least 1")
        check(1 <= top_k <= num_experts, "top_k", top_k, f"from 1 to the {num_experts} experts")
        is_some = capacity_factor is None or capacity_factor > 0
        check(is_some, "capacity_factor", capacity_factor, "a number above 0")
        check(capacity is None or capacity >= 1, "capacity", capacity, "at least 1")
        check(0 <= jitter < 1, "jitter", jitter, "a number from 0 to below 1")
        check(load_loss >= 0, "load_loss", load_loss, "at least 0")
        self.num_experts, self.feedforward_dim, self.top_k = num_experts, feedforward_dim, top_k
        self.activation, self.is_gated, self.normalize = activation, is_gated, normalize
        self.capacity_factor, self.capacity = capacity_factor, capacity
        self.jitter, self.load_loss = jitter, load_loss
        self.seed_generator = keras.random.SeedGenerator()
        self.supports_masking = True

    def build(self, input_shape):
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.router = layers.Dense(
            self.num_experts, use_bias=False, kernel_initializer=start, dtype=floatx(), name="router"
        )
        self.router.build(input_shape)
        self._experts = [
            FeedForward(
                self.feedforward_dim,
                activation=self.activation,
                is_gated=self.is_gated,
                use_bias=False,
                dtype=self.dtype_policy,
                name=f"expert{number + 1}",
            )
            for number in range(self.num_experts)
        ]
        self._dense = []  # so that they are layers of this one
        for expert in self._experts:
            expert.create(input_shape[-1])
            for layer in (expert.wide, *([expert.gate] if self.is_gated else [])):
                layer.build((None, input_shape[-1]))
                self._dense.append(layer)
            expert.narrow.build((None, self.feedforward_dim))
            self._dense.append(expert.narrow)
        self.built = True

    def call(self, x, training=False):
        seen = ops.cast(x, floatx())
        if training and self.jitter:
            low, high = 1 - self.jitter, 1 + self.jitter
            seen = seen * keras.random.uniform(ops.shape(seen), low, high, seed=self.seed_generator)
        shares = ops.softmax(self.router(seen))  # (batch, time, experts)
        kept, chosen = ops.top_k(shares, self.top_k)  # (batch, time, top_k)
        if self.normalize:
            kept = kept / ops.sum(kept, axis=-1, keepdims=True)
        if training and self.load_loss:
            self.add_loss(self.load_loss * self._unevenness(shares, chosen))
        has_room = self._has_room(chosen)
        if _watching.get() is not None:
            _watching.get().append({"name": self.path, **self._load(chosen, has_room)})
        kept = kept * ops.cast(has_room, kept.dtype)
        flat = ops.reshape(x, (-1, x.shape[-1]))  # (positions, dim)
        of_each = ops.sum(  # (batch, time, experts): the weight of each expert, 0 for those that are not chosen
            ops.one_hot(chosen, self.num_experts) * kept[..., None], axis=-2
        )
        weights = ops.reshape(ops.cast(of_each, x.dtype), (-1, self.num_experts))
        y = self._by_turns(flat, weights) if backend.is_tensorflow() else self._by_all(flat, weights)
        return ops.reshape(y, ops.shape(x))

    def _has_room(self, chosen):
        """Returns which of the chosen experts have room for a position, (batch, time, top_k)."""
        if self._has_all_room():
            return ops.ones_like(chosen, "bool")
        each = ops.cast(ops.one_hot(chosen, self.num_experts, dtype="int32"), "int32")  # (batch, time, top_k, experts)
        of_position = ops.sum(each, axis=2)
        before = ops.cumsum(of_position, axis=1)  # (batch, time, experts), those of this position among them
        place = ops.sum(each * before[:, :, None], axis=-1)  # (batch, time, top_k), from 1
        return place <= self._room(ops.shape(chosen)[1])

    def _has_all_room(self):
        return self.capacity is None and self.capacity_factor is None

    def _load(self, chosen, has_room):
        each = ops.one_hot(chosen, self.num_experts)  # (batch, time, top_k, experts)
        took = each * ops.cast(has_room, each.dtype)[..., None]
        return {name: ops.sum(of, axis=(0, 1, 2)) for name, of in (("positions", each), ("took", took))}

    def _room(self, time):
        if self.capacity is not None:
            return self.capacity
        share = ops.cast(time, floatx()) * self.top_k / self.num_experts
        return ops.cast(ops.ceil(self.capacity_factor * share), "int32")

    def _unevenness(self, shares, chosen):
        """Returns the loss for an even load: 1 where each expert has the same share of positions and probability.

        It is that of each sequence where experts have room for so many of it, else that of the batch.
        """
        first = ops.sum(ops.one_hot(chosen, self.num_experts), axis=-2) / self.top_k
        if self._has_all_room():
            positions, probability = self.batch_means([first, shares])  # (experts,)
            return self.num_experts * ops.sum(positions * probability)
        of_each = self.num_experts * ops.sum(ops.mean(first, axis=1) * ops.mean(shares, axis=1), axis=-1)  # (batch,)
        return self.batch_means([of_each[:, None, None]])[0][0]

    def batch_means(self, values):
        """Returns means (numbers,) of arrays (batch, time, numbers) over a batch: that of all processes together."""
        return [ops.mean(each, axis=(0, 1)) for each in values]

    def _by_turns(self, x, weights):
        """Gives each expert its own positions."""
        found, places = [], []
        for number, expert in enumerate(self._experts):
            (rows,) = ops.nonzero(weights[:, number] != 0)  # (its positions,)
            own = expert(ops.take(x, rows, axis=0))
            found.append(own * ops.take(weights[:, number], rows)[:, None])
            places.append(rows)
        count = ops.shape(x)[0]
        return ops.segment_sum(ops.concatenate(found), ops.concatenate(places), num_segments=count)

    def _by_all(self, x, weights):
        """Lets every expert see every position, where shapes cannot depend on values."""
        return sum(expert(x) * weights[:, number, None] for number, expert in enumerate(self._experts))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "feedforward_dim": self.feedforward_dim,
            "top_k": self.top_k,
            "activation": self.activation,
            "is_gated": self.is_gated,
            "normalize": self.normalize,
            "capacity_factor": self.capacity_factor,
            "capacity": self.capacity,
            "jitter": self.jitter,
            "load_loss": self.load_loss,
        }
