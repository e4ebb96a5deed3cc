"""Mixtral's published layout: Llama's, with experts of which a router chooses."""

from kit.weights.family import setting
from kit.weights.llama import relative
from kit.weights.mistral import _read as _window
from kit.weights.mistral import _write as _said_window


def _read(config, folder):
    experts = setting(config, folder, "num_local_experts")
    return _window(config, folder) | {
        "num_experts": experts,
        "top_k": setting(config, folder, "num_experts_per_tok", default=2),
        "load_loss": setting(config, folder, "router_aux_loss_coef", default=0.001),
        "jitter": float(config.get("router_jitter_noise") or 0.0),
    }


def _write(arguments):
    return _said_window(arguments) | {
        "num_local_experts": arguments["num_experts"],
        "num_experts_per_tok": arguments["top_k"],
        "router_aux_loss_coef": arguments["load_loss"],
        "router_jitter_noise": arguments["jitter"],
    }


_LAYOUT = {"inside": "block_sparse_moe", "router": "gate", "gate": "w1", "in": "w3", "out": "w2"}
arguments, configuration, FAMILY = relative("mixtral", "MixtralForCausalLM", (), (_read, _write), _LAYOUT)
names = FAMILY.names
