"""Packs of labelled texts: each text, or pair of texts, with what is to be answered of it."""

import dataclasses
import hashlib
import json
import logging
import zlib

import numpy as np

from kit.data import packed, packing, sources
from kit.data.sources import Texts
from kit.data.sources.packed_images import Optional, told
from kit.data.split_names import SPLITS
from kit.errors import SettingError

log = logging.getLogger("kit")

LAYOUT = "a pack of labelled texts, as `kit pack` writes it"
KINDS = ("labelled texts",)


@dataclasses.dataclass
class PackedTexts(packed.Named, Texts):
    """Labelled texts of a pack: the texts are read when they are asked for, their targets are in memory.

    Args:
        equal: Number of the first text that is equal to each, and number of its target among all, (texts,) each.
    """

    equal: tuple = ()


def accepts(path):
    """Tells whether a path is a pack."""
    return packed.is_pack(path)


def read(source):
    """Returns the texts of a pack.

    Args:
        source: Folder of the pack.

    Raises:
        KitError: the pack is not whole, or of another kind; the message names the file.
    """
    pack = packed.Pack(source, KINDS)
    targets, numbers = pack.content["targets"], pack.array("target")
    columns = pack.content["columns"]
    return PackedTexts(
        pack.texts("text"),
        [targets[number] for number in numbers.tolist()],
        pack.texts("place"),
        second=pack.texts("second") if pack.has("second") else None,
        split=np.array(SPLITS, dtype=object)[pack.array("split")] if pack.has("split") else None,
        skipped=pack.content["skipped"],
        columns={name: Optional(pack.texts(f"column{number}")) for number, name in enumerate(columns)},
        label_names=pack.content["label_names"],
        equal=(pack.array("equal"), numbers),
        **packed.Named.fields(pack),
    )


def pack(source, writer, *, text=None, second_text=None, target=None, on_bad="error"):
    """Packs the labelled texts of any source, which is read as a whole for that.

    Args:
        source: What `data.source` may be.
        writer: `kit.data.packing.Writer`.
        text, second_text, target: Columns of a table, see `kit.data.labelled_texts.TextSource`.
        on_bad: "skip" lists rows that cannot be read and leaves them out; "error" names the first.

    Returns:
        The source as its reader wants it, and the number of examples.

    Raises:
        KitError: a source that cannot be used; the message names it.
    """
    options = {"text": text, "second_text": second_text, "target": target, "on_bad": on_bad}
    found, origin = sources.read(source, "texts", options)
    if isinstance(found, PackedTexts):
        raise SettingError("source", f"{source} is a pack already")
    sums, progress = hashlib.blake2b(digest_size=16), packing.Progress(len(found.texts), "texts")
    targets, numbers, first, equal = {}, [], {}, []
    for row, place in enumerate(found.places):
        parts, answer = [part[row] for part in found.parts], found.targets[row]
        name = f"{place} {zlib.crc32(chr(9).join(map(str, (*parts, answer))).encode()):08x}"
        for column, value in (*zip(("text", "second"), parts, strict=False), ("place", place), ("name", name)):
            writer.add(column, value)
        for number, values in enumerate(found.columns.values()):
            value = values[row]
            writer.add(f"column{number}", told(value if value is None else str(value)))
        numbers.append(targets.setdefault(json.dumps(answer, ensure_ascii=False), len(targets)))
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()
        equal.append(first.setdefault(digest, row))
        sums.update(f"{name}\n".encode())
        progress.step(1)
    writer.array("target", np.array(numbers, "int32"))
    writer.array("equal", np.array(equal, "int64"))
    if found.split is not None:
        writer.array("split", np.array([SPLITS.index(part) for part in found.split], "uint8"))
    content = {
        "targets": list(map(json.loads, targets)),
        "columns": list(map(str, found.columns)),
        "label_names": found.label_names,
        "skipped": found.skipped,
        "fingerprint": sums.hexdigest(),
    }
    writer.finish("labelled texts", len(numbers), content)
    return origin, len(numbers)
