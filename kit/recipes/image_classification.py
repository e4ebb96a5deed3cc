"""Image classification: which of several classes does an image show?"""

from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt
from keras import layers

from kit.blocks import heads
from kit.blocks.regularization import penalize_kernels
from kit.data.augmentation import augmentation
from kit.data.image_inputs import image_inputs
from kit.data.image_splits import image_splits
from kit.data.splits import Splits
from kit.errors import SettingError, check, choose
from kit.models import vision
from kit.reporting import plots
from kit.reporting.statistics import share_interval
from kit.scoring import classification as scores
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training import boltzmann
from kit.training.losses import Auxiliary, SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy, FirstAccuracy
from kit.weights import keras_applications as published


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
            path of such weights; the pixels are then scaled as they want it.
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
    scale, offset = (1 / 127.5, -1) if weights is None else published.load(backbone, backbone.name, weights)
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
    return _compiled(model, label_smoothing, l1, l2, optimizer, auxiliary_weight if sides else None)


def _side_outputs(backbone, names):
    """Returns the feature maps behind the named layers of a backbone."""
    maps = {layer.name: layer.output for layer in backbone.layers if len(getattr(layer.output, "shape", ())) == 4}
    return [choose(maps, name, "auxiliary") for name in names]


def _without_auxiliary(model):
    """Returns the model that predicts: without the classifiers in its middle, where it has such."""
    if len(model.output.shape) < 3:
        return model
    return keras.Model(model.input, model.get_layer("logits").output, name=model.name)


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
    check(isinstance(network, keras.Model), "backbone", network, "a keras.Model")
    shape = tuple(input_shape)
    try:
        if not hasattr(network, "_inputs_struct") or isinstance(network, keras.Sequential):
            inputs = keras.Input(shape, name="image")
            network = keras.Model(inputs, network(inputs), name=network.name)
        pixels = np.random.default_rng(0).integers(0, 256, (8, *shape))
        outputs = keras.ops.convert_to_numpy(network(pixels.astype("float32"), training=False))
    except Exception as error:  # whatever a layer says of a shape that it does not take
        reason = " ".join(str(error).split())[:200]
        raise SettingError("backbone", f"the given model does not take images of shape {shape}: {reason}") from None
    check(
        outputs.shape == (8, num_classes), "backbone", outputs.shape[1:], f"a model that returns {num_classes} logits"
    )
    if (outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3):
        raise SettingError("backbone", "the given model returns probabilities; expected logits: leave its softmax away")
    return _compiled(network, label_smoothing, l1, l2, optimizer)


def _compiled(model, label_smoothing, l1, l2, optimizer, auxiliary_weight=None):
    penalize_kernels(model, l1, l2)
    loss, metric = SparseCategoricalCrossentropy(label_smoothing), Accuracy()
    if auxiliary_weight is not None:
        loss, metric = Auxiliary(loss, auxiliary_weight), FirstAccuracy()
    model.compile(optimizer=optimizer, loss=loss, metrics=[metric])
    return model


def labelled_images(
    seed,
    saved,
    *,
    source: str = "digits",
    image_size: int | tuple[int, int] | None = None,
    color_mode: Literal["auto", "grayscale", "rgb"] = "auto",
    crop_to_aspect_ratio: bool = False,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    on_bad: Literal["error", "skip"] = "error",
    flip: bool = False,
    translation: float = 0.0,
    rotation: float = 0.0,
    zoom: float = 0.0,
    rand_augment: int = 0,
    rand_augment_magnitude: float = 0.5,
    random_erasing: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    class_weights: Literal["none", "balanced"] = "none",
    labelled: PositiveInt | None = None,
    in_memory: bool | Literal["auto"] = "auto",
):
    """Reads labelled images and divides them into training, validation and test split.

    Args:
        seed: Seed of the division and of augmentation.
        saved: Assignment of an earlier run that is used again, or None.
        source: `digits`, `tfds:NAME`, a CSV file (path, label), an .npz file, or a folder: images in a folder for each
            class, the same inside train/, validation/ and test/, or idx files as MNIST is published. In Python also
            (images, labels), a `tf.data.Dataset` of them, or a dictionary of these for train, validation and test.
        image_size: Side, or height and width, in pixels, that images are resized to; by default their own.
        color_mode: Channels of the images: "grayscale" (1), "rgb" (3), or "auto" if all are of one kind.
        crop_to_aspect_ratio: Cut margins instead of distorting images of another shape.
        validation_fraction: Share of the images not in the test split that becomes the validation split.
        test_fraction: Share of the images that becomes the test split, where the source has none.
        on_bad: What happens to image files that cannot be read: "error" stops, "skip" lists them and goes on.
        flip: Mirror half of the training images left to right.
        translation: Largest shift of training images, as a share of the side.
        rotation: Largest turn of training images, in degrees.
        zoom: Largest share of the side that is cut away from training images.
        rand_augment: Number of RandAugment operations on each training batch.
        rand_augment_magnitude: Their strength, from 0 to 1.
        random_erasing: Share of the training images in which a rectangle is blanked out.
        mixup: Parameter alpha of MixUp, which blends two training images and their labels; 0 is off.
        cutmix: Parameter alpha of CutMix, which pastes a piece of another training image; 0 is off.
        class_weights: "balanced" makes rare classes count as much as frequent ones in the loss.
        labelled: Train with so many labels, as many of each class as possible; the other training images serve the
            layer-wise training of architectures that begin with one, such as `dbn`, and are not used by others.
        in_memory: Keep decoded images in memory; "auto" does while they need less than 30 % of what is free.

    Returns:
        `Splits` of (uint8 images, integer labels), with facts `input_shape` and `num_classes`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    read = image_splits(
        seed,
        saved,
        source=source,
        image_size=image_size,
        color_mode=color_mode,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        on_bad=on_bad,
        in_memory=in_memory,
    )
    train, unlabelled = _divided(read.parts[0], labelled, len(read.class_names), seed)
    train.augment = augmentation(
        seed,
        len(read.class_names),
        flip=flip,
        translation=translation,
        rotation=rotation,
        zoom=zoom,
        rand_augment=rand_augment,
        rand_augment_magnitude=rand_augment_magnitude,
        random_erasing=random_erasing,
        mixup=mixup,
        cutmix=cutmix,
    )
    if class_weights == "balanced":
        labels = train.columns[1]
        counts = np.bincount(labels, minlength=len(read.class_names))
        weights = len(labels) / (len(counts) * np.maximum(counts, 1))
        train.columns = (*train.columns, weights[labels].astype("float32"))
    return Splits(
        train,
        *read.parts[1:],
        unlabelled=unlabelled,
        facts={"input_shape": read.shape, "num_classes": len(read.class_names)},
        assets={
            "class_names": read.class_names,
            "input_shape": read.shape,
            "crop_to_aspect_ratio": crop_to_aspect_ratio,
            "skipped": read.skipped,
        },
        assignment=read.assignment,
        settings={"source": read.source},
    )


def _divided(examples, labelled, num_classes, seed):
    """Returns so many examples, of all classes in turn, and the others; all and None without a number."""
    if labelled is None:
        return examples, None
    check(num_classes <= labelled < len(examples), "labelled", labelled, f"{num_classes} to {len(examples) - 1} images")
    order = np.random.default_rng(seed).permutation(len(examples))
    labels = examples.columns[1][order]
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


def evaluate(
    model,
    examples,
    assets,
    *,
    top_k: PositiveInt = 5,
    bootstrap_samples: PositiveInt = 1000,
    flip: bool = False,
    temperature_scaling: bool = True,
    batch_size: PositiveInt = 256,
):
    """Scores a classifier on a split.

    Args:
        model: The classifier.
        examples: `Examples` of the split.
        assets: The assets of the data.
        top_k: A second accuracy counts an image as right if its class is among this many most probable ones.
        bootstrap_samples: Draws with replacement behind the 95 % interval of each class's F1; that of the accuracy is
            Wilson's.
        flip: Average the answers for each image and its mirror image.
        temperature_scaling: Divide logits by the temperature that fits the validation split best.
        batch_size: Images in a step.

    Returns:
        `Evaluation` with accuracy, top-k accuracy (where there are more than k classes), macro-F1, cross-entropy,
        expected calibration error, and the temperature with the error that there is without it.
    """
    names = assets["class_names"]
    labels = examples.columns[1]  # (examples,)
    logits = _logits(model, examples, batch_size, flip)
    temperature = assets.get("temperature", 1.0) if temperature_scaling else 1.0
    probabilities = scores.softmax(logits / temperature)  # (examples, classes)
    predicted = probabilities.argmax(1)
    matrix = np.zeros((len(names), len(names)), int)  # (true, predicted)
    np.add.at(matrix, (labels, predicted), 1)
    diagonal, f1 = matrix.diagonal(), scores.confusion_f1(matrix)
    low, high = share_interval(diagonal.sum(), len(labels))
    metrics = {"accuracy": diagonal.sum() / len(labels), "accuracy_low": low, "accuracy_high": high}
    if top_k < len(names) and top_k > 1:
        best = np.argpartition(-probabilities, top_k, 1)[:, :top_k]
        metrics[f"top_{top_k}_accuracy"] = (best == labels[:, None]).any(1).mean()
    metrics["macro_f1"] = f1.mean()
    right = probabilities[np.arange(len(labels)), labels]
    metrics["cross_entropy"] = -np.log(np.maximum(right, 1e-12)).mean()
    error, bins = scores.calibration(probabilities.max(1), predicted == labels)
    metrics["calibration_error"] = error
    if temperature != 1.0:
        unscaled = scores.softmax(logits)
        metrics["calibration_error_unscaled"], _ = scores.calibration(unscaled.max(1), predicted == labels)
        metrics["temperature"] = temperature

    lows, highs = scores.bootstrap_confusion_f1(matrix, bootstrap_samples)
    per_class = pd.DataFrame(
        {
            "class": names,
            "images": matrix.sum(1),
            "precision": diagonal / np.maximum(matrix.sum(0), 1),
            "recall": diagonal / np.maximum(matrix.sum(1), 1),
            "f1": f1,
            "f1 95 % low": lows,
            "f1 95 % high": highs,
        }
    )
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:24]

    def mistakes():
        images = next(iter(examples.take(worst).batches(len(worst))))[0]
        captions = [
            f"{names[predicted[row]]} {probabilities[row, predicted[row]]:.0%}\nis {names[labels[row]]}"
            for row in worst
        ]
        return plots.image_grid(np.asarray(images), captions)

    figures = {"2_confusion_matrix": lambda: plots.confusion_matrix(matrix, names)}
    if len(worst):
        figures["3_most_confident_mistakes"] = mistakes
    figures["4_confidence_and_accuracy"] = lambda: plots.reliability(bins, error)
    return Evaluation(
        {name: float(value) for name, value in metrics.items()},
        {"1_per_class": per_class},
        figures,
    )


def _logits(model, examples, batch_size, flip):
    """Returns the logits of all examples, or the means of those of images and their mirror images."""
    pixels = examples.batches(batch_size).map(lambda inputs, *_: inputs)
    logits = model.predict(pixels, verbose=0)
    if flip:
        logits = (logits + model.predict(pixels.map(lambda images: images[:, :, ::-1]), verbose=0)) / 2
    return logits


def calibrate(model, examples, assets, *, flip=False, batch_size=256):
    """Returns the temperature by which logits are divided so that probabilities say how often they are right.

    Args:
        model: The classifier.
        examples: `Examples` of the validation split.
        assets: The assets of the data.
        flip, batch_size: As for `evaluate`.
    """
    logits = _logits(model, examples, batch_size, flip)
    return {"temperature": scores.temperature(logits, examples.columns[1])}


def predict(
    model,
    inputs,
    assets,
    *,
    flip: bool = False,
    temperature_scaling: bool = True,
    batch_size: PositiveInt = 256,
):
    """Classifies images.

    Args:
        model: The classifier.
        inputs: Image files and folders of them, or an array (images, height, width, channels) of pixels from 0 to 255
            or, as fractions, from 0 to 1.
        assets: The assets of the data that the model was trained on.
        flip: Average the answers for each image and its mirror image.
        temperature_scaling: Divide logits by the temperature that fitted the validation split best.
        batch_size: Images in a step.

    Returns:
        Table with a row an image: `input`, `label`, `probability`, then `p(CLASS)` for every class.

    Raises:
        KitError: no images, or one that cannot be read.
    """
    names, batches = image_inputs(inputs, tuple(assets["input_shape"]), assets["crop_to_aspect_ratio"], batch_size)
    logits = []
    for batch in batches():
        logits.append(model.predict_on_batch(batch))
        if flip:
            logits[-1] = (logits[-1] + model.predict_on_batch(batch[:, :, ::-1])) / 2
    logits = np.concatenate(logits)
    probabilities = scores.softmax(logits / (assets.get("temperature", 1.0) if temperature_scaling else 1.0))
    best = probabilities.argmax(1)
    class_names = np.array(assets["class_names"], dtype=object)
    table = pd.DataFrame(
        {
            "input": [str(name) for name in names],
            "label": class_names[best],
            "probability": probabilities.max(1),
        }
    )
    return pd.concat([table, pd.DataFrame(probabilities, columns=[f"p({name})" for name in class_names])], axis=1)


def illustrate(splits, seed):
    """Returns a figure of training images as random changes make them, if there are any."""
    if splits.train.augment is None:
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
    build=image_classifier,
    data=labelled_images,
    backbones={"backbone": vision.VARIANTS},
    task=Task(
        monitors={"val_accuracy": "max", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        calibrate=calibrate,
        illustrate=illustrate,
    ),
    stages=Stages(
        network=_without_auxiliary,
        pretrain=pretrain,
        adopt=adopted_classifier,
        tied_layers={"class_names": ("logits",)},
    ),
)
