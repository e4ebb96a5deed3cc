"""Qwen3's published layout: Llama's, with normalised queries and keys."""

from kit.weights.llama import names, relative  # noqa: F401
from kit.weights.qwen2 import _read, _write

arguments, configuration, FAMILY = relative("qwen3", "Qwen3ForCausalLM", {"use_query_key_norm": True}, (_read, _write))
