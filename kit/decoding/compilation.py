"""Compiled decoding: all tokens by one call, or each as soon as it is there."""

from keras import ops

from kit.decoding.in_place import in_place, own
from kit.decoding.one_by_one import begun, greedy, greedy_choice, grower, random_choice, sample


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
    @in_place
    def decode(inputs, *seed):
        more = {"seed": seed[0]} if seed else {}
        longest = positions = max_length(inputs) if callable(max_length) else max_length
        if prompt is not None:
            more |= dict(zip(("prompt", "lengths"), prompt(inputs), strict=True), prefill=(prefill or [None])[0])
            positions = longest + ops.shape(more["prompt"])[1] - 1
        return method(step, own(initial_state(inputs, positions)), tokens, max_length=longest, **settings, **more)

    return decode


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
        state = own(initial_state(inputs, max_length + ops.shape(ids)[1] - 1))
        return begun(step, state, tokens, ids, lengths, (prefill or [None])[0])

    @tf.function(reduce_retracing=True, autograph=False)
    @in_place
    def grow(last, position, ended, origin, fixed, moving, *seed):
        choose = greedy_choice() if method is greedy else random_choice(*seed, **settings)
        chosen, _, ended, moving = grower(step, tokens, choose, origin, fixed)(last, position, ended, moving)
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


def made_once(model, key, make):
    """Returns what is made for a model under a key, such as a compiled function; it goes when the model goes.

    Args:
        model: The model.
        key: What decides how it is made.
        make: Function that makes it.
    """
    # Beside the attributes that Keras keeps track of. A table by models would hold those that its functions hold.
    made = vars(model).setdefault("_kit_made", {})
    if key not in made:
        made[key] = make()
    return made[key]
