"""Image generation: images that look like those of a data set, made out of noise by one of two networks."""

import dataclasses
from typing import Literal

import keras
from jsonargparse.typing import PositiveInt

from kit.config import renamed
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.data.splits import Splits
from kit.errors import SettingError, check, choose
from kit.models import generative
from kit.tasks import image_generation
from kit.tasks.image_features import Reference
from kit.tasks.recipe import Recipe, Stages
from kit.training.adversarial import Adversarial
from kit.training.checkpoint import inside

# What sets the families apart beside their networks; their papers stand in `kit.models.generative`.
_PLAIN = {
    "loss": "non_saturating",
    "critic_steps": 1,
    "gradient_penalty": 0.0,
    "weight_clip": 0.0,
    "r1": 0.0,
    "r1_interval": 1,
}
_OBJECTIVES = {
    "gan": _PLAIN,
    "dcgan": _PLAIN,
    "lsgan": _PLAIN | {"loss": "least_squares"},
    "wgan": _PLAIN | {"loss": "wasserstein", "critic_steps": 5, "weight_clip": 0.01},
    "wgan_gp": _PLAIN | {"loss": "wasserstein", "critic_steps": 5, "gradient_penalty": 10.0},
    "sngan": _PLAIN | {"loss": "hinge"},
    "stylegan": _PLAIN | {"r1": 1.0, "r1_interval": 16},
}


@renamed(family="backbone")
def image_generator(
    image_shape,
    num_classes=0,
    *,
    backbone: str = "dcgan",
    latent_dim: PositiveInt = 64,
    conditional: bool = False,
    loss: Literal["non_saturating", "least_squares", "wasserstein", "hinge"] | None = None,
    critic_steps: int | None = None,
    gradient_penalty: float | None = None,
    weight_clip: float | None = None,
    r1: float | None = None,
    r1_interval: int | None = None,
    augment: tuple[Literal["color", "translation", "cutout"], ...] = (),
    ema_momentum: float = 0.999,
    optimizer="adam",
    discriminator_optimizer=None,
):
    """Builds a compiled pair of networks that train against each other.

        model = kit.recipes.image_generator((28, 28, 1), latent_dim=64, backbone="dcgan")
        model.fit(images, epochs=10)    # pixels from 0 to 255
        model.sampler(latents)          # images as pixels

    Args:
        image_shape: Height, width and channels of an image, in pixels.
        num_classes: Number of classes of the labels, for `conditional`.
        backbone: `gan` (dense layers), `dcgan`, `lsgan`, `wgan`, `wgan_gp`, `sngan` or `stylegan`; or what a
            builder of `kit.models.generative` becomes with all but the first two arguments filled in.
        latent_dim: Width of the vector of noise that an image is made of.
        conditional: Make images of a wanted class; the discriminator looks at the class too.
        loss: What the two networks minimise; by default the family's own.
        critic_steps: Steps of the discriminator for one of the generator; by default the family's own.
        gradient_penalty: Factor of the penalty on the discriminator's gradients between real and made images whose
            norm is not 1; by default the family's own.
        weight_clip: Bound of the discriminator's weights, 0 is none; by default the family's own.
        r1: Half of it is the factor of the penalty on the discriminator's gradients at real images; by default the
            family's own.
        r1_interval: Steps of the discriminator for one with that penalty, which is then as many times as large, for
            the sake of speed; by default the family's own.
        augment: Random changes that the discriminator sees real and made images through, for small data sets:
            `color`, `translation`, `cutout`.
        ema_momentum: Share of its former value that the moving average of the generator's weights keeps in a step of
            the generator; the average is what makes the images.
        optimizer: Keras optimizer of the generator, or its name.
        discriminator_optimizer: That of the discriminator; by default like the generator's.

    Returns:
        `kit.training.adversarial.Adversarial`, with `generator`, `discriminator` and `sampler`, functional models.

    Shape:
        in: (batch, height, width, channels), pixels from 0 to 255; with `conditional` also labels (batch,)
        sampler: (batch, latent_dim), with `conditional` also labels (batch,), to (batch, height, width, channels)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    check(latent_dim >= 1, "latent_dim", latent_dim, "at least 1")
    check(not conditional or num_classes >= 2, "conditional", conditional, "False without at least two classes")
    given = [keras.optimizers.get(each) for each in (optimizer, discriminator_optimizer) if each is not None]
    if any(getattr(inside(each), "use_ema", False) for each in given):
        raise SettingError("ema_momentum", "averages the generator already; expected optimizer.use_ema = false")
    own = _PLAIN
    if isinstance(backbone, str):
        build, arguments = choose(generative.VARIANTS, backbone, "backbone")
        own = _OBJECTIVES[backbone]
        generator, discriminator = build(latent_dim, num_classes * conditional, image_shape, **arguments, name=backbone)
    else:
        generator, discriminator = backbone(latent_dim, num_classes * conditional)
    given = {
        "loss": loss,
        "critic_steps": critic_steps,
        "gradient_penalty": gradient_penalty,
        "weight_clip": weight_clip,
        "r1": r1,
        "r1_interval": r1_interval,
    }
    model = Adversarial(
        generator,
        discriminator,
        augment=augment,
        ema_momentum=ema_momentum,
        **own | {key: value for key, value in given.items() if value is not None},
    )
    model.compile(optimizer, discriminator_optimizer)
    return model


def images(seed, saved, *, images: ImageOptions = ImageOptions(), division: Division = Division()):
    """Reads images, with classes where there are such, and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.

    Returns:
        `Splits` of (uint8 images, integer labels), with facts `image_shape` and `num_classes`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    read = image_splits(saved, images, division, needs_classes=False)
    read.check_sizes()
    train = read.parts[0]
    reference = Reference(train.input("image"), read.known, len(read.class_names))
    return Splits(
        *(dataclasses.replace(part, reference=reference) for part in read.parts),
        facts={"image_shape": read.shape, "num_classes": len(read.class_names)},
        assets={"class_names": read.class_names, "image_shape": read.shape, **read.assets},
        **read.of_source,
        keep=reference.keep,
    )


RECIPE = Recipe(
    name="gan",
    purpose="Images like those of a data set, made out of noise.",
    examples="images",
    build=image_generator,
    data=images,
    backbones={"backbone": generative.VARIANTS},
    optimizers=("optimizer", "discriminator"),
    task=image_generation.task(),
    stages=Stages(
        network=lambda model: model.sampler,
        tied_layers={"class_names": ("label_embedding",)},
        optional_facts=("num_classes",),
        presets=_OBJECTIVES,
        optimizer_interval="critic_steps",
    ),
)
