"""The tokens that mean something to decoding."""

import dataclasses
import functools

from keras import ops
from keras.config import floatx

IMPOSSIBLE = -1e9


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens that mean something to decoding.

    Args:
        start: Token before the first of a sequence; None where every sequence has a prompt.
        end: Token after the last of a sequence; or a tuple of several, each of which ends it.
        pad: Token that fills up behind the end.
        forbidden: Tokens that are never written, such as that of unknown words.
    """

    start: int | None
    end: int | tuple[int, ...]
    pad: int = 0
    forbidden: tuple = ()

    @property
    def ends(self):
        """The tokens that end a sequence."""
        return self.end if isinstance(self.end, tuple) else (self.end,)

    def is_end(self, chosen):
        """Returns where tokens end their sequence, in their shape."""
        return functools.reduce(ops.logical_or, [chosen == token for token in self.ends])

    def allowed(self, logits):
        """Returns logits (batch, vocabulary) as floatx, those of forbidden tokens impossible."""
        logits = ops.cast(logits, floatx())
        if not self.forbidden:
            return logits
        numbers = ops.arange(logits.shape[-1], dtype="int32")
        hidden = sum(ops.cast(numbers == token, floatx()) for token in self.forbidden)
        return logits + hidden * IMPOSSIBLE
