"""Networks that write: every position sees those before it, and tells the next token.

What GPT-2, Llama, Mistral and Qwen share; each has a file of its own with what is its own.
"""

import keras
from keras import layers, ops
from keras.config import floatx

from kit.blocks.masking import hidden_where_false
from kit.errors import check
from kit.models.text.transformer import check_tokens


def causal_decoder(vocabulary_size, separator, decoder, *, dim, is_tied, name):
    """Embeds tokens, and passes them through blocks that look back.

    Args:
        vocabulary_size: Number of tokens.
        separator: Token that a text begins with, behind which nothing looks back at the text before; None lets each
            position see all that stands before it.
        decoder: The blocks, a `kit.blocks.transformer.TransformerDecoder` with the name "decoder".
        dim: Width of the embedding.
        is_tied: Whether the embedding, the other way round, gives the logits of `next_tokens`.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time), padded at the end with anything
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small.
    """
    check_tokens(vocabulary_size)
    check(dim >= 1, "dim", dim, "at least 1")
    ids = keras.Input((None,), dtype="int32", name="ids")
    start = keras.initializers.RandomNormal(stddev=0.02)
    if is_tied:
        tokens = layers.ReversibleEmbedding(
            vocabulary_size, dim, embeddings_initializer=start, reverse_dtype=floatx(), name="token_embedding"
        )
    else:
        tokens = layers.Embedding(vocabulary_size, dim, embeddings_initializer=start, name="token_embedding")
    x = decoder(tokens(ids)) if separator is None else decoder(tokens(ids), bias=texts_apart(ids, separator))
    return keras.Model({"ids": ids}, layers.Identity(name="stage1")(x), name=name)


def texts_apart(ids, separator):
    """Returns what attention adds to its scores so that no position looks at another text, (batch, 1, time, time).

    Args:
        ids: (batch, time)
        separator: Token that a text begins with.
    """
    number = ops.cumsum(ops.cast(ops.equal(ids, separator), "int32"), axis=1)  # of the text of each position
    return hidden_where_false(ops.equal(number[:, :, None], number[:, None]), keras.config.floatx())[:, None]


def next_tokens(model, x, *, name="next_token"):
    """Returns logits of the token behind each position, float32.

    Args:
        model: Network of `causal_decoder`, whose embedding is taken if it is tied.
        x: Its output.
        name: Name of the dense layer where it is not.

    Shape:
        x: (batch, time, dim)
        out: (batch, time, vocabulary_size)
    """
    tokens = model.get_layer("token_embedding")
    if isinstance(tokens, layers.ReversibleEmbedding):
        return tokens(x, reverse=True)
    start = keras.initializers.RandomNormal(stddev=0.02)
    return layers.Dense(tokens.input_dim, use_bias=False, kernel_initializer=start, dtype=floatx(), name=name)(x)


def writing_step(model):
    """Returns what `kit.decoding` asks of a network that writes, its logits the last layer.

    Args:
        model: Network of `causal_decoder` with the logits of `next_tokens`.

    Returns:
        `step`, `initial_state` and `prefill`.
    """
    embed, decoder = model.get_layer("token_embedding"), model.get_layer("decoder")

    def initial_state(inputs, max_length):
        return decoder.initial_state(max_length=max_length, batch_size=ops.shape(inputs["ids"])[0])

    def step(tokens, position, state):
        x, state, _ = decoder.step(embed(tokens), position, state)
        return _logits(model, x), state

    def prefill(tokens, lengths, state):
        return decoder.prefill(embed(tokens), lengths, state)

    return step, initial_state, prefill


def _logits(model, x):
    tokens = model.get_layer("token_embedding")
    if isinstance(tokens, layers.ReversibleEmbedding):
        return tokens(x, reverse=True)
    return model.get_layer("next_token")(x)
