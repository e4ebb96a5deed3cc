"""Decoding for somebody who reads along: the tokens of `kit.decoding`, each as soon as it is there."""

from keras import ops

from kit import decoding


def streamed(decoding_step, method, tokens, *, max_length, prompt, **settings):
    """Returns a function from a batch of inputs to a generator of its next tokens (batch,), one after the other.

    They are those that `compiled` returns all at once. It ends where all rows have ended.

    Args:
        decoding_step, tokens, max_length, prompt, settings: As for `compiled`.
        method: `greedy` or `sample`.
    """
    import tensorflow as tf

    step, initial_state, *prefill = decoding_step

    @tf.function(reduce_retracing=True, autograph=False)
    def begin(inputs):
        ids, lengths = prompt(inputs)
        state = initial_state(inputs, max_length + ops.shape(ids)[1] - 1)
        return decoding.begun(step, state, tokens, ids, lengths, (prefill or [None])[0])

    @tf.function(reduce_retracing=True, autograph=False)
    def grow(last, position, ended, origin, fixed, moving, *seed):
        choose = decoding.greedy_choice() if method is decoding.greedy else decoding.random_choice(*seed, **settings)
        chosen, _, ended, moving = decoding.grower(step, tokens, choose, origin, fixed)(last, position, ended, moving)
        return chosen, ended, moving

    def write(inputs, *seed):
        last, origin, state = begin(inputs)
        moving, ended = state["moving"], tf.zeros(tf.shape(last), tf.bool)
        seed = [tf.constant(each, tf.int32) for each in seed]
        for position in range(max_length):
            last, ended, moving = grow(last, tf.constant(position), ended, origin, state["fixed"], moving, *seed)
            yield last.numpy()
            if ended.numpy().all():
                return

    return write
