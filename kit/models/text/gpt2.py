"""GPT-2 and GPT-3: learned positions, normalisation in front of each half, GELU, one embedding for both ends.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019; Brown et al., "Language Models are Few-Shot
Learners", 2020, which alternates blocks that see everything with blocks that see a band (Child et al., "Generating Long
Sequences with Sparse Transformers", 2019).
"""

from kit.blocks.transformer import TransformerDecoder
from kit.errors import check
from kit.models.text.causal_decoder import causal_decoder

VARIANTS = {
    f"gpt2{name}": {"dim": dim, "depth": depth, "num_heads": heads}
    for name, dim, depth, heads in (
        ("_tiny", 128, 4, 4),
        ("", 768, 12, 12),
        ("_medium", 1024, 24, 16),
        ("_large", 1280, 36, 20),
        ("_xl", 1600, 48, 25),
    )
}
# Table 2.1 of the second paper; the band's width is not in it.
VARIANTS |= {
    f"gpt3{name}": {
        "dim": dim,
        "depth": depth,
        "num_heads": heads,
        "head_dim": head_dim,
        "window": (0, 256),
    }
    for name, dim, depth, heads, head_dim in (
        ("_tiny", 128, 4, 4, 32),
        ("_small", 768, 12, 12, 64),
        ("_medium", 1024, 24, 16, 64),
        ("_large", 1536, 24, 16, 96),
        ("_xl", 2048, 24, 24, 128),
        ("", 12288, 96, 96, 128),
    )
}


def gpt2(
    vocabulary_size,
    separator,
    length,
    *,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    head_dim: int | None = None,
    feedforward_dim: int | None = None,
    max_length: int | None = None,
    window: tuple[int, ...] = (),
    epsilon: float = 1e-5,
    dropout: float = 0.1,
    name: str = "gpt2",
):
    """Embeds tokens and positions, and passes them through blocks that look back.

    Args:
        vocabulary_size, separator: As for `kit.models.text.causal_decoder`.
        length: Tokens of the sequences that it is trained on.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        head_dim: Width of a head; None is `dim` divided by the number of heads.
        feedforward_dim: Width between the two dense layers of a block; None is four times `dim`.
        max_length: Number of positions; there is no longer sequence. None is `length`.
        window: How far back the first block, the second and so on look, over and over: `(0, 256)` lets every other
            block see 256 positions alone, and the others everything.
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, of the attention weights and of what a block adds that is dropped in training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time)
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    decoder = TransformerDecoder(
        depth,
        num_heads,
        4 * dim if feedforward_dim is None else feedforward_dim,
        head_dim=head_dim,
        dropout=dropout,
        activation="gelu_approximate",
        epsilon=epsilon,
        positions="learned",
        max_length=length if max_length is None else max_length,
        window=[each or None for each in window] or None,
        name="decoder",
    )
    return causal_decoder(vocabulary_size, separator, decoder, dim=dim, is_tied=True, name=name)
