"""Networks that write one text for another: `VARIANTS` maps every variant's name to its builder and its arguments."""

from kit.models.text import switch_transformers, t5

VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (t5, switch_transformers)
    for variant, arguments in module.VARIANTS.items()
}
