"""Networks from images to images of another kind: `VARIANTS` maps a name to its builder and its arguments.

A builder takes the name of a direction and the shape of an image, and returns a generator and the discriminator of what
it makes. Images are between -1 and 1.
"""

from kit.models.image_to_image import cyclegan

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (cyclegan,)
    for variant, arguments in module.VARIANTS.items()
}
