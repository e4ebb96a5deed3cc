"""A finished run's network in the published layout: safetensors, configuration, and tokenizer or scaling of pixels."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np

from kit.errors import KitError
from kit.files import write_json, write_text
from kit.weights import loading, published, tensors

# How transformers calls what is answered, where that is not one class.
_PROBLEMS = {"labels": "multi_label_classification", "number": "regression"}


def write(run, folder):
    """Writes the backbone of a run, and its last layer as `classifier`, as published weights are.

    What `model.weights` takes, other libraries open: `AutoModel.from_pretrained` of transformers.

    Args:
        run: The finished `Run`.
        folder: Path of a new folder.

    Raises:
        KitError: there is no published layout for its architecture.
    """
    variant = run.settings["model"].get("backbone")
    build = run.recipe.backbones.get("backbone", {}).get(variant, (None,))[0]
    arguments = run.settings["backbone"]
    if build is not None:  # a setting without a value is in no file
        parameters = inspect.signature(build).parameters.values()
        arguments = {each.name: each.default for each in parameters if each.default is not each.empty} | arguments
    module = published.module_of(build, variant, arguments)
    if module is None:
        raise KitError(
            f"safetensors: no published layout is known for {variant!r}; expected one of {', '.join(published.NAMES)}"
        )
    backbone, assets = _backbone(run.model, variant), run.assets
    if "tokenizer" in assets:
        from kit.data.tokens import Tokenizer

        tokenizer = Tokenizer(assets["tokenizer"])
        arguments |= {"vocabulary_size": assets["embeddings"], "pad_id": tokenizer.pad_id}
        arguments |= {"length": assets["max_length"]} if "max_length" in assets else {}
    config = module.configuration(arguments)
    found = loading.tensors_of(backbone, module.FAMILY)
    last = next((layer for layer in run.model.layers if layer.name in ("logits", "number")), None)
    if last is not None and assets.keys() & {"class_names", "tag_names", "deviation"}:
        kernel, bias = (keras.ops.convert_to_numpy(each) for each in last.weights)
        names = assets.get("class_names", assets.get("tag_names", []))
        if not names:  # its number is standardised: here it is in the unit of the data
            kernel, bias = kernel * assets["deviation"], bias * assets["deviation"] + assets["mean"]
            names = [f"LABEL_{number}" for number in range(len(bias))]
        found |= {"classifier.weight": kernel.T.astype("float32"), "classifier.bias": bias.astype("float32")}
        config["id2label"] = {str(number): name for number, name in enumerate(names)}
        config["label2id"] = {name: number for number, name in enumerate(names)}
        if assets.get("answer") in _PROBLEMS:
            config["problem_type"] = _PROBLEMS[assets["answer"]]
    folder = Path(folder)
    folder.mkdir()
    tensors.save(found, folder / "model.safetensors")
    if "tokenizer" in assets:
        write_text(folder / "tokenizer.json", json.dumps(json.loads(tokenizer.to_json()), ensure_ascii=False))
        special = {"pad_token": "pad", "unk_token": "unknown", "cls_token": "start", "sep_token": "end"}
        special |= {"eos_token": "end"} if tokenizer.start_id is None else {}
        names = {theirs: tokenizer.name(getattr(tokenizer, f"{ours}_id")) for theirs, ours in special.items()}
        length = assets["max_pieces"] if "max_pieces" in assets else assets["max_length"]
        write_json(folder / "tokenizer_config.json", names | {"model_max_length": length})
    else:
        config["image_size"] = int(run.model.inputs[0].shape[1])
        write_json(folder / "preprocessor_config.json", _pixels(run.model.get_layer("scale")))
    write_json(folder / "config.json", config)


def _pixels(layer):
    """Returns mean and deviation of each channel of pixels from 0 to 1, given the layer that scales those to 255."""
    scale, offset = (np.broadcast_to(np.asarray(each, float), 3) for each in (layer.scale, layer.offset))
    deviation = 1 / (255 * scale)
    return {"image_mean": (-offset * deviation).tolist(), "image_std": deviation.tolist(), "rescale_factor": 1 / 255}


def _backbone(model, name):
    """Returns the backbone inside a network, or the network where it is one with a head on it."""
    return next((layer for layer in model.layers if layer.name == name), model)


def read(run, folder):
    """Returns the run's network with the backbone that a folder holds in place of its own.

    Args:
        run: The finished `Run`.
        folder: What `write` wrote.
    """
    again = keras.models.load_model(run.folder / "best.keras", compile=False)
    backbone = _backbone(again, run.settings["model"]["backbone"])
    backbone.set_weights([np.zeros_like(each) for each in backbone.get_weights()])
    published.load(backbone, folder)
    return again
