"""Decoding token by token: the most probable one each time, or one at random."""

import functools
import typing

import numpy as np
from keras import ops, tree

from kit import backend
from kit.blocks import growing_cache
from kit.decoding.tokens import IMPOSSIBLE
from kit.errors import check


class Stretch(typing.NamedTuple):
    """How caches grow with what is written, with TensorFlow.

    Args:
        length: Tokens between two times.
        empty: Function from a number of tokens to empty caches with room for these, and for the prompt: what moves of
            an initial state.
    """

    length: int
    empty: typing.Callable


def greedy(step, state, tokens, *, max_length, prompt=None, lengths=None, prefill=None, stretch=None):
    """Takes the most probable token, again and again.

    Args:
        step: See the module.
        state: What `initial_state` returned; behind a prompt for time - 1 more positions than `max_length`, or than the
            length of a stretch.
        tokens: `Tokens`.
        max_length: Most tokens of a sequence, its end included; those of the prompt do not count.
        prompt: Tokens that the sequences begin with, (batch, time), a start token included, each row padded at its end
            with anything; None is the start token alone.
        lengths: How many of them are a row's own, (batch,), at least 1; None is all.
        prefill: See the module; or None.
        stretch: `Stretch`; None is room for all from the beginning.

    Returns:
        Sequences (batch, max_length) without start or prompt, with end if it was reached, and their log-probabilities
        (batch,).

    Raises:
        SettingError: there is neither start token nor prompt, or a length is out of range.
    """

    return _one_by_one(step, state, tokens, max_length, greedy_choice(), prompt, lengths, prefill, stretch)


def sample(
    step,
    state,
    tokens,
    *,
    max_length,
    seed,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    prompt=None,
    lengths=None,
    prefill=None,
    stretch=None,
):
    """Draws tokens at random.

    Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019 (top-p, or nucleus, sampling).

    Args:
        step, state, tokens, max_length, prompt, lengths, prefill, stretch: As for `greedy`.
        seed: Whole number, or a tensor of one; the same one gives the same sequences.
        temperature: Logits are divided by it; below 1 likely tokens become likelier.
        top_k: Only so many most probable tokens are drawn from; 0 is all.
        top_p: Only the most probable tokens that have this much probability together are drawn from; 1 is all.

    Returns:
        As for `greedy`; log-probabilities are the model's own, before temperature, `top_k` and `top_p`.

    Raises:
        SettingError: a value is out of range.
    """
    choose = random_choice(seed, temperature, top_k, top_p)
    return _one_by_one(step, state, tokens, max_length, choose, prompt, lengths, prefill, stretch)


def greedy_choice():
    """Returns the function that `greedy` chooses by, from logits (batch, vocabulary) and a place to tokens (batch,)."""
    return lambda logits, position: ops.cast(ops.argmax(logits, axis=-1), "int32")


def random_choice(seed, temperature=1.0, top_k=0, top_p=1.0):
    """Returns the function that `sample` chooses by."""
    check(temperature > 0, "temperature", temperature, "a number above 0")
    check(top_k >= 0, "top_k", top_k, "at least 0")
    check(0 < top_p <= 1, "top_p", top_p, "a number above 0 and up to 1")

    def choose(logits, position):
        logits = logits / temperature
        if top_k:
            least = ops.top_k(logits, min(top_k, logits.shape[-1]))[0][:, -1:]  # (batch, 1)
            logits = ops.where(logits < least, IMPOSSIBLE, logits)
        if top_p < 1:
            ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
            before = ops.cumsum(ops.softmax(ordered, axis=-1), axis=-1) - ops.softmax(ordered, axis=-1)
            least = ops.min(ops.where(before < top_p, ordered, -IMPOSSIBLE), axis=-1, keepdims=True)
            logits = ops.where(logits < least, IMPOSSIBLE, logits)
        # The largest of logits with Gumbel noise is a draw.
        uniform = ops.cast(_uniform(ops.shape(logits), seed, position), logits.dtype)
        return ops.cast(ops.argmax(logits - ops.log(-ops.log(uniform)), axis=-1), "int32")

    return choose


def _uniform(shape, seed, position):
    """Returns numbers above 0 and below 1 by a seed and a position; Keras' own function takes no tensors as seeds."""
    if backend.is_tensorflow():
        import tensorflow as tf

        return tf.random.stateless_uniform(shape, [seed, position], minval=1e-20)

    import jax

    return jax.random.uniform(jax.random.fold_in(jax.random.key(seed), position), shape, minval=1e-20)


def begun(step, state, tokens, prompt, lengths, prefill):
    """Returns each row's newest token (batch,), its place, a scalar or (batch,), and the state that has read the rest.

    The newest token is the last one of the row's prompt, or the start token.
    """
    batch = ops.shape(tree.flatten(state)[0])[0]
    if prompt is None:
        check(tokens.start is not None, "prompt", None, "tokens to begin with, where there is no start token")
        return ops.full((batch,), tokens.start, dtype="int32"), 0, state
    prompt = ops.cast(prompt, "int32")
    time = ops.shape(prompt)[1]
    if isinstance(lengths, np.ndarray | list | tuple):
        is_inside = np.min(lengths) >= 1 and not (isinstance(time, int) and np.max(lengths) > time)
        check(is_inside, "lengths", list(map(int, lengths)), f"from 1 to the prompt's {time} tokens")
    lengths = ops.full((batch,), time, dtype="int32") if lengths is None else ops.cast(lengths, "int32")
    last = ops.take_along_axis(prompt, lengths[:, None] - 1, axis=1)[:, 0]
    read = functools.partial(_read, step) if prefill is None else prefill
    return last, lengths - 1, {"fixed": state["fixed"], "moving": read(prompt, lengths - 1, state)["moving"]}


def _read(step, prompt, lengths, state):
    """Returns the state after the first `lengths` (batch,) tokens of each row of a prompt (batch, time)."""

    def is_open(position, moving):
        return position < ops.max(lengths)

    def read(position, moving):
        with growing_cache.put_by(None):  # a row that has been read keeps what it had at a place
            newest = ops.take(prompt, position, axis=1)
            _, following = step(newest, position, {"fixed": state["fixed"], "moving": moving})
        is_read = position < lengths  # (batch,)

        def chosen(new, old):
            return ops.where(ops.reshape(is_read, (-1, *[1] * (len(old.shape) - 1))), new, old)

        return position + 1, tree.map_structure(chosen, following["moving"], moving)

    return {"moving": ops.while_loop(is_open, read, (ops.zeros((), dtype="int32"), state["moving"]))[1]}


def grower(step, tokens, choose, origin, fixed):
    """Returns the function that writes one more token of each row.

    It takes the newest tokens (batch,), how many were written before, which rows have ended (batch,), and what moves of
    the state; and returns the next tokens and their log-probabilities, both (batch,), which rows have ended now, and
    what has moved.
    """

    def grown(last, position, ended, moving):
        logits, following = step(last, origin + position, {"fixed": fixed, "moving": moving})
        logits = tokens.allowed(logits)
        chosen = ops.where(ended, tokens.pad, choose(logits, position))  # (batch,)
        taken = ops.take_along_axis(ops.log_softmax(logits, axis=-1), chosen[:, None], axis=-1)[:, 0]
        return chosen, ops.where(ended, 0.0, taken), ops.logical_or(ended, tokens.is_end(chosen)), following["moving"]

    return grown


def _one_by_one(step, state, tokens, max_length, choose, prompt, lengths, prefill, stretch):
    """Grows each row of the batch by the token that `choose` returns, until all have ended."""
    last, origin, state = begun(step, state, tokens, prompt, lengths, prefill)
    batch = ops.shape(last)[0]
    sequences = ops.full((batch, max_length), tokens.pad, dtype="int32")
    scores = ops.zeros((batch,))
    ended = ops.zeros((batch,), dtype="bool")

    def is_open(position, last, sequences, scores, ended, moving):
        return ops.logical_and(position < max_length, ops.logical_not(ops.all(ended)))

    def grow(position, last, sequences, scores, ended, moving):
        chosen, taken, ended_now, moving = grown(last, position, ended, moving)
        sequences = ops.slice_update(sequences, [0, position], chosen[:, None])
        return position + 1, chosen, sequences, scores + taken, ended_now, moving

    grown = grower(step, tokens, choose, origin, state["fixed"])
    start = (ops.zeros((), dtype="int32"), last, sequences, scores, ended, state["moving"])
    run = functools.partial(ops.while_loop, is_open, grow) if stretch is None else _stretched(is_open, grow, stretch)
    _, _, sequences, scores, _, _ = run(start)
    return sequences, scores


def _stretched(is_open, grow, stretch):
    """Returns the loop that gives caches more room again and again, as much as the next tokens need."""
    import tensorflow as tf

    def loose(part):
        """Returns the shape of a part, of any number of rows, and of a cache (batch, heads, room, dim) of any room."""
        unknown = (0, 2) if len(part.shape) == 4 else (0,)
        return tf.TensorShape([None if axis in unknown else size for axis, size in enumerate(part.shape)])

    def further(position, *others):
        *others, moving = others
        end = position + stretch.length
        start = position, *others, tree.map_structure(_with_room_of, moving, stretch.empty(end))
        return loop(lambda at, *more: (at < end) & is_open(at, *more), grow, start)

    def loop(goes_on, body, start):
        return tf.while_loop(goes_on, body, start, shape_invariants=tree.map_structure(loose, start))

    return functools.partial(loop, is_open, further)


def _with_room_of(cache, empty):
    """Returns a cache (batch, heads, room, dim) with the room of an empty one; what else moves stays as it is."""
    if len(cache.shape) != 4:
        return cache
    return ops.concatenate([cache, empty[:, :, ops.shape(cache)[2] :]], axis=2)
