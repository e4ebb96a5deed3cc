"""BigBird: BERT for long texts, with block-sparse attention: blocks of a window, global and random blocks.

Zaheer et al., "Big Bird: Transformers for Longer Sequences", 2020.
"""

import functools
from typing import Literal

from kit.blocks.activations import Activation
from kit.blocks.attention import Attention
from kit.blocks.sparse_attention import BlockSparseAttention
from kit.errors import check
from kit.models.text.bert import transformer_of_tokens

VARIANTS = {
    "big_bird_base": {"dim": 768, "depth": 12, "num_heads": 12, "feedforward_dim": 3072},
    "big_bird_large": {"dim": 1024, "depth": 24, "num_heads": 16, "feedforward_dim": 4096},
    "big_bird": {},
}


def big_bird(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    feedforward_dim: int = 3072,
    max_length: int = 4096,
    num_segments: int = 2,
    sparsity: Literal["block", "none"] = "block",
    block_size: int = 64,
    num_random_blocks: int = 3,
    random_draws: Literal["always", "training"] = "always",
    use_qkv_bias: bool = True,
    scale_embedding: bool = False,
    activation: Activation = "gelu",
    approximate_gelu: bool = True,
    epsilon: float = 1e-12,
    dropout: float = 0.1,
    attention_dropout: float = 0.1,
    name: str = "big_bird",
):
    """Embeds tokens, positions and segments, and passes their sum through blocks of block-sparse self-attention.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding, which is not looked at.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        max_length: Number of positions; there is no longer sequence.
        num_segments: Number of segments: the first text, the second.
        sparsity: "block" for attention to a window, the first, the last and random blocks of positions; "none" for
            attention to all. Batches of at most (5 + 2 num_random_blocks) block_size positions are always looked at as
            a whole.
        block_size: Number of positions of a block of block-sparse attention.
        num_random_blocks: Number of random blocks that each one looks at.
        random_draws: When random blocks are drawn: "always", or in "training" alone, with the first block in their
            places otherwise, as published weights are used.
        use_qkv_bias: Add biases to queries, keys and values.
        scale_embedding: Multiply embeddings of tokens by the root of the width.
        activation: Activation between the two dense layers of a block.
        approximate_gelu: Compute "gelu" by way of tanh.
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, and of what a block adds, that is dropped while training.
        attention_dropout: Share of the attention weights that is dropped while training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time), `segments` (batch, time), 0 for the first text and 1 for the second
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, the heads do not divide the width, or blocks are so large that no
            sequence is long enough for them.
    """
    check(num_random_blocks >= 0, "num_random_blocks", num_random_blocks, "at least 0")
    check(max_length >= 1, "max_length", max_length, "at least 1")
    if sparsity == "block":
        blocks = 5 + 2 * num_random_blocks
        most = (max_length - 1) // blocks
        expected = f"1 to {most}, since only sequences of more than {blocks} blocks are sparse, and the longest has "
        expected += f"{max_length} positions (max_length)"
        if not most:
            expected = f"sparsity='none', since no sequence of max_length={max_length} has more than {blocks} blocks"
        check(1 <= block_size <= most, "block_size", block_size, expected)
    check(block_size >= 1, "block_size", block_size, "at least 1")

    def attention(index):
        if sparsity == "none":
            return functools.partial(Attention, num_heads, use_qkv_bias=use_qkv_bias, dropout=attention_dropout)
        return functools.partial(
            BlockSparseAttention,
            num_heads,
            block_size=block_size,
            num_random_blocks=num_random_blocks,
            max_length=max_length,
            draws=random_draws,
            seed=index,
            use_qkv_bias=use_qkv_bias,
            dropout=attention_dropout,
        )

    return transformer_of_tokens(
        vocabulary_size,
        pad_id,
        attention,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        feedforward_dim=feedforward_dim,
        max_length=max_length,
        num_segments=num_segments,
        activation=activation,
        approximate_gelu=approximate_gelu,
        epsilon=epsilon,
        dropout=dropout,
        attention_dropout=attention_dropout,
        embedding_scale=dim**0.5 if scale_embedding else 1.0,
        name=name,
    )
