"""DeBERTa: Transformer encoder of tokens with disentangled attention.

He, Liu, Gao and Chen, "DeBERTa: Decoding-enhanced BERT with Disentangled Attention", 2021; He, Gao and Chen,
"DeBERTaV3: Improving DeBERTa using ELECTRA-Style Pre-Training with Gradient-Disentangled Embedding Sharing", 2021.
"""

import functools
from typing import Literal

import keras
from keras import layers, ops
from keras.config import floatx

from kit.blocks.activations import Activation
from kit.blocks.disentangled_attention import DisentangledAttention, RelativeEmbedding
from kit.blocks.feedforward import FeedForward
from kit.blocks.normalization import normalization
from kit.blocks.position import LearnedPosition
from kit.blocks.residual_half import named_half
from kit.errors import check
from kit.models.text.transformer import check_sizes, check_tokens

VARIANTS = {
    **{
        f"deberta_v3_{name}": {"dim": dim, "depth": depth, "num_heads": dim // 64, "feedforward_dim": 4 * dim}
        for name, dim, depth in (("xsmall", 384, 12), ("small", 768, 6), ("base", 768, 12), ("large", 1024, 24))
    },
    "deberta_v2": {},
    "deberta": {"buckets": 0, "share_key": False, "use_key_bias": False, "normalize_positions": False},
}


def deberta(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    feedforward_dim: int = 3072,
    max_length: int = 512,
    num_segments: int = 0,
    buckets: int = 256,
    max_distance: int = 512,
    kinds: tuple[Literal["c2p", "p2c"], ...] = ("p2c", "c2p"),
    share_key: bool = True,
    use_key_bias: bool = True,
    normalize_positions: bool = True,
    add_positions: bool = False,
    convolution: int = 0,
    activation: Activation = "gelu",
    epsilon: float = 1e-7,
    dropout: float = 0.1,
    attention_dropout: float = 0.1,
    name: str = "deberta",
):
    """Embeds tokens and passes them through blocks of attention that look at content and relative position apart.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding, which is not looked at.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        max_length: Number of positions that are added, with `add_positions`.
        num_segments: Number of segments: the first text, the second; 0 tells them not apart.
        buckets: Number of buckets of relative positions on each side; 0 is one for each distance.
        max_distance: Largest distance that is told apart.
        kinds: Which scores attention adds: "c2p" (content to position), "p2c" (position to content).
        share_key: Positions are projected as content is.
        use_key_bias: Add biases to the keys.
        normalize_positions: Normalise the vectors of relative positions.
        add_positions: Add learned positions to the embedding, too.
        convolution: Number of positions that a convolution beside the first block looks at; 0 is none.
        activation: Activation between the two dense layers of a block.
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, and of what a block adds, that is dropped while training.
        attention_dropout: Share of the attention weights that is dropped while training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time), `segments` (batch, time), 0 for the first text and 1 for the second
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    check_tokens(vocabulary_size)
    check_sizes(1, dim, depth, num_heads, feedforward_dim, dropout)  # ids have no width
    check(0 <= attention_dropout < 1, "attention_dropout", attention_dropout, "a number from 0 to below 1")
    check(max_length >= 1, "max_length", max_length, "at least 1")
    check(buckets != 1, "buckets", buckets, "0, or at least 2")
    check(max_distance >= 2, "max_distance", max_distance, "at least 2")
    for key, value in (("num_segments", num_segments), ("convolution", convolution), ("buckets", buckets)):
        check(value >= 0, key, value, "at least 0")
    ids = keras.Input((None,), dtype="int32", name="ids")
    segments = keras.Input((None,), dtype="int32", name="segments")
    mask = ops.not_equal(ids, pad_id)
    norm_of = normalization("layer", epsilon)
    start = functools.partial(keras.initializers.TruncatedNormal, stddev=0.02)
    tokens = layers.ReversibleEmbedding(
        vocabulary_size, dim, embeddings_initializer=start(), reverse_dtype=floatx(), name="token_embedding"
    )
    x = tokens(ids)  # (batch, time, dim)
    if num_segments:
        kinds_of = layers.Embedding(num_segments, dim, embeddings_initializer=start(), name="segment_embedding")
        x = layers.Add(name="embedding_add")([x, kinds_of(segments)])
    if add_positions:
        x = LearnedPosition(max_length, name="position_embedding")(x)
    is_real = ops.cast(mask, x.dtype)[..., None]
    x = layers.Dropout(dropout, name="embedding_dropout")(norm_of(name="embedding_norm")(x) * is_real)
    table = RelativeEmbedding(buckets or max_distance, epsilon if normalize_positions else None, name="relative")
    relative, first = table(x), x
    for index in range(1, depth + 1):
        block = f"block{index}"
        attend = DisentangledAttention(
            num_heads,
            kinds=kinds,
            buckets=buckets,
            max_distance=max_distance,
            share_key=share_key,
            use_key_bias=use_key_bias,
            dropout=attention_dropout,
            position_dropout=dropout,
            name=f"{block}_attention",
        )
        feed = FeedForward(feedforward_dim, activation=activation, name=f"{block}_feedforward")
        half = functools.partial(named_half, normalization=norm_of, norm="post", dropout=dropout)

        def look_around(y, attend=attend):
            return attend(y, relative, mask=mask, return_attention_scores=True)[0]

        x = half(x, look_around, name=f"{block}_attention", sum_name=f"{block}_attention_add")
        x = half(x, feed, name=f"{block}_feedforward", sum_name=f"{block}_add")
        if index == 1 and convolution:
            beside = layers.Conv1D(dim, convolution, padding="same", name="convolution")(first) * is_real
            beside = layers.Activation("tanh", name="convolution_tanh")(
                layers.Dropout(dropout, name="convolution_dropout")(beside)
            )
            x = norm_of(name="convolution_norm")(layers.Add(name="convolution_add")([x, beside])) * is_real
    x = layers.Identity(name="stage1")(x)
    return keras.Model({"ids": ids, "segments": segments}, x, name=name)
