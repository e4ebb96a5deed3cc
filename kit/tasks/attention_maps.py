"""Attention maps of texts: which token looks at which, layer by layer and head by head, and numbers of each head."""

import keras
import numpy as np
import pandas as pd

from kit.attribution.calls import call_in, parts, run
from kit.blocks.attention import Attention
from kit.errors import SettingError
from kit.reporting import token_plots

NO_ATTENTION = "this architecture has no attention that can be seen"

# Columns of the table of heads: title and form in the figure.
_PANELS = {
    "mean_distance": ("mean distance, in tokens", ".1f"),
    "neighbours": ("share on both neighbours", ".2f"),
    "itself": ("share on the token itself", ".2f"),
    "special": ("share on special tokens", ".2f"),
}


def has_attention(model):
    """Tells whether a functional model of texts has attention layers whose weights are known."""
    return any(
        isinstance(layer, Attention) and len(call_in(network, layer).output_tensors) == 2
        for network in parts(model)
        for layer in network.layers
    )


def attention_weights(model, inputs):
    """Returns the attention weights of each layer, those that the model uses: each row adds up to 1.

    Args:
        model: Functional model of texts.
        inputs: A batch of its inputs, by their names.

    Returns:
        Dictionary from the name of each layer to its weights (batch, heads, time, source), float32, the first layer
        first; empty where there is no attention.
    """
    found = {}

    def look(operation, call):
        outputs = call()
        if isinstance(operation, Attention) and isinstance(outputs, tuple):
            found[operation.name] = keras.ops.convert_to_numpy(outputs[1]).astype("float32")
        return outputs

    run(model, {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}, look)
    return found


def head_numbers(weights, is_special):
    """Returns what the heads of a layer look at, the mean over the tokens of a text that are not special.

    Args:
        weights: (heads, time, time)
        is_special: Whether each token is a start or an end, (time,).

    Returns:
        Dictionary of arrays (heads,): `mean_distance` of what is looked at among tokens that are not special,
        `neighbours`, `itself` and `special`: shares of the weights; and the number of tokens that look.
    """
    is_word = ~is_special if (~is_special).any() else np.ones_like(is_special)
    weights, places = np.asarray(weights, "float64")[:, is_word], np.arange(len(is_special))
    away = np.abs(places[is_word][:, None] - places)  # (looking, time)
    on_words = (weights * is_word).sum(-1)
    shares = {
        "mean_distance": (weights * is_word * away).sum(-1) / np.maximum(on_words, 1e-12),
        "neighbours": (weights * (away == 1)).sum(-1),
        "itself": (weights * (away == 0)).sum(-1),
        "special": (weights * is_special).sum(-1),
    }
    return {name: values.mean(-1) for name, values in shares.items()}, int(is_word.sum())


def head_table(texts):
    """Returns a table with a row a head, and what heads would give that look at all tokens alike.

    Args:
        texts: Of each text its weights, a list of (heads, time, time), a layer each, and whether each token is special.

    Returns:
        Table with `layer` and `head` from 1, and the columns of `head_numbers`, means over all tokens; a dictionary.
    """
    rows, even = [], []
    for weights, is_special in texts:
        numbers = [head_numbers(layer, is_special) for layer in weights]
        rows.append(pd.concat([pd.DataFrame(found) for found, _ in numbers], ignore_index=True) * numbers[0][1])
        time = len(is_special)
        found, count = head_numbers(np.full((1, time, time), 1 / time), is_special)
        even.append((pd.Series({name: value[0] for name, value in found.items()}) * count, count))
    total = sum(count for _, count in even)
    heads = [(layer, head) for layer, own in enumerate(texts[0][0], 1) for head in range(1, len(own) + 1)]
    table = pd.DataFrame(heads, columns=["layer", "head"]).join(sum(rows) / total)
    return table, (sum(values for values, _ in even) / total).to_dict()


def attention_parts(model, texts, shown):
    """Returns what an `Explanation` says of the attention to texts.

    Args:
        model: Functional model of texts.
        texts: Inputs of each text, a batch of one.
        shown: Text of each token of each text, and whether it is special, (time,).

    Returns:
        Table of the heads, figures, arrays and notes; see `kit.reporting.explanation.Explanation`.

    Raises:
        SettingError: the architecture has no attention.
    """
    if not has_attention(model):
        raise SettingError("method", NO_ATTENTION)
    maps = [{name: each[0] for name, each in attention_weights(model, inputs).items()} for inputs in texts]
    table, even = head_table([(list(own.values()), special) for own, (_, special) in zip(maps, shown, strict=True)])
    figures, arrays = {}, {}
    sizes = table["layer"].value_counts()
    if sizes.nunique() == 1:
        panels = {
            title: (table[name].to_numpy().reshape(len(sizes), -1), form) for name, (title, form) in _PANELS.items()
        }
        figures["attention_of_each_head"] = lambda: token_plots.of_heads(panels)
    for number, (own, (tokens, special)) in enumerate(zip(maps, shown, strict=True), 1):
        for layer, weights in enumerate(own.values(), 1):
            captions = _captions(head_numbers(weights, special)[0])
            figures[f"{number:02}_attention_of_layer_{layer}"] = lambda weights=weights, tokens=tokens, own=captions: (
                token_plots.attention_heads(weights, tokens, own)
            )
            arrays[f"attention_{number}_layer_{layer}"] = weights
    notes = [
        "Attention: each row is a token that looks, each column one that is looked at; a row adds up to 1, and the "
        "darkest place of a head is its largest weight.",
        "The numbers of a head are means over the tokens that are no special ones. A head that looked at all tokens "
        f"alike would have a distance of {even['mean_distance']:.1f}, {even['neighbours']:.0%} on both neighbours and "
        f"{even['special']:.0%} on special tokens.",
        _where(table),
    ]
    most = max(len(tokens) for tokens, _ in shown)
    if most > token_plots.MOST_TOKENS:
        notes.append(
            f"The maps show the first {token_plots.MOST_TOKENS} of up to {most} tokens; numbers and arrays are of all."
        )
    return table, figures, arrays, tuple(notes)


def _captions(found):
    """Returns the numbers of each head as texts that fit over its map."""
    rows = zip(found["mean_distance"], found["neighbours"], found["special"], strict=True)
    return [
        (f"distance {away:.1f}", f"neighbours {near:.0%}", f"special {special:.0%}") for away, near, special in rows
    ]


def _where(table):
    """Returns in two sentences where the first and the last layer look, and which head looks at neighbours."""
    own = table.groupby("layer")[["mean_distance", "neighbours"]].mean()
    nearest = table.loc[table["neighbours"].idxmax()]
    layers = "; ".join(
        f"layer {layer}: distance {row['mean_distance']:.1f}, neighbours {row['neighbours']:.0%}"
        for layer, row in own.iloc[[0, -1] if len(own) > 1 else [0]].iterrows()
    )
    return (
        f"{layers[0].upper()}{layers[1:]}. Most on its neighbours looks head {nearest['head']:.0f} of layer "
        f"{nearest['layer']:.0f}: {nearest['neighbours']:.0%}."
    )
