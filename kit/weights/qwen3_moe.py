"""Qwen3-MoE's published layout: Qwen3's, with experts of which a router chooses in every block."""

from kit.weights.family import known, setting
from kit.weights.llama import relative


def _read(config, folder):
    known(config, folder, "use_sliding_window", (False,), False)
    known(config, folder, "decoder_sparse_step", (1,), 1)
    known(config, folder, "mlp_only_layers", ([], None), None)
    return {
        "num_experts": setting(config, folder, "num_experts", "num_local_experts"),
        "top_k": setting(config, folder, "num_experts_per_tok"),
        "normalize": bool(config.get("norm_topk_prob", False)),
        "feedforward_dim": setting(config, folder, "moe_intermediate_size"),
        "load_loss": setting(config, folder, "router_aux_loss_coef", default=0.001),
    }


def _write(arguments):
    return {
        "use_sliding_window": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "num_experts": arguments["num_experts"],
        "num_experts_per_tok": arguments["top_k"],
        "norm_topk_prob": arguments["normalize"],
        "moe_intermediate_size": arguments["feedforward_dim"],
        "router_aux_loss_coef": arguments["load_loss"],
    }


_LAYOUT = {"inside": "mlp", "router": "gate", "gate": "gate_proj", "in": "up_proj", "out": "down_proj"}
arguments, configuration, FAMILY = relative(
    "qwen3_moe", "Qwen3MoeForCausalLM", {"use_query_key_norm": True}, (_read, _write), _LAYOUT
)
names = FAMILY.names
