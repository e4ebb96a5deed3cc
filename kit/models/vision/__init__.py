"""Vision architectures: `VARIANTS` maps every variant's name to its builder and that variant's arguments."""

from kit.models.vision import lenet, mlp, resnet

ARCHITECTURES = (mlp.mlp, lenet.lenet, resnet.resnet)

VARIANTS = {
    variant: (builder, arguments)
    for builder, module in zip(ARCHITECTURES, (mlp, lenet, resnet), strict=True)
    for variant, arguments in module.VARIANTS.items()
}
