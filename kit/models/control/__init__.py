"""Networks that value actions: `VARIANTS` maps a name to its builder and its arguments.

A builder takes whether the value of the state is learned apart from the advantages, the shape of an observation and the
number of actions.
"""

from kit.models.control import cnn_q, mlp_q

# A module's builder has the module's name.
VARIANTS = {
    variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
    for module in (mlp_q, cnn_q)
    for variant, arguments in module.VARIANTS.items()
}
