"""Packs of plain texts: documents one after the other, whatever their size together."""

import dataclasses
import hashlib
import os
import zlib

import numpy as np

from kit.data import packed, packing, sources
from kit.data.sources import Documents
from kit.data.split_names import SPLITS
from kit.errors import SettingError

LAYOUT = "a pack of plain texts, as `kit pack` writes it"
KINDS = ("plain texts",)


@dataclasses.dataclass
class PackedDocuments(packed.Named, Documents):
    """Plain texts of a pack, each read when it is asked for."""


def accepts(path):
    """Tells whether a path is a pack."""
    return packed.is_pack(path)


def read(source):
    """Returns the documents of a pack.

    Args:
        source: Folder of the pack.

    Raises:
        KitError: the pack is not whole, or of another kind; the message names the file.
    """
    pack = packed.Pack(source, KINDS)
    split = np.array(SPLITS, dtype=object)[pack.array("split")] if pack.has("split") else None
    return PackedDocuments(pack.texts("text"), pack.texts("place"), split, **packed.Named.fields(pack))


def pack(source, writer):
    """Packs the documents of any source of plain texts, of which one at a time is in memory.

    Args:
        source: What `data.source` may be.
        writer: `kit.data.packing.Writer`.

    Returns:
        The source as its reader wants it, and the number of examples.

    Raises:
        KitError: a source that cannot be used; the message names it.
    """
    module, origin = sources.find(source, "documents")
    if isinstance(origin, os.PathLike) and packed.is_pack(origin):
        raise SettingError("source", f"{source} is a pack already")
    if hasattr(module, "documents"):
        rows = module.documents(origin)
    else:
        found = module.read(origin)
        split = [None] * len(found.texts) if found.split is None else found.split
        rows = zip(found.texts, found.places, split, strict=True)
    sums, numbers, progress = hashlib.blake2b(digest_size=16), [], packing.Progress(None, "texts")
    for text, place, part in rows:
        data = text.encode()
        name = f"{place} {zlib.crc32(data):08x}"
        for column, value in (("text", data), ("place", place), ("name", name)):
            writer.add(column, value)
        sums.update(f"{name} {len(data)}\n".encode())
        numbers.append(len(SPLITS) if part is None else SPLITS.index(part))
        progress.step(1)
    numbers = np.array(numbers, "uint8")
    if (numbers < len(SPLITS)).all() and (numbers == 0).any():
        writer.array("split", numbers)
    content = {"skipped": [], "fingerprint": sums.hexdigest()}
    writer.finish("plain texts", len(numbers), content)
    return origin, len(numbers)
