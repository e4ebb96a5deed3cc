"""Grad-CAM: which places of the last feature map of a convolutional network speak for a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017.
"""

import keras
import numpy as np
import tensorflow as tf

from kit import backend
from kit.attribution.calls import call_in, functional


def feature_map_path(model):
    """Returns where the last feature map of a classifier of images is: models inside each other, then the operation.

    A map has several places and is made by layers with weights. Behind it come only vectors: where a sequence comes,
    such as the patches of a Vision Transformer, what stands at a place no longer comes from there. A subclassed model
    that is given a map may end in another one, which cannot be seen from outside.

    Args:
        model: Keras model.

    Returns:
        A list, or None where there is no such map, or none that can be seen.
    """
    network = functional(model)
    return None if network is None else _last_map(network)[0]


def _last_map(model):
    """Returns the path of the last feature map or None, and whether to look further in front of the model."""
    operations = list(model.operations)
    for index in reversed(range(len(operations))):
        operation = operations[index]
        inner = functional(operation) if isinstance(operation, keras.Model) else None
        if inner is not None:
            path, goes_on = _last_map(inner)
            if path or not goes_on:
                return ([operation, *path] if path else None), goes_on
            continue
        # Not `operation.output`, which is that of the first call: layers of a user's own may be in other models, too.
        node = call_in(model, operation)
        if len(node.output_tensors) == 1 and len(node.output_tensors[0].shape) == 3:
            return None, False
        has_weights = any(getattr(each, "weights", ()) for each in operations[: index + 1])
        if has_weights and len(node.output_tensors) == 1 and _is_map(node.output_tensors[0]):
            return [operation], False
        if isinstance(operation, keras.Model) and operation.weights and any(map(_is_map, node.input_tensors)):
            return None, False
    return None, True


def _is_map(tensor):
    """Whether a symbolic tensor (batch, rows, columns, channels) has several places."""
    shape = tensor.shape
    return len(shape) == 4 and None not in shape[1:3] and shape[1] * shape[2] > 1


def _tapped(model, path):
    """Returns a model from the inputs of a model to the output of an operation in it and its own output."""
    first, *inner = path
    model = functional(model)
    node = call_in(model, first)
    if not inner:
        return keras.Model(model.inputs, [node.output_tensors[0], model.output])
    found, outputs = _tapped(first, inner)(node.arguments.keras_tensors[0])
    if node.output_tensors[0] is not model.output:
        outputs = keras.Model(node.output_tensors[0], model.output)(outputs)
    return keras.Model(model.inputs, [found, outputs])


def grad_cam(model, images, classes, path=None):
    """Returns how much each place of images speaks for a class.

    The channels of the last feature map are added up, each times the mean over all places of the logit's derivative;
    what speaks against the class is left out.

    Args:
        model: Functional or sequential model that returns logits.
        images: Pixels, (batch, height, width, channels).
        classes: Index of a class for each image, (batch,).
        path: What `feature_map_path` returned, where it is known.

    Returns:
        Array (batch, height, width) of the images' size, at most 1 in each; all 0 where nothing speaks for the class.

    Raises:
        ValueError: the model has no feature map, or none that can be seen.
    """
    backend.need_tensorflow("explain answers")
    path = feature_map_path(model) if path is None else path
    if path is None:
        raise ValueError("the model has no feature map")
    tapped = _tapped(model, path)
    images = tf.convert_to_tensor(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        features, logits = tapped(images, training=False)
        chosen = tf.gather(logits, tf.convert_to_tensor(classes), batch_dims=1)
    slopes = tape.gradient(chosen, features)  # (batch, rows, columns, channels)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    places = tf.nn.relu(tf.reduce_sum(tf.cast(weights * features, tf.float32), axis=-1, keepdims=True))
    shown = tf.image.resize(places, images.shape[1:3], method="bilinear").numpy()[..., 0]
    most = shown.max((1, 2), keepdims=True)
    return shown / np.where(most > 0, most, 1)
