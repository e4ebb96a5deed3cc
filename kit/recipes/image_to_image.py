"""Image-to-image translation: images of one kind made into images of another, learned without pairs of them."""

import dataclasses
import functools
import logging
from typing import Literal

import numpy as np
from jsonargparse.typing import NonNegativeInt

from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.data.splits import Splits
from kit.data.unpaired import Unpaired
from kit.errors import KitError, SettingError, choose
from kit.models import image_to_image
from kit.tasks import image_translation
from kit.tasks.image_features import Reference
from kit.tasks.image_translation import DIRECTIONS
from kit.tasks.recipe import Recipe, Stages
from kit.training.cycle import CycleConsistent

log = logging.getLogger("kit")


def image_translator(
    image_shape,
    *,
    backbone: str = "cyclegan_small",
    cycle_weight: float = 10.0,
    identity_weight: float = 5.0,
    pool_size: NonNegativeInt = 50,
    loss: Literal["least_squares", "non_saturating", "wasserstein", "hinge"] = "least_squares",
    optimizer="adam",
    discriminator_optimizer=None,
):
    """Builds two compiled translators between two kinds of images, A and B, that train each other.

        model = kit.recipes.image_translator((32, 32, 3))
        model.fit(batches)                   # a tf.data.Dataset of ((a, b),), pixels from 0 to 255
        in_b, in_a = model.network([a, b])   # pixels to pixels

    Args:
        image_shape: Height, width and channels of an image, in pixels.
        backbone: `cyclegan` or `cyclegan_small`; or what a builder of `kit.models.image_to_image` becomes with all but
            the name of the direction filled in.
        cycle_weight: Factor of the difference between an image and what comes back of it from the other kind.
        identity_weight: Factor of the difference between an image that is of the wanted kind already and what is made
            of it; the paper has half of `cycle_weight` where colours are to stay, else 0.
        pool_size: Made images of each kind that the discriminators are shown again; 0 shows them the new ones alone.
        loss: What the networks minimise beside these differences.
        optimizer: Keras optimizer of both generators, or its name.
        discriminator_optimizer: That of both discriminators; by default like the generators'.

    Returns:
        `kit.training.cycle.CycleConsistent`, with `network`, the functional model of both directions.

    Shape:
        in: (batch, height, width, channels) of each kind, pixels from 0 to 255
        out: the same of the respective other kind

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    if isinstance(backbone, str):
        build, arguments = choose(image_to_image.VARIANTS, backbone, "backbone")
        pairs = [build(direction, image_shape, **arguments, name=backbone) for direction in DIRECTIONS]
    else:
        pairs = [backbone(direction) for direction in DIRECTIONS]
    (a_to_b, discriminator_b), (b_to_a, discriminator_a) = pairs
    model = CycleConsistent(
        a_to_b,
        b_to_a,
        discriminator_a,
        discriminator_b,
        loss=loss,
        cycle_weight=cycle_weight,
        identity_weight=identity_weight,
        pool_size=pool_size,
    )
    model.compile(optimizer, discriminator_optimizer)
    return model


def domains(
    seed,
    saved,
    *,
    images: ImageOptions = ImageOptions(),
    change: Literal["inverted", "rotated", "thick"] = "inverted",
    division: Division = Division(),
):
    """Reads images of two domains, A and B, and divides each into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        change: What makes domain B of images, where the source has only one: "inverted" (bright becomes dark),
            "rotated" (a quarter turn to the left), or "thick" (bright strokes one pixel wider). A folder with two
            folders of images, A and B, directly or inside train/, validation/ and test/, has both; of any other source
            one half is domain A, and the other half, changed, is domain B: no image is in both.

    Returns:
        `Splits` of `Unpaired` images, with the fact `image_shape`.

    Raises:
        KitError: a file or folder that cannot be used, or a domain with too few images; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    read = image_splits(saved, images, division, needs_classes=False)
    names, is_given = list(read.class_names), list(read.class_names) == ["A", "B"]
    if names in (["A"], ["B"]) or {"trainA", "trainB"} & set(names):
        raise KitError(
            f"{read.source}: holds {', '.join(names)}; expected two domains, A/ and B/ or train/A, train/B ..., or "
            "images of one kind"
        )
    if sorted(name.casefold() for name in names) == ["a", "b"] and not is_given:
        raise KitError(f"{read.source}: holds {', '.join(names)}; expected two domains, A/ and B/, in capitals")
    log.info("domains: %s", "A and B as given" if is_given else f"a half as it is, and the other half {change}")
    if is_given:
        pairs = [[part.take(np.flatnonzero(part.target("label") == label)) for label in (0, 1)] for part in read.parts]
        names = []
    else:
        pairs = [_halves(part, change, [division.split_seed, index]) for index, part in enumerate(read.parts)]
    for domain, parts in zip("AB", zip(*pairs, strict=True), strict=True):
        read.check_sizes(parts, f"images of domain {domain}")

    def known(domain):
        pixels, labels = read.known()
        if is_given:
            return pixels[labels == domain], labels[labels == domain]
        return _changed(pixels, change) if domain else pixels, labels

    references = [
        Reference(part.input("image"), functools.partial(known, domain), len(names))
        for domain, part in enumerate(pairs[0])
    ]

    def keep(folder):
        for domain, reference in zip("ab", references, strict=True):
            (folder / domain).mkdir(parents=True, exist_ok=True)
            reference.keep(folder / domain)

    return Splits(
        *(
            Unpaired(*(dataclasses.replace(part, reference=each) for part, each in zip(pair, references, strict=True)))
            for pair in pairs
        ),
        facts={"image_shape": read.shape},
        assets={
            "class_names": names,
            "image_shape": read.shape,
            **read.assets,
            "domain_b": "given" if is_given else change,
        },
        **read.of_source,
        keep=keep,
    )


def _halves(part, change, seed):
    """Returns one half of the images as they are, and the other half changed."""
    order = np.random.default_rng(seed).permutation(len(part))
    first, second = (part.take(np.sort(rows)) for rows in (order[: len(order) // 2], order[len(order) // 2 :]))
    labels = {"label": Dense(second.target("label"))}
    return first, Examples({"image": Dense(_changed(second.input("image"), change))}, labels)


def _changed(images, change):
    """Returns images (images, height, width, channels) of domain B, made of such as domain A has."""
    if change == "inverted":
        return 255 - images
    if change == "rotated":
        height, width = images.shape[1:3]
        if height != width:
            raise SettingError("change", f"'rotated' needs square images, these are {height}x{width}; set image_size")
        return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
    wide = np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)))
    shifted = [wide[:, row : row + images.shape[1], column : column + images.shape[2]] for row, column in _CORNERS]
    return np.max(shifted, axis=0)


# A pixel and its neighbours to the right and below.
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


RECIPE = Recipe(
    name="image_to_image",
    purpose="Images of one kind made into images of another, learned without pairs of them.",
    examples="images",
    build=image_translator,
    data=domains,
    backbones={"backbone": image_to_image.VARIANTS},
    optimizers=("optimizer", "discriminator"),
    task=image_translation.task(),
    stages=Stages(network=lambda model: model.network),
)
