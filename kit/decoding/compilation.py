"""Compiled decoding: all tokens by one call, or each as soon as it is there."""

import contextlib
import contextvars

import keras
import numpy as np
from keras import ops, tree

from kit import backend
from kit.decoding.in_place import in_place, own
from kit.decoding.one_by_one import Stretch, begun, greedy, greedy_choice, grower, random_choice, sample

# So many tokens are written before caches get room for as many more: attention costs what there is room for.
_STRETCH = 64
# Most tokens of whatever is written, for a trial; see `at_most`.
_most = contextvars.ContextVar("most", default=None)


@contextlib.contextmanager
def at_most(count):
    """Inside, what `compiled` writes has at most so many tokens: a trial need not write to the end.

    Args:
        count: The number.
    """
    token = _most.set(count)
    try:
        yield
    finally:
        _most.reset(token)


def compiled(decoding_step, method, tokens, *, max_length, signature=None, prompt=None, model=None, **settings):
    """Returns a compiled function from a batch of inputs to what a method of decoding returns for it.

    Of `sample` the function may be given the seed, as a second argument.

    Args:
        decoding_step: Pair (step, initial_state) or triple (step, initial_state, prefill), see the module.
        method: `greedy`, `beam` or `sample`.
        tokens: `Tokens`.
        max_length: As for the method, or a function that returns it for a batch of inputs, as a number or a tensor.
        signature: `keras.KerasTensor` of the inputs, so that batches of every size share one compilation; or None.
        prompt: Function from the inputs to a prompt (batch, time) and its lengths (batch,); None where there is none.
        model: The model whose variables the steps read; None where they read none.
        settings: Settings of the method.
    """
    step, initial_state, *prefill = decoding_step

    @in_place
    def decode(inputs, *seed):
        more = {"seed": seed[0]} if seed else {}
        longest = max_length(inputs) if callable(max_length) else max_length
        if (most := _most.get()) is not None:
            longest = min(longest, most) if isinstance(longest, int) else ops.minimum(longest, most)
        longest = longest if isinstance(longest, int) else ops.cast(longest, "int32")
        positions = longest  # those of a prompt come to it
        if prompt is not None:
            more |= dict(zip(("prompt", "lengths"), prompt(inputs), strict=True), prefill=(prefill or [None])[0])
            read = ops.shape(more["prompt"])[1] - 1
            positions = longest + read
            is_long = isinstance(longest, int) and longest > _STRETCH
            if is_long and method in (greedy, sample) and backend.is_tensorflow():
                more["stretch"] = Stretch(_STRETCH, lambda count: initial_state(inputs, read + count)["moving"])
                positions = _STRETCH + read
        return method(step, own(initial_state(inputs, positions)), tokens, max_length=longest, **settings, **more)

    if signature is not None and method is sample and "seed" not in settings:
        signature = signature, keras.KerasTensor((), "int32")
    elif signature is not None:
        signature = (signature,)
    return of_backend(decode, model, signature)


def of_backend(function, model, signature=None):
    """Returns a function compiled by the backend, for inputs of any shape where it can.

    Args:
        function: Function of tensors.
        model: The model whose variables it reads, or None.
        signature: `keras.KerasTensor` of each argument, or None.
    """
    if backend.is_tensorflow():
        import tensorflow as tf

        specs = signature and tree.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), signature)
        return tf.function(function, reduce_retracing=True, autograph=False, input_signature=specs)

    import jax

    variables = [] if model is None else model.variables

    @jax.jit
    def stateless(values, *arguments):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    # What JAX finds while it compiles stays as it is: weights may be others by the next call.
    return lambda *arguments: stateless([variable.value for variable in variables], *arguments)


def streamed(decoding_step, method, tokens, *, max_length, prompt, model=None, **settings):
    """Returns a function from a batch of inputs to a generator of its next tokens (batch,), one after the other.

    They are those that `compiled` returns all at once. It ends where all rows have ended.

    Args:
        decoding_step, tokens, max_length, prompt, model, settings: As for `compiled`.
        method: `greedy` or `sample`.
    """
    step, initial_state, *prefill = decoding_step

    def begin(inputs):
        ids, lengths = prompt(inputs)
        state = own(initial_state(inputs, max_length + ops.shape(ids)[1] - 1))
        return begun(step, state, tokens, ids, lengths, (prefill or [None])[0])

    @in_place
    def grow(last, position, ended, origin, fixed, moving, *seed):
        choose = greedy_choice() if method is greedy else random_choice(*seed, **settings)
        chosen, _, ended, moving = grower(step, tokens, choose, origin, fixed)(last, position, ended, moving)
        return chosen, ended, moving

    def write(inputs, *seed):
        last, origin, state = begin(inputs)
        moving, ended = state["moving"], ops.zeros(ops.shape(last), "bool")
        seed = [ops.convert_to_tensor(each, "int32") for each in seed]
        for number in range(max_length):
            position = ops.convert_to_tensor(number, "int32")
            last, ended, moving = grow(last, position, ended, origin, state["fixed"], moving, *seed)
            yield ops.convert_to_numpy(last)
            if np.all(ops.convert_to_numpy(ended)):
                return

    begin, grow = of_backend(begin, model), of_backend(grow, model)

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


def forget_made(model):
    """Forgets what was made once for a model."""
    vars(model).pop("_kit_made", None)
