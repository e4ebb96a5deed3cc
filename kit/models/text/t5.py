"""T5: an encoder and a decoder that write one text for another; positions are learned biases of attention.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020; version 1.1,
with gated feed-forward networks and a last layer of its own: Shazeer, "GLU Variants Improve Transformer", 2020.
"""

import functools

import keras
from keras import layers, ops
from keras.config import floatx

from kit.blocks.activations import Activation
from kit.blocks.attention import Attention
from kit.blocks.experts import Experts
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.position import RelativePositionBias
from kit.blocks.transformer import TransformerDecoder, encoder_block
from kit.errors import check
from kit.models.text.transformer import check_tokens

_V1_1 = {"activation": "gelu", "is_gated": True, "is_tied": False}


def sizes_of(dim, depth, num_heads, feedforward_dim, head_dim=64):
    """Returns the sizes of a network by the names that `t5` has for them."""
    return {
        "dim": dim,
        "depth": depth,
        "num_heads": num_heads,
        "feedforward_dim": feedforward_dim,
        "head_dim": head_dim,
    }


VARIANTS = {
    "t5": {},  # published weights say all the rest
    "t5_tiny": sizes_of(128, 2, 4, 512, 32),
    "t5_mini": sizes_of(256, 4, 4, 1024),
    "t5_small": sizes_of(512, 6, 8, 2048),
    "t5_base": sizes_of(768, 12, 12, 3072),
    "t5_large": sizes_of(1024, 24, 16, 4096),
    "t5_3b": sizes_of(1024, 24, 32, 16384, 128),
    "t5_11b": sizes_of(1024, 24, 128, 65536, 128),
    "t5_v1_1_tiny": sizes_of(128, 2, 4, 352, 32) | _V1_1,
    "t5_v1_1_small": sizes_of(512, 8, 6, 1024) | _V1_1,
    "t5_v1_1_base": sizes_of(768, 12, 12, 2048) | _V1_1,
    "t5_v1_1_large": sizes_of(1024, 24, 16, 2816) | _V1_1,
}


def t5(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 512,
    depth: int = 6,
    decoder_depth: int | None = None,
    num_heads: int = 8,
    head_dim: int = 64,
    feedforward_dim: int = 2048,
    activation: Activation = "relu",
    is_gated: bool = False,
    is_tied: bool = True,
    num_buckets: int = 32,
    max_distance: int = 128,
    epsilon: float = 1e-6,
    dropout: float = 0.1,
    name: str = "t5",
):
    """Embeds the tokens of both texts, reads the one, and looks back at it and at what is written of the other.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        dim: Width of every block.
        depth: Number of blocks of the encoder.
        decoder_depth: Number of blocks of the decoder; None is as many.
        num_heads: Number of attention heads of each block.
        head_dim: Width of a head; all heads together need not be as wide as a block.
        feedforward_dim: Width between the dense layers of a block.
        activation: Activation behind the first of them; "gelu" is computed by way of tanh, as in the published code.
        is_gated: Multiply that by another dense layer (version 1.1).
        is_tied: Give the logits by the embedding, the other way round; otherwise by a layer of their own (version 1.1).
        num_buckets: Buckets of distances that attention has a learned bias for, see `RelativePositionBias`.
        max_distance: Distance from which on all are in the last bucket.
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, of the attention weights and of what a block adds that is dropped in training.
        name: Name of the model.

    Shape:
        in: `source` (batch, source) and `target` (batch, time), ids, the target with a start in front
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is out of range.
    """
    shape = {"activation": activation, "is_gated": is_gated}
    return encoder_decoder(
        vocabulary_size,
        pad_id,
        sizes=sizes_of(dim, depth, num_heads, feedforward_dim, head_dim) | {"decoder_depth": decoder_depth},
        feedforward=shape,
        buckets={"num_buckets": num_buckets, "max_distance": max_distance},
        is_tied=is_tied,
        epsilon=epsilon,
        dropout=dropout,
        name=name,
    )


def encoder_decoder(
    vocabulary_size, pad_id, *, sizes, feedforward, buckets, is_tied, epsilon, dropout, name, experts=None, intervals=()
):
    """Returns a network with T5's attention.

    Args:
        vocabulary_size, pad_id, is_tied, epsilon, dropout, name: As for `t5`.
        sizes: `dim`, `depth`, `decoder_depth`, `num_heads`, `head_dim` and `feedforward_dim` of `t5`.
        feedforward: Arguments of `FeedForward` beside its width.
        buckets: Arguments of `RelativePositionBias`.
        experts: Arguments of `Experts` beside its width and these, of some blocks' feed-forward networks; or None.
        intervals: Of so many blocks of the encoder, and of the decoder, the last one has experts.
    """
    dim, depth, heads, width = (sizes[key] for key in ("dim", "depth", "num_heads", "feedforward_dim"))
    check_tokens(vocabulary_size)
    for key, value in sizes.items():
        check(value is None or value >= 1, key, value, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    if feedforward["activation"] == "gelu":
        feedforward = feedforward | {"activation": "gelu_approximate"}
    ids = {side: keras.Input((None,), dtype="int32", name=side) for side in ("source", "target")}
    tokens = _embedding(vocabulary_size, dim, is_tied)
    mask = ops.not_equal(ids["source"], pad_id)
    x, y = tokens(ids["source"]), tokens(ids["target"])
    norm = normalization("rms", epsilon)
    attention = functools.partial(
        Attention, heads, head_dim=sizes["head_dim"], use_bias=False, is_scaled=False, dropout=dropout
    )
    dense = functools.partial(FeedForward, width, use_bias=False, **feedforward)
    sparse = None if experts is None else functools.partial(Experts, feedforward_dim=width, **feedforward, **experts)
    bias = RelativePositionBias(heads, **buckets, name="position_bias")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    for number in range(1, depth + 1):
        x = encoder_block(
            x,
            mask,
            attention=attention,
            feedforward=sparse if sparse is not None and number % intervals[0] == 0 else dense,
            normalization=norm,
            bias=bias,
            dropout=dropout,
            name=f"block{number}",
        )
    memory = layers.Dropout(dropout, name="memory_dropout")(norm(name="memory")(x))
    decoder = TransformerDecoder(
        depth if sizes["decoder_depth"] is None else sizes["decoder_depth"],
        heads,
        width,
        dropout=dropout,
        normalization="rms",
        epsilon=epsilon,
        positions="none",
        head_dim=sizes["head_dim"],
        use_bias=False,
        is_scaled=False,
        experts=experts,
        experts_interval=intervals[1] if intervals else 1,
        **feedforward,
        name="decoder",
    )
    bias = RelativePositionBias(heads, **buckets, is_causal=True, name="target_position_bias")(y)
    y = decoder(y, memory, mask, bias)
    y = layers.Dropout(dropout, name="target_dropout")(y)
    return keras.Model(ids, layers.Identity(name="stage1")(y), name=name)


def _embedding(vocabulary_size, dim, is_tied):
    start = keras.initializers.RandomNormal(stddev=1.0)
    if not is_tied:
        return layers.Embedding(vocabulary_size, dim, embeddings_initializer=start, name="token_embedding")
    return layers.ReversibleEmbedding(
        vocabulary_size, dim, embeddings_initializer=start, reverse_dtype=floatx(), name="token_embedding"
    )


def target_logits(model, x, *, name="next_token"):
    """Returns logits of the token behind each position of the target, float32.

    Args:
        model: Network of `t5` or `switch_transformers`, whose embedding is taken if it is tied; the output is divided
            by the root of its width then.
        x: Its output.
        name: Name of the dense layer where it is not.

    Shape:
        x: (batch, time, dim)
        out: (batch, time, vocabulary_size)
    """
    tokens = model.get_layer("token_embedding")
    if isinstance(tokens, layers.ReversibleEmbedding):
        return tokens(x * x.shape[-1] ** -0.5, reverse=True)
    known = {layer.name: layer for layer in model.layers}
    if name in known:
        return known[name](x)
    start = keras.initializers.RandomNormal(stddev=x.shape[-1] ** -0.5)
    return layers.Dense(tokens.input_dim, use_bias=False, kernel_initializer=start, dtype=floatx(), name=name)(x)


def writing_step(model, pad_id=0):
    """Returns what `kit.decoding` asks of such a network, with the logits of `target_logits`; inputs are source ids.

    The step has a function `with_weights`, which returns the weights over the source of each block, too.

    Args:
        model: The network.
        pad_id: Id of padding.
    """
    embed, decoder = model.get_layer("token_embedding"), model.get_layer("decoder")
    bias = model.get_layer("target_position_bias")
    encoder = keras.Model(model.input["source"], model.get_layer("memory").output)

    def initial_state(source, max_length):
        return decoder.initial_state(encoder(source), ops.not_equal(source, pad_id), max_length)

    def step_with_weights(last, position, state):
        own = bias.growing(position, 1, ops.shape(state["moving"][0]["keys"])[2])
        x, state, weights = decoder.step(embed(last), position, state, own)
        return target_logits(model, x), state, weights

    def step(last, position, state):
        return step_with_weights(last, position, state)[:2]

    step.with_weights = step_with_weights
    return step, initial_state
