"""Where a model inside a model is called, and what it is made of."""

import keras


def call_in(model, inner, argument=None):
    """Returns the call of an operation in a functional model: a node with its arguments and output tensors.

    An operation has a node for every call of it, those in other models made of the same layers too.

    Args:
        model: Functional model.
        inner: A layer of it, such as a model.
        argument: The first tensor that it is called with; None is any.
    """
    inside = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    calls = (node for node in inner._inbound_nodes if id(node) in inside)
    return next(node for node in calls if argument is None or node.arguments.keras_tensors[0] is argument)


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


def parts(model):
    """Returns a functional model and all functional models inside it, the outermost first."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model) and hasattr(layer, "operations")]
    return [model, *(each for layer in inner for each in parts(layer))]


def run(model, inputs, around=lambda operation, call: call(), *, given=()):
    """Runs a functional model, not training, operation by operation; it makes no other model out of its layers.

    Args:
        model: Functional model.
        inputs: Its inputs; a dictionary by their names, or a list in their order.
        around: Function `(operation, call)` that returns what an operation is taken to return, those of models inside
            the model too; `call()` returns what it does.
        given: Pairs (tensor, value) of tensors inside the model that are taken to be so, whatever the inputs.
    """
    inputs = [inputs[each.name] for each in model.inputs] if isinstance(inputs, dict) else keras.tree.flatten(inputs)
    known = {id(symbol): value for symbol, value in (*zip(model.inputs, inputs, strict=True), *given)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input or all(id(symbol) in known for symbol in node.outputs):
                continue
            arguments, keywords = node.arguments.fill_in(known)

            def call(operation=node.operation, arguments=arguments, keywords=keywords):
                if isinstance(operation, keras.Model) and hasattr(operation, "operations"):
                    return run(operation, keras.tree.flatten(arguments), around)
                return operation(*arguments, **keywords)

            outputs = keras.tree.flatten(around(node.operation, call))
            known |= {id(symbol): value for symbol, value in zip(node.outputs, outputs, strict=True)}
    found = [known[id(each)] for each in model.outputs]
    return found[0] if len(found) == 1 else found
