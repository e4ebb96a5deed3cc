"""Networks of texts: tables of variants, each name with its builder and that variant's arguments.

`VARIANTS` take [sequence, mask], whatever their embedding is; `OF_TOKENS` take ids of tokens and have their own,
and so do `CAUSAL`, each of whose positions sees those before it alone.
"""

from kit.models.text import (
    bag_of_ngrams,
    bert,
    big_bird,
    cnn,
    deberta,
    gpt2,
    llama,
    recurrent,
    recurrent_writer,
    text_cnn,
    transformer,
)


def _table(*modules):
    """Returns the variants of modules; a module's builder has the module's name."""
    return {
        variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
        for module in modules
        for variant, arguments in module.VARIANTS.items()
    }


VARIANTS = _table(recurrent, cnn, transformer, text_cnn)
OF_TOKENS = _table(bag_of_ngrams, bert, big_bird, deberta)
CAUSAL = _table(gpt2, llama, recurrent_writer)
