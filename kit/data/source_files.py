"""Fingerprint of the files that data were read from, which tells whether a run goes on with the same ones."""

import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from kit.data.sources import EncodedImage
from kit.errors import KitError
from kit.files import reading, write_text

# Files of more bytes together are not read as a whole: of each the beginning, the middle and the end.
_MOST_READ_WHOLE = 2_000_000_000
_SAMPLE = 4096
_BLOCK = 1 << 20


class SourceFiles:
    """Files that data are read from: size, time of change, and check sum of the content of each.

    Sizes are compared first. A file of the same size and time is taken to be the same and is not read; where the time
    alone differs, as in a copy, the check sums decide.

    Args:
        files: Paths, or `EncodedImage`.
        names: Name of each, unique and the same wherever the data are.
    """

    def __init__(self, files, names):
        self.files = list(files)
        self.names = [str(name) for name in names]

    def write(self, path):
        """Writes the fingerprint as a CSV file with a row a file."""
        sizes, times = self._looked_at()
        sums = self._check_sums(range(len(self.files)), sizes)
        rows = {"file": self.names, "size": sizes, "modified": times, "crc32": [f"{value:08x}" for value in sums]}
        write_text(path, pd.DataFrame(rows).to_csv(index=False))

    def seem_same(self, path):
        """Tells whether names, sizes and times of change are those of a fingerprint, which takes no file's content."""
        with reading(path):
            saved = pd.read_csv(path, dtype={"file": str, "crc32": str}, keep_default_na=False)
            names, before = saved["file"].tolist(), saved[["size", "modified"]].to_numpy().tolist()
        return names == self.names and before == [list(each) for each in zip(*self._looked_at(), strict=True)]

    def check(self, path):
        """Raises KitError for the first file that is not the one of a fingerprint."""
        with reading(path):
            saved = pd.read_csv(path, dtype={"file": str, "crc32": str}, keep_default_na=False)
            before = saved[["size", "modified"]].to_numpy().tolist()
            sums, names = saved["crc32"].tolist(), saved["file"].tolist()
        if names != self.names:
            known = set(names)
            other = next((name for name in self.names if name not in known), self.names[0])
            raise KitError(f"{_CHANGED}: {other} is another file; expected the same files")
        sizes, times = self._looked_at()
        for name, (size, _), now in zip(names, before, sizes, strict=True):
            if size != now:
                raise KitError(f"{_CHANGED}: {name} had {size:,} bytes, now {now:,}; expected the same files")
        is_encoded = [isinstance(file, EncodedImage) for file in self.files]
        rows = [row for row, (_, time) in enumerate(before) if is_encoded[row] or time != times[row]]
        for row, value in zip(rows, self._check_sums(rows, sizes), strict=True):
            if sums[row] != f"{value:08x}":
                raise KitError(f"{_CHANGED}: {names[row]} has another content; expected the same files")

    def _looked_at(self):
        """Returns size and time of change, in nanoseconds, of each file."""
        found = self._each(_size_and_time, self.files)
        return [size for size, _ in found], [time for _, time in found]

    def _check_sums(self, rows, sizes):
        """Returns the check sum of the files in the given rows."""
        is_whole = sum(sizes) <= _MOST_READ_WHOLE
        return self._each(lambda row: _check_sum(self.files[row], sizes[row], is_whole), rows)

    @staticmethod
    def _each(look, these):
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(pool.map(look, these))
        except OSError as error:
            raise KitError(f"{error.filename}: cannot be read ({error.strerror})") from None


_CHANGED = "the data changed since this run was started"


def _size_and_time(file):
    if isinstance(file, EncodedImage):
        return len(file.data), 0
    found = os.stat(file)
    return found.st_size, found.st_mtime_ns


def _check_sum(file, size, is_whole):
    if isinstance(file, EncodedImage):
        return zlib.crc32(file.data)
    value = 0
    with open(file, "rb", buffering=0) as opened:
        if is_whole or size <= 3 * _SAMPLE:
            while block := opened.read(_BLOCK):
                value = zlib.crc32(block, value)
            return value
        for start in (0, (size - _SAMPLE) // 2, size - _SAMPLE):
            opened.seek(start)
            value = zlib.crc32(opened.read(_SAMPLE), value)
    return value
