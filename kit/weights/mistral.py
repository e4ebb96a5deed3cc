"""Mistral's published layout: Llama's, with a window."""

from kit.weights.llama import names, relative  # noqa: F401


def _read(config, folder):
    return {"window": config.get("sliding_window")}


def _write(arguments):
    return {"sliding_window": arguments.get("window")}


arguments, configuration, FAMILY = relative("mistral", "MistralForCausalLM", said=(_read, _write))
