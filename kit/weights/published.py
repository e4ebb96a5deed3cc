"""Published weights by folder or name: which family they are of, fetching them, loading, and their tokenizer."""

import importlib
from pathlib import Path

from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError, shown
from kit.files import as_path, read_json
from kit.weights import tensors
from kit.weights.tokenizer import tokenizer_of as _tokenizer_of

# Families, as `model_type` of config.json calls them but for hyphens; each is a module with the family's table.
NAMES = (
    *("bert", "big_bird", "deberta", "deberta_v2", "vit", "swin", "efficientnet_lite0"),
    *("gpt2", "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe"),
    *("t5", "switch_transformers"),
)
_FETCHED = ["*.json", "*.safetensors", "vocab.txt"]


def folder_of(weights, key="weights"):
    """Returns the folder of published weights, given its path or `hf:OWNER/NAME[@REVISION]`, which is fetched.

    Raises:
        SettingError: there is no such folder, or it cannot be fetched.
    """
    if str(weights).startswith("hf:"):
        return _fetched(str(weights), key)
    folder = as_path(weights, key)
    expected = "expected one with config.json and model.safetensors"
    if not folder.is_dir():
        raise SettingError(key, f"no folder {str(weights)!r}; {expected}")
    if not any((folder / each).exists() for each in ("config.json", "assets/assets.json")):
        raise SettingError(
            key, f"{str(weights)!r} has no config.json, which tells the sizes of the network; {expected}"
        )
    return folder


def _fetched(weights, key):
    from huggingface_hub import snapshot_download

    name, _, revision = weights.removeprefix("hf:").partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=_FETCHED))
    except Exception as error:  # of the network, of names, of rights
        reason = " ".join(str(error).split())[:150]
        raise SettingError(key, f"{weights} cannot be fetched, and is not in the cache ({reason})") from None


def absolute(weights):
    """Returns `hf:...` as it is, and a path as an absolute one."""
    return str(weights) if str(weights).startswith("hf:") else str(Path(weights).expanduser().resolve())


def family_of(folder):
    """Returns the module of the family that a folder's `config.json` names, and its content.

    Raises:
        KitError: there is none, or no such family.
    """
    config = tensors.configuration(folder)
    kind = config.get("model_type")
    name = str(kind).replace("-", "_")
    if name not in NAMES:
        raise KitError(f"{folder}: config.json has model_type {shown(kind)}; expected one of {', '.join(NAMES)}")
    return importlib.import_module(f"kit.weights.{name}"), config


def module_of(build, variant, arguments):
    """Returns the module of the family that a variant of an architecture is of, or None.

    Args:
        build: Its builder.
        variant: Its name.
        arguments: Keywords of the builder, by which relatives of one architecture differ.
    """
    name = variant if variant in NAMES else getattr(build, "__name__", None)
    if name == "llama":
        name = importlib.import_module("kit.weights.llama").name_of(arguments)
    name = "deberta_v2" if str(variant).startswith("deberta_v3") else name
    return importlib.import_module(f"kit.weights.{name}") if name in NAMES else None


def is_folder(weights):
    """Tells whether a setting names a folder, or `hf:...`, and not what else `model.weights` may be."""
    return isinstance(weights, str) and (weights.startswith("hf:") or Path(weights).expanduser().is_dir())


def settings_of(weights, key="model.weights"):
    """Returns the settings that published weights decide: network, its sizes, and the tokenizer or the size of images.

    Args:
        weights: As for `folder_of`.
        key: Name of the setting, for messages.

    Returns:
        Flat dictionary of dotted keys.
    """
    folder = folder_of(weights, key)
    module, config = family_of(folder)
    facts, family = {"vocabulary_size", "pad_id"}, module.FAMILY
    own = {name: value for name, value in module.arguments(config, folder).items() if name not in facts}
    found = {"model.backbone": family.name, **{f"backbone.{name}": value for name, value in own.items()}}
    if family.images is None:
        return found | {"data.tokenizer": absolute(weights)}
    return found | {"data.image_size": config.get("image_size", family.image_size), "data.color_mode": "rgb"}


def preprocessing(weights):
    """Returns scale and offset of each channel: what turns pixels from 0 to 255 into what published weights expect."""
    folder = folder_of(weights)
    module, _ = family_of(folder)
    path = folder / "preprocessor_config.json"
    said = module.FAMILY.images | (read_json(path) if path.exists() else {})
    mean, deviation = said["image_mean"], said["image_std"]
    return tuple(1 / (255 * each) for each in deviation), tuple(-m / d for m, d in zip(mean, deviation, strict=True))


def load(model, weights):
    """Gives a network the weights of a folder, or of `hf:OWNER/NAME`.

    Raises:
        KitError: they are of another family, or do not fit; the message names the tensor.
        SettingError: there is no such folder.
    """
    from kit.weights import loading

    folder = folder_of(weights)
    module, _ = family_of(folder)
    loading.load(model, module.FAMILY, folder)


def tokenizer_of(weights):
    """Returns the `Tokenizer` that comes with published weights, and the number of tokens that have embeddings there.

    A run folder of the kit has one, too, among its assets.

    Raises:
        KitError: there is none, or it has more tokens than the weights have embeddings.
        SettingError: there is no such folder.
    """
    folder = folder_of(weights, "tokenizer")
    assets = folder / "assets" / "assets.json"
    if assets.exists():
        found = read_json(assets)
        if "tokenizer" not in found:
            raise SettingError("tokenizer", f"the run in {str(weights)!r} has no tokenizer of one language")
        return Tokenizer(found["tokenizer"]), found.get("embeddings", len(Tokenizer(found["tokenizer"])))
    module, config = family_of(folder)
    embeddings = module.arguments(config, folder)["vocabulary_size"]
    return _tokenizer_of(folder, embeddings), embeddings
