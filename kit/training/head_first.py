"""Linear probing, then fine-tuning (LP-FT): a new head is fitted by itself before the whole network is trained.

Kumar, Raghunathan, Jones, Ma and Liang, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", 2022: the gradients of a head that begins at random spoil the features that others have learned.
"""

import logging

import keras
import numpy as np

from kit.errors import SettingError

log = logging.getLogger("kit")

_MOST = 20_000  # examples that it is fitted to
_STRENGTH = 10.0  # of the errors, beside the squares of weights on features of length 1
_KEY = "head_first"


def fit(network, examples, batch_size):
    """Gives the last layer of a network the weights of a linear model of its features, which keep theirs.

    Of one label, or several, it is a logistic regression, of a number a ridge regression. It is fitted to the training
    examples, at most 20,000 of them.

    Args:
        network: The functional model that predicts.
        examples: `kit.data.examples.Examples` of the training split.
        batch_size: Examples in a step.

    Raises:
        SettingError: the network does not end in a dense layer of features of a whole example.
    """
    head = _head(network)
    if len(examples) > _MOST:
        examples = examples.take(np.sort(np.random.default_rng(0).permutation(len(examples))[:_MOST]))
    inputs = examples.batches(batch_size).map(lambda inputs, *_: inputs)
    features = keras.Model(network.input, head.input).predict(inputs, verbose=0).astype("float64")
    order = np.concatenate(list(examples.chunks(batch_size)))
    kind = next(iter(examples.targets))
    targets = np.asarray(examples.target(kind))[order]
    weights = None if examples.weights is None else np.asarray(examples.weights.values(examples.rows))[order]
    # One factor for all, so that the strength means the same for every network; it goes into the weights below.
    length = np.sqrt(np.square(features).sum(1).mean()) or 1.0
    kernel, bias = _linear(features / length, kind, targets, weights, head.units)
    head.set_weights([kernel / length, bias])
    log.info("the head is fitted first, to %s training examples", f"{len(targets):,}")


def _head(network):
    """Returns the dense layer that answers."""
    heads = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    head = heads[-1] if heads and len(network.outputs) == 1 else None
    if head is None or len(head.output.shape) != 2 or head.output is not network.outputs[0] or not head.use_bias:
        raise SettingError(_KEY, f"expected false: {network.name} does not end in a dense layer over whole examples")
    return head


def _linear(features, kind, targets, weights, units):
    """Returns kernel (dim, units) and bias (units,) of a linear model of "label", "labels" or "number"."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "number":
        model = Ridge(1 / (2 * _STRENGTH)).fit(features, targets.ravel(), weights)
        return np.reshape(model.coef_, (-1, 1)), np.reshape(model.intercept_, 1)
    if kind == "labels":
        kernel, bias = np.zeros((features.shape[1], units)), np.zeros(units)
        for label, has in enumerate(targets.T.astype(int)):
            known = np.unique(has)
            if len(known) == 2:
                model = LogisticRegression(C=_STRENGTH, max_iter=500).fit(features, has, weights)
                kernel[:, label], bias[label] = model.coef_[0], model.intercept_[0]
            else:
                bias[label] = 10.0 if known[0] else -10.0
        return kernel, bias
    model = LogisticRegression(C=_STRENGTH, max_iter=500).fit(features, targets, weights)
    kernel, bias = np.zeros((features.shape[1], units)), np.full(units, -10.0)  # of classes that no example has
    found, rest = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:  # of two classes scikit-learn has the difference
        found, rest = np.concatenate([-found / 2, found / 2], 1), np.concatenate([-rest / 2, rest / 2])
    kernel[:, model.classes_], bias[model.classes_] = found, rest
    return kernel, bias
