"""Next-sentence prediction as examples: pairs of segments, half of which follow each other in a document.

Devlin et al., "BERT", 2019, section 3.1 and appendix A.2.
"""

import re

import numpy as np
import tensorflow as tf

from kit.data.columns import Dense
from kit.data.drawn_examples import DrawnExamples
from kit.data.masked_texts import IGNORED
from kit.errors import KitError

_CHUNK = 512  # held-out pairs among which the other half of a pair is looked for
_BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")


class Pairing:
    """Pairs of segments in a batch, half of them with the second segment of another document, masked then.

    A function of seed and step alone, as `Examples.transform` wants it. The other document is one of the same batch, so
    that no split sees another; where a batch holds but one document, all its pairs follow each other.

    Args:
        masking: `kit.data.masked_texts.Masking`.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a pair, start and ends included.
    """

    def __init__(self, masking, tokenizer, length):
        self.masking, self.length, self.most = masking, length, masking.most
        self.pad, self.start, self.end = tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id

    def __call__(self, step, inputs, labels):
        """Returns a batch of masked pairs.

        Args:
            step: Number of the step, a tensor.
            inputs: `first` and `second` (batch, room), segments filled up with -1, and `document` (batch,).
            labels: Replaced.

        Returns:
            `ids`, `segments` (batch, time) and `positions`; `token` (batch, predictions), -1 where fewer are told, and
            `next_sentence` (batch,), 0 where the second segment follows the first and 1 where it does not.
        """
        first, second, document = inputs["first"], inputs["second"], inputs["document"]
        batch = tf.shape(first)[0]
        is_other = document[:, None] != document
        order = tf.where(is_other, self.masking.uniform(step, (batch, batch), 4), -1.0)
        can_be = tf.reduce_any(is_other, axis=1)
        is_random = (self.masking.uniform(step, (batch,), 3) < 0.5) & can_be
        partner = tf.where(is_random, tf.argmax(order, axis=1, output_type=tf.int32), tf.range(batch))
        second = tf.gather(second, partner)
        ids, segments = self._joined(first, second)
        inputs, told = self.masking(step, {"ids": ids}, None)
        labels = {"token": told, "next_sentence": tf.cast(is_random, tf.int32)}
        return inputs | {"segments": segments}, labels

    def _joined(self, first, second):
        """Returns ids and segments (batch, time) of start, first, end, second, end."""
        one, other = (tf.reduce_sum(tf.cast(each >= 0, tf.int32), 1)[:, None] for each in (first, second))
        place = tf.range(self.length)[None]
        batch = tf.shape(first)[0]

        def at(values, index):
            index = tf.clip_by_value(index, 0, tf.shape(values)[1] - 1)
            return tf.gather(values, tf.broadcast_to(index, (batch, self.length)), batch_dims=1)

        ids = tf.where(place <= one, at(first, place - 1), at(second, place - 2 - one))
        ids = tf.where(place == 0, self.start, ids)
        ids = tf.where((place == 1 + one) | (place == 2 + one + other), self.end, ids)
        ids = tf.where(place > 2 + one + other, self.pad, ids)
        segments = tf.cast((place >= 2 + one) & (place <= 2 + one + other), tf.int32)
        return ids, segments


def pairs(texts, tokenizer, length):
    """Returns segments of whole sentences that follow each other, two and two.

    A segment takes sentences until it has about half of the tokens of a pair; what is too long is cut.

    Args:
        texts: The documents.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a pair, start and ends included.

    Returns:
        First and second segments, each (pairs, room) filled up with -1, and the number of the document of each pair.
    """
    room = [(length - 3) // 2, length - 3 - (length - 3) // 2]
    rows, owners = ([], []), []
    for number, text in enumerate(texts):
        sentences = [ids for ids in tokenizer.encode([each for each in _BOUNDARY.split(text) if each.strip()]) if ids]
        at = 0
        while at + 1 < len(sentences):
            for side, most in enumerate(room):
                # The first leaves a sentence to the second.
                end, taken = len(sentences) - (side == 0), list(sentences[at])
                at += 1
                while at < end and len(taken) + len(sentences[at]) <= most:
                    taken += sentences[at]
                    at += 1
                rows[side].append(taken[:most] + [-1] * (most - len(taken)))
            owners.append(number)
    first, second = (np.array(each, "int32").reshape(-1, most) for each, most in zip(rows, room, strict=True))
    return first, second, np.array(owners, "int32")


def paired_examples(first, second, documents, pairing, is_training):
    """Returns examples of pairs: training ones are paired and masked anew in every step, held-out ones once.

    Args:
        first, second, documents: As `pairs` returns them.
        pairing: `Pairing`.
        is_training: Pair and mask while it trains.
    """
    count = len(first)
    whole = DrawnExamples(
        {"first": Dense(first), "second": Dense(second), "document": Dense(documents)},
        {
            "token": Dense(np.full((count, pairing.most), IGNORED, "int32")),
            "next_sentence": Dense(np.zeros(count, "int32")),
        },
        transform=pairing,
    )
    if is_training:
        return whole
    shape = {"ids": pairing.length, "positions": pairing.most, "segments": pairing.length, "token": pairing.most}
    found = {name: np.zeros((count, wide), "int32") for name, wide in shape.items()}
    found["next_sentence"] = np.zeros(count, "int32")
    chunks = -(-count // _CHUNK)
    for chunk in range(chunks):  # of rows that are far apart, so that many documents are in each
        rows = np.arange(chunk, count, chunks)
        inputs, labels = pairing(tf.constant(chunk, tf.int64), *map(_as_tensors, whole.arrays(rows)))
        for name, values in (inputs | labels).items():
            found[name][rows] = values.numpy()
    targets = {name: Dense(found.pop(name)) for name in ("token", "next_sentence")}
    return DrawnExamples({name: Dense(values) for name, values in found.items()}, targets, whole=whole)


def _as_tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


def paired_splits(texts, split, tokenizer, length, hidden):
    """Returns the examples of training, validation and test split, and their number of tokens.

    Args:
        texts: The documents.
        split: Name of the split of each.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a pair.
        hidden: `Masking` of each split.

    Raises:
        KitError: a split has no pair, or those of one document alone.
    """
    first, second, owners = pairs(texts, tokenizer, length)
    examples, count = [], sum(int((each >= 0).sum()) for each in (first, second)) + 3 * len(owners)
    for row, name in enumerate(("train", "validation", "test")):
        own = split[owners] == name
        documents = len(set(owners[own]))
        if documents < 2 and (split == name).any():
            found = ("one document", "no document")[documents == 0]
            raise KitError(
                f"data.next_sentence: {found} of the {name} split has two sentences or more; expected at least 2 such"
            )
        parts = (each[own] for each in (first, second, owners))
        examples.append(paired_examples(*parts, Pairing(hidden[row], tokenizer, length), not row))
    return examples, count
