"""Encoders of sequences: `VARIANTS` maps every variant's name to its builder and that variant's arguments."""

from kit.models.text import cnn, recurrent, transformer

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (recurrent, cnn, transformer)
    for variant, arguments in module.VARIANTS.items()
}
