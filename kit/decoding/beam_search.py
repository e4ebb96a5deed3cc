"""Beam search: several sequences grow side by side, of which the best stay."""

from keras import ops, tree
from keras.config import floatx

from kit.decoding.one_by_one import begun
from kit.decoding.tokens import IMPOSSIBLE
from kit.errors import check

# Below so many numbers the largest are found directly.
_SMALL = 4096


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
        return ((5.0 + ops.cast(length, floatx())) / 6.0) ** length_penalty

    def repeated(tensor):
        return ops.repeat(tensor, width, axis=0)  # (batch * width, ...)

    fixed = tree.map_structure(repeated, state["fixed"])
    moving = tree.map_structure(repeated, state["moving"])
    origin = origin if prompt is None else repeated(origin)
    first = ops.arange(batch, dtype="int32")[:, None] * width  # row of each batch's first beam

    # Only one of the beams begins with a possible score: all begin alike.
    is_first = ops.arange(width, dtype="int32") == 0
    scores = ops.tile(ops.where(is_first, 0.0, IMPOSSIBLE)[None], (batch, 1))  # (batch, width)
    sequences = ops.full((batch, width, max_length), tokens.pad, dtype="int32")
    last = ops.tile(newest[:, None], (1, width))
    done_scores = ops.full((batch, width), IMPOSSIBLE, dtype=floatx())
    done = ops.full((batch, width, max_length), tokens.pad, dtype="int32")

    def is_open(position, last, sequences, scores, done, done_scores, moving):
        best = scores[:, 0] / penalty(max_length)  # log-probabilities only fall, and the divisor is largest at the end
        return ops.logical_and(position < max_length, ops.any(best > done_scores[:, -1]))

    def grow(position, last, sequences, scores, done, done_scores, moving):
        logits, following = step(ops.reshape(last, (-1,)), origin + position, {"fixed": fixed, "moving": moving})
        vocabulary = logits.shape[-1]
        logits = ops.cast(logits, floatx())
        # The logarithm of the sum of powers; softmax is several times faster than log_softmax on a CPU.
        sums = ops.max(logits, axis=-1) - ops.log(ops.max(ops.softmax(logits, axis=-1), axis=-1))  # (batch * width,)
        totals = scores - ops.reshape(sums, (batch, width))
        # More than needed by all ends and what is forbidden: even if those are the best, the beam is full.
        number = min((1 + len(tokens.ends) + len(tokens.forbidden)) * width, width * vocabulary)
        found, places = largest_sums(ops.reshape(logits, (batch, width, vocabulary)), totals, number)
        parents, chosen = places // vocabulary, ops.cast(places % vocabulary, "int32")
        grown = ops.take_along_axis(sequences, parents[..., None], axis=1)  # (batch, number, max_length)
        at = ops.arange(max_length, dtype="int32") == position
        grown = ops.where(at[None, None], chosen[..., None], grown)
        is_end = tokens.is_end(chosen)
        for token in tokens.forbidden:
            found = ops.where(chosen == token, IMPOSSIBLE, found)

        ended = ops.where(is_end, found / penalty(position + 1), IMPOSSIBLE)
        all_scores = ops.concatenate([done_scores, ended], axis=1)
        all_done = ops.concatenate([done, grown], axis=1)
        done_scores, rows = ops.top_k(all_scores, width)
        done = ops.take_along_axis(all_done, rows[..., None], axis=1)

        scores, rows = ops.top_k(ops.where(is_end, IMPOSSIBLE, found), width)
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
    ranks = ops.concatenate([done_scores, open_scores + IMPOSSIBLE / 1000], axis=1)
    all_scores = ops.concatenate([done_scores, open_scores], axis=1)
    all_sequences = ops.concatenate([done, sequences], axis=1)
    _, rows = ops.top_k(ranks, num_results)
    best = ops.take_along_axis(all_scores, rows, axis=1)
    return ops.take_along_axis(all_sequences, rows[..., None], axis=1), best


def largest_sums(values, offsets, number):
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
        values = ops.pad(values, ((0, 0), (0, 0), (0, blocks * size - columns)), constant_values=2 * IMPOSSIBLE)
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
