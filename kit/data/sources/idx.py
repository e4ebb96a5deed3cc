"""idx files, the format in which MNIST, Fashion-MNIST and their like are published.

A folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same for `t10k`, each plain or `.gz`.
"""

import gzip
import zlib

import numpy as np

from kit.data.columns import together
from kit.data.sources import Images
from kit.errors import KitError

LAYOUT = "idx files (train-images-idx3-ubyte[.gz] ...)"
_SPLITS = {"train": "train", "t10k": "test"}
_CLASS_NAMES = {
    "fashion": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
}


def accepts(path):
    """Tells whether a folder holds idx files."""
    return path.is_dir() and any(path.glob("*-idx[13]-ubyte*"))


def read(source):
    """Returns the images of an idx folder; `t10k` becomes the test split.

    Raises:
        KitError: a file is missing, damaged, or its count differs from its partner's.
    """
    pixels, labels, split, files = [], [], [], []
    for prefix, name in _SPLITS.items():
        files += [_file(source, f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
        images, classes = _array(files[-2], 3), _array(files[-1], 1)
        if len(images) != len(classes):
            raise KitError(
                f"{source}: {len(images)} {prefix} images but {len(classes)} labels; expected as many of each"
            )
        pixels.append(images)
        labels.append(classes)
        split.append(np.full(len(classes), name, dtype=object))
    shapes = [images.shape[1:] for images in pixels]
    if shapes[0] != shapes[1]:
        raise KitError(f"{source}: train images are {shapes[0]}, t10k images {shapes[1]}; expected one size")
    if min(map(len, pixels)) == 0 or len(np.unique(labels[0])) < 2:
        raise KitError(f"{source}: expected images of at least two classes in train and some in t10k")
    labels = np.concatenate(labels).astype("int32")
    known = _CLASS_NAMES["fashion"] if "fashion" in source.name.lower() else ()
    count = int(labels.max()) + 1
    split = np.concatenate(split)
    return Images(
        pixels=together(pixels)[..., None],
        labels=labels,
        class_names=list(known) if len(known) == count else [str(index) for index in range(count)],
        names=[f"{name} {row}" for row, name in enumerate(split)],
        split=split,
        files=files,
    )


def _file(folder, name):
    """Returns the path of an idx file, plain or packed."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise KitError(f"{folder / name}: no such file, nor with .gz")


def _array(path, rank):
    """Reads one idx file: a big-endian header (magic number, sizes), then bytes."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise KitError(f"{path}: cannot be read ({error}); expected a whole gzip file") from None
    header = np.frombuffer(data[: 4 + 4 * rank], ">i4")
    if len(header) != 1 + rank or header[0] != 2048 + rank:
        raise KitError(f"{path}: expected an idx file of unsigned bytes with {rank} dimensions")
    shape = tuple(int(size) for size in header[1:])
    if len(data) != 4 + 4 * rank + int(np.prod(shape)):
        raise KitError(f"{path}: its header says {shape}, but it holds {len(data)} bytes")
    return np.frombuffer(data, "uint8", offset=4 + 4 * rank).reshape(shape)
