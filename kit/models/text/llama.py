"""Llama, Mistral, Qwen and Mixtral: rotary positions, shared keys and values, gated feed-forward, RMS norms, experts.

Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; Jiang et al., "Mistral 7B", 2023 (a window
of positions that are seen); Yang et al., "Qwen2 Technical Report", 2024 (biases of queries, keys and values); Yang et
al., "Qwen3 Technical Report", 2025 (normalised queries and keys instead; Qwen3-MoE: 128 experts); Jiang et al.,
"Mixtral of Experts", 2024 (two of eight experts a position); Fedus, Zoph and Shazeer, "Switch Transformers", 2021 (one,
of limited room).
"""

from kit.blocks.transformer import TransformerDecoder
from kit.errors import check
from kit.models.text.causal_decoder import causal_decoder

_TINY = {"dim": 128, "depth": 4, "num_heads": 4, "num_key_value_heads": 2, "feedforward_dim": 352, "is_tied": True}
_QWEN3 = {"head_dim": 128, "use_query_key_norm": True, "rotary_wavelength": 1e6, "epsilon": 1e-6}
_QWEN2 = {"use_qkv_bias": True, "rotary_wavelength": 1e6, "epsilon": 1e-6}


def _sizes(dim, depth, num_heads, num_key_value_heads, feedforward_dim, is_tied=False):
    return {
        "dim": dim,
        "depth": depth,
        "num_heads": num_heads,
        "num_key_value_heads": num_key_value_heads,
        "feedforward_dim": feedforward_dim,
        "is_tied": is_tied,
    }


VARIANTS = {
    "llama_tiny": _TINY,
    "llama_7b": _sizes(4096, 32, 32, 32, 11008) | {"epsilon": 1e-6},
    "llama_13b": _sizes(5120, 40, 40, 40, 13824) | {"epsilon": 1e-6},
    "llama3_1b": _sizes(2048, 16, 32, 8, 8192, True) | {"head_dim": 64, "rotary_wavelength": 5e5},
    "mistral_tiny": _TINY | {"window": 64},
    "mistral_7b": _sizes(4096, 32, 32, 8, 14336) | {"window": 4096},
    "qwen2_tiny": _TINY | _QWEN2,
    "qwen2_0.5b": _sizes(896, 24, 14, 2, 4864, True) | _QWEN2,
    "qwen2_1.5b": _sizes(1536, 28, 12, 2, 8960, True) | _QWEN2,
    "qwen2_7b": _sizes(3584, 28, 28, 4, 18944) | _QWEN2,
    "qwen3_tiny": _TINY | _QWEN3 | {"head_dim": 32},
    "qwen3_0.6b": _sizes(1024, 28, 16, 8, 3072, True) | _QWEN3,
    "qwen3_1.7b": _sizes(2048, 28, 16, 8, 6144, True) | _QWEN3,
    "qwen3_8b": _sizes(4096, 36, 32, 8, 12288) | _QWEN3,
}
_MIXTRAL = {"num_experts": 8, "top_k": 2, "rotary_wavelength": 1e6}
_QWEN3_MOE = _QWEN3 | {"num_experts": 128, "top_k": 8}
VARIANTS |= {
    "mixtral_tiny": _TINY | {"num_experts": 8, "top_k": 2, "feedforward_dim": 176},
    "mixtral_8x7b": _sizes(4096, 32, 32, 8, 14336) | _MIXTRAL,
    "qwen3_moe_tiny": _TINY | _QWEN3 | {"head_dim": 32, "num_experts": 16, "top_k": 4, "feedforward_dim": 88},
    "qwen3_30b_a3b": _sizes(2048, 48, 32, 4, 768) | _QWEN3_MOE,
    # Room is a share of a sequence here, of a large batch in the paper: its load loss of 0.01 would leave many without.
    "switch_tiny": _TINY
    | {"num_experts": 8, "top_k": 1, "normalize": False, "capacity_factor": 1.25, "jitter": 0.01, "load_loss": 0.1},
}
# Published weights say all the rest.
VARIANTS |= {"llama": {}, "mistral": {}, "qwen2": _QWEN2, "qwen3": _QWEN3}
VARIANTS |= {"mixtral": {"num_experts": 8}, "qwen3_moe": _QWEN3_MOE}


def llama(
    vocabulary_size,
    separator,
    *,
    dim: int = 4096,
    depth: int = 32,
    num_heads: int = 32,
    num_key_value_heads: int | None = None,
    head_dim: int | None = None,
    feedforward_dim: int = 11008,
    window: int | None = None,
    rotary_wavelength: float = 10000.0,
    use_qkv_bias: bool = False,
    use_query_key_norm: bool = False,
    epsilon: float = 1e-5,
    dropout: float = 0.0,
    is_tied: bool = False,
    num_experts: int = 0,
    top_k: int = 2,
    normalize: bool = True,
    capacity_factor: float | None = None,
    jitter: float = 0.0,
    load_loss: float = 0.01,
    experts_interval: int = 1,
    name: str = "llama",
):
    """Embeds tokens, and passes them through blocks whose attention turns by the position.

    Args:
        vocabulary_size, separator: As for `kit.models.text.causal_decoder`.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        num_key_value_heads: Heads of keys and values, each shared by as many of queries; None is one for each.
        head_dim: Width of a head; None is `dim` divided by the number of heads.
        feedforward_dim: Width between the gated dense layers of a block and the one behind them.
        window: A position looks only at those less than so many before it; None is all.
        rotary_wavelength: Length of the slowest turn, in positions, divided by 2 pi.
        use_qkv_bias: Add biases to queries, keys and values (Qwen2).
        use_query_key_norm: Normalise each head's queries and keys (Qwen3).
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, of the attention weights and of what a block adds that is dropped in training.
        is_tied: Give the logits by the embedding, the other way round.
        num_experts: Feed-forward networks of a block, of which a router chooses; 0 is one for all positions.
        top_k, normalize, capacity_factor, jitter, load_loss: As for `kit.blocks.experts.Experts`.
        experts_interval: Of so many blocks in turn the last one has experts.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time)
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide what they have to.
    """
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    check(num_experts >= 0, "num_experts", num_experts, "at least 1, or 0 for one network for all")
    check(top_k >= 1, "top_k", top_k, "at least 1")
    check(capacity_factor is None or capacity_factor > 0, "capacity_factor", capacity_factor, "a number above 0")
    check(0 <= jitter < 1, "jitter", jitter, "a number from 0 to below 1")
    check(load_loss >= 0, "load_loss", load_loss, "at least 0")
    experts = {
        "num_experts": num_experts,
        "top_k": top_k,
        "normalize": normalize,
        "capacity_factor": capacity_factor,
        "jitter": jitter,
        "load_loss": load_loss,
    }
    decoder = TransformerDecoder(
        depth,
        num_heads,
        feedforward_dim,
        num_key_value_heads=num_key_value_heads,
        head_dim=head_dim,
        dropout=dropout,
        activation="silu",
        is_gated=True,
        normalization="rms",
        epsilon=epsilon,
        positions="rotary",
        rotary_wavelength=rotary_wavelength,
        use_bias=False,
        use_qkv_bias=use_qkv_bias,
        use_query_key_norm=use_query_key_norm,
        window=window,
        experts=experts if num_experts else None,
        experts_interval=experts_interval,
        name="decoder",
    )
    return causal_decoder(vocabulary_size, separator, decoder, dim=dim, is_tied=is_tied, name=name)
