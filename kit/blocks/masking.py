"""Scores of attention: masks as numbers that are added to them, and what becomes of their sum."""

from keras import ops


def hidden_where_false(mask, dtype="float32"):
    """Returns 0 where a mask is true and a very low number elsewhere, to be added to scores."""
    lowest = -3e4 if dtype == "float16" else -1e9  # even several of them are no infinity, of which softmax makes NaN
    return ops.cast((1.0 - ops.cast(mask, "float32")) * lowest, dtype)


def softmax(scores):
    """Returns the softmax over the last axis; where that has one place alone, Keras would warn of it."""
    return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)
