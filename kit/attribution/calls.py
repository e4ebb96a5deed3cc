"""Where a model inside a model is called."""


def call_in(model, inner):
    """Returns the call of an operation in a functional model: a node with its arguments and output tensors.

    An operation has a node for every call of it, those in other models made of the same layers too.

    Args:
        model: Functional model.
        inner: A layer of it, such as a model.
    """
    inside = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    return next(node for node in inner._inbound_nodes if id(node) in inside)
