"""Baselines of language models: a character n-gram with Kneser-Ney smoothing, and the compressor xz."""

import logging
import lzma
import time

import numpy as np

from kit.data.lossless_tokens import text_of
from kit.data.tokens import Tokenizer
from kit.scoring import ngrams

log = logging.getLogger("kit")

ORDER = 5
_MOST = 30_000_000  # training tokens; counting more takes memory
_END = "\0"  # no text has it


def beside(splits, settings, seconds):
    """Returns what a character of the test split costs in bits, by a 5-gram of the training texts and by `xz -9e`.

    Args:
        splits: `Splits` of sequences of tokens.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training, which does not matter here.

    Returns:
        Dictionary: `name`, `bits_per_character`, `cpu_seconds`, and `others`, the same of xz; or None where it is not
        asked for or there are too many training texts to be counted.
    """
    if not settings.get("baseline"):
        return None
    tokenizer = Tokenizer(splits.assets["tokenizer"])
    training, tests = (getattr(splits, name).inputs["ids"] for name in ("train", "test"))
    training, tests = (getattr(column, "parts", [column]) for column in (training, tests))
    if sum(len(part.tokens) for part in training) > _MOST:
        log.info("baseline: more than %s tokens take too much memory for a character %d-gram", f"{_MOST:,}", ORDER)
        return None
    began = time.process_time()
    known, told = ("".join(_text(tokenizer, part.tokens[:]) for part in parts) for parts in (training, tests))
    count = max(len(told) - told.count(_END), 1)
    found = {
        "name": f"a character {ORDER}-gram with Kneser-Ney smoothing",
        "bits_per_character": float(ngrams.bits(known, told, ORDER).sum() / count),
        "cpu_seconds": round(time.process_time() - began, 2),
    }
    began = time.process_time()
    packed = len(lzma.compress(told.encode("utf-8", "replace"), preset=9 | lzma.PRESET_EXTREME))
    xz = {"name": "xz -9e", "bits_per_character": 8 * packed / count}
    xz["cpu_seconds"] = round(time.process_time() - began, 2)
    for each in (found, xz):
        log.info("baseline  %s  %.4f bits a character", each["name"], each["bits_per_character"])
    return found | {"others": [xz]}


def _text(tokenizer, tokens):
    """Returns texts one behind the other, with a sign behind each."""
    parts = np.split(tokens, np.flatnonzero(tokens == tokenizer.end_id))
    return "".join(f"{text}{_END}" for text in (text_of(tokenizer, part) for part in parts) if text)
