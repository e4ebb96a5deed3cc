"""Own images: rules that decide the settings which are "auto" in `own.toml` of images, by their number and size.

The numbers go between those of the settings that come with the recipes, which were tuned on 1,300 to 60,000 images.
"""

import functools

from kit.data import source_facts
from kit.tasks.own_data import OwnData, Size, batches, rate_by_batch
from kit.weights import keras_applications

_WIDE = (48, 96, 192)  # channels of the stages behind a strided stem, where there are images to fill them


def side_of(facts):
    """Returns the side that images will have, the shorter one."""
    size = facts.settings.get("data.image_size") or facts.side
    return min(size) if isinstance(size, list | tuple) else size


def weights(facts):
    """Photographs begin with published weights, where Keras has kept some on this machine."""
    settings = facts.settings
    is_free = settings.get("model.backbone") == "auto" and settings.get("data.image_size") == "auto"
    if not facts.is_photographs or not is_free:
        return None, None
    kept = keras_applications.on_this_machine()
    if kept is None:
        fetch = "--model.backbone mobilenetv2 --model.weights imagenet --data.image_size 160 fetches some"
        return None, f"no published weights are on this machine, so it begins with random ones; {fetch}"
    variant, side = kept
    values = {"model.weights": "imagenet", "model.backbone": variant, "data.image_size": side}
    return values, "published weights are on this machine"


def freeze(facts):
    """Freezes a published backbone at first."""
    if facts.settings.get("model.weights"):
        return ("backbone",), "published weights, until the new last layer knows the classes"
    return (), None


def unfreeze_epochs(facts):
    """Unfreezes a published backbone stage by stage, the first after a tenth of the training."""
    if facts.settings.get("model.weights"):
        return max(facts.settings["train.epochs"] // 10, 1), "published weights are set free stage by stage"
    return 0, None


def unfreeze_rate(facts):
    """Learning rate of unfrozen layers as a share of the others': a tenth for published weights."""
    return (0.1, "published weights move less") if facts.settings.get("model.weights") else (1.0, None)


def image_size(facts):
    """Their own size up to 64 pixels; larger ones are made smaller, as far as an afternoon on a CPU asks for it."""
    if facts.is_of_one_size and facts.side <= 64:
        return None, f"the images are all of one size, {facts.side} pixels on the shorter side"
    most = 64 if facts.examples <= 20_000 else 48
    size = max((each for each in (32, 48, 64) if each <= min(facts.side, most)), default=32)
    return size, f"images of {facts.side} pixels in the median; more takes longer, and data.image_size chooses it"


def usual_epochs(facts):
    """Fewer, the more examples there are: 80 epochs of 300, 20 from 10,000 on; more of coloured images."""
    number = 80 * (300 / max(facts.examples, 1)) ** 0.4
    return min(max(round(1.6 * number if facts.channels == 3 else number), 20), 80)


def epochs(facts):
    """As usual, 30 at least of small images; a quarter with published weights, and up to 240 of few photographs."""
    number = usual_epochs(facts)
    if facts.settings.get("model.weights"):
        return max(number // 4, 4), f"{facts.examples:,} training examples, published weights"
    if _is_small(facts):
        number = max(number, 30)
    if facts.is_photographs:  # few photographs that are altered each time go on teaching
        long = min(round(240 * (300 / max(facts.examples, 1)) ** 0.8), 240)
        return max(number, long), f"{facts.examples:,} training photographs"
    return number, f"{facts.examples:,} training examples"


def flip(facts):
    """Photographs show the same when they are mirrored; what is drawn or written may not."""
    if facts.channels == 3:
        return True, "coloured images, taken for photographs: they may be mirrored"
    return False, "grey images, which may be written: mirrored letters are others"


def translation(facts):
    """A tenth of the side."""
    return 0.1, "where a thing stands in the image says nothing of its class"


def zoom(facts):
    """Photographs show things near and far."""
    return (0.2, "photographs: near and far") if facts.is_photographs else (0.0, "small or grey images")


def rotation(facts):
    """Photographs are not held straight."""
    return (10.0, "photographs: not held straight") if facts.is_photographs else (0.0, "small or grey images")


def random_erasing(facts):
    """Photographs that train from nothing are shown with a part missing, a quarter of them."""
    if facts.is_photographs and not facts.settings.get("model.weights"):
        return 0.25, "photographs: a thing may be hidden in part"
    return 0.0, None


def mirrored_answers(facts):
    """Answers for photographs are averaged over both sides, where training mirrors them."""
    if facts.is_photographs and facts.settings.get("data.flip") is True:
        return True, "photographs, which training mirrors"
    return False, None


def _is_small(facts):
    """Tells whether images are small, as in MNIST or CIFAR, yet no icons."""
    return 16 < side_of(facts) <= 40


def _is_fine(facts):
    """Tells whether small images are so many that a network which sees all of their pixels has enough to learn."""
    return _is_small(facts) and facts.examples >= 20_000


def image_backbone(facts):
    """A residual network of a stage more for photographs, and no strided stem for icons and many small images."""
    size = side_of(facts)
    if size <= 16:
        values = {"model.backbone": "resnet8", "backbone.stem": "cifar", "backbone.zero_init": True}
        return values, f"images of {size} pixels"
    if size <= 40:
        values = {"model.backbone": "resnet8", "backbone.widths": [32, 64, 128], "backbone.zero_init": True}
        if _is_fine(facts):
            values["backbone.stem"] = "cifar"
        elif facts.examples >= 10_000:
            values["backbone.widths"] = list(_WIDE)
        return values, f"{facts.examples:,} training images of {size} pixels"
    values = {"model.backbone": "resnet8", "backbone.depths": [1, 1, 1, 1], "backbone.widths": [32, 64, 128, 256]}
    return values | {"backbone.zero_init": True}, f"images of {size} pixels"


def image_sizes(facts):
    """Half the width, the usual one, two blocks a stage, and those half as wide again; published ones have one size.

    Where all pixels of small images are seen, two that see every other one come first.
    """
    settings = facts.settings
    if settings.get("model.weights") or settings["model.backbone"] != "resnet8" or side_of(facts) <= 16:
        return []
    widths = settings["backbone.widths"]
    narrow = {"backbone.widths": [width // 2 for width in widths]}
    deep = {"backbone.depths": [2] * len(widths)}
    wide = deep | {"backbone.widths": [3 * width // 2 for width in widths]}
    if _is_fine(facts):
        coarse = {"backbone.stem": "strided"}
        half = coarse | {"backbone.widths": [width // 2 for width in _WIDE]}
        coarser = [Size(half, 0.17), Size(coarse | {"backbone.widths": list(_WIDE)}, 0.43)]
    else:
        coarser = [Size(narrow, 0.4)]
    return [*coarser, Size({"backbone.widths": widths}, 1.0), Size(deep, 1.8), Size(wide, 4.0)]


def image_rate(facts):
    """By the batch, as tuned for residual networks; the new last layer of published ones takes large steps."""
    if facts.settings.get("model.weights"):
        return 0.01, "the new last layer; published weights take smaller steps (train.unfreeze_rate)"
    return rate_by_batch(0.01, 128)(facts)


LABELLED_IMAGES = OwnData(
    source_facts.of_images,
    {
        "model.weights": weights,
        "data.image_size": image_size,
        "data.flip": flip,
        "data.translation": translation,
        "data.zoom": zoom,
        "data.rotation": rotation,
        "data.random_erasing": random_erasing,
        "evaluate.flip": mirrored_answers,
        "train.batch_size": batches(40, 16, "examples"),
        "train.epochs": epochs,
        "model.backbone": image_backbone,
        "optimizer.learning_rate": image_rate,
        "train.freeze": freeze,
        "train.unfreeze_epochs": unfreeze_epochs,
        "train.unfreeze_rate": unfreeze_rate,
    },
    image_sizes,
)


def latent_dim(facts):
    """A number for about 60 pixels of a side of 28, as the variational autoencoder's paper takes 20 for MNIST."""
    size = side_of(facts)
    number = 8 if size <= 16 else 20 if size <= 32 else 64
    return number, f"images of {size} pixels"


def autoencoder_epochs(facts):
    """Twice those of a classifier: nothing over-fits that soon."""
    return min(2 * usual_epochs(facts), 100), f"{facts.examples:,} training examples"


IMAGES = OwnData(
    functools.partial(source_facts.of_images, needs_classes=False),
    {
        "data.image_size": image_size,
        "train.batch_size": batches(40, 16, "examples"),
        "train.epochs": autoencoder_epochs,
        "model.latent_dim": latent_dim,
        "optimizer.learning_rate": rate_by_batch(0.003, 64),
    },
)
