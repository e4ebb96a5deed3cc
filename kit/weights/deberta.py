"""Published layout of DeBERTa's first version, that of `transformers`."""

from kit.weights.deberta_v2 import DENSE, NORMS, depth_of, embeddings, shared_arguments, shared_configuration
from kit.weights.family import Family, Joined, blocks, known, norms, with_parameters


def arguments(config, folder):
    """Returns keywords of `kit.models.text.deberta` for a `config.json`."""
    known(config, folder, "talking_head", (False,), False)
    return shared_arguments(config, folder) | {
        "buckets": 0,
        "share_key": False,
        "use_key_bias": False,
        "normalize_positions": False,
        "convolution": 0,
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.deberta`."""
    return shared_configuration(arguments) | {"architectures": ["DebertaModel"], "model_type": "deberta"}


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.text.deberta`."""
    layers = {layer.name for layer in model.layers}
    depth, attention = depth_of(layers), model.get_layer("block1_attention")
    found = embeddings(layers) | with_parameters(blocks(DENSE, depth)) | norms(blocks(NORMS, depth))
    for number in range(depth):
        theirs, ours = f"encoder.layer.{number}.attention.self", f"block{number + 1}_attention"
        kernels = tuple(f"{ours}/{part}/kernel" for part in ("query", "key", "value"))
        found[f"{theirs}.in_proj.weight"] = Joined(kernels, attention.num_heads)
        found |= {f"{theirs}.q_bias": f"{ours}/query/bias", f"{theirs}.v_bias": f"{ours}/value/bias"}
        if "c2p" in attention.kinds:
            found[f"{theirs}.pos_proj.weight"] = f"{ours}/position_key/kernel"
        if "p2c" in attention.kinds:
            found |= with_parameters({f"{theirs}.pos_q_proj": f"{ours}/position_query"})
    return found


FAMILY = Family(
    "deberta",
    arguments=arguments,
    configuration=configuration,
    names=names,
    prefix="deberta.",
    heads=("*pooler.dense.*", "cls.*", "lm_predictions.*", "classifier.*", "qa_outputs.*"),
    ignored=("*embeddings.position_ids",),
)
