"""Encoders and decoders: `VARIANTS` maps every variant's name to its builder and that variant's arguments.

A builder takes the width of the encoder's answer, that of the latent vector and the shape of an image, and returns an
encoder of images between -1 and 1, and a decoder whose answer is the logit of each pixel.
"""

from kit.models.autoencoding import convolutional_autoencoder, dbn_autoencoder, mlp_autoencoder

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp_autoencoder, convolutional_autoencoder, dbn_autoencoder)
    for variant, arguments in module.VARIANTS.items()
}
