"""Vision architectures: `VARIANTS` maps every variant's name to its builder and that variant's arguments."""

from kit.models.vision import lenet, mlp, resnet

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp, lenet, resnet)
    for variant, arguments in module.VARIANTS.items()
}
