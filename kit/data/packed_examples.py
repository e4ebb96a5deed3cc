"""Labelled texts of a pack as examples: their tokens are on disk, cut once and kept in the cache."""

import numpy as np

from kit.data import cache, packed_tokens
from kit.data.batching import ByLength
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.labelled_texts import TEXTS, shorten
from kit.data.stored import Appended, StoredRagged, StoredTexts
from kit.errors import check


def text_examples(found, tokenizer, lengths, targets, extras):
    """Returns what `kit.data.labelled_texts.text_examples` does, of `kit.data.sources.packed_texts.PackedTexts`.

    Args:
        found: The texts.
        tokenizer: `kit.data.tokens.Tokenizer`.
        lengths: `Lengths`, without windows.
        targets, extras: As for the texts of a source that is in memory.

    Raises:
        SettingError: the texts are to be read in windows.
    """
    check(not lengths.window_stride, "window_stride", lengths.window_stride, "0 where texts are packed")
    key = {"fingerprint": found.fingerprint, "tokenizer": tokenizer.to_json(), "max_length": lengths.max_length}
    folder = cache.kept("texts", key, lambda path: _cut(path, found.parts, tokenizer, lengths.max_length))
    sizes = np.load(folder / "lengths.npy", allow_pickle=False)
    inputs = {"ids": StoredRagged(folder / "ids.npy", sizes, tokenizer.pad_id)}
    if len(found.parts) > 1:
        inputs["segments"] = StoredRagged(folder / "segments.npy", sizes)
    columns = {name: Dense(values) for name, values in extras.items()}
    columns |= {name: StoredTexts(texts) for name, texts in zip(TEXTS, found.parts, strict=False)}
    targets = {name: Dense(values) for name, values in targets.items()}
    examples = Examples(inputs, targets, extras=columns, batching=ByLength("ids"), is_named=True)
    return examples, np.arange(len(sizes)), packed_tokens.facts(folder)["longer"]


def _cut(folder, parts, tokenizer, max_length):
    """Writes ids, segments of pairs, and lengths."""
    room, sizes, longer = max_length - 1 - len(parts), [], 0
    every = (packed_tokens.blocks(part, tokenizer) for part in parts)
    with (
        Appended(folder / "ids.npy", (), packed_tokens.type_of(tokenizer)) as ids,
        Appended(folder / "segments.npy", (), "uint8") as segments,
    ):
        for rows in zip(*map(_flat, every), strict=True):
            texts = list(rows)
            if sum(map(len, texts)) > room:
                longer += 1
                shorten(texts, room)
            ends = [[*text, tokenizer.end_id] for text in texts]
            own = [tokenizer.start_id, *(each for text in ends for each in text)]
            ids.add(own)
            if len(parts) > 1:
                segments.add([0] * (1 + len(ends[0])) + [1] * len(ends[1]))
            sizes.append(len(own))
    np.save(folder / "lengths.npy", np.array(sizes, "int32"), allow_pickle=False)
    packed_tokens.facts(folder, {"longer": longer})


def _flat(blocks):
    return (ids for _, block in blocks for ids in block)
