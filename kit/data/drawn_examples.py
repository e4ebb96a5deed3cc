"""Examples of which training draws something anew in every step, such as which tokens are hidden."""

import dataclasses

from kit.data.examples import Examples


@dataclasses.dataclass
class DrawnExamples(Examples):
    """Examples of which held-out ones were drawn once, and know what they are of, for whoever trains on them, too.

    Args:
        whole: Training examples of the same rows, or None of those that are such.
    """

    whole: Examples | None = None

    def join(self, others):
        """Returns these training examples and then those of another split, all drawn anew in every step."""
        return super().join(others.whole if others.rows is None else others.whole.take(others.rows))
