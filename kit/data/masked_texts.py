"""Masked texts as examples: pieces of documents in tokens, some of which are hidden and to be told.

Devlin et al., "BERT", 2019, section 3.1: of 15 % of the tokens four fifths are masked, a tenth are replaced by random
ones, and a tenth stay. Whole words: the update of 2019 to its published code.
"""

import math

import numpy as np
import tensorflow as tf

from kit.data.columns import Dense
from kit.data.drawn_examples import DrawnExamples

IGNORED = -1
# Held-out pieces that are masked together, by the number of their block.
HELD_OUT_BLOCK = 65_536


class Masking:
    """Random masking of a batch of pieces, as `Examples.transform` wants it: a function of seed and step alone.

    Args:
        tokenizer: `kit.data.tokens.Tokenizer` with a mask.
        length: Tokens of a piece.
        rate: Share of the tokens that are to be told.
        whole_words: Hide all tokens of a word together.
        seed: Seed of the draw.
    """

    def __init__(self, tokenizer, length, rate, whole_words, seed):
        self.most = max(1, math.ceil(rate * length))
        self.rate, self.seed, self.mask = rate, seed, tokenizer.mask_id
        special = [tokenizer.pad_id, tokenizer.start_id, *tokenizer.end_ids, tokenizer.mask_id]
        table = np.zeros(len(tokenizer), bool)
        table[special] = True
        self.is_special = table
        self.ordinary = np.flatnonzero(~table).astype("int32")
        self.begins_word = None
        if whole_words:
            self.begins_word = np.array([tokenizer.begins_word(token) for token in range(len(tokenizer))])

    def __call__(self, step, inputs, labels):
        """Returns a batch in which some tokens are hidden, and which those are.

        Args:
            step: Number of the step, a tensor.
            inputs: `ids` (batch, time) and `positions`, which are replaced.
            labels: Replaced, too.

        Returns:
            `ids`, and `positions` (batch, predictions) of those that are to be told; their tokens (batch, predictions),
            -1 where fewer are.
        """
        ids = inputs["ids"]
        batch, time = tf.shape(ids)[0], tf.shape(ids)[1]

        order, hidden = self.uniform(step, (batch, time), 0), tf.gather(self.is_special, ids)
        if self.begins_word is not None:
            begins = tf.gather(self.begins_word, ids) | hidden  # the first, the start, does
            order = tf.gather(order, tf.cumsum(tf.cast(begins, tf.int32), axis=1) - 1, batch_dims=1)  # one a word
        order = tf.where(hidden, 2.0, order)
        positions = tf.argsort(order, axis=1, stable=True)[:, : self.most]
        real = tf.reduce_sum(tf.cast(~hidden, tf.float32), axis=1)
        count = tf.minimum(tf.maximum(tf.round(self.rate * real), 1.0), real)
        is_told = tf.cast(tf.range(tf.shape(positions)[1]), tf.float32) < count[:, None]
        true = tf.gather(ids, positions, batch_dims=1)
        draw = self.uniform(step, tf.shape(positions), 1)
        which = self.uniform(step, tf.shape(positions), 2) * len(self.ordinary)
        others = tf.gather(self.ordinary, tf.cast(which, tf.int32))
        shown = tf.where(draw < 0.8, self.mask, tf.where(draw < 0.9, others, true))
        shown = tf.where(is_told, tf.cast(shown, ids.dtype), true)
        rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(positions))
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([rows, positions], -1), shown)
        return {"ids": ids, "positions": positions}, tf.where(is_told, true, IGNORED)

    def uniform(self, step, shape, stream):
        """Returns numbers from 0 to below 1 of the seed, the step and the number of a stream, 0 to 7."""
        seed = tf.stack([tf.constant(self.seed * 8 + stream, tf.int64), tf.cast(step, tf.int64)])
        return tf.random.stateless_uniform(shape, seed)


def pieces(texts, tokenizer, length, least=8):
    """Returns documents in pieces of so many tokens, start and end included; what is left over is padded.

    Args:
        texts: The documents.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a piece.
        least: Rests of fewer tokens are left out.

    Returns:
        Ids (pieces, length), and the number of the document of each.
    """
    return cut(tokenizer.encode(texts), tokenizer, length, least)


def cut(documents, tokenizer, length, least=8):
    """Returns the same of documents that are ids of tokens already."""
    rows, owners = [], []
    room = length - 2
    for number, ids in enumerate(documents):
        for start in range(0, len(ids), room):
            part = ids[start : start + room]
            if len(part) >= min(least, room) or start == 0:
                whole = [tokenizer.start_id, *part, tokenizer.end_id]
                rows.append(whole + [tokenizer.pad_id] * (length - len(whole)))
                owners.append(number)
    return np.array(rows, "int32").reshape(-1, length), np.array(owners, int)


def masked_examples(ids, masking, is_training):
    """Returns examples of pieces: training ones are masked anew in every step, held-out ones once.

    Args:
        ids: (pieces, length)
        masking: `Masking`.
        is_training: Mask while it trains.
    """
    positions = np.zeros((len(ids), masking.most), "int32")
    labels = np.full((len(ids), masking.most), IGNORED, "int32")
    whole = DrawnExamples(
        {"ids": Dense(ids), "positions": Dense(positions)}, {"label": Dense(labels)}, transform=masking
    )
    if is_training:
        return whole
    blocks = []
    for number, start in enumerate(range(0, len(ids), HELD_OUT_BLOCK)):
        block = {"ids": tf.constant(ids[start : start + HELD_OUT_BLOCK]), "positions": None}
        inputs, told = masking(tf.constant(number, tf.int64), block, None)
        blocks.append([each.numpy() for each in (inputs["ids"], inputs["positions"], told)])
    if blocks:
        ids, positions, labels = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return DrawnExamples({"ids": Dense(ids), "positions": Dense(positions)}, {"label": Dense(labels)}, whole=whole)


def masked_splits(texts, split, tokenizer, length, hidden):
    """Returns the examples of training, validation and test split, and their number of tokens.

    Args:
        texts: The documents.
        split: Name of the split of each.
        tokenizer: `kit.data.tokens.Tokenizer`.
        length: Tokens of a piece.
        hidden: `Masking` of each split.
    """
    ids, owners = pieces(texts, tokenizer, length)
    parts = [ids[split[owners] == name] for name in ("train", "validation", "test")]
    examples = [masked_examples(part, own, not row) for row, (part, own) in enumerate(zip(parts, hidden, strict=True))]
    return examples, int((ids != tokenizer.pad_id).sum())
