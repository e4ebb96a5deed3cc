"""Encoders of the past of time series: from (batch, time, input_dim) to a vector (batch, dim).

Tables of variants, each name with its builder and that variant's arguments.
"""

from kit.models.series import past_recurrent, past_transformer, tcn


def _table(*modules):
    """Returns the variants of modules; a module's builder has the module's name."""
    return {
        variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
        for module in modules
        for variant, arguments in module.VARIANTS.items()
    }


VARIANTS = _table(past_recurrent, tcn, past_transformer)
