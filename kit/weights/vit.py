"""Published layout of Vision Transformers, that of `transformers`."""

from kit.weights.family import Family, blocks, known, norms, setting, with_parameters

_BLOCK = {
    **{
        f"encoder.layer.{{n}}.attention.attention.{part}": f"block{{m}}_attention/{part}"
        for part in ("query", "key", "value")
    },
    "encoder.layer.{n}.attention.output.dense": "block{m}_attention/output",
    "encoder.layer.{n}.intermediate.dense": "block{m}_feedforward_in",
    "encoder.layer.{n}.output.dense": "block{m}_feedforward_out",
}
_BLOCK_NORMS = {
    "encoder.layer.{n}.layernorm_before": "block{m}_attention_norm",
    "encoder.layer.{n}.layernorm_after": "block{m}_feedforward_norm",
}


def arguments(config, folder):
    """Returns keywords of `kit.models.vision.vit` for a `config.json`."""
    known(config, folder, "hidden_act", ("gelu",), "gelu")
    known(config, folder, "qkv_bias", (True,), True)
    return {
        "patch_size": setting(config, folder, "patch_size"),
        "dim": setting(config, folder, "hidden_size"),
        "depth": setting(config, folder, "num_hidden_layers"),
        "num_heads": setting(config, folder, "num_attention_heads"),
        "feedforward_dim": setting(config, folder, "intermediate_size"),
        "epsilon": setting(config, folder, "layer_norm_eps", default=1e-12),
        "dropout": config.get("hidden_dropout_prob", 0.0),
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.vision.vit`."""
    return {
        "architectures": ["ViTModel"],
        "model_type": "vit",
        "patch_size": arguments["patch_size"],
        "hidden_size": arguments["dim"],
        "num_hidden_layers": arguments["depth"],
        "num_attention_heads": arguments["num_heads"],
        "intermediate_size": arguments["feedforward_dim"],
        "layer_norm_eps": arguments["epsilon"],
        "hidden_dropout_prob": arguments["dropout"],
        "hidden_act": "gelu",
        "qkv_bias": True,
    }


def names(model):
    """Returns the variable of each published tensor of a network of `kit.models.vision.vit` with a class token."""
    depth = sum(layer.name.endswith("_attention") for layer in model.layers)
    return {
        "embeddings.cls_token": "stem_class_token/token",
        "embeddings.position_embeddings": "stem_position/embeddings",
        **with_parameters({"embeddings.patch_embeddings.projection": "stem_patches"}),
        **with_parameters(blocks(_BLOCK, depth)),
        **norms(blocks(_BLOCK_NORMS, depth) | {"layernorm": "stage1"}),
    }


FAMILY = Family(
    "vit",
    arguments=arguments,
    configuration=configuration,
    names=names,
    prefix="vit.",
    heads=("*pooler.dense.*", "classifier.*", "decoder.*"),
    ignored=("*embeddings.mask_token",),
    images={"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)},
)
