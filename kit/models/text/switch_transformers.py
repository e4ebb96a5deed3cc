"""Switch Transformers: T5 with experts in every other block, of which a router chooses one for each token.

Fedus, Zoph and Shazeer, "Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity",
2021.
"""

from kit.blocks.activations import Activation
from kit.errors import check
from kit.models.text.t5 import encoder_decoder, sizes_of

VARIANTS = {
    "switch_transformers": {},  # published weights say all the rest
    "switch_t5_tiny": sizes_of(128, 2, 4, 512, 32) | {"num_experts": 4},
    "switch_t5_mini": sizes_of(256, 4, 4, 1024) | {"num_experts": 8},
    "switch_t5_base_8": sizes_of(768, 12, 12, 3072) | {"num_experts": 8},
    "switch_t5_base_16": sizes_of(768, 12, 12, 3072) | {"num_experts": 16},
    "switch_t5_base_32": sizes_of(768, 12, 12, 3072) | {"num_experts": 32},
    "switch_t5_base_64": sizes_of(768, 12, 12, 3072) | {"num_experts": 64},
    "switch_t5_base_128": sizes_of(768, 12, 12, 3072) | {"num_experts": 128},
    "switch_t5_large_128": sizes_of(1024, 24, 16, 4096) | {"num_experts": 128},
}


def switch_transformers(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 768,
    depth: int = 12,
    decoder_depth: int | None = None,
    num_heads: int = 12,
    head_dim: int = 64,
    feedforward_dim: int = 3072,
    activation: Activation = "relu",
    is_gated: bool = False,
    is_tied: bool = True,
    num_experts: int = 8,
    experts_interval: int = 2,
    decoder_experts_interval: int | None = None,
    capacity_factor: float | None = 1.25,
    capacity: int | None = None,
    jitter: float = 0.01,
    load_loss: float = 0.01,
    num_buckets: int = 32,
    max_distance: int = 128,
    epsilon: float = 1e-6,
    dropout: float = 0.1,
    name: str = "switch_transformers",
):
    """Embeds the tokens of both texts and passes them through encoder and decoder, each token by one expert a block.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        dim: Width of every block.
        depth: Number of blocks of the encoder.
        decoder_depth: Number of blocks of the decoder; None is as many.
        num_heads: Number of attention heads of each block.
        head_dim: Width of a head; all heads together need not be as wide as a block.
        feedforward_dim: Width between the dense layers of a block, and of an expert.
        activation: Activation behind the first of them; "gelu" is computed by way of tanh, as in the published code.
        is_gated: Multiply that by another dense layer.
        is_tied: Give the logits by the embedding, the other way round; otherwise by a layer of their own.
        num_experts: Feed-forward networks of a block, of which a router chooses one for each token.
        experts_interval: Of so many blocks of the encoder in turn the last one has experts.
        decoder_experts_interval: The same of the decoder; None is as in the encoder.
        capacity_factor, capacity, jitter, load_loss: As for `kit.blocks.experts.Experts`.
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
    experts = {
        "num_experts": num_experts,
        "top_k": 1,
        "normalize": False,
        "capacity_factor": capacity_factor if capacity is None else None,
        "capacity": capacity,
        "jitter": jitter,
        "load_loss": load_loss,
    }
    own = experts_interval if decoder_experts_interval is None else decoder_experts_interval
    check(experts_interval >= 1, "experts_interval", experts_interval, "at least 1")
    check(own >= 1, "decoder_experts_interval", own, "at least 1")
    return encoder_decoder(
        vocabulary_size,
        pad_id,
        sizes=sizes_of(dim, depth, num_heads, feedforward_dim, head_dim) | {"decoder_depth": decoder_depth},
        feedforward={"activation": activation, "is_gated": is_gated},
        buckets={"num_buckets": num_buckets, "max_distance": max_distance},
        is_tied=is_tied,
        epsilon=epsilon,
        dropout=dropout,
        name=name,
        experts=experts,
        intervals=(experts_interval, own),
    )
