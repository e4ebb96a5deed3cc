"""Transfer learning: weights of an earlier network, frozen layers, gradual unfreezing."""

import dataclasses
import fnmatch
import logging

import keras

from kit.errors import KitError, SettingError, check

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Settings of the weights that a training begins with, and of layers that keep theirs.

    Args:
        start_from: Run folder or `.keras` file whose weights the training begins with, wherever layers have the same
            name and shapes.
        freeze: Layers that keep their weights: `backbone` for all but the head, names, or patterns such as `stage1*`.
        unfreeze_epochs: After so many epochs the topmost frozen stage is set free, after as many again the next; 0
            keeps all frozen.
        unfreeze_rate: Factor of the learning rate from the first such moment on: what was learned before should move
            less than a new head.
        head_first: Fit the head by itself before the training, as a linear model of what published weights, or those of
            `start_from`, make of the training examples: gradients of a head that begins at random spoil them (LP-FT).
        layer_decay: Factor of the learning rate from the head to the topmost layers of the backbone, and again from
            each of its stages or blocks to the one below: what is lower was learned more generally. 1 gives all the
            same rate.
        lora_rank: Rank of the two small matrices that are learned beside each dense kernel of the backbone, whose
            weights all stay as they are; at the end they are added to the kernels. 0 is off.

    Raises:
        SettingError: a value is out of range.
    """

    start_from: str | None = None
    freeze: tuple[str, ...] = ()
    unfreeze_epochs: int = 0
    unfreeze_rate: float = 1.0
    head_first: bool = False
    layer_decay: float = 1.0
    lora_rank: int = 0

    def __post_init__(self):
        epochs, rate = self.unfreeze_epochs, self.unfreeze_rate
        check(not epochs or self.freeze, "unfreeze_epochs", epochs, "0 without train.freeze")
        check(epochs >= 0, "unfreeze_epochs", epochs, "at least 0")
        check(0 < rate <= 1, "unfreeze_rate", rate, "a number above 0 and at most 1")
        check(rate == 1 or epochs, "unfreeze_rate", rate, "1 without train.unfreeze_epochs")
        check(0 < self.layer_decay <= 1, "layer_decay", self.layer_decay, "a number above 0 and at most 1")
        check(0 <= self.lora_rank < 2**15, "lora_rank", self.lora_rank, "0 to 32767")
        check(not self.lora_rank or not self.freeze, "freeze", self.freeze, "none with train.lora_rank, which freezes")


def layers_by_path(network):
    """Returns the layers of a network in order, models inside it included, by path: `resnet18/stage1_1_conv1`."""
    found = {}

    def walk(model, prefix):
        for layer in model.layers:
            found[f"{prefix}{layer.name}"] = layer
            if isinstance(layer, keras.Model):
                walk(layer, f"{prefix}{layer.name}/")

    walk(network, "")
    return found


def start_from(network, earlier, name, new=()):
    """Copies weights from an earlier network, layer by layer, wherever a layer of the same path and shapes is in it.

    Args:
        network: Network that gets weights.
        earlier: Network that has them.
        name: What the earlier one is called in messages.
        new: Patterns of layers that are left as they are, since their rows or columns mean something else here.

    Returns:
        Paths of the layers that were left as they are.

    Raises:
        KitError: no layer fits.
    """
    sources = layers_by_path(earlier)
    copied, left = 0, []
    paths = layers_by_path(network)
    others = {path for pattern in new for path in _matching(paths, pattern)}
    for path, layer in paths.items():
        if isinstance(layer, keras.Model) or not layer.weights:
            continue
        # What is a backbone here may be the earlier network itself, with a head on it.
        source = sources.get(path, sources.get(path.partition("/")[2]))
        weights = [] if source is None else source.get_weights()
        if path not in others and [each.shape for each in weights] == [tuple(each.shape) for each in layer.weights]:
            layer.set_weights(weights)
            if hasattr(layer, "begin_again"):
                layer.begin_again()
            copied += 1
        else:
            left.append(path)
    if not copied:
        raise KitError(f"{name}: no layer has the name and the shapes of one here; expected the same architecture")
    rest = f"; new are {', '.join(left[:5])}{' ...' if len(left) > 5 else ''}" if left else ""
    log.info("weights of %d layers come from %s%s", copied, name, rest)
    return left


def check_layers(network, patterns):
    """Raises SettingError for a pattern of `freeze` that fits no layer with weights, or if nothing is left to train."""
    paths = layers_by_path(network)
    for pattern in patterns:
        if not any(paths[path].weights for path in _matching(paths, pattern)):
            names = [path for path, layer in paths.items() if layer.weights]
            shown = f"{', '.join(names[:12])}{' ...' * (len(names) > 12)}"
            raise SettingError("freeze", f"no layer with weights fits {pattern!r}; such are {shown}")
    if patterns:
        kept = {id(weight) for group in groups(network, patterns) for layer in group for weight in layer.weights}
        if all(id(weight) in kept for weight in network.trainable_weights):
            raise SettingError(
                "freeze", f"{', '.join(patterns)} leaves nothing to train; expected a layer that is free"
            )


def _matching(paths, pattern):
    """Returns the paths of layers that a pattern fits, by their path or their own name, and all inside those.

    `backbone` is the model inside the model, whatever its name.
    """
    found = [
        path
        for path, layer in paths.items()
        if (pattern == "backbone" and isinstance(layer, keras.Model))
        or fnmatch.fnmatchcase(path, pattern)
        or fnmatch.fnmatchcase(path.split("/")[-1], pattern)
    ]
    return [path for path in paths if any(path == each or path.startswith(f"{each}/") for each in found)]


def groups(network, patterns):
    """Returns the layers with weights that the patterns fit, in groups that thaw together, the lowest first.

    A group are the neighbours whose names begin alike up to the first underscore: `stem`, `stage1`, `stage2`.
    """
    paths = layers_by_path(network)
    chosen = {path for pattern in patterns for path in _matching(paths, pattern)}
    found, names = [], []
    for path, layer in paths.items():
        if path not in chosen or isinstance(layer, keras.Model) or not layer.weights:
            continue
        name = path.split("/")[-1].split("_")[0]
        if not names or names[-1] != name:
            names.append(name)
            found.append([])
        found[-1].append(layer)
    return found


def backbones(network):
    """Returns the models inside a network, the outer ones."""
    return [layer for layer in network.layers if isinstance(layer, keras.Model)]


def backbone_groups(network):
    """Returns the layers with weights of a network's backbone, in groups from the lowest to the topmost.

    They are those that thaw together, but that all below the first numbered one, such as the embeddings, are one group.
    """
    found = groups(network, ("backbone",))
    numbers = (index for index, group in enumerate(found) if any(map(str.isdigit, group[0].name.split("_")[0])))
    first = next(numbers, 0)
    below = [layer for group in found[:first] for layer in group]
    return [*([below] if below else []), *found[first:]]


class Freeze(keras.callbacks.Callback):
    """Keeps layers as they are, and thaws them group by group from the top.

    Batch normalisation in a frozen layer uses its moving statistics and leaves them alone. Howard and Ruder,
    "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3 (gradual unfreezing).

    Which layers are free is a function of the epoch alone, so that a resumed run needs no state of it. It stands behind
    all callbacks that may stop the training.

    Args:
        network: Model that holds the layers.
        patterns: Names, paths or patterns of layers.
        unfreeze_epochs: Epochs after which the topmost group is thawed, and again the next one; 0 thaws none.
    """

    def __init__(self, network, patterns, unfreeze_epochs):
        super().__init__()
        self.groups = groups(network, patterns)
        self.trainable = [[layer.trainable for layer in group] for group in self.groups]
        self.unfreeze_epochs = unfreeze_epochs
        self._frozen = None

    def apply(self, epoch):
        """Freezes what an epoch, counted from 0, trains without; returns the number of frozen groups."""
        thawed = epoch // self.unfreeze_epochs if self.unfreeze_epochs else 0
        frozen = max(0, len(self.groups) - thawed)
        for index, (group, trainable) in enumerate(zip(self.groups, self.trainable, strict=True)):
            for layer, wish in zip(group, trainable, strict=True):
                layer.trainable = wish and index >= frozen
        return frozen

    def on_epoch_begin(self, epoch, logs=None):
        frozen = self.apply(epoch)
        if frozen == self._frozen:
            return
        self.model.make_train_function(force=True)  # the compiled one has the former layers' gradients in it
        count = sum(weight.shape.num_elements() for weight in self.model.trainable_weights)
        log.info(
            "epoch %d: %d of %d layer groups are frozen; %s parameters train",
            epoch + 1,
            frozen,
            len(self.groups),
            f"{count:,}",
        )
        self._frozen = frozen

    def on_epoch_end(self, epoch, logs=None):
        # At the end of `fit` Keras pairs the trainable weights with the optimizer's averages of all of them.
        if self.model.stop_training or epoch == self.params["epochs"] - 1:
            self.restore()

    def restore(self):
        """Makes every layer as trainable as it was before."""
        for group, trainable in zip(self.groups, self.trainable, strict=True):
            for layer, wish in zip(group, trainable, strict=True):
                layer.trainable = wish


def put_vectors(model, splits, name, setting):
    """Puts the pretrained vectors that are a fact of the data, if any, into an embedding.

    Args:
        model: The built model.
        splits: `Splits`, whose fact `vectors` is None or the ids and their vectors (words, dim).
        name: Name of the embedding.
        setting: Setting that its width goes by, for messages; of an embedding inside a backbone it is `backbone.dim`.

    Raises:
        SettingError: the embedding is of another width, or there is none.
    """
    if splits.facts["vectors"] is None:
        return
    rows, matrix = splits.facts["vectors"]
    layers = [layer for layer in model._flatten_layers() if layer.name == name and hasattr(layer, "embeddings")]
    width, dim = matrix.shape[1], layers[0].output_dim if layers else 0
    is_own = not layers or any(layer is layers[0] for layer in model.layers)
    check(dim == width, setting if is_own else "backbone.dim", dim, f"{width}, the width of the vectors")
    values = keras.ops.convert_to_numpy(layers[0].embeddings).copy()
    size = splits.facts["vocabulary_size"]
    for start in range(0, len(values), size if isinstance(size, int) else len(values)):
        values[rows + start] = matrix  # more than once where each text of a pair has rows of its own
    layers[0].embeddings.assign(values)
