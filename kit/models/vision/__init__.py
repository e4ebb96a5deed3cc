"""Vision architectures: `VARIANTS` maps every variant's name to its builder and that variant's arguments."""

from kit.models.vision import alexnet, dbn, densenet, googlenet, lenet, mixnet, mlp, mobilenet, resnet, swin, vgg, vit

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp, dbn, lenet, alexnet, vgg, googlenet, resnet, densenet, mobilenet, mixnet, vit, swin)
    for variant, arguments in module.VARIANTS.items()
}
