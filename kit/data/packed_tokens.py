"""Tokens of packed texts: learned from a sample, texts cut into them block by block, both kept in the cache."""

import logging
import math
import zlib

import numpy as np

from kit.data import cache
from kit.data.split_names import SPLITS
from kit.data.tokens import Tokenizer
from kit.files import read_json, reading, write_json, write_text

log = logging.getLogger("kit")

# Tokens are learned from so many bytes of training texts, spread evenly over all of them; more change little.
LEARNED_FROM = 256_000_000
# Characters that are cut into tokens together.
_BLOCK = 4_000_000


def learned(texts, fingerprint, split, options, learn):
    """Returns the tokenizer of packed texts, learned from training ones once and kept in the cache.

    Args:
        texts: Columns of texts, `kit.data.packed.Strings`; of pairs two.
        fingerprint: Check sum of the texts.
        split: Name of the split of each text, (texts,).
        options: What else decides what is learned, as a JSON value.
        learn: Function from an iterator of texts to a `Tokenizer`.
    """
    rows = np.flatnonzero(split == "train")
    total = sum(int(part.values.sizes[rows].sum()) for part in texts)
    step = max(1, math.ceil(total / LEARNED_FROM))
    if step > 1:
        log.info("tokens are learned from every %dth of the %s training texts", step, f"{len(rows):,}")
    rows = rows[::step]
    key = {"fingerprint": fingerprint, "rows": f"{zlib.crc32(rows.astype('int64')):08x}", "options": options}

    def make(folder):
        found = learn(part[int(row)] for part in texts for row in rows)
        write_text(folder / "tokenizer.json", found.to_json())

    path = cache.kept("tokens", key, make) / "tokenizer.json"
    with reading(path):
        return Tokenizer(path.read_bytes().decode("utf-8"))


def blocks(texts, tokenizer):
    """Yields the number of the first text of a block, and the ids of each of its texts.

    Args:
        texts: Iterable of texts.
        tokenizer: `Tokenizer`.
    """
    block, size, first = [], 0, 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= _BLOCK:
            yield first, tokenizer.encode(block)
            first, block, size = first + len(block), [], 0
    if block:
        yield first, tokenizer.encode(block)


def type_of(tokenizer):
    """Returns the narrowest type that holds the ids of a tokenizer."""
    return "uint16" if len(tokenizer) <= 1 << 16 else "int32"


def split_numbers(split):
    """Returns the number of the split of each example, one more than the last where it is in none."""
    numbers = np.full(len(split), len(SPLITS), "uint8")
    for number, name in enumerate(SPLITS):
        numbers[split == name] = number
    return numbers


def split_sum(split):
    """Returns a check sum of the splits of examples."""
    return f"{zlib.crc32(split_numbers(split)):08x}"


def facts(folder, told=None):
    """Writes facts beside cached files, or reads them."""
    path = folder / "facts.json"
    return read_json(path) if told is None else write_json(path, told)
