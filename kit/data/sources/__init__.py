"""Sources of labelled images: each module offers `read(source)`, and `NAMES` or `accepts(path)` to say of what.

A source gives `Images`; splitting and batching are the same for all.
"""

import dataclasses

import numpy as np

from kit.errors import SettingError, closest
from kit.files import as_path


@dataclasses.dataclass
class Images:
    """Labelled images as a source delivers them.

    Args:
        pixels: uint8 array (examples, height, width, channels), or None where the images stay on disk.
        paths: Files of the images, or None where there are none.
        labels: Class of each image, (examples,).
        class_names: Name of each class.
        names: Name of each example, unique and stable.
        split: Split that the source prescribes for each example, or None.
    """

    labels: np.ndarray
    class_names: list
    names: list
    pixels: np.ndarray | None = None
    paths: list | None = None
    split: np.ndarray | None = None


def find(source):
    """Returns the module that reads a source, and the source as that module wants it.

    Raises:
        SettingError: there is no such name or path, or nothing in it that a module reads.
    """
    from kit.data.sources import digits, idx, image_folder

    if source in digits.NAMES:
        return digits, source
    path = as_path(source, "source")
    if not source or not path.exists():
        raise SettingError(
            "source",
            f"no file or folder {source!r}; expected a path, or a name: "
            f"{', '.join(digits.NAMES)}{_hint(source, digits.NAMES)}",
        )
    for module in (idx, image_folder):
        if module.accepts(path):
            return module, path.resolve()
    raise SettingError(
        "source",
        f"nothing to read in {source!r}; expected {image_folder.LAYOUT}, or {idx.LAYOUT}",
    )


def _hint(source, names):
    hint = closest(source, names)
    return hint if "did you mean" in hint else ""
