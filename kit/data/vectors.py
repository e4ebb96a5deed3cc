"""Pretrained word vectors: text files, as word2vec and GloVe write them, and word2vec's binary ones."""

import gzip
from pathlib import Path

import numpy as np

from kit.errors import KitError, SettingError, check
from kit.files import as_path

_LONGEST_WORD = 10_000  # bytes


def read_file(path, lowercase, max_words):
    """`read` of the setting `vectors`.

    Raises:
        SettingError: there is no such file.
    """
    path = as_path(path, "vectors")
    if not path.is_file():
        raise SettingError("vectors", f"no file {str(path)!r}; expected a file of word vectors")
    return read(path, lowercase=lowercase, max_words=max_words)


def read(path, *, lowercase=True, max_words=100_000):
    """Returns the first words of a file and their vectors.

    Args:
        path: Text file, plain or gzipped, with a word and its numbers in each line; a first line with the number and
            the width of the vectors is passed over. Or word2vec's binary file (.bin), which has that first line.
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
    if path.name.endswith((".bin", ".bin.gz")):
        return _read_binary(path, lowercase, max_words)
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


def _read_binary(path, lowercase, max_words):
    """Returns words and vectors of word2vec's binary file: after a first line each word, a space, and float32."""
    found, number = {}, 0
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as file:
            header = file.readline(100).split()
            if len(header) != 2 or not all(each.isdigit() and int(each) for each in header):
                raise KitError(f"{path}:1: expected the number and the width of the vectors")
            count, width = map(int, header)
            for number in range(1, count + 1):
                word = b""
                while not word.endswith(b" "):
                    letter = file.read(1)
                    if not letter or len(word) > _LONGEST_WORD:
                        raise KitError(f"{path}: word {number}: expected {count} words, each with a space behind it")
                    word += letter
                numbers = file.read(4 * width)
                values = np.frombuffer(numbers, "<f4") if len(numbers) == 4 * width else np.array([np.nan])
                if not np.isfinite(values).all():
                    raise KitError(f"{path}: word {number}: expected {width} numbers of 4 bytes")
                word = word.strip().decode("utf-8")
                word = word.lower() if lowercase else word
                if word and word not in found:
                    found[word] = values
                if len(found) == max_words:
                    break
    except UnicodeDecodeError as error:
        raise KitError(f"{path}: word {number}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except (OSError, EOFError, ValueError) as error:
        raise KitError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return list(found), np.stack(list(found.values()))
