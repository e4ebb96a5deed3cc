"""Transformer blocks."""

from keras import layers


def encoder_block(x, mask, *, num_heads, feedforward_dim, dropout=0.0, activation="gelu", name):
    """Self-attention, then two dense layers, each around a residual connection and after its own normalisation.

    Vaswani et al., "Attention Is All You Need", 2017; normalisation in front ("pre-norm"), which needs no warm-up to be
    stable: Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020.

    Args:
        x: Sequence.
        mask: True at real positions; the others are not attended to.
        num_heads: Number of attention heads; divides the width of x.
        feedforward_dim: Width between the two dense layers.
        dropout: Share of the attention weights, and of what each half adds, that is dropped while training.
        activation: Name of a Keras activation.
        name: Name of the block. The second output of the layer `<name>_attention` is the attention weights.

    Shape:
        x, out: (batch, time, dim)
        mask: (batch, time)
        attention weights: (batch, heads, time, time)
    """
    dim = x.shape[-1]
    attention = layers.MultiHeadAttention(num_heads, dim // num_heads, dropout=dropout, name=f"{name}_attention")
    y = layers.LayerNormalization(name=f"{name}_attention_norm")(x)
    seen = mask[:, None, :]  # (batch, 1, time): every position looks at the real ones
    y, _ = attention(y, y, attention_mask=seen, return_attention_scores=True)
    x = layers.Add(name=f"{name}_attention_add")([x, layers.Dropout(dropout, name=f"{name}_attention_dropout")(y)])
    y = layers.LayerNormalization(name=f"{name}_feedforward_norm")(x)
    y = layers.Dense(feedforward_dim, activation=activation, name=f"{name}_feedforward_in")(y)
    y = layers.Dense(dim, name=f"{name}_feedforward_out")(y)
    return layers.Add(name=f"{name}_add")([x, layers.Dropout(dropout, name=f"{name}_feedforward_dropout")(y)])
