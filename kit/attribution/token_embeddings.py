"""Token embeddings inside a classifier of texts: what each token adds to a logit, by integrated gradients."""

import fnmatch

import numpy as np
import tensorflow as tf
from keras import layers, ops

from kit.attribution.calls import parts, run
from kit.attribution.integrated_gradients import gradients_of, integrated_gradients

_TABLES = ("token_embedding", "ngram*_embedding")


class TokenEmbeddings:
    """Classifier of texts that is cut behind its embeddings of tokens, wherever they are inside it.

    Args:
        model: Functional model from `ids`, and perhaps more inputs, to logits (batch, classes).
        score: Function `(outputs, label) -> (batch,)` that takes out of other outputs what is explained; by default it
            is a logit.

    Raises:
        LookupError: it has no such embeddings.
    """

    def __init__(self, model, score=None):
        self._model = model
        self._score = score or (lambda outputs, label: ops.take(ops.cast(outputs, "float32"), label, axis=1))
        self._tables = next((tables for tables in map(_tables, parts(model)) if tables), None)
        if self._tables is None:
            raise LookupError("no embeddings of tokens")
        self._widths = [table.output_dim for table in self._tables]
        self._gradients = gradients_of(self._logit, (None, sum(self._widths)))

    def attribution(self, inputs, label, is_special, neutral=None, *, steps=64):
        """Returns what each token of a text adds to a score, beside a text whose tokens have other embeddings.

        Special tokens, such as start and end, have theirs there, too.

        Args:
            inputs: Inputs of one text by their names, each (1, time).
            label: Number of the logit.
            is_special: Whether each token is special, (time,).
            neutral: Id of the token whose embedding all others get, such as padding; None makes their embeddings 0.
            steps: Points at which gradients are taken.

        Returns:
            What each token adds, (time,), and the `Attribution`.
        """
        embedded = self._embedded(inputs)
        before = np.zeros_like(embedded)
        own = slice(0, self._widths[0])  # n-grams have none there
        before[is_special, own] = embedded[is_special, own]
        if neutral is not None:
            other = np.where(is_special, inputs["ids"], neutral).astype("int32")
            before[:, own] = self._embedded({**inputs, "ids": other})[:, own]
        given = [inputs[each.name] for each in self._model.inputs]
        of_label = lambda points: self._gradients(points, np.int32(label), *given)  # noqa: E731
        found = integrated_gradients(of_label, embedded, before, steps=steps)
        shares = np.split(found.values, np.cumsum(self._widths)[:-1], axis=-1)
        counts = [int("".join(filter(str.isdecimal, table.name)) or 1) for table in self._tables]
        return np.sum([_spread(each.sum(-1), count) for each, count in zip(shares, counts, strict=True)], 0), found

    def _embedded(self, inputs):
        """Returns the embeddings of one text, those of n-grams beside them, (time, width)."""
        seen = {}

        def look(operation, call):
            outputs = call()
            seen[id(operation)] = outputs
            return outputs

        run(self._model, {name: tf.convert_to_tensor(value) for name, value in inputs.items()}, look)
        return np.concatenate([np.asarray(seen[id(table)], "float32")[0] for table in self._tables], -1)

    def _logit(self, points, label, *given):
        size = ops.shape(points)[0]
        embedded = dict(zip(map(id, self._tables), tf.split(points, self._widths, axis=-1), strict=True))

        def put(operation, call):
            return embedded[id(operation)] if id(operation) in embedded else call()

        return self._score(run(self._model, [tf.repeat(each, size, axis=0) for each in given], put), label)


def _tables(network):
    """Returns the embeddings of tokens, then those of n-grams, of a network."""
    known = [layer for layer in network.layers if isinstance(layer, layers.Embedding)]
    found = [[each for each in known if fnmatch.fnmatch(each.name, pattern)] for pattern in _TABLES]
    return [*found[0][:1], *found[1]] if found[0] else []


def _spread(values, count):
    """Spreads what n-grams add evenly over their tokens; each stands at the first of them, (time,)."""
    found = np.zeros_like(values)
    for offset in range(count):
        found[offset:] += values[: len(values) - offset] / count
    return found
