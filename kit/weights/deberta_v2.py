"""Published layout of DeBERTa's second and third version, that of `transformers`."""

from kit.errors import KitError, shown
from kit.weights.family import Family, blocks, known, norms, setting, with_parameters

_ATTENTION = {
    f"encoder.layer.{{n}}.attention.self.{part}_proj": f"block{{m}}_attention/{part}"
    for part in ("query", "key", "value")
}
_POSITIONS = {
    "encoder.layer.{n}.attention.self.pos_key_proj": "block{m}_attention/position_key",
    "encoder.layer.{n}.attention.self.pos_query_proj": "block{m}_attention/position_query",
}
DENSE = {
    "encoder.layer.{n}.attention.output.dense": "block{m}_attention/output",
    "encoder.layer.{n}.intermediate.dense": "block{m}_feedforward_in",
    "encoder.layer.{n}.output.dense": "block{m}_feedforward_out",
}
NORMS = {
    "encoder.layer.{n}.attention.output.LayerNorm": "block{m}_attention_norm",
    "encoder.layer.{n}.output.LayerNorm": "block{m}_feedforward_norm",
}


def arguments(config, folder):
    """Returns keywords of `kit.models.text.deberta` for a `config.json`."""
    known(config, folder, "conv_groups", (1,), 1)
    known(config, folder, "conv_act", ("tanh",), "tanh")
    known(config, folder, "norm_rel_ebd", ("none", "layer_norm"), "none")
    return shared_arguments(config, folder) | {
        "buckets": max(config.get("position_buckets", -1), 0),
        "share_key": config.get("share_att_key", False),
        "use_key_bias": True,
        "normalize_positions": config.get("norm_rel_ebd", "none") == "layer_norm",
        "convolution": config.get("conv_kernel_size", 0),
    }


def shared_arguments(config, folder):
    """Returns those keywords that all versions of DeBERTa have."""
    known(config, folder, "relative_attention", (True,), False)
    dim = setting(config, folder, "hidden_size")
    known(config, folder, "embedding_size", (dim,), dim)
    length = setting(config, folder, "max_position_embeddings", default=512)
    distance = config.get("max_relative_positions", -1)
    kinds = config.get("pos_att_type") or []
    kinds = tuple(kinds.split("|") if isinstance(kinds, str) else kinds)
    if not set(kinds) <= {"c2p", "p2c"}:
        raise KitError(f"{folder}: config.json has pos_att_type {shown(list(kinds))}; expected 'c2p' and 'p2c'")
    return {
        "vocabulary_size": setting(config, folder, "vocab_size"),
        "pad_id": config.get("pad_token_id") or 0,
        "dim": dim,
        "depth": setting(config, folder, "num_hidden_layers"),
        "num_heads": setting(config, folder, "num_attention_heads"),
        "feedforward_dim": setting(config, folder, "intermediate_size"),
        "max_length": length,
        "max_distance": distance if distance > 0 else length,
        "num_segments": config.get("type_vocab_size", 0),
        "kinds": kinds,
        "add_positions": config.get("position_biased_input", True),
        "activation": known(config, folder, "hidden_act", ("gelu", "relu", "silu", "tanh"), "gelu"),
        "epsilon": setting(config, folder, "layer_norm_eps", default=1e-7),
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.deberta`."""
    return shared_configuration(arguments) | {
        "architectures": ["DebertaV2Model"],
        "model_type": "deberta-v2",
        "position_buckets": arguments["buckets"] or -1,
        "share_att_key": arguments["share_key"],
        "norm_rel_ebd": "layer_norm" if arguments["normalize_positions"] else "none",
        "conv_kernel_size": arguments["convolution"],
    }


def shared_configuration(arguments):
    """Returns those values of `config.json` that all versions of DeBERTa have."""
    return {
        "vocab_size": arguments["vocabulary_size"],
        "pad_token_id": arguments["pad_id"],
        "hidden_size": arguments["dim"],
        "num_hidden_layers": arguments["depth"],
        "num_attention_heads": arguments["num_heads"],
        "intermediate_size": arguments["feedforward_dim"],
        "max_position_embeddings": arguments["max_length"],
        "max_relative_positions": arguments["max_distance"],
        "type_vocab_size": arguments["num_segments"],
        "pos_att_type": list(arguments["kinds"]),
        "position_biased_input": arguments["add_positions"],
        "relative_attention": True,
        "hidden_act": arguments["activation"],
        "layer_norm_eps": arguments["epsilon"],
        "hidden_dropout_prob": arguments["dropout"],
        "attention_probs_dropout_prob": arguments["attention_dropout"],
    }


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.text.deberta`."""
    layers = {layer.name for layer in model.layers}
    depth, attention = depth_of(layers), model.get_layer("block1_attention")
    found = embeddings(layers) | with_parameters(blocks(_ATTENTION | DENSE, depth)) | norms(blocks(NORMS, depth))
    if not attention.share_key:
        kinds = {"c2p": "pos_key_proj", "p2c": "pos_query_proj"}
        table = {
            name: ours
            for name, ours in _POSITIONS.items()
            if any(name.endswith(kinds[kind]) for kind in attention.kinds)
        }
        found |= with_parameters(blocks(table, depth))
    if model.get_layer("relative").epsilon is not None:
        found |= norms({"encoder.LayerNorm": "relative/norm"})
    if "convolution" in layers:
        found |= with_parameters({"encoder.conv.conv": "convolution"}) | norms(
            {"encoder.conv.LayerNorm": "convolution_norm"}
        )
    return found


def depth_of(layers):
    """Returns the number of blocks, given the names of a network's layers."""
    return sum(name.startswith("block") and name.endswith("_attention") for name in layers)


def embeddings(layers):
    """Returns the variables of published tensors in front of the blocks, given the names of a network's layers."""
    found = {
        "embeddings.word_embeddings.weight": "token_embedding/embeddings",
        "encoder.rel_embeddings.weight": "relative/embeddings",
        **norms({"embeddings.LayerNorm": "embedding_norm"}),
    }
    if "position_embedding" in layers:
        found["embeddings.position_embeddings.weight"] = "position_embedding/embeddings"
    if "segment_embedding" in layers:
        found["embeddings.token_type_embeddings.weight"] = "segment_embedding/embeddings"
    return found


FAMILY = Family(
    "deberta_v2",
    arguments=arguments,
    configuration=configuration,
    names=names,
    prefix="deberta.",
    heads=("*pooler.dense.*", "cls.*", "lm_predictions.*", "mask_predictions.*", "classifier.*", "qa_outputs.*"),
    ignored=("*embeddings.position_ids",),
)
