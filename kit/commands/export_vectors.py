"""A finished run's word vectors as word2vec writes them: a text file with a word and its numbers in each line."""

import keras
import numpy as np

from kit.data import vectors
from kit.errors import KitError

_LAYER = "word_embedding"


def write(run, path):
    """Writes the words and their vectors, the most frequent first; a first line tells their number and width.

    Args:
        run: The finished `Run`.
        path: Path of a new file.

    Raises:
        KitError: the run has no vectors of words.
    """
    words, table = _table(run)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{len(words)} {table.shape[1]}\n")
        for word, row in zip(words, table[1:], strict=True):
            file.write(f"{word} {' '.join(format(float(each), '.9g') for each in row)}\n")  # exact in float32


def read(run, path):
    """Returns the network of a run with the vectors of a file in place of its own."""
    words, table = _table(run)
    found, matrix = vectors.read(path, lowercase=False, max_words=len(words))
    if found != words:
        raise KitError(f"{path}: {len(found):,} words were read back; expected {len(words):,}")
    model = keras.models.clone_model(run.model)
    model.set_weights(run.model.get_weights())
    model.get_layer(_LAYER).embeddings.assign(np.concatenate([table[:1], matrix]))
    return model


def _table(run):
    """Returns the words of a run, and the rows of its embedding, of which the first is of no word."""
    words = run.assets.get("words")
    if words is None:
        raise KitError(f"word2vec: {run.recipe.name} learns no vectors of whole words; expected a run of word vectors")
    return words, keras.ops.convert_to_numpy(run.model.get_layer(_LAYER).embeddings).astype("float32")
