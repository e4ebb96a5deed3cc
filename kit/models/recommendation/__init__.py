"""Recommenders: a table of variants, each name with its builder and that variant's arguments.

A builder takes the numbers of users and items, their features, and the length of a history; it returns `Towers`.
"""

from kit.models.recommendation import matrix_factorization, sequential, two_tower, wide_and_deep

VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (matrix_factorization, two_tower, wide_and_deep, sequential)
    for variant, arguments in module.VARIANTS.items()
}
