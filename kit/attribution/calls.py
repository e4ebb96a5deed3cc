"""Where a model inside a model is called, and what it is made of."""

import keras


def call_in(model, inner):
    """Returns the call of an operation in a functional model: a node with its arguments and output tensors.

    An operation has a node for every call of it, those in other models made of the same layers too.

    Args:
        model: Functional model.
        inner: A layer of it, such as a model.
    """
    inside = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    return next(node for node in inner._inbound_nodes if id(node) in inside)


def functional(model):
    """Returns a Keras model as one that knows its operations, with the tensors between them; None where none does.

    A functional model is that itself, a `keras.Sequential` has one inside once its input is known. Of a subclassed
    model Keras knows the layers, but not how they are joined.

    Args:
        model: Any `keras.Model`.
    """
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if hasattr(model, "operations") else None
