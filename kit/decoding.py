"""Decoding: from a network that gives the next token's logits to whole sequences. It knows no architecture.

A model offers `decoding_step(model) -> (step, initial_state)` or `(step, initial_state, prefill)`:

- `initial_state(inputs, max_length)` returns `{"fixed": ..., "moving": ...}`, two nests of tensors whose first axis is
  the batch: what stays as it is while a sequence grows (the encoder's output), and what changes (caches of keys and
  values).
- `step(tokens, position, state)` takes the newest token of each row (batch,) and its place in the sequence: a scalar,
  or one a row (batch,) behind prompts; it returns logits (batch, vocabulary) and the next state, of which `moving` is
  read, of the same shapes.
- `prefill(tokens, lengths, state)` reads the first `lengths` (batch,) tokens of each row (batch, time) all at once and
  returns the next state. Without it a prompt is read token by token.
"""

import dataclasses
import functools

import numpy as np
from keras import ops, tree

from kit.errors import check

_IMPOSSIBLE = -1e9
# Below so many numbers the largest are found directly.
_SMALL = 4096


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
        """Returns logits (batch, vocabulary) as float32, those of forbidden tokens impossible."""
        logits = ops.cast(logits, "float32")
        if not self.forbidden:
            return logits
        numbers = ops.arange(logits.shape[-1])
        hidden = sum(ops.cast(numbers == token, "float32") for token in self.forbidden)
        return logits + hidden * _IMPOSSIBLE


def greedy(step, state, tokens, *, max_length, prompt=None, lengths=None, prefill=None):
    """Takes the most probable token, again and again.

    Args:
        step: See the module.
        state: What `initial_state` returned; behind a prompt for time - 1 more positions than `max_length`.
        tokens: `Tokens`.
        max_length: Most tokens of a sequence, its end included; those of the prompt do not count.
        prompt: Tokens that the sequences begin with, (batch, time), a start token included, each row padded at its end
            with anything; None is the start token alone.
        lengths: How many of them are a row's own, (batch,), at least 1; None is all.
        prefill: See the module; or None.

    Returns:
        Sequences (batch, max_length) without start or prompt, with end if it was reached, and their log-probabilities
        (batch,).

    Raises:
        SettingError: there is neither start token nor prompt, or a length is out of range.
    """

    return _one_by_one(step, state, tokens, max_length, greedy_choice(), prompt, lengths, prefill)


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
):
    """Draws tokens at random.

    Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019 (top-p, or nucleus, sampling).

    Args:
        step, state, tokens, max_length, prompt, lengths, prefill: As for `greedy`.
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
    return _one_by_one(step, state, tokens, max_length, choose, prompt, lengths, prefill)


def greedy_choice():
    """Returns the function that `greedy` chooses by, from logits (batch, vocabulary) and a place to tokens (batch,)."""
    return lambda logits, position: ops.cast(ops.argmax(logits, axis=-1), "int32")


def random_choice(seed, temperature=1.0, top_k=0, top_p=1.0):
    """Returns the function that `sample` chooses by."""
    import tensorflow as tf

    check(temperature > 0, "temperature", temperature, "a number above 0")
    check(top_k >= 0, "top_k", top_k, "at least 0")
    check(0 < top_p <= 1, "top_p", top_p, "a number above 0 and up to 1")

    def choose(logits, position):
        logits = logits / temperature
        if top_k:
            least = ops.top_k(logits, min(top_k, logits.shape[-1]))[0][:, -1:]  # (batch, 1)
            logits = ops.where(logits < least, _IMPOSSIBLE, logits)
        if top_p < 1:
            ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
            before = ops.cumsum(ops.softmax(ordered, axis=-1), axis=-1) - ops.softmax(ordered, axis=-1)
            least = ops.min(ops.where(before < top_p, ordered, -_IMPOSSIBLE), axis=-1, keepdims=True)
            logits = ops.where(logits < least, _IMPOSSIBLE, logits)
        # Keras' random functions take no seed that is a tensor. The largest of logits with Gumbel noise is a draw.
        uniform = tf.random.stateless_uniform(ops.shape(logits), [seed, position], minval=1e-20)
        return ops.cast(ops.argmax(logits - ops.log(-ops.log(uniform)), axis=-1), "int32")

    return choose


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
        _, following = step(ops.take(prompt, position, axis=1), position, {"fixed": state["fixed"], "moving": moving})
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


def _one_by_one(step, state, tokens, max_length, choose, prompt, lengths, prefill):
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
    _, _, sequences, scores, _, _ = ops.while_loop(is_open, grow, start)
    return sequences, scores


def beam(
    step,
    state,
    tokens,
    *,
    max_length,
    beam_width,
    length_penalty=0.6,
    num_results=1,
    prompt=None,
    lengths=None,
    prefill=None,
):
    """Keeps the most probable beginnings and grows all of them side by side.

    A sequence's score is its log-probability divided by ((5 + length) / 6) ** length_penalty, the end counted (Wu et
    al., "Google's Neural Machine Translation System", 2016, equation 14). The search ends when no beginning that is
    still open can come to a better score than those that have ended.

    Args:
        step, state, tokens, max_length, prompt, lengths, prefill: As for `greedy`.
        beam_width: Number of beginnings that are kept.
        length_penalty: 0 prefers short sequences, 1 is about the mean log-probability of a token.
        num_results: Number of sequences returned for each row, the best first.

    Returns:
        Sequences (batch, num_results, max_length) and their scores (batch, num_results); those that came to no end
        within `max_length` stand behind those that did. Where there are fewer, the rest have a score below -1e8.

    Raises:
        SettingError: a value is out of range.
    """
    check(beam_width >= 1, "beam_width", beam_width, "at least 1")
    check(1 <= num_results <= beam_width, "num_results", num_results, f"1 to {beam_width}, the beam's width")
    check(length_penalty >= 0, "length_penalty", length_penalty, "at least 0")
    newest, origin, state = begun(step, state, tokens, prompt, lengths, prefill)
    batch, width = ops.shape(newest)[0], beam_width

    def penalty(length):
        return ((5.0 + ops.cast(length, "float32")) / 6.0) ** length_penalty

    def repeated(tensor):
        return ops.repeat(tensor, width, axis=0)  # (batch * width, ...)

    fixed = tree.map_structure(repeated, state["fixed"])
    moving = tree.map_structure(repeated, state["moving"])
    origin = origin if prompt is None else repeated(origin)
    first = ops.arange(batch, dtype="int32")[:, None] * width  # row of each batch's first beam

    # Only one of the beams begins with a possible score: all begin alike.
    scores = ops.tile(ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None], (batch, 1))  # (batch, width)
    sequences = ops.full((batch, width, max_length), tokens.pad, dtype="int32")
    last = ops.tile(newest[:, None], (1, width))
    done_scores = ops.full((batch, width), _IMPOSSIBLE, dtype="float32")
    done = ops.full((batch, width, max_length), tokens.pad, dtype="int32")

    def is_open(position, last, sequences, scores, done, done_scores, moving):
        best = scores[:, 0] / penalty(max_length)  # log-probabilities only fall, and the divisor is largest at the end
        return ops.logical_and(position < max_length, ops.any(best > done_scores[:, -1]))

    def grow(position, last, sequences, scores, done, done_scores, moving):
        logits, following = step(ops.reshape(last, (-1,)), origin + position, {"fixed": fixed, "moving": moving})
        vocabulary = logits.shape[-1]
        logits = ops.cast(logits, "float32")
        # The logarithm of the sum of powers; softmax is several times faster than log_softmax on a CPU.
        sums = ops.max(logits, axis=-1) - ops.log(ops.max(ops.softmax(logits, axis=-1), axis=-1))  # (batch * width,)
        totals = scores - ops.reshape(sums, (batch, width))
        # More than needed by all ends and what is forbidden: even if those are the best, the beam is full.
        number = min((1 + len(tokens.ends) + len(tokens.forbidden)) * width, width * vocabulary)
        found, places = _largest_sums(ops.reshape(logits, (batch, width, vocabulary)), totals, number)
        parents, chosen = places // vocabulary, ops.cast(places % vocabulary, "int32")
        grown = ops.take_along_axis(sequences, parents[..., None], axis=1)  # (batch, number, max_length)
        at = ops.arange(max_length) == position
        grown = ops.where(at[None, None], chosen[..., None], grown)
        is_end = tokens.is_end(chosen)
        for token in tokens.forbidden:
            found = ops.where(chosen == token, _IMPOSSIBLE, found)

        ended = ops.where(is_end, found / penalty(position + 1), _IMPOSSIBLE)
        all_scores = ops.concatenate([done_scores, ended], axis=1)
        all_done = ops.concatenate([done, grown], axis=1)
        done_scores, rows = ops.top_k(all_scores, width)
        done = ops.take_along_axis(all_done, rows[..., None], axis=1)

        scores, rows = ops.top_k(ops.where(is_end, _IMPOSSIBLE, found), width)
        sequences = ops.take_along_axis(grown, rows[..., None], axis=1)
        last = ops.take_along_axis(chosen, rows, axis=1)
        parents = ops.cast(ops.take_along_axis(parents, rows, axis=1), "int32")
        order = ops.reshape(first + parents, (-1,))  # (batch * width,)
        moving = tree.map_structure(lambda tensor: ops.take(tensor, order, axis=0), following["moving"])
        return position + 1, last, sequences, scores, done, done_scores, moving

    start = (ops.zeros((), dtype="int32"), last, sequences, scores, done, done_scores, moving)
    _, _, sequences, scores, done, done_scores, _ = ops.while_loop(is_open, grow, start)
    # What came to no end within max_length counts too, below all that did.
    open_scores = scores / penalty(max_length)
    ranks = ops.concatenate([done_scores, open_scores + _IMPOSSIBLE / 1000], axis=1)
    all_scores = ops.concatenate([done_scores, open_scores], axis=1)
    all_sequences = ops.concatenate([done, sequences], axis=1)
    _, rows = ops.top_k(ranks, num_results)
    best = ops.take_along_axis(all_scores, rows, axis=1)
    return ops.take_along_axis(all_sequences, rows[..., None], axis=1), best


def _largest_sums(values, offsets, number):
    """Returns the largest of values plus the offset of their row, and their places in all rows together.

    The largest are in the blocks with the largest maxima; so only those are sorted, which is many times faster.

    Args:
        values: (batch, rows, columns)
        offsets: (batch, rows)
        number: How many.

    Returns:
        Two tensors (batch, number).
    """
    rows, columns = values.shape[1:]
    batch = ops.shape(values)[0]
    if rows * columns < _SMALL:
        return ops.top_k(ops.reshape(values + offsets[..., None], (batch, rows * columns)), number)
    size = next((size for size in range(64, 31, -1) if columns % size == 0), 64)
    blocks = -(-columns // size)
    if blocks * size > columns:
        values = ops.pad(values, ((0, 0), (0, 0), (0, blocks * size - columns)), constant_values=2 * _IMPOSSIBLE)
    values = ops.reshape(values, (batch, rows, blocks, size))
    highest = ops.reshape(ops.max(values, axis=-1) + offsets[..., None], (batch, rows * blocks))
    _, chosen = ops.top_k(highest, min(number, rows * blocks))  # (batch, number), blocks
    chosen = ops.cast(chosen, "int32")
    inside = ops.take_along_axis(ops.reshape(values, (batch, rows * blocks, size)), chosen[..., None], axis=1)
    inside = inside + ops.take_along_axis(offsets, chosen // blocks, axis=1)[..., None]  # (batch, number, size)
    found, places = ops.top_k(ops.reshape(inside, (batch, chosen.shape[1] * size)), number)
    places = ops.cast(places, "int32")
    block = ops.take_along_axis(chosen, places // size, axis=1)
    return found, (block // blocks) * columns + (block % blocks) * size + places % size


def compiled(decoding_step, method, tokens, *, max_length, signature=None, prompt=None, **settings):
    """Returns a compiled function from a batch of inputs to what a method of decoding returns for it.

    Of `sample` the function may be given the seed, as a second argument.

    Args:
        decoding_step: Pair (step, initial_state) or triple (step, initial_state, prefill), see the module.
        method: `greedy`, `beam` or `sample`.
        tokens: `Tokens`.
        max_length: As for the method, or a function that returns it for a batch of inputs, as a number or a tensor.
        signature: `tf.TensorSpec` of the inputs, so that batches of every size share one compilation; or None.
        prompt: Function from the inputs to a prompt (batch, time) and its lengths (batch,); None where there is none.
        settings: Settings of the method.
    """
    import tensorflow as tf

    step, initial_state, *prefill = decoding_step

    if signature is not None:
        seed = [tf.TensorSpec((), tf.int32)] if method is sample and "seed" not in settings else []
        signature = [signature, *seed]

    @tf.function(reduce_retracing=True, autograph=False, input_signature=signature)
    def decode(inputs, *seed):
        more = {"seed": seed[0]} if seed else {}
        longest = positions = max_length(inputs) if callable(max_length) else max_length
        if prompt is not None:
            more |= dict(zip(("prompt", "lengths"), prompt(inputs), strict=True), prefill=(prefill or [None])[0])
            positions = longest + ops.shape(more["prompt"])[1] - 1
        return method(step, initial_state(inputs, positions), tokens, max_length=longest, **settings, **more)

    return decode
