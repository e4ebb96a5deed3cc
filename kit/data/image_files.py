"""Image files: which formats are read, which files of a folder are images, and what is passed over."""

import collections
import logging
import os
import stat
from pathlib import Path

from kit.errors import KitError

log = logging.getLogger("kit")

# What is read, as Pillow names it, and the endings that say so; no format that is a program, such as EPS. The last two
# are those for which Pillow looks through all formats that it knows.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
# What systems leave in folders beside hidden files: thumbnails, settings of windows, what a Mac packs with an archive.
_LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}


class PassedOver:
    """Counts what is in folders of images and is not read, so that it can be told."""

    def __init__(self):
        self.endings = collections.Counter()
        self.hidden = collections.Counter()
        self.links = []
        self.beside = []

    def add(self, other):
        """Counts what another one has counted too."""
        self.endings += other.endings
        self.hidden += other.hidden
        self.links += other.links
        self.beside += other.beside

    def tell(self):
        """Writes one line on all that was passed over, if anything was."""
        told = []
        if self.endings:
            several = [f"{count:,} {ending or 'without an ending'}" for ending, count in _commonest(self.endings, 8)]
            more = len(self.endings) - len(several)
            told.append(
                f"{_files(self.endings.total())} that end in none of {' '.join(ENDINGS)}: {', '.join(several)}"
                + (f" and {more} other endings" if more > 0 else "")
            )
        if self.hidden:
            several = ", ".join(name for name, _ in _commonest(self.hidden, 5))
            told.append(f"{self.hidden.total():,} hidden or left by a system ({several})")
        if self.links:
            told.append(f"{len(self.links):,} links to folders ({min(self.links)})")
        if self.beside:
            told.append(f"{_files(len(self.beside))} in no folder of a class ({min(self.beside)})")
        if told:
            log.info("images: passed over %s", "; ".join(told))


def _files(count):
    return "1 file" if count == 1 else f"{count:,} files"


def _commonest(counter, most):
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]


def is_hidden(name):
    """Tells whether a file or folder is hidden, or none of the user's: `.DS_Store`, `._x.png`, `Thumbs.db`."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def is_misnamed(path, kind):
    """Tells whether the ending of a file's name says another format than it has.

    Args:
        path: The file.
        kind: Its format, as Pillow names it.
    """
    return os.path.splitext(path)[1].lower() not in FORMATS["JPEG" if kind == "MPO" else kind]


def images_in(folder, passed_over=None):
    """Returns the image files in a folder and below it, sorted; links to files are followed, those to folders not.

    Args:
        folder: The folder.
        passed_over: `PassedOver` that counts what is no image.

    Raises:
        KitError: a folder that cannot be read, or a name that is not UTF-8.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    files = []
    for root, folders, names in os.walk(folder, onerror=_refuse):
        for name in folders:
            _check_name(root, name)
            if is_hidden(name):
                passed_over.hidden[name] += 1
            elif os.path.islink(os.path.join(root, name)):
                passed_over.links.append(os.path.join(root, name))
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            _check_name(root, name)
            if is_hidden(name):
                passed_over.hidden[name] += 1
            elif name.lower().endswith(ENDINGS):
                files.append(Path(root, name))
            else:
                passed_over.endings[Path(name).suffix.lower()] += 1
    return sorted(files)


def folders_in(folder, passed_over):
    """Returns the names of the folders in a folder that are not hidden, sorted; what else is there is counted.

    Raises:
        KitError: the folder cannot be read.
    """
    _, folders, names = next(os.walk(folder, onerror=_refuse))
    for name in (*folders, *names):
        _check_name(folder, name)
        if is_hidden(name):
            passed_over.hidden[name] += 1
    for name in names:
        if not is_hidden(name) and name.lower().endswith(ENDINGS):
            passed_over.beside.append(os.path.join(folder, name))
        elif not is_hidden(name):
            passed_over.endings[Path(name).suffix.lower()] += 1
    return sorted(name for name in folders if not is_hidden(name))


def _check_name(folder, name):
    try:
        name.encode()
    except UnicodeEncodeError:
        raise KitError(f"{os.path.join(folder, name)!a}: a file name that is not UTF-8") from None


def _refuse(error):
    raise KitError(f"{error.filename}: cannot be read ({error.strerror})") from None


def check_regular(path):
    """Raises KitError for what is no regular file, such as a pipe, which nobody may ever write to.

    Raises:
        OSError: there is no such file, or it cannot be looked at.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise KitError(f"{path}: not a regular file; expected an image file")
