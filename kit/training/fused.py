"""Fewer and cheaper operations of TensorFlow's for what Keras composes of many, while a model trains.

Keras computes each layer's formula one step at a time, each a pass over the whole array, and as many for the gradient;
on a CPU that may take longer than the products of matrices between them. The layers and the optimizer stay Keras' own,
and so does what is saved.
"""

import contextlib
import functools
import types

import keras
import tensorflow as tf

from kit import backend
from kit.training import checkpoint, engine

# Random numbers of dropout have 16 bits; of a smaller rate they would miss too large a share.
_LEAST_RATE = 0.01
# Layers with fewer outputs are not worth rounding: values, routers, and logits of a few classes stay exact.
_LEAST_OUTPUTS = 16


@contextlib.contextmanager
def training(model, matmul_precision="float32"):
    """Lets a model train faster; afterwards all is as before.

    Batch and layer normalisation, dense layers on sequences, dropout, Adam, and the cross-entropy of a tied last layer.
    What is computed is Keras' own to rounding; of dropout only the random numbers are others.

    Args:
        model: Compiled model, or training wrapper around some.
        matmul_precision: "bfloat16" rounds both factors of the products of `multiplying_layers`, and what comes out, to
            8 bits, forwards and backwards, and those with which Muon orthogonalises; sums, and all else, stay float32.
    """
    if not backend.is_tensorflow():
        yield  # XLA does as much
        return
    layers = list(model._flatten_layers())
    rounded = set(multiplying_layers(model)) if matmul_precision == "bfloat16" else set()
    replaced = [
        *((layer, "call", _IN_BFLOAT16[type(layer)]) for layer in rounded),
        *((layer, "call", call) for layer in layers if layer not in rounded for fits, call in _CALLS if fits(layer)),
        *((optimizer, "update_step", _adam_step) for optimizer in _optimizers(model, _ADAM) if not optimizer.amsgrad),
    ]
    if matmul_precision == "bfloat16":
        replaced += [(each, "zeropower_via_newtonschulz5", _orthogonal) for each in _optimizers(model, _MUON)]
    with _replaced(replaced):
        yield


def multiplying_layers(model):
    """Returns the dense and convolutional layers of a model whose products `training` can round.

    Those of float32 with many outputs; Keras has XLA compile convolutions of several groups one by one on a CPU, which
    stay as they are.
    """

    def fits(layer):
        return (
            type(layer) in _IN_BFLOAT16
            and layer.compute_dtype == "float32"
            and getattr(layer, "quantization_mode", None) is None
            and getattr(layer, "data_format", "channels_last") == "channels_last"
            and getattr(layer, "groups", 1) == 1
            and (layer.units if type(layer) is keras.layers.Dense else layer.filters) >= _LEAST_OUTPUTS
        )

    return [layer for layer in model._flatten_layers() if fits(layer)]


@contextlib.contextmanager
def batch_normalization(model):
    """Lets the batch normalisation of feature maps inside a model train faster; afterwards all is as before.

    Moving statistics, gradients and weights are those of `keras.layers.BatchNormalization` to rounding.

    Args:
        model: Model, or training wrapper around some.
    """
    chosen = [(layer, "call", _normalize_batch) for layer in model._flatten_layers() if _normalizes_batches(layer)]
    with _replaced(chosen):
        yield


@contextlib.contextmanager
def _replaced(methods):
    """Gives objects methods of their own for a while: pairs of object and name, and the function."""
    for each, name, function in methods:
        setattr(each, name, types.MethodType(function, each))
    try:
        yield
    finally:
        for each, name, _ in methods:
            delattr(each, name)


def _normalizes_batches(layer):
    """Returns whether a layer normalises the channels, the last axis, of float32 feature maps."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and engine.current().count == 1
        and layer.built
        and layer.axis in (3, -1)
        and layer.compute_dtype == layer.variable_dtype == "float32"
        and layer.scale
        and layer.center
        and not layer.synchronized
        and layer.input_spec.ndim == 4
    )


def _normalize_batch(layer, inputs, training=None, mask=None):
    """`BatchNormalization.call` with one operation in place of many."""
    if not training or not layer.trainable or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    empty = tf.zeros((0,))
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(layer.gamma),
        offset=tf.convert_to_tensor(layer.beta),
        mean=empty,
        variance=empty,
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), "float32")
    variance *= (count - 1) / tf.maximum(count, 1)  # the operation's own is that of a sample
    for moving, found in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + tf.stop_gradient(found) * (1 - layer.momentum))
    return outputs


def _normalizes_vectors(layer):
    """Returns whether a layer normalises the last axis alone, in float32."""
    return (
        type(layer) is keras.layers.LayerNormalization
        and layer.built
        and layer.axis == [-1]
        and layer.compute_dtype == layer.variable_dtype == "float32"
        and layer.scale
        and layer.center
        and not layer.rms_scaling
    )


def _normalize_vectors(layer, inputs):
    """`LayerNormalization.call` with the shortest gradient there is."""
    dim = inputs.shape[-1]
    if inputs.dtype != tf.float32 or dim is None:
        return type(layer).call(layer, inputs)

    @tf.custom_gradient
    def normalized(inputs, gamma, beta):
        shape, flat = tf.shape(inputs), tf.reshape(inputs, (-1, dim))
        mean = tf.fill((dim, 1), 1.0 / dim)  # sums as products with a vector are the fastest on a CPU
        centred = flat - flat @ mean
        rate = tf.math.rsqrt(tf.square(centred) @ mean + layer.epsilon)  # (vectors, 1)
        unit = centred * rate

        def derivative(upstream):
            upstream = tf.reshape(upstream, (-1, dim))
            of_gamma, row = upstream * unit, tf.ones((1, tf.shape(upstream)[0]))
            shares = gamma[:, None] / dim
            of_inputs = (upstream * gamma - (unit * (of_gamma @ shares) + upstream @ shares)) * rate
            return tf.reshape(of_inputs, shape), (row @ of_gamma)[0], (row @ upstream)[0]

        return tf.reshape(unit * gamma + beta, shape), derivative

    return normalized(inputs, tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta))


def _is_dense(layer):
    """Returns whether a dense layer treats every vector of a sequence alike, and is no other kind of layer besides."""
    return type(layer) is keras.layers.Dense and layer.built and layer.quantization_mode is None


def _dense(layer, inputs, training=None, product=None):
    """`Dense.call` on a sequence as on one large batch: product, bias and activation become one operation."""
    product = product or functools.partial(type(layer).call, layer, training=training)
    if not hasattr(inputs, "shape") or inputs.shape.rank in (None, 0, 1, 2) or inputs.shape[-1] is None:
        return product(inputs)
    outputs = product(tf.reshape(inputs, (-1, inputs.shape[-1])))
    outputs = tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [layer.units]], 0))
    outputs.set_shape([*inputs.shape[:-1], layer.units])
    return outputs


def _drops(layer):
    """Returns whether a layer drops single float32 numbers, at a rate that 16 bits can tell well enough."""
    return (
        type(layer) is keras.layers.Dropout
        and _LEAST_RATE <= layer.rate <= 1 - _LEAST_RATE
        and layer.noise_shape is None
        and layer.compute_dtype == "float32"
    )


def _drop(layer, inputs, training=False):
    """`Dropout.call` with 16 random bits for each number, where Keras draws 32; half the time goes into drawing."""
    if not training or inputs.dtype != tf.float32:
        return type(layer).call(layer, inputs, training=training)
    # Rows of examples are of any number; those of which there are always as many are the same in all processes.
    together = engine.current() if inputs.shape[0] is None else engine.ALONE
    shape = together.whole(tf.shape(inputs))
    size = tf.reduce_prod(shape)
    seed = tf.cast(layer.seed_generator.next(), "int64")
    drawn = tf.random.stateless_uniform(((size + 1) // 2,), seed, None, None, "int32")
    drawn = together.own(tf.reshape(tf.reshape(tf.bitcast(drawn, "int16"), (-1,))[:size], shape))
    dropped = round(layer.rate * 2**16)
    drawn.set_shape(inputs.shape)
    kept = tf.cast(drawn >= tf.constant(dropped - 2**15, "int16"), "float32")
    return inputs * (kept * (2**16 / (2**16 - dropped)))  # divided by the share that really is kept


def _is_tied(layer):
    """Returns whether a layer is a float32 embedding that is a last layer, too."""
    return (
        type(layer) is keras.layers.ReversibleEmbedding
        and layer.built
        and layer.tie_weights
        and layer.logit_soft_cap is None
        and layer.quantization_mode is None
        and layer.variable_dtype == "float32"
        and (layer.reverse_dtype or layer.compute_dtype) == "float32"
    )


def _tied(layer, inputs, reverse=False):
    """`ReversibleEmbedding.call` whose logits know a shorter way to the cross-entropy, see `kit.training.losses`."""
    outputs = type(layer).call(layer, inputs, reverse=reverse)
    if reverse:
        inputs, weights = tf.cast(inputs, "float32"), tf.convert_to_tensor(layer.embeddings)
        outputs.crossentropy = functools.partial(_crossentropy, inputs, weights, tf.stop_gradient(outputs))
    return outputs


def _crossentropy(inputs, weights, logits, labels, label_smoothing):
    """Returns the cross-entropy (batch, ...) of integer labels and logits that are `inputs @ transpose(weights)`.

    Logits of a large vocabulary are most of what a step reads and writes. Their own gradient, the shares less the
    target, is never made: both products of the shares are enough, since those of the target are single rows.

    Args:
        inputs: (batch, ..., dim)
        weights: (classes, dim)
        logits: (batch, ..., classes), that no gradient passes through.
        labels: (batch, ...)
        label_smoothing: Share of the target that is spread evenly over all classes.
    """
    classes, dim = weights.shape
    flat_labels = tf.reshape(labels, (-1,))
    certain = 1.0 - label_smoothing

    @tf.custom_gradient
    def loss_of(inputs, weights):
        vectors, scores = tf.reshape(inputs, (-1, dim)), tf.reshape(logits, (-1, classes))
        shares = tf.nn.softmax(scores)
        places = tf.stack([tf.range(tf.size(flat_labels)), flat_labels], axis=1)
        share, score = tf.gather_nd(shares, places), tf.gather_nd(scores, places)
        loss = tf.cond(
            tf.reduce_min(share) > 1e-30,
            lambda: -tf.math.log(share),
            lambda: tf.reduce_logsumexp(scores, axis=-1) - score,  # exact, however small a share is
        )
        even = tf.reduce_mean(weights, axis=0)
        if label_smoothing:
            loss += label_smoothing * (score - tf.linalg.matvec(vectors, even))

        def derivative(upstream):
            upstream = tf.reshape(upstream, (-1, 1))
            rows = tf.gather(weights, flat_labels)
            of_inputs = (shares @ weights - certain * rows - label_smoothing * even) * upstream
            weighted = vectors * upstream
            of_weights = tf.matmul(shares, weighted, transpose_a=True)
            of_weights -= certain * tf.math.unsorted_segment_sum(weighted, flat_labels, classes)
            if label_smoothing:
                of_weights -= label_smoothing / classes * tf.reduce_sum(weighted, axis=0)
            return tf.reshape(of_inputs, tf.shape(inputs)), of_weights

        return tf.reshape(loss, tf.shape(labels)), derivative

    return loss_of(inputs, weights)


def _dense_in_bfloat16(layer, inputs, training=None):
    """`Dense.call` whose product is one of bfloat16."""

    def product(vectors):
        kernel = tf.cast(tf.convert_to_tensor(layer.kernel), "bfloat16")
        return _finished(layer, tf.cast(tf.matmul(tf.cast(vectors, "bfloat16"), kernel), vectors.dtype))

    return _dense(layer, inputs, product=product)


def _finished(layer, outputs):
    """Returns the product of a layer with its bias, activated."""
    outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias)) if layer.use_bias else outputs
    return outputs if layer.activation is None else layer.activation(outputs)


def _convolution_in_bfloat16(layer, inputs):
    """`Conv1D.call` and `Conv2D.call` whose product is one of bfloat16."""
    padding = layer.padding
    if padding == "causal":
        inputs, padding = keras.ops.pad(inputs, layer._compute_causal_padding()), "valid"
    outputs = keras.ops.conv(
        tf.cast(inputs, "bfloat16"),
        tf.cast(tf.convert_to_tensor(layer.kernel), "bfloat16"),
        strides=list(layer.strides),
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
    return _finished(layer, tf.cast(outputs, inputs.dtype))


# What stands in the place of the `call` of a layer that multiplies.
_IN_BFLOAT16 = {
    keras.layers.Dense: _dense_in_bfloat16,
    keras.layers.Conv1D: _convolution_in_bfloat16,
    keras.layers.Conv2D: _convolution_in_bfloat16,
}
_CALLS = (
    (_normalizes_batches, _normalize_batch),
    (_normalizes_vectors, _normalize_vectors),
    (_is_dense, _dense),
    (_drops, _drop),
    (_is_tied, _tied),
)


_ADAM = (keras.optimizers.Adam, keras.optimizers.AdamW)
_MUON = (keras.optimizers.Muon,)


def _optimizers(model, kinds):
    """Returns those of a model's optimizers that are of some kinds, on one device."""
    found = [checkpoint.inside(each) for each in checkpoint.optimizers(model) if each is not None]
    is_one = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return [each for each in found if is_one and type(each) in kinds]


def _adam_step(optimizer, gradient, variable, learning_rate):
    """`Adam.update_step` with one operation in place of twelve."""
    strategy = getattr(optimizer, "_distribution_strategy", None)
    is_one = strategy is None or strategy.num_replicas_in_sync == 1
    if not is_one or not isinstance(gradient, tf.Tensor) or not gradient.dtype == variable.dtype == tf.float32:
        return type(optimizer).update_step(optimizer, gradient, variable, learning_rate)
    index = optimizer._get_variable_index(variable)
    variable = variable.value if isinstance(variable, keras.Variable) else variable
    step = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, "float32")
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=tf.pow(optimizer.beta_1, step),
        beta2_power=tf.pow(optimizer.beta_2, step),
        lr=tf.cast(learning_rate, "float32"),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=gradient,
    )


def _orthogonal(optimizer, update, steps):
    """`Muon.zeropower_via_newtonschulz5` whose products are of bfloat16, as its author has them."""
    found = type(optimizer).zeropower_via_newtonschulz5(optimizer, tf.cast(update, "bfloat16"), steps)
    return tf.cast(found, update.dtype)
