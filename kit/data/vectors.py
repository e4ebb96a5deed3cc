"""Pretrained word vectors in a text file, as word2vec and GloVe write them: a word and its numbers in each line."""

import gzip
from pathlib import Path

import numpy as np

from kit.errors import KitError, SettingError, check
from kit.files import as_path


def read_file(path, lowercase, max_words):
    """`read` of the setting `vectors`.

    Raises:
        SettingError: there is no such file.
    """
    path = as_path(path, "vectors")
    if not path.is_file():
        raise SettingError("vectors", f"no file {str(path)!r}; expected a text file of word vectors")
    return read(path, lowercase=lowercase, max_words=max_words)


def read(path, *, lowercase=True, max_words=100_000):
    """Returns the first words of a file and their vectors.

    Args:
        path: Text file, plain or gzipped; a first line with the number and the width of the vectors is passed over.
        lowercase: Make the words lower-case; of several that become one the first counts.
        max_words: Read no more words than this; such files begin with the most frequent ones.

    Returns:
        List of words, and float32 array (words, width).

    Raises:
        KitError: the file cannot be used; the message names it, the line and what was expected.
        SettingError: `max_words` is out of range.
    """
    path = Path(path).expanduser()
    check(max_words >= 1, "max_words", max_words, "at least 1")
    found, width, number = {}, None, 0
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.decode("utf-8").rstrip()
                header = line.split(" ") if number == 1 else ()
                if len(header) == 2 and all(field.isdecimal() for field in header):
                    width = int(header[1])
                    continue
                # From the end, since there are words with spaces.
                word, *numbers = line.rsplit(" ", width) if width else line.split(" ")
                width = width or len(numbers)
                if len(numbers) != width or not width:
                    raise KitError(
                        f"{path}:{number}: {len(numbers)} numbers after the word, expected {width or 'at least 1'}"
                    )
                word = word.lower() if lowercase else word
                if word and word not in found:
                    found[word] = np.array(numbers, "float32")
                    if not np.isfinite(found[word]).all():
                        raise ValueError
                if len(found) == max_words:
                    break
    except KitError:
        raise
    except UnicodeDecodeError as error:
        raise KitError(f"{path}:{number}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except ValueError:
        raise KitError(f"{path}:{number}: expected a word and {width} numbers between spaces") from None
    except (OSError, EOFError) as error:
        raise KitError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not found:
        raise KitError(f"{path}: empty; expected a word and its numbers in each line")
    return list(found), np.stack(list(found.values()))
