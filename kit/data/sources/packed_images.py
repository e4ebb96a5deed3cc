"""Packs of images: encoded files as they were, with all that `kit pack` has found of them."""

import collections.abc
import hashlib
import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.data import packed, packing, sources
from kit.data.image import Headers, header_in, opened, plain
from kit.data.image_files import check_regular
from kit.data.pixel_checks import PixelChecks
from kit.data.sources import EncodedImage, Images
from kit.data.sources.text_files import BadRows
from kit.data.split_names import SPLITS
from kit.errors import KitError, SettingError

LAYOUT = "a pack of images, as `kit pack` writes it"
KINDS = ("labelled images", "images")
_FLAGS = Headers._fields[1:]
_BLOCK = 1024


def accepts(path):
    """Tells whether a path is a pack."""
    return packed.is_pack(path)


def read(source, needs_classes=True):
    """Returns the images of a pack, which stay there until they are asked for.

    Args:
        source: Folder of the pack.
        needs_classes: Refuse images of fewer than two classes.

    Raises:
        KitError: the pack is not whole, or of another kind; the message names the file.
        SettingError: its images have no classes, which are needed.
    """
    pack = packed.Pack(source, KINDS)
    class_names, names = pack.content["class_names"], pack.texts("name")
    if needs_classes and len(class_names) < 2:
        raise SettingError("source", f"{source} is a pack of images without classes; expected labelled images")
    paths, split = PackedImages(pack), None
    if pack.has("split"):
        split = np.array(SPLITS, dtype=object)[pack.array("split")]
    columns = pack.content["columns"]
    return Images(
        labels=pack.array("label"),
        class_names=class_names,
        names=names,
        paths=paths,
        split=split,
        pixel_kind=pack.content["pixel_kind"],
        files=[pack.folder / packed.FILE],
        columns={name: Optional(pack.texts(f"column{number}")) for number, name in enumerate(columns)},
        checks=_checks(pack, paths),
        skipped=pack.content["skipped"],
    )


def _checks(pack, paths):
    """Returns the `PixelChecks` that were made when the images were packed."""
    checks = PixelChecks(paths)
    checks.digests = pack.array("equal")
    checks.constant = np.flatnonzero(pack.array("is_constant")).tolist()
    return checks


class PackedImages(collections.abc.Sequence):
    """Image files of a pack, each read when it is asked for.

    Args:
        pack: `kit.data.packed.Pack`.

    Attributes:
        headers: `kit.data.image.Headers` of all of them.
    """

    def __init__(self, pack):
        self._files, self._names = pack.values("image"), pack.texts("name")
        self.headers = Headers(pack.array("size"), *(pack.array(flag) for flag in _FLAGS))

    def __len__(self):
        return len(self._files)

    def __getitem__(self, row):
        if isinstance(row, slice):
            row = range(*row.indices(len(self)))
        if isinstance(row, range | np.ndarray | list):
            return [self[int(each)] for each in row]
        return EncodedImage(self._files[row], _Name(self._names, int(row)))


class _Name:
    """Name of an image, which is read where a message names it."""

    def __init__(self, names, row):
        self._names, self._row = names, row

    def __str__(self):
        return f"{self._names.values.folder}: {self._names[self._row]}"


class Optional(collections.abc.Sequence):
    """Values of a column, which an example may lack.

    Args:
        texts: Column of texts, each "=" and the value, or nothing.
    """

    def __init__(self, texts):
        self._texts = texts

    def __len__(self):
        return len(self._texts)

    def __getitem__(self, row):
        return [_value(each) for each in self._texts[row]] if isinstance(row, slice) else _value(self._texts[row])

    def __iter__(self):
        return map(_value, self._texts)


def _value(text):
    return text[1:] if text else None


def told(value):
    """Returns a value of a column as a text that `Optional` reads."""
    return "" if value is None else f"={value}"


def pack(source, writer, *, needs_classes=True, on_bad="error"):
    """Packs the images of any source; each is decoded once, so that training need not look whether it can be.

    Args:
        source: What `data.source` may be.
        writer: `kit.data.packing.Writer`.
        needs_classes: The images have to have classes.
        on_bad: "skip" lists images that cannot be read and leaves them out; "error" names the first.

    Returns:
        The source as its reader wants it, and the number of examples.

    Raises:
        KitError: a source or an image that cannot be used; the message names it.
    """
    found, origin = sources.read(source, "images", {"needs_classes": needs_classes})
    if found.checks is not None:
        raise SettingError("source", f"{source} is a pack already")
    bad, kept, looked = BadRows(on_bad), [], []
    progress, sums = packing.Progress(len(found.names), "images"), hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(found.names), _BLOCK):
            rows = range(start, min(start + _BLOCK, len(found.names)))
            for row, (data, facts) in zip(rows, pool.map(lambda row: _looked_at(found, row), rows), strict=True):
                if isinstance(facts, KitError):
                    if not bad.skips:
                        raise facts
                    bad.messages.append(str(facts))
                    continue
                writer.add("image", data)
                writer.add("name", found.names[row])
                for number, values in enumerate(found.columns.values()):
                    writer.add(f"column{number}", told(values[row]))
                sums.update(f"{found.names[row]} {len(data)} {zlib.crc32(data)}\n".encode())
                kept.append(row)
                looked.append(facts)
            progress.step(len(rows))
    if not kept:
        raise KitError(f"{source}: none of {len(found.names):,} images can be read; the first: {bad.messages[0]}")
    bad.told()
    write_facts(writer, *zip(*looked, strict=True))
    writer.array("label", found.labels[kept])
    splits = {}
    if found.split is not None:
        numbers = np.array([SPLITS.index(part) for part in found.split[kept]], "uint8")
        writer.array("split", numbers)
        splits = dict(zip(SPLITS, np.bincount(numbers, minlength=len(SPLITS)).tolist(), strict=True))
    content = {
        "class_names": [str(name) for name in found.class_names],
        "splits": splits,
        "columns": list(map(str, found.columns)),
        "pixel_kind": found.pixel_kind,
        "skipped": bad.messages,
        "fingerprint": sums.hexdigest(),
    }
    writer.finish("labelled images" if needs_classes else "images", len(kept), content)
    return origin, len(kept)


def write_facts(writer, headers, digests, is_constant):
    """Writes what was found of each image: headers, equal images, and those of one colour.

    Args:
        writer: `kit.data.packing.Writer`.
        headers: `Headers` of each.
        digests: Check sum of the pixels of each.
        is_constant: Whether each is of one colour.
    """
    for name, values in zip(Headers._fields, zip(*headers, strict=True), strict=True):
        writer.array(name, np.array(values, "int32" if name == "size" else bool))
    _, first, inverse = np.unique(np.array(digests, "S16"), return_index=True, return_inverse=True)
    writer.array("equal", first[inverse].astype("int64"))  # the first image that is equal, itself where none is
    writer.array("is_constant", np.array(is_constant, bool))


def _looked_at(found, row):
    """Returns the bytes of an image and (headers, digest of its pixels, whether they are one colour), or an error."""
    try:
        if found.paths is None:
            return _of_pixels(found.pixels[row])
        path = found.paths[row]
        data = path.data if isinstance(path, EncodedImage) else _read(path)
        with opened(EncodedImage(data, str(path))) as image:
            header = header_in(image, path)
            pixels = np.asarray(plain(image, header.is_grey))
        return data, (header, *_sums(pixels.reshape(*pixels.shape[:2], -1)))
    except KitError as error:
        return b"", error


def _read(path):
    try:
        check_regular(path)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None


def _of_pixels(pixels):
    """Returns pixels as a PNG file, which holds all of them, and what else `_looked_at` does."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "png", compress_level=1)
    header = Headers(pixels.shape[:2], pixels.shape[-1] == 1, False, False, False)
    return file.getvalue(), (header, *_sums(pixels))


def _sums(pixels):
    flat = pixels.reshape(-1, pixels.shape[-1])
    digest = hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16, person=repr(pixels.shape).encode()[:16])
    return digest.digest(), bool((flat == flat[:1]).all())
