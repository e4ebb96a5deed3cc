"""Fixtures of published weights: folders as they are published, made of what `tests/references` holds."""

import json
from pathlib import Path

import numpy as np

from kit.weights.tensors import save

REFERENCES = Path(__file__).parents[1] / "references"


def fixture(name):
    """Returns `config.json`, weights, inputs and outputs of a fixture, each by name."""
    with np.load(REFERENCES / f"{name}.npz") as arrays:
        parts = {"weights": {}, "inputs": {}, "outputs": {}}
        for key in arrays.files:
            kind, _, rest = key.partition("/")
            if rest:
                parts[kind][rest] = arrays[key]
        return json.loads(str(arrays["config"])), *parts.values()


def publish(folder, weights, config, shards=1):
    """Writes weights and configuration into a folder, in one file or several with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        save(weights, folder / "model.safetensors")
        return folder
    index = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(weights.items())[number::shards])
        save(part, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder
