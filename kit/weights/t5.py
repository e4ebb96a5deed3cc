"""T5's published layout, that of `transformers`, versions 1.0 and 1.1."""

from kit.errors import KitError, shown
from kit.weights.family import Family, blocks, setting

_ATTENTION = (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output"))
# Published feed-forward networks to activation and whether they are gated.
_FEEDFORWARD = {
    "relu": ("relu", False),
    "gelu_new": ("gelu", False),
    "silu": ("silu", False),
    "gated-gelu": ("gelu", True),
    "gated-relu": ("relu", True),
    "gated-silu": ("silu", True),
}


def sizes(config, folder):
    """Returns those keywords of the builder that a `config.json` with T5's names says."""
    depth = setting(config, folder, "num_layers")
    return {
        "vocabulary_size": setting(config, folder, "vocab_size"),
        "pad_id": config.get("pad_token_id") or 0,
        "dim": setting(config, folder, "d_model"),
        "depth": depth,
        "decoder_depth": setting(config, folder, "num_decoder_layers", default=depth),
        "num_heads": setting(config, folder, "num_heads"),
        "head_dim": setting(config, folder, "d_kv"),
        "feedforward_dim": setting(config, folder, "d_ff"),
        "num_buckets": setting(config, folder, "relative_attention_num_buckets", default=32),
        "max_distance": setting(config, folder, "relative_attention_max_distance", default=128),
        "epsilon": setting(config, folder, "layer_norm_epsilon", default=1e-6),
        "dropout": config.get("dropout_rate", 0.1),
    }


def arguments(config, folder):
    """Returns keywords of `kit.models.text.t5` for a `config.json`."""
    said = config.get("feed_forward_proj", "relu")
    if said not in _FEEDFORWARD:
        expected = " or ".join(map(repr, _FEEDFORWARD))
        raise KitError(f"{folder}: config.json has feed_forward_proj {shown(said)}; expected {expected}")
    activation, is_gated = _FEEDFORWARD[said]
    # Later releases of `transformers` say that all are tied, and tell version 1.1 by the other one.
    is_tied = config.get("tie_word_embeddings", True) and config.get("scale_decoder_outputs", True)
    return sizes(config, folder) | {"activation": activation, "is_gated": is_gated, "is_tied": bool(is_tied)}


def said_sizes(arguments):
    """Returns the entries of `config.json` that `sizes` reads."""
    depth = arguments["depth"]
    return {
        "vocab_size": arguments["vocabulary_size"],
        "pad_token_id": arguments["pad_id"],
        "decoder_start_token_id": arguments["pad_id"],
        "is_encoder_decoder": True,
        "d_model": arguments["dim"],
        "num_layers": depth,
        "num_decoder_layers": depth if arguments["decoder_depth"] is None else arguments["decoder_depth"],
        "num_heads": arguments["num_heads"],
        "d_kv": arguments["head_dim"],
        "d_ff": arguments["feedforward_dim"],
        "relative_attention_num_buckets": arguments["num_buckets"],
        "relative_attention_max_distance": arguments["max_distance"],
        "layer_norm_epsilon": arguments["epsilon"],
        "dropout_rate": arguments["dropout"],
        "tie_word_embeddings": arguments["is_tied"],
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.t5`."""
    chosen = (arguments["activation"], arguments["is_gated"])
    known = {own: theirs for theirs, own in _FEEDFORWARD.items()}
    if chosen not in known:
        raise KitError(f"t5: no published feed-forward network is {'gated ' * chosen[1]}{chosen[0]}")
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "feed_forward_proj": known[chosen],
        "scale_decoder_outputs": arguments["is_tied"],
        **said_sizes(arguments),
    }


def names(model, feedforward=None):
    """Returns the variable of each published tensor of a network of `kit.models.text.t5`, its last layer included.

    Args:
        model: The network.
        feedforward: Function from the published path of the layer around a feed-forward network and our path of it to
            what is inside; None is T5's own.
    """
    layers = {layer.name: layer for layer in model.layers}
    depth = len([name for name in layers if name.startswith("block") and name.endswith("_attention_norm")])
    settings = layers["decoder"].settings
    feedforward = feedforward or _dense(settings["is_gated"])
    encoder = {
        "encoder.block.{n}.layer.0.layer_norm.weight": "block{m}_attention_norm/scale",
        "encoder.block.{n}.layer.1.layer_norm.weight": "block{m}_feedforward_norm/scale",
    }
    decoder = {
        f"decoder.block.{{n}}.layer.{part}.layer_norm.weight": f"decoder/block{{m}}/norm{part}/scale"
        for part in range(3)
    }
    for theirs, ours in _ATTENTION:
        encoder[f"encoder.block.{{n}}.layer.0.SelfAttention.{theirs}.weight"] = f"block{{m}}_attention/{ours}/kernel"
        inside = f"{ours}/kernel"
        decoder[f"decoder.block.{{n}}.layer.0.SelfAttention.{theirs}.weight"] = (
            f"decoder/block{{m}}/self_attention/{inside}"
        )
        decoder[f"decoder.block.{{n}}.layer.1.EncDecAttention.{theirs}.weight"] = (
            f"decoder/block{{m}}/cross_attention/{inside}"
        )
    found = {
        "shared.weight": "token_embedding/embeddings",
        **blocks(encoder, depth),
        **blocks(decoder, settings["depth"]),
        "encoder.final_layer_norm.weight": "memory/scale",
        "decoder.final_layer_norm.weight": "decoder/norm/scale",
    }
    for theirs, ours in (("encoder", "position_bias"), ("decoder", "target_position_bias")):
        name = f"{theirs}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found[name] = f"{ours}/embeddings"
    for number in range(depth):
        found |= feedforward(f"encoder.block.{number}.layer.1.", f"block{number + 1}_feedforward")
    for number in range(settings["depth"]):
        found |= feedforward(f"decoder.block.{number}.layer.2.", f"decoder/block{number + 1}/feedforward")
    if "next_token" in layers:
        found["lm_head.weight"] = "next_token/kernel"
    return found


def _dense(is_gated):
    parts = {"wi_0": "gate", "wi_1": "in", "wo": "out"} if is_gated else {"wi": "in", "wo": "out"}

    def feedforward(theirs, ours):
        return {f"{theirs}DenseReluDense.{one}.weight": f"{ours}_{own}/kernel" for one, own in parts.items()}

    return feedforward


FAMILY = Family(
    "t5",
    arguments=arguments,
    configuration=configuration,
    names=names,
    heads=("lm_head.*",),
    ignored=("*coder.embed_tokens.weight", "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
)
