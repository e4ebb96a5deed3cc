"""BigBird's published layout, that of `transformers`, with heads for masked tokens and next sentence."""

import dataclasses

from kit.weights import bert
from kit.weights.family import known

_SPARSITY = {"block_sparse": "block", "original_full": "none"}


def arguments(config, folder):
    """Returns keywords of `kit.models.text.big_bird` for a `config.json`."""
    known(config, folder, "is_decoder", (False,), False)
    own = {"hidden_act": "gelu_new", "max_position_embeddings": 4096, "position_embedding_type": "absolute"}
    return bert.arguments(own | config, folder) | {
        "sparsity": _SPARSITY[known(config, folder, "attention_type", tuple(_SPARSITY), "block_sparse")],
        "block_size": config.get("block_size", 64),
        "num_random_blocks": config.get("num_random_blocks", 3),
        "random_draws": "training",
        "use_qkv_bias": config.get("use_bias", True),
        "scale_embedding": config.get("rescale_embeddings", False),
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.big_bird`."""
    found = bert.configuration(arguments) | {
        "architectures": ["BigBirdModel"],
        "model_type": "big_bird",
        "attention_type": "block_sparse" if arguments["sparsity"] == "block" else "original_full",
        "block_size": arguments["block_size"],
        "num_random_blocks": arguments["num_random_blocks"],
        "use_bias": arguments["use_qkv_bias"],
        "rescale_embeddings": arguments["scale_embedding"],
    }
    del found["position_embedding_type"]
    return found


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.text.big_bird`, heads included."""
    has_bias = model.get_layer("block1_attention").use_qkv_bias
    return {
        theirs.replace("pooler.dense.", "pooler."): ours
        for theirs, ours in bert.names(model).items()
        if has_bias or not (".attention.self." in theirs and theirs.endswith(".bias"))
    }


FAMILY = dataclasses.replace(
    bert.FAMILY,
    name="big_bird",
    arguments=arguments,
    configuration=configuration,
    names=names,
    heads=("*pooler.*", "cls.*", "classifier.*", "qa_classifier.*"),
)
