"""BERT's published layout, that of `transformers`, with heads for masked tokens and next sentence; also MiniLM's."""

from kit.weights.family import Family, blocks, known, norms, setting, with_parameters

# Published names of activations, those that are not called as in Keras: ours, and whether GELU goes by way of tanh.
_ACTIVATIONS = {"gelu_new": ("gelu", True), "gelu_pytorch_tanh": ("gelu", True), "swish": ("silu", False)}
_ACTIVATIONS_OF_KERAS = ("gelu", "relu", "silu", "tanh")
_BLOCK = {
    **{
        f"encoder.layer.{{n}}.attention.self.{part}": f"block{{m}}_attention/{part}"
        for part in ("query", "key", "value")
    },
    "encoder.layer.{n}.attention.output.dense": "block{m}_attention/output",
    "encoder.layer.{n}.intermediate.dense": "block{m}_feedforward_in",
    "encoder.layer.{n}.output.dense": "block{m}_feedforward_out",
}
_BLOCK_NORMS = {
    "encoder.layer.{n}.attention.output.LayerNorm": "block{m}_attention_norm",
    "encoder.layer.{n}.output.LayerNorm": "block{m}_feedforward_norm",
}
# Layers of heads: published name, ours, and whether it is a normalisation.
_HEADS = (
    ("pooler.dense", "pooler", False),
    ("cls.predictions.transform.dense", "masked_tokens", False),
    ("cls.predictions.transform.LayerNorm", "masked_tokens_norm", True),
    ("cls.seq_relationship", "next_sentence", False),
)


def arguments(config, folder):
    """Returns keywords of `kit.models.text.bert` for a `config.json`."""
    known(config, folder, "position_embedding_type", ("absolute",), "absolute")
    activation = known(config, folder, "hidden_act", (*_ACTIVATIONS_OF_KERAS, *_ACTIVATIONS), "gelu")
    activation, is_approximate = _ACTIVATIONS.get(activation, (activation, False))
    return {
        "vocabulary_size": setting(config, folder, "vocab_size"),
        "dim": setting(config, folder, "hidden_size"),
        "depth": setting(config, folder, "num_hidden_layers"),
        "num_heads": setting(config, folder, "num_attention_heads"),
        "feedforward_dim": setting(config, folder, "intermediate_size"),
        "max_length": setting(config, folder, "max_position_embeddings", default=512),
        "num_segments": setting(config, folder, "type_vocab_size", default=2),
        "activation": activation,
        "approximate_gelu": is_approximate,
        "epsilon": setting(config, folder, "layer_norm_eps", default=1e-12),
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
        "pad_id": config.get("pad_token_id") or 0,
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.bert`."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": arguments["vocabulary_size"],
        "hidden_size": arguments["dim"],
        "num_hidden_layers": arguments["depth"],
        "num_attention_heads": arguments["num_heads"],
        "intermediate_size": arguments["feedforward_dim"],
        "max_position_embeddings": arguments["max_length"],
        "type_vocab_size": arguments["num_segments"],
        "hidden_act": "gelu_new" if arguments["approximate_gelu"] else arguments["activation"],
        "layer_norm_eps": arguments["epsilon"],
        "hidden_dropout_prob": arguments["dropout"],
        "attention_probs_dropout_prob": arguments["attention_dropout"],
        "pad_token_id": arguments["pad_id"],
        "position_embedding_type": "absolute",
    }


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.text.bert`, heads included."""
    layers = {layer.name for layer in model.layers}
    depth = sum(name.startswith("block") and name.endswith("_attention") for name in layers)
    found = {
        "embeddings.word_embeddings.weight": "token_embedding/embeddings",
        "embeddings.position_embeddings.weight": "position_embedding/embeddings",
        "embeddings.token_type_embeddings.weight": "segment_embedding/embeddings",
        **norms({"embeddings.LayerNorm": "embedding_norm"}),
        **with_parameters(blocks(_BLOCK, depth)),
        **norms(blocks(_BLOCK_NORMS, depth)),
    }
    for theirs, ours, is_norm in _HEADS:
        if ours in layers:
            found |= (norms if is_norm else with_parameters)({theirs: ours})
    if "masked_tokens_bias" in layers:
        found["cls.predictions.bias"] = "masked_tokens_bias/bias"
    return found


FAMILY = Family(
    "bert",
    arguments=arguments,
    configuration=configuration,
    names=names,
    prefix="bert.",
    heads=("*pooler.dense.*", "cls.*", "classifier.*", "qa_outputs.*"),
    ignored=("*embeddings.position_ids", "cls.predictions.decoder.*"),
)
