"""Published layout of Swin Transformers, that of `transformers`."""

from kit.blocks.stages import named_blocks
from kit.weights.family import IMAGENET, Family, known, norms, setting, with_parameters

_BLOCK = {
    **{f"attention.self.{part}": f"_attention/{part}" for part in ("query", "key", "value")},
    "attention.output.dense": "_attention/output",
    "intermediate.dense": "_feedforward_in",
    "output.dense": "_feedforward_out",
}
_BLOCK_NORMS = {"layernorm_before": "_attention_norm", "layernorm_after": "_feedforward_norm"}


def arguments(config, folder):
    """Returns keywords of `kit.models.vision.swin` for a `config.json`."""
    known(config, folder, "hidden_act", ("gelu",), "gelu")
    known(config, folder, "qkv_bias", (True,), True)
    known(config, folder, "use_absolute_embeddings", (False,), False)
    known(config, folder, "layer_norm_eps", (1e-5,), 1e-5)
    return {
        "patch_size": setting(config, folder, "patch_size"),
        "dim": setting(config, folder, "embed_dim"),
        "depths": tuple(setting(config, folder, "depths")),
        "num_heads": tuple(setting(config, folder, "num_heads")),
        "window_size": setting(config, folder, "window_size"),
        "feedforward_ratio": int(setting(config, folder, "mlp_ratio", default=4)),
        "dropout": config.get("hidden_dropout_prob", 0.0),
        "stochastic_depth": config.get("drop_path_rate", 0.1),
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.vision.swin`."""
    depths = list(arguments["depths"])
    return {
        "architectures": ["SwinModel"],
        "model_type": "swin",
        "patch_size": arguments["patch_size"],
        "embed_dim": arguments["dim"],
        "hidden_size": arguments["dim"] * 2 ** (len(depths) - 1),
        "depths": depths,
        "num_layers": len(depths),
        "num_heads": list(arguments["num_heads"]),
        "window_size": arguments["window_size"],
        "mlp_ratio": float(arguments["feedforward_ratio"]),
        "hidden_dropout_prob": arguments["dropout"],
        "drop_path_rate": arguments["stochastic_depth"],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "qkv_bias": True,
        "use_absolute_embeddings": False,
    }


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.vision.swin`."""
    known_layers = {layer.name for layer in model.layers}
    dense, normalised = (
        {"embeddings.patch_embeddings.projection": "stem_patches"},
        {
            "embeddings.norm": "stem_norm",
            "layernorm": "final_norm",
        },
    )
    found = {}
    for stage, index, layer in named_blocks(_depths(known_layers)):
        prefix = f"encoder.layers.{stage - 1}.blocks.{index - 1}."
        dense |= {f"{prefix}{theirs}": f"{layer}{ours}" for theirs, ours in _BLOCK.items()}
        normalised |= {f"{prefix}{theirs}": f"{layer}{ours}" for theirs, ours in _BLOCK_NORMS.items()}
        table = "attention.self.relative_position_bias_table"
        found[f"{prefix}{table}"] = f"{layer}_attention/relative_position_bias"
        if stage > 1 and index == 1:
            below = f"encoder.layers.{stage - 2}.downsample."
            normalised[f"{below}norm"] = f"merging{stage - 1}_norm"
            found[f"{below}reduction.weight"] = f"merging{stage - 1}/kernel"
    return with_parameters(dense) | norms(normalised) | found


def _depths(layers):
    """Returns the number of blocks of each stage, given the names of layers such as `stage2_1_attention`."""
    counts = {}
    for name in layers:
        if name.endswith("_attention"):
            stage = int(name.removeprefix("stage").partition("_")[0])
            counts[stage] = counts.get(stage, 0) + 1
    return tuple(counts[stage] for stage in sorted(counts))


FAMILY = Family(
    "swin",
    arguments=arguments,
    configuration=configuration,
    names=names,
    prefix="swin.",
    heads=("*pooler.dense.*", "classifier.*", "decoder.*"),
    ignored=("*.relative_position_index", "*embeddings.mask_token"),
    images=IMAGENET,
)
