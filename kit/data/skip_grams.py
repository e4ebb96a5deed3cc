"""Skip-grams as examples: a word, the words around it, and random words that are to be told from those.

Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed Representations of Words and Phrases and their
Compositionality", 2013: skip-gram with negative sampling, frequent words left out at times.
"""

import dataclasses
from collections import Counter

import numpy as np
import tensorflow as tf

from kit.data.columns import Dense
from kit.data.drawn_examples import DrawnExamples
from kit.data.text import tokenize
from kit.errors import KitError, check

IGNORED = -1
# Random words are drawn by how often a word occurs, to this power.
_POWER = 0.75


@dataclasses.dataclass(frozen=True)
class SkipGramOptions:
    """Which words are near each other, and what they are told from.

    Args:
        window: Words on each side that may be near a word; as many as are drawn, from 1 up, for each word anew.
        negatives: Random words that each near one is to be told from.
        subsample: Share of all words above which a word is frequent, and is left out at times; 0 leaves none out.
        min_count: Words that occur less often in the training texts are passed over.
        vocabulary_size: Most words; of more the most frequent.
        lowercase: Make all words lower-case.

    Raises:
        SettingError: a value out of range.
    """

    window: int = 5
    negatives: int = 5
    subsample: float = 1e-3
    min_count: int = 5
    vocabulary_size: int = 50_000
    lowercase: bool = True

    def __post_init__(self):
        for key, most in (("window", 50), ("negatives", 100), ("min_count", 10**9), ("vocabulary_size", 10**7)):
            check(1 <= getattr(self, key) <= most, key, getattr(self, key), f"1 to {most}")
        check(0 <= self.subsample < 1, "subsample", self.subsample, "a share from 0 to below 1")


def words_in(text, lowercase):
    """Returns the words of a text that have a letter."""
    found = [word for word in tokenize(text)[0] if any(map(str.isalpha, word))]
    return [word.lower() for word in found] if lowercase else found


def vocabulary(texts, options):
    """Returns words and how often each occurs, the most frequent first.

    Args:
        texts: Words of each training text.
        options: `SkipGramOptions`.

    Raises:
        KitError: fewer than two words are frequent enough.
    """
    counts = Counter(word for words in texts for word in words)
    kept = sorted(
        (each for each in counts.items() if each[1] >= options.min_count), key=lambda each: (-each[1], each[0])
    )
    kept = kept[: options.vocabulary_size]
    if len(kept) < 2:
        raise KitError(
            f"{len(kept)} of {len(counts):,} words occur {options.min_count} times or more in the training texts "
            "(data.min_count); expected at least 2"
        )
    return [word for word, _ in kept], [count for _, count in kept]


def windows(texts, ids, width):
    """Returns each word of the texts with those around it.

    Args:
        texts: Words of each text; words without an id are passed over, as if they were not there.
        ids: Word to id, from 1.
        width: Words on each side.

    Returns:
        Ids of the words (words,), those around them (words, 2 * width), 0 beyond a text's ends, and the number of the
        text of each.
    """
    rows = [np.array([ids[word] for word in words if word in ids], "int32") for words in texts]
    lengths = [len(row) for row in rows]
    gap = np.zeros(width, "int32")
    flat = np.concatenate([gap, *(part for row in rows for part in (row, gap))])
    seen = np.lib.stride_tricks.sliding_window_view(flat, 2 * width + 1)
    seen = seen[seen[:, width] > 0]
    around = np.delete(seen, width, axis=1)
    return seen[:, width].copy(), around, np.repeat(np.arange(len(rows)), lengths)


class SkipGrams:
    """Draws near words and random ones for a batch, as `Examples.transform` wants it: by seed and step alone.

    Args:
        counts: How often each word occurs, (words,); id 1 is the first.
        options: `SkipGramOptions`.
        seed: Seed of the draw.
    """

    def __init__(self, counts, options, seed):
        self.options, self.seed = options, seed
        shares = np.asarray(counts, "float64") / np.sum(counts)
        kept = np.ones_like(shares)
        if options.subsample:
            kept = np.minimum(np.sqrt(options.subsample / shares) + options.subsample / shares, 1.0)
        self.kept = np.concatenate([[0.0], kept]).astype("float32")  # (words + 1,), 0 is no word
        power = np.asarray(counts, "float64") ** _POWER
        self.cumulative = (np.cumsum(power) / power.sum()).astype("float32")
        sides = np.arange(options.window)
        self.distance = np.concatenate([options.window - sides, sides + 1])  # of each word around, (2 * window,)

    def __call__(self, step, inputs, labels):
        """Returns a batch with random words behind the near ones, and which are near.

        Args:
            step: Number of the step, a tensor.
            inputs: `word` (batch,) and `others` (batch, 2 * window), all that may be near.
            labels: Replaced.

        Returns:
            `word`, `others` (batch, 2 * window * (1 + negatives)); 1 for a near word, 0 for a random one, and -1 for
            what does not count: no word, one that is too far this time or was left out, a random one that is near.
        """
        word, near = inputs["word"], inputs["others"]
        shape, count = tf.shape(near), self.options.negatives
        reach = 1.0 + tf.floor(self.options.window * self._uniform(step, (shape[0], 1), 0))
        is_near = (self.distance <= reach) & (self._uniform(step, shape, 1) < tf.gather(self.kept, near))
        is_near &= self._uniform(step, (shape[0], 1), 3) < tf.gather(self.kept, word)[:, None]
        drawn = self._uniform(step, (shape[0], shape[1] * count), 2)
        found = tf.searchsorted(self.cumulative, tf.reshape(drawn, (-1,)), side="right")
        drawn = tf.reshape(tf.minimum(found, len(self.cumulative) - 1) + 1, tf.shape(drawn))
        counts = tf.repeat(is_near, count, axis=1) & (drawn != tf.repeat(near, count, axis=1))
        told = tf.concat([tf.where(is_near, 1, IGNORED), tf.where(counts, 0, IGNORED)], axis=1)
        return {"word": word, "others": tf.concat([near, drawn], axis=1)}, told

    def _uniform(self, step, shape, stream):
        seed = tf.stack([tf.constant(self.seed * 8 + stream, tf.int64), tf.cast(step, tf.int64)])
        return tf.random.stateless_uniform(shape, seed)


def skip_gram_examples(words, around, draw, is_training):
    """Returns examples of words: of training ones random words are drawn anew in every step, of held-out ones once.

    Args:
        words: (examples,)
        around: (examples, 2 * window)
        draw: `SkipGrams`.
        is_training: Draw while it trains.
    """
    labels = np.where(around > 0, 1, IGNORED).astype("int32")
    whole = DrawnExamples({"word": Dense(words), "others": Dense(around)}, {"label": Dense(labels)}, transform=draw)
    if is_training:
        return whole
    inputs, labels = draw(tf.constant(0, tf.int64), {"word": tf.constant(words), "others": tf.constant(around)}, None)
    columns = {name: Dense(values.numpy()) for name, values in inputs.items()}
    return DrawnExamples(columns, {"label": Dense(labels.numpy())}, whole=whole)
