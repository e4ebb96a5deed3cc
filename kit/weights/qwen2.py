"""Qwen2's published layout: Llama's, with biases of queries, keys and values."""

from kit.weights.family import known
from kit.weights.llama import names, relative  # noqa: F401


def _read(config, folder):
    known(config, folder, "use_sliding_window", (False,), False)
    return {}


def _write(arguments):
    return {"use_sliding_window": False}


arguments, configuration, FAMILY = relative("qwen2", "Qwen2ForCausalLM", {"use_qkv_bias": True}, (_read, _write))
