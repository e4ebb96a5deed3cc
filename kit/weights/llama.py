"""Llama's published layout, that of `transformers`, and what Mistral and Qwen have of their own."""

import dataclasses
import functools

from kit.errors import KitError, shown
from kit.weights.family import Family, blocks, known, setting

_BLOCK = {
    **{
        f"model.layers.{{n}}.self_attn.{theirs}_proj.weight": f"decoder/block{{m}}/self_attention/{ours}/kernel"
        for theirs, ours in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output"))
    },
    **{
        f"model.layers.{{n}}.mlp.{theirs}_proj.weight": f"decoder/block{{m}}/feedforward_{ours}/kernel"
        for theirs, ours in (("gate", "gate"), ("up", "in"), ("down", "out"))
    },
    "model.layers.{n}.input_layernorm.weight": "decoder/block{m}/norm0/scale",
    "model.layers.{n}.post_attention_layernorm.weight": "decoder/block{m}/norm1/scale",
}
_BIASES = {
    f"model.layers.{{n}}.self_attn.{theirs}_proj.bias": f"decoder/block{{m}}/self_attention/{ours}/bias"
    for theirs, ours in (("q", "query"), ("k", "key"), ("v", "value"))
}
_QUERY_KEY_NORMS = {
    f"model.layers.{{n}}.self_attn.{theirs}_norm.weight": f"decoder/block{{m}}/self_attention/{ours}_norm/scale"
    for theirs, ours in (("q", "query"), ("k", "key"))
}

_EXPERTS, _OURS = "model.layers.{n}.{x}.", "decoder/block{m}/feedforward/"


def arguments(config, folder):
    """Returns keywords of `kit.models.text.llama` for a `config.json`."""
    known(config, folder, "hidden_act", ("silu",), "silu")
    known(config, folder, "attention_bias", (False,), False)
    known(config, folder, "mlp_bias", (False,), False)
    heads = setting(config, folder, "num_attention_heads")
    return {
        "vocabulary_size": setting(config, folder, "vocab_size"),
        "dim": setting(config, folder, "hidden_size"),
        "depth": setting(config, folder, "num_hidden_layers"),
        "num_heads": heads,
        "num_key_value_heads": setting(config, folder, "num_key_value_heads", default=heads),
        "head_dim": config.get("head_dim") or setting(config, folder, "hidden_size") // heads,
        "feedforward_dim": setting(config, folder, "intermediate_size"),
        "rotary_wavelength": float(_wavelength(config, folder)),
        "epsilon": setting(config, folder, "rms_norm_eps", default=1e-6),
        "dropout": config.get("attention_dropout") or 0.0,
        "is_tied": bool(config.get("tie_word_embeddings", False)),
    }


def _wavelength(config, folder):
    """Returns the base of the rotary positions; their stretched kinds are refused."""
    said = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = said.get("rope_type", said.get("type", "default"))
    if kind != "default":
        raise KitError(f"{folder}: config.json has rope_type {shown(kind)}; expected 'default'")
    return said.get("rope_theta", config.get("rope_theta", 10000.0))


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.llama`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": arguments["vocabulary_size"],
        "hidden_size": arguments["dim"],
        "num_hidden_layers": arguments["depth"],
        "num_attention_heads": arguments["num_heads"],
        "num_key_value_heads": arguments["num_key_value_heads"] or arguments["num_heads"],
        "head_dim": arguments["head_dim"] or arguments["dim"] // arguments["num_heads"],
        "intermediate_size": arguments["feedforward_dim"],
        "hidden_act": "silu",
        "rms_norm_eps": arguments["epsilon"],
        "rope_parameters": {"rope_type": "default", "rope_theta": arguments["rotary_wavelength"]},
        "attention_dropout": arguments["dropout"],
        "tie_word_embeddings": arguments["is_tied"],
    }


def names(model, layout=None):
    """Returns the variable of each published tensor of a network of `kit.models.text.llama`, its head included.

    Args:
        model: The network.
        layout: What experts are published under: `inside` a block, `router`, and `gate`, `in` and `out` of each; None
            where there are none.
    """
    settings = model.get_layer("decoder").settings
    table = dict(_BLOCK)
    table |= _BIASES if settings["use_qkv_bias"] else {}
    table |= _QUERY_KEY_NORMS if settings["use_query_key_norm"] else {}
    table = {theirs: ours for theirs, ours in table.items() if layout is None or ".mlp." not in theirs}
    found = {
        "model.embed_tokens.weight": "token_embedding/embeddings",
        "model.norm.weight": "decoder/norm/scale",
        **blocks(table, settings["depth"]),
    }
    if layout is not None:
        parts = {f"{_EXPERTS}{layout['router']}.weight": f"{_OURS}router/kernel"}
        for number in range(settings["experts"]["num_experts"]):
            for part in ("gate", "in", "out"):
                theirs = f"{_EXPERTS}experts.{number}.{layout[part]}.weight"
                parts[theirs] = f"{_OURS}expert{number + 1}_{part}/kernel"
        found |= blocks(parts, settings["depth"], x=layout["inside"])
    if any(layer.name == "next_token" for layer in model.layers):
        found["lm_head.weight"] = "next_token/kernel"
    return found


FAMILY = Family(
    "llama",
    arguments=arguments,
    configuration=configuration,
    names=names,
    heads=("lm_head.*", "score.*"),
    ignored=("*.rotary_emb.inv_freq",),
)


def relative(name, architecture, own=(), said=None, layout=None):
    """Returns `arguments`, `configuration` and `FAMILY` of a family with Llama's layout.

    Args:
        name: Its `model_type`.
        architecture: Its name in `architectures`.
        own: Keywords of the builder that all of the family have.
        said: Function from `config.json` and its folder to further keywords, and one from these keywords to further
            entries of `config.json`; or None.
        layout: As for `names`.
    """
    own = dict(own)
    read, write = said or (lambda config, folder: {}, lambda arguments: {})

    def arguments_of(config, folder):
        return arguments(config, folder) | own | read(config, folder)

    def configuration_of(keywords):
        kind = {"model_type": name, "architectures": [architecture]}
        return configuration(keywords) | kind | write(keywords)

    family = dataclasses.replace(
        FAMILY,
        name=name,
        arguments=arguments_of,
        configuration=configuration_of,
        names=functools.partial(names, layout=layout),
    )
    return arguments_of, configuration_of, family


def name_of(arguments):
    """Returns the name of the family of a network of `kit.models.text.llama`; None where none is published so.

    Args:
        arguments: Keywords of its builder.
    """
    has_norms, has_biases, experts = (arguments[name] for name in ("use_query_key_norm", "use_qkv_bias", "num_experts"))
    if experts:
        is_limited = arguments["capacity_factor"] is not None or arguments["experts_interval"] != 1 or has_biases
        if is_limited or (has_norms and arguments["window"]) or not (has_norms or arguments["normalize"]):
            return None
        return "qwen3_moe" if has_norms else "mixtral"
    names = [
        name
        for name, it_has in (("qwen3", has_norms), ("qwen2", has_biases), ("mistral", arguments["window"]))
        if it_has
    ]
    return (names or ["llama"])[0] if len(names) < 2 else None
