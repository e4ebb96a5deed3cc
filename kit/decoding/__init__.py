"""Decoding: from a network that gives the next token's logits to whole sequences. It knows no architecture.

A model offers `decoding_step(model) -> (step, initial_state)` or `(step, initial_state, prefill)`:

- `initial_state(inputs, max_length)` returns `{"fixed": ..., "moving": ...}`, two nests of tensors whose first axis is
  the batch: what stays as it is while a sequence grows (the encoder's output), and what changes (caches of keys and
  values). Arrays (batch, heads, positions, dim) of the second are such caches, zero where nothing stands: behind a
  prompt they begin with room for some of the tokens, and get more, as it would have been for more.
- `step(tokens, position, state)` takes the newest token of each row (batch,) and its place in the sequence: a scalar,
  or one a row (batch,) behind prompts; it returns logits (batch, vocabulary) and the next state, of which `moving` is
  read, of the same shapes.
- `prefill(tokens, lengths, state)` reads the first `lengths` (batch,) tokens of each row (batch, time) all at once and
  returns the next state. Without it a prompt is read token by token.
"""

from kit.decoding.beam_search import beam
from kit.decoding.compilation import at_most, compiled, forget_made, made_once, of_backend, streamed
from kit.decoding.one_by_one import greedy, sample
from kit.decoding.tokens import Tokens

__all__ = [
    "Tokens",
    "at_most",
    "beam",
    "compiled",
    "forget_made",
    "greedy",
    "made_once",
    "of_backend",
    "sample",
    "streamed",
]
