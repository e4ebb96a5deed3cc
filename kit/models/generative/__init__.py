"""Pairs of networks that train against each other: `VARIANTS` maps a family to its builder and its arguments.

A builder takes the width of the latent vector and the number of classes that images are made for (0: without), and
returns a generator and a discriminator. Images are between -1 and 1.
"""

from kit.models.generative import dcgan, mlp_gan, stylegan

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp_gan, dcgan, stylegan)
    for variant, arguments in module.VARIANTS.items()
}
