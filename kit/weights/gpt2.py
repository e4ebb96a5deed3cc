"""GPT-2's published layout, that of `transformers`: kernels are (in, out), those of attention beside each other."""

from kit.weights.family import BesideEachOther, Family, known, norms, setting

_BLOCK = "transformer.h.{n}."
_DENSE = {
    "attn.c_attn": ("self_attention/query", "self_attention/key", "self_attention/value"),
    "attn.c_proj": ("self_attention/output",),
    "mlp.c_fc": ("feedforward_in",),
    "mlp.c_proj": ("feedforward_out",),
}


def arguments(config, folder):
    """Returns keywords of `kit.models.text.gpt2` for a `config.json`."""
    known(config, folder, "activation_function", ("gelu_new", "gelu_pytorch_tanh"), "gelu_new")
    known(config, folder, "scale_attn_by_inverse_layer_idx", (False,), False)
    known(config, folder, "tie_word_embeddings", (True,), True)
    dim = setting(config, folder, "n_embd")
    return {
        "vocabulary_size": setting(config, folder, "vocab_size"),
        "dim": dim,
        "depth": setting(config, folder, "n_layer"),
        "num_heads": setting(config, folder, "n_head"),
        "feedforward_dim": setting(config, folder, "n_inner", default=4 * dim),
        "max_length": setting(config, folder, "n_positions", default=1024),
        "epsilon": setting(config, folder, "layer_norm_epsilon", default=1e-5),
        "dropout": config.get("resid_pdrop", 0.1),
    }


def configuration(arguments):
    """Returns `config.json` for keywords of `kit.models.text.gpt2`."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": arguments["vocabulary_size"],
        "n_embd": arguments["dim"],
        "n_layer": arguments["depth"],
        "n_head": arguments["num_heads"],
        "n_inner": arguments["feedforward_dim"] or 4 * arguments["dim"],
        "n_positions": arguments["max_length"] or arguments["length"],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": arguments["epsilon"],
        **{f"{name}_pdrop": arguments["dropout"] for name in ("resid", "embd", "attn")},
    }


def names(model):
    """Returns the variables of each published tensor of a network of `kit.models.text.gpt2`."""
    found = {
        "transformer.wte.weight": "token_embedding/embeddings",
        "transformer.wpe.weight": "decoder/position/embeddings",
        **norms({"transformer.ln_f": "decoder/norm"}),
    }
    for number in range(model.get_layer("decoder").settings["depth"]):
        theirs, ours = _BLOCK.format(n=number), f"decoder/block{number + 1}/"
        found |= norms({f"{theirs}ln_1": f"{ours}norm0", f"{theirs}ln_2": f"{ours}norm1"})
        for name, layers in _DENSE.items():
            found[f"{theirs}{name}.weight"] = BesideEachOther(tuple(f"{ours}{layer}/kernel" for layer in layers))
            found[f"{theirs}{name}.bias"] = BesideEachOther(tuple(f"{ours}{layer}/bias" for layer in layers))
    return found


FAMILY = Family(
    "gpt2",
    arguments=arguments,
    configuration=configuration,
    names=names,
    heads=("lm_head.*", "score.*"),
    ignored=("*.attn.bias", "*.attn.masked_bias"),
)
