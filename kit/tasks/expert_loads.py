"""Loads of experts: how evenly the positions of texts are spread over the experts of each layer."""

import numpy as np
import pandas as pd

from kit import backend
from kit.blocks import experts
from kit.reporting import plots

_MOST = 64  # batches that are looked at


def loads(model, examples, batch_size):
    """Returns a table of what each expert of each layer is given, or None where a network has no experts.

    Args:
        model: The network.
        examples: `Examples` whose first batches are looked at.
        batch_size: Examples of a batch.

    Returns:
        Table with a row for each layer and expert: `layer` and `expert` from 1, `share` of the positions that chose it,
        and `dropped`, the share of those for which it had no room.
    """
    import tensorflow as tf

    if not any(isinstance(layer, experts.Experts) for layer in model._flatten_layers()):
        return None

    def watched(inputs):
        with experts.watched() as seen:
            model(inputs, training=False)
        return [(each["positions"], each["took"]) for each in seen]

    if backend.is_tensorflow():
        watched = tf.function(watched, reduce_retracing=True)

    total = None
    for start in range(0, min(len(examples), _MOST * batch_size), batch_size):
        inputs, _ = examples.arrays(np.arange(start, min(start + batch_size, len(examples))))
        found = np.array(watched(inputs))  # (layers, 2, experts)
        total = found if total is None else total + found
    rows = []
    for layer, (positions, took) in enumerate(total, 1):
        for expert, (count, own) in enumerate(zip(positions, took, strict=True), 1):
            dropped = 1 - own / count if count else 0.0
            rows.append({"layer": layer, "expert": expert, "share": count / positions.sum(), "dropped": dropped})
    return pd.DataFrame(rows)


def scores(table):
    """Returns the share of the busiest expert over an even one, and the share of all positions that are dropped."""
    busiest = table.groupby("layer")["share"].agg(lambda shares: shares.max() * len(shares)).max()
    dropped = (table["share"] * table["dropped"]).groupby(table["layer"]).sum().max()
    return {"busiest_expert_over_even": float(busiest), "dropped_by_experts_share": float(dropped)}


def figure(table):
    """Draws the share of each expert of each layer, an even share being 1."""
    shares = table.pivot(index="layer", columns="expert", values="share").to_numpy()
    shares = shares * shares.shape[1]
    drawn = plots.new_figure(figsize=(1.8 + 0.42 * shares.shape[1], 1.6 + 0.42 * shares.shape[0]), layout="constrained")
    axes = drawn.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(2.0, shares.max()))
    axes.set_xticks(range(shares.shape[1]), range(1, shares.shape[1] + 1))
    axes.set_yticks(range(shares.shape[0]), range(1, shares.shape[0] + 1))
    axes.set(xlabel="expert", ylabel="layer", title="share of the tokens, 1 is even")
    drawn.colorbar(image, ax=axes, shrink=0.9)
    return drawn
