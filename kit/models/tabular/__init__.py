"""Networks of tables: tables of variants, each name with its builder and that variant's arguments.

Each takes columns by the name of the kind (`numbers`, `categories`, `crosses`, `words`) and returns features.
"""

from kit.models.tabular import ft_transformer, mlp, resnet_mlp, tabnet, wide_and_deep

VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp, resnet_mlp, wide_and_deep, tabnet, ft_transformer)
    for variant, arguments in module.VARIANTS.items()
}
