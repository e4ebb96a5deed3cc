"""Decoding: from a network that gives the next token's logits to whole sequences. It knows no architecture.

A model offers `decoding_step(model) -> (step, initial_state)`:

- `initial_state(inputs, max_length)` returns `{"fixed": ..., "moving": ...}`, two nests of tensors whose first axis is
  the batch: what stays as it is while a sequence grows (the encoder's output), and what changes (caches of keys and
  values).
- `step(tokens, position, state)` takes the newest token of each row (batch,) and its place in the sequence (a scalar);
  it returns logits (batch, vocabulary) and the next state, of which `moving` is read, of the same shapes.
"""

import dataclasses

from keras import ops, tree

from kit.errors import check

_IMPOSSIBLE = -1e9
# Below so many numbers the largest are found directly.
_SMALL = 4096


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens that mean something to decoding.

    Args:
        start: Token before the first of a sequence.
        end: Token after the last of a sequence.
        pad: Token that fills up behind the end.
        forbidden: Tokens that are never written, such as that of unknown words.
    """

    start: int
    end: int
    pad: int = 0
    forbidden: tuple = ()

    def allowed(self, logits):
        """Returns logits (batch, vocabulary) as float32, those of forbidden tokens impossible."""
        logits = ops.cast(logits, "float32")
        if not self.forbidden:
            return logits
        numbers = ops.arange(logits.shape[-1])
        hidden = sum(ops.cast(numbers == token, "float32") for token in self.forbidden)
        return logits + hidden * _IMPOSSIBLE


def greedy(step, state, tokens, *, max_length):
    """Takes the most probable token, again and again.

    Args:
        step: See the module.
        state: What `initial_state` returned.
        tokens: `Tokens`.
        max_length: Most tokens of a sequence, its end included.

    Returns:
        Sequences (batch, max_length) without start, with end if it was reached, and their log-probabilities (batch,).
    """

    def choose(logits, position):
        return ops.cast(ops.argmax(logits, axis=-1), "int32")

    return _one_by_one(step, state, tokens, max_length, choose)


def sample(step, state, tokens, *, max_length, seed, temperature=1.0, top_k=0, top_p=1.0):
    """Draws tokens at random.

    Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019 (top-p, or nucleus, sampling).

    Args:
        step, state, tokens, max_length: As for `greedy`.
        seed: Whole number, or a tensor of one; the same one gives the same sequences.
        temperature: Logits are divided by it; below 1 likely tokens become likelier.
        top_k: Only so many most probable tokens are drawn from; 0 is all.
        top_p: Only the most probable tokens that have this much probability together are drawn from; 1 is all.

    Returns:
        As for `greedy`; log-probabilities are the model's own, before temperature, `top_k` and `top_p`.

    Raises:
        SettingError: a value is out of range.
    """
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

    return _one_by_one(step, state, tokens, max_length, choose)


def _one_by_one(step, state, tokens, max_length, choose):
    """Grows each row of the batch by the token that `choose` returns, until all have ended."""
    batch = ops.shape(tree.flatten(state)[0])[0]
    last = ops.full((batch,), tokens.start, dtype="int32")
    sequences = ops.full((batch, max_length), tokens.pad, dtype="int32")
    scores = ops.zeros((batch,))
    ended = ops.zeros((batch,), dtype="bool")

    def is_open(position, last, sequences, scores, ended, moving):
        return ops.logical_and(position < max_length, ops.logical_not(ops.all(ended)))

    def grow(position, last, sequences, scores, ended, moving):
        logits, following = step(last, position, {"fixed": state["fixed"], "moving": moving})
        logits = tokens.allowed(logits)
        chosen = ops.where(ended, tokens.pad, choose(logits, position))  # (batch,)
        taken = ops.take_along_axis(ops.log_softmax(logits, axis=-1), chosen[:, None], axis=-1)[:, 0]
        scores = scores + ops.where(ended, 0.0, taken)
        sequences = ops.slice_update(sequences, [0, position], chosen[:, None])
        ended = ops.logical_or(ended, chosen == tokens.end)
        return position + 1, chosen, sequences, scores, ended, following["moving"]

    start = (ops.zeros((), dtype="int32"), last, sequences, scores, ended, state["moving"])
    _, _, sequences, scores, _, _ = ops.while_loop(is_open, grow, start)
    return sequences, scores


def beam(step, state, tokens, *, max_length, beam_width, length_penalty=0.6, num_results=1):
    """Keeps the most probable beginnings and grows all of them side by side.

    A sequence's score is its log-probability divided by ((5 + length) / 6) ** length_penalty, the end counted (Wu et
    al., "Google's Neural Machine Translation System", 2016, equation 14). The search ends when no beginning that is
    still open can come to a better score than those that have ended.

    Args:
        step, state, tokens, max_length: As for `greedy`.
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
    batch = ops.shape(tree.flatten(state)[0])[0]
    width = beam_width

    def penalty(length):
        return ((5.0 + ops.cast(length, "float32")) / 6.0) ** length_penalty

    def repeated(tensor):
        return ops.repeat(tensor, width, axis=0)  # (batch * width, ...)

    fixed = tree.map_structure(repeated, state["fixed"])
    moving = tree.map_structure(repeated, state["moving"])
    first = ops.arange(batch, dtype="int32")[:, None] * width  # row of each batch's first beam

    # Only one of the beams begins with a possible score: all begin alike.
    scores = ops.tile(ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None], (batch, 1))  # (batch, width)
    sequences = ops.full((batch, width, max_length), tokens.pad, dtype="int32")
    last = ops.full((batch, width), tokens.start, dtype="int32")
    done_scores = ops.full((batch, width), _IMPOSSIBLE, dtype="float32")
    done = ops.full((batch, width, max_length), tokens.pad, dtype="int32")

    def is_open(position, last, sequences, scores, done, done_scores, moving):
        best = scores[:, 0] / penalty(max_length)  # log-probabilities only fall, and the divisor is largest at the end
        return ops.logical_and(position < max_length, ops.any(best > done_scores[:, -1]))

    def grow(position, last, sequences, scores, done, done_scores, moving):
        logits, following = step(ops.reshape(last, (-1,)), position, {"fixed": fixed, "moving": moving})
        vocabulary = logits.shape[-1]
        logits = ops.cast(logits, "float32")
        # The logarithm of the sum of powers; softmax is several times faster than log_softmax on a CPU.
        sums = ops.max(logits, axis=-1) - ops.log(ops.max(ops.softmax(logits, axis=-1), axis=-1))  # (batch * width,)
        totals = scores - ops.reshape(sums, (batch, width))
        # Twice as many as needed, and what is forbidden: even if half of them end, the beam is full.
        number = min((2 + len(tokens.forbidden)) * width, width * vocabulary)
        found, places = _largest_sums(ops.reshape(logits, (batch, width, vocabulary)), totals, number)
        parents, chosen = places // vocabulary, ops.cast(places % vocabulary, "int32")
        grown = ops.take_along_axis(sequences, parents[..., None], axis=1)  # (batch, number, max_length)
        at = ops.arange(max_length) == position
        grown = ops.where(at[None, None], chosen[..., None], grown)
        is_end = chosen == tokens.end
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


def compiled(decoding_step, method, tokens, *, max_length, signature=None, **settings):
    """Returns a compiled function from a batch of inputs to what a method of decoding returns for it.

    Of `sample` the function may be given the seed, as a second argument.

    Args:
        decoding_step: Pair (step, initial_state), see the module.
        method: `greedy`, `beam` or `sample`.
        tokens: `Tokens`.
        max_length: As for the method, or a function that returns it for a batch of inputs, as a number or a tensor.
        signature: `tf.TensorSpec` of the inputs, so that batches of every size share one compilation; or None.
        settings: Settings of the method.
    """
    import tensorflow as tf

    step, initial_state = decoding_step

    if signature is not None:
        seed = [tf.TensorSpec((), tf.int32)] if method is sample and "seed" not in settings else []
        signature = [signature, *seed]

    @tf.function(reduce_retracing=True, autograph=False, input_signature=signature)
    def decode(inputs, *seed):
        more = {"seed": seed[0]} if seed else {}
        longest = max_length(inputs) if callable(max_length) else max_length
        return method(step, initial_state(inputs, longest), tokens, max_length=longest, **settings, **more)

    return decode
