"""The fingerprint of files: what counts as the same file, and what is read for it."""

import os
import re

import pandas as pd
import pytest

from kit.data import source_files
from kit.data.source_files import SourceFiles
from kit.data.sources import EncodedImage
from kit.errors import KitError


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        path.write_bytes(path.name.encode() * 5000)
    return paths


def fingerprint(files):
    return SourceFiles([str(path) for path in files], [path.name for path in files])


def test_the_same_files_are_not_read_again(files, tmp_path, monkeypatch):
    fingerprint(files).write(tmp_path / "files.csv")
    assert list(pd.read_csv(tmp_path / "files.csv")["file"]) == ["a.png", "b.png"]
    read = []
    summed = source_files._check_sum
    monkeypatch.setattr(source_files, "_check_sum", lambda file, *rest: read.append(file) or summed(file, *rest))
    fingerprint(files).check(tmp_path / "files.csv")
    assert read == []
    os.utime(files[1], (1, 1))
    fingerprint(files).check(tmp_path / "files.csv")
    assert read == [str(files[1])]


@pytest.mark.parametrize("most", [10**9, 10])
@pytest.mark.parametrize("place", [0, 12_500, -1])
def test_the_first_file_that_changed_is_named(files, tmp_path, monkeypatch, most, place):
    monkeypatch.setattr(source_files, "_MOST_READ_WHOLE", most)
    fingerprint(files).write(tmp_path / "files.csv")
    content = bytearray(files[1].read_bytes())
    content[place] ^= 1
    files[1].write_bytes(content)
    os.utime(files[1], (1, 1))
    with pytest.raises(KitError, match=r"^the data changed since this run was started: b\.png has another content;"):
        fingerprint(files).check(tmp_path / "files.csv")
    files[1].write_bytes(b"short")
    with pytest.raises(KitError, match=re.escape("b.png had 25,000 bytes, now 5; expected the same files")):
        fingerprint(files).check(tmp_path / "files.csv")
    files[1].rename(tmp_path / "c.png")
    with pytest.raises(KitError, match="c.png is another file"):
        fingerprint([files[0], tmp_path / "c.png"]).check(tmp_path / "files.csv")


def test_files_in_memory_are_compared_by_content(tmp_path):
    def of(content):
        return SourceFiles([EncodedImage(content, "x 0")], ["train 0"])

    of(b"abc").write(tmp_path / "files.csv")
    of(b"abc").check(tmp_path / "files.csv")
    with pytest.raises(KitError, match="train 0 has another content"):
        of(b"abd").check(tmp_path / "files.csv")


def test_a_file_that_cannot_be_read_is_one_line(files, tmp_path):
    files[0].unlink()
    with pytest.raises(KitError, match="a.png: cannot be read"):
        fingerprint(files).write(tmp_path / "files.csv")
    (tmp_path / "files.csv").write_text("junk")
    with pytest.raises(KitError, match="files.csv: missing or damaged"):
        fingerprint(files).check(tmp_path / "files.csv")
