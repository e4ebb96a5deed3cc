"""Which epoch is kept: a rule that knows how many validation examples there are, and what the page says of it."""

from kit.training.callbacks import standard_error


def error_of(parts):
    """Returns the function from the best value of the monitor to how far from it another is as good, or None.

    Args:
        parts: `Assembled`.
    """
    is_share = parts.monitor in parts.recipe.task.shares
    return standard_error(len(parts.splits.validation)) if is_share else None


def said(parts, history, averaged):
    """Returns in words whose weights were kept.

    Args:
        parts: `Assembled`.
        history: Table of epochs.
        averaged: Number of epochs whose mean they are; 0 where they are those of one.
    """
    if not len(history):
        return "those that it began with: nothing was trained"
    if averaged:
        return f"the mean of the last {averaged} epochs"
    if parts.training.use_validation:
        return "those of the last epoch, trained on the validation split too"
    error = error_of(parts)
    if error is None:
        return f"those of the epoch with the best {parts.monitor}"
    best = float(history[parts.monitor].max())
    return (
        f"those of the last epoch whose {parts.monitor} is within {100 * error(best):.2f} points of the best, a "
        f"standard error of {len(parts.splits.validation):,} {parts.recipe.examples}"
    )
