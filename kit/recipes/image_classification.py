"""Image classification: which of several classes does an image show?"""

from typing import Literal

import keras
import numpy as np
from jsonargparse.typing import PositiveInt
from keras import layers

from kit.blocks import heads
from kit.blocks.regularization import penalize_kernels
from kit.data.augmentation import augmentation
from kit.data.columns import Dense
from kit.data.image_inputs import image_inputs
from kit.data.image_splits import image_splits
from kit.data.options import Augmentations, Division, ImageOptions
from kit.data.splits import Splits
from kit.errors import check, choose
from kit.models import vision
from kit.reporting import plots
from kit.tasks import classification, image_explanation, own_images
from kit.tasks.recipe import Recipe, Stages
from kit.training import boltzmann
from kit.weights import images


def image_classifier(
    input_shape,
    num_classes,
    *,
    backbone: str = "resnet20",
    weights: str | None = None,
    pooling: Literal["average", "max", "flatten"] = "average",
    dropout: float = 0.0,
    auxiliary: tuple[str, ...] = (),
    auxiliary_weight: float = 0.3,
    label_smoothing: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    optimizer="adamw",
):
    """Builds a compiled image classifier.

    It takes pixels from 0 to 255, as they come from a file; scaling is inside. It returns logits.

    Args:
        input_shape: Height, width and channels of an image, in pixels.
        num_classes: Number of classes.
        backbone: Variant of an architecture, as `kit list` prints them, or a headless `keras.Model`.
        weights: "imagenet" begins with the weights that `keras.applications` publishes for some of the variants, or a
            path of such weights; a folder with `config.json` and `model.safetensors`, or `hf:OWNER/NAME`, with those of
            a `vit`, `swin` or `efficientnet_lite0`. The pixels are then scaled as they want it.
        pooling: How a feature map becomes a vector.
        dropout: Share of the features dropped before the last layer while training.
        auxiliary: Layers of the backbone behind which classifiers of their own are trained too, such as `stage2_1` and
            `stage2_4` of `googlenet`; what predicts and is saved is without them.
        auxiliary_weight: Factor of their losses.
        label_smoothing: Share of the target that is spread evenly over all classes.
        l1: Factor of the sum of absolute kernel values in the loss.
        l2: Factor of the sum of squared kernel values in the loss.
        optimizer: Keras optimizer or its name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, num_classes), logits; with `auxiliary` (batch, 1 + classifiers, num_classes), the network's first

    Raises:
        SettingError: an unknown backbone or layer, or a value out of range; the message names the argument.
    """
    check(num_classes >= 2, "num_classes", num_classes, "at least 2")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    check(auxiliary_weight >= 0, "auxiliary_weight", auxiliary_weight, "at least 0")
    if isinstance(backbone, str):
        build, arguments = choose(vision.VARIANTS, backbone, "backbone")
        backbone = build(input_shape, **arguments, name=backbone)
    scale, offset = images.load(backbone, weights)
    inputs = keras.Input(input_shape, name="image")
    x = layers.Rescaling(scale, offset, name="scale")(inputs)
    sides = _side_outputs(backbone, auxiliary)
    x, *sides = (
        keras.Model(backbone.input, [backbone.output, *sides], name=backbone.name)(x) if sides else [backbone(x)]
    )
    x = heads.classification(x, num_classes, pooling=pooling, dropout=dropout)
    if sides:
        answers = [heads.auxiliary(y, num_classes, name=f"auxiliary{index}") for index, y in enumerate(sides, 1)]
        x = keras.ops.stack([x, *answers], axis=1)  # (batch, 1 + classifiers, classes)
    model = keras.Model(inputs, x, name="image_classifier")
    penalize_kernels(model, l1, l2)
    return classification.compiled(model, optimizer, label_smoothing, auxiliary_weight if sides else None)


def _side_outputs(backbone, names):
    """Returns the feature maps behind the named layers of a backbone."""
    maps = {layer.name: layer.output for layer in backbone.layers if len(getattr(layer.output, "shape", ())) == 4}
    return [choose(maps, name, "auxiliary") for name in names]


def adopted_classifier(
    input_shape,
    num_classes,
    network,
    *,
    backbone: Literal["given"] = "given",
    label_smoothing: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    optimizer="adamw",
):
    """Compiles a model of one's own as an image classifier; its own `compile` is set aside.

    It is given pixels from 0 to 255 and has to return logits: its last layer has no softmax.

    Args:
        input_shape: Height, width and channels of an image, in pixels.
        num_classes: Number of classes.
        network: The `keras.Model`; its weights are the ones that training begins with.
        backbone: Says that the model was given in Python.
        label_smoothing: Share of the target that is spread evenly over all classes.
        l1: Factor of the sum of absolute kernel values in the loss.
        l2: Factor of the sum of squared kernel values in the loss.
        optimizer: Keras optimizer or its name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, num_classes), logits

    Raises:
        SettingError: no Keras model, or one whose shapes do not fit the data or that ends in a softmax.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (8, *input_shape)).astype("float32")
    network = classification.adopted(network, pixels, num_classes)
    penalize_kernels(network, l1, l2)
    return classification.compiled(network, optimizer, label_smoothing)


def labelled_images(
    seed,
    saved,
    *,
    images: ImageOptions = ImageOptions(),
    division: Division = Division(),
    augmentations: Augmentations = Augmentations(),
    class_weights: Literal["none", "balanced"] = "none",
    labelled: PositiveInt | None = None,
):
    """Reads labelled images and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which augmentation goes by.
        saved: `Kept` of an earlier run, which is used again, or None.
        class_weights: "balanced" makes rare classes count as much as frequent ones in the loss.
        labelled: Train with so many labels, as many of each class as possible; the other training images serve the
            layer-wise training of architectures that begin with one, such as `dbn`, and are not used by others.

    Returns:
        `Splits` of (uint8 images, integer labels), with facts `input_shape` and `num_classes`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    read = image_splits(saved, images, division)
    num_classes = len(read.class_names)
    train, unlabelled = _divided(read.parts[0], labelled, num_classes, division.split_seed)
    counts = np.bincount(train.target("label"), minlength=num_classes)
    of_classes = (counts.sum() / (num_classes * np.maximum(counts, 1))).astype("float32")
    weights = of_classes if class_weights == "balanced" else None
    train.weights = None if weights is None else Dense(weights[train.targets["label"].array])
    train.transform = augmentation(seed, num_classes, augmentations, weights)
    return Splits(
        train,
        *read.parts[1:],
        unlabelled=unlabelled,
        facts={"input_shape": read.shape, "num_classes": num_classes},
        assets={
            "class_names": read.class_names,
            "input_shape": read.shape,
            **read.assets,
        },
        **read.of_source,
    )


def _divided(examples, labelled, num_classes, seed):
    """Returns so many examples, of all classes in turn, and the others; all and None without a number."""
    if labelled is None:
        return examples, None
    check(num_classes <= labelled < len(examples), "labelled", labelled, f"{num_classes} to {len(examples) - 1} images")
    order = np.random.default_rng(seed).permutation(len(examples))
    labels = examples.target("label")[order]
    turns = np.empty(len(order), int)
    for label in range(num_classes):
        turns[labels == label] = np.arange((labels == label).sum())
    rows = order[np.argsort(turns, kind="stable")]
    return examples.take(np.sort(rows[:labelled])), examples.take(np.sort(rows[labelled:]))


def pretrain(model, splits):
    """Trains layers one by one, without labels, where the backbone has such."""
    parts = [part for part in (splits.unlabelled, splits.train) if part is not None]
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            boltzmann.pretrain(layer, lambda pixels: keras.ops.cast(pixels, "float32") / 127.5 - 1.0, *parts)


def _read(inputs, assets, batch_size):
    """Returns the names of images that `kit predict` was given, and a function that returns batches of them."""
    return image_inputs(inputs, tuple(assets["input_shape"]), assets, batch_size)


def _illustrate(splits, seed):
    """Returns a figure of training images as random changes make them, if there are any."""
    if splits.train.transform is None:
        return {}
    names = splits.assets["class_names"]

    def draw():
        images, labels, *_ = next(iter(splits.train.stream(min(24, len(splits.train)), seed, 0, 1)))
        labels = np.asarray(labels)
        shares = labels if labels.ndim == 2 else np.eye(len(names))[labels]
        captions = []
        for share in shares:
            mixed = [k for k in np.argsort(-share)[:2] if share[k] > 0.005]
            captions.append("\n".join(names[k] + (f" {share[k]:.0%}" if len(mixed) > 1 else "") for k in mixed))
        return plots.image_grid(np.clip(np.asarray(images), 0, 255).astype("uint8"), captions)

    return {"5_training_images": draw}


RECIPE = Recipe(
    name="image_classification",
    purpose="Which of several classes does an image show?",
    backends=("tensorflow", "jax"),
    examples="labelled images",
    build=image_classifier,
    data=labelled_images,
    backbones={"backbone": vision.VARIANTS},
    task=classification.task(
        _read, "images", classification.MirrorImages(), illustrate=_illustrate, **image_explanation.functions(_read)
    ),
    stages=Stages(
        network=classification.auxiliary_removed,
        pretrain=pretrain,
        adopt=adopted_classifier,
        tied_layers={"class_names": ("logits",)},
    ),
    own_data=own_images.LABELLED_IMAGES,
)
