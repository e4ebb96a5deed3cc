"""Packs: what was packed comes back bit by bit, and what is damaged, missing or half is named and never taken."""

import errno
import json

import numpy as np
import pytest

from kit.data import packed, packing, sources
from kit.data.examples import Examples
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.data.overlap import overlap
from kit.data.packed import Mapped, Pack
from kit.data.sources import packed_documents, packed_images, packed_texts, text_documents
from kit.data.stored import Appended, Stored, StoredRagged
from kit.errors import KitError
from tests.conftest import draw


def left_in(folder):
    return {path.name for path in folder.iterdir()} - {"work"}


def written(out, values=(b"one", b"", b"three" * 9, b"4"), **more):
    with packing.growing(out, **more) as writer:
        for value in values:
            writer.add("x", value)
        writer.array("number", np.arange(len(values)))
        writer.finish("labelled images", len(values), {})
    return Pack(out)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(packing, "SHARD", 16)


def test_values_come_back_from_shards_of_any_size(tmp_path, small_shards):
    rng = np.random.default_rng(0)
    values = [rng.bytes(int(size)) for size in rng.integers(0, 40, 200)] + [b""]
    found = written(tmp_path / "p", values).values("x")
    order = rng.permutation(201).tolist()
    assert [found[row] for row in order] == [values[row] for row in order]
    assert list(found) == values == [found[row] for row in range(201)] == found[:]
    assert found[-1] == b"" and found.sizes.tolist() == list(map(len, values)) and len(found.shards) > 10
    with pytest.raises(IndexError):
        found[201]


def test_a_pack_appears_when_it_is_whole(tmp_path):
    with pytest.raises(RuntimeError), packing.growing(tmp_path / "p") as writer:
        writer.add("x", b"1")
        raise RuntimeError
    assert not left_in(tmp_path)


def test_what_a_killed_one_has_left_is_refused_and_then_removed(tmp_path):
    left = tmp_path / f"p{packed.GROWING}"
    left.mkdir()
    (left / "x-00000.bin").write_bytes(b"half")
    with pytest.raises(KitError, match="not whole"):
        Pack(left)
    with pytest.raises(KitError, match="not whole"):
        sources.read(left, "images", {})
    assert written(tmp_path / "p").values("x")[0] == b"one"
    assert left_in(tmp_path) == {"p"}


def test_a_full_disk_is_said_and_nothing_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing.os, "fsync", full)
    with pytest.raises(KitError, match="No space left on device.*nothing of the pack is kept"):
        written(tmp_path / "p")
    assert not left_in(tmp_path)


def test_a_pack_is_replaced_by_wish_alone_and_other_files_never(tmp_path):
    written(tmp_path / "p")
    with pytest.raises(KitError, match="--overwrite"):
        written(tmp_path / "p")
    assert len(written(tmp_path / "p", [b"new"], overwrite=True).values("x")) == 1
    (tmp_path / "p" / "mine.txt").write_text("mine")
    with pytest.raises(KitError, match=r"mine\.txt is no file of the pack"):
        written(tmp_path / "p", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(KitError, match="something else than a pack"):
        written(tmp_path / "other", overwrite=True)
    assert left_in(tmp_path) == {"other", "p"}


def test_shards_that_are_missing_cut_or_damaged_are_named(tmp_path):
    found = written(tmp_path / "p")
    values, path = found.values("x"), tmp_path / "p" / "x-00000.bin"
    whole = path.read_bytes()
    found.check()
    path.write_bytes(whole.replace(b"t", b"T"))
    with pytest.raises(KitError, match=r"x-00000\.bin: damaged"):
        Pack(tmp_path / "p").check()
    path.write_bytes(whole[:-3])
    with pytest.raises(KitError, match=r"x-00000\.bin: 46 bytes; expected 49"):
        Pack(tmp_path / "p")
    with pytest.raises(KitError, match=r"x-00000\.bin: ends too early"):  # cut while it is read
        values[3]
    path.unlink()
    with pytest.raises(KitError, match=r"x-00000\.bin: missing"):
        Pack(tmp_path / "p")


@pytest.mark.parametrize("change", [{"files": {"../../x": [1, "0"]}}, {"files": 3}, {"examples": "a"}, {"version": 9}])
def test_a_damaged_list_is_refused(tmp_path, change):
    written(tmp_path / "p")
    path = tmp_path / "p" / packed.FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(KitError, match=r"pack\.json"):
        Pack(tmp_path / "p")


def test_texts_of_a_column_as_pandas_holds_them(tmp_path, small_shards):
    names = [f"ä {row}" for row in range(50)] + [""]
    found = written(tmp_path / "p", [name.encode() for name in names]).texts("x")
    assert list(found) == list(found.arrow()) == names and found[3:5] == names[3:5]


def test_arrays_on_disk_are_read_as_those_in_memory(tmp_path):
    rows = np.random.default_rng(0).integers(0, 60_000, (5000, 7))
    with Appended(tmp_path / "a.npy", (7,), "uint16") as file:
        for part in np.split(rows, [0, 3, 1000]):
            file.add(part)
    column = Stored([Mapped(tmp_path / "a.npy")], "int32")
    some = np.random.default_rng(1).permutation(5000)
    assert (column.take(some) == rows[some]).all() and column.take(some).dtype == "int32" and len(column) == 5000
    both = column.joined(column, None, None)
    assert (both.values() == np.concatenate([rows, rows])).all()
    np.save(tmp_path / "b.npy", np.arange(5, dtype="uint16"))
    flat = StoredRagged(tmp_path / "b.npy", [3, 0, 2], 9)
    assert flat.take(np.array([2, 0])).tolist() == [[3, 4, 9], [0, 1, 2]]


def test_equal_examples_are_counted_alike_by_numbers():
    rng = np.random.default_rng(0)
    keys, labels = rng.integers(0, 40, 300), rng.integers(0, 2, 300)
    split = rng.choice(["train", "validation", "test", "left out"], 300)
    assert overlap(keys, split, "images", labels) == overlap(keys.tolist(), split, "images", labels.tolist()) != {}


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for row in range(40):
        size = tuple(rng.integers(9, 14, 2).tolist())
        path = draw(tmp_path / "photos" / f"{row % 2}" / f"{row}.png", size, value=row // 2 * 6)
    path.with_name("copy.png").write_bytes(path.read_bytes())
    return tmp_path / "photos"


def pack_of(module, source, out, **options):
    with packing.growing(out) as writer:
        module.pack(source, writer, **options)
    return out


def same_batches(first, second):
    assert len(first) == len(second)
    for mine, theirs in zip(first.stream(8, 3, 2, 9), second.stream(8, 3, 2, 9), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            a, b = (each if isinstance(each, dict) else {"": each} for each in (a, b))
            assert all((a[name].numpy() == b[name].numpy()).all() for name in a) and a.keys() == b.keys()


@pytest.mark.parametrize("settings", [{}, {"image_size": 10}, {"color_mode": "grayscale", "drop_duplicates": True}])
def test_images_packed_are_divided_and_batched_as_they_were(photos, tmp_path, settings):
    pack = pack_of(packed_images, photos, tmp_path / "p")
    read = [image_splits(None, ImageOptions(source=str(source), **settings), Division()) for source in (photos, pack)]
    assert read[0].shape == read[1].shape and read[0].class_names == read[1].class_names
    assert read[0].assignment.astype(str).equals(read[1].assignment.astype(str))
    assert read[0].assets["equal_examples"] == read[1].assets["equal_examples"]
    for mine, theirs in zip(*(each.parts for each in read), strict=True):
        assert isinstance(theirs, Examples) and (mine.input("image") == theirs.input("image")).all()
        same_batches(mine, theirs)


def test_pixels_and_columns_are_packed_too(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), dtype="uint8")
    labels = np.arange(12) % 2
    np.savez(tmp_path / "a.npz", x_train=pixels[:8], y_train=labels[:8], x_test=pixels[8:], y_test=labels[8:])
    pack = pack_of(packed_images, tmp_path / "a.npz", tmp_path / "p")
    read = image_splits(None, ImageOptions(source=str(pack)), Division(validation_fraction=0.25))
    assert (read.whole.input("image") == pixels).all() and (read.assignment["split"] == "test").sum() == 4
    draw(tmp_path / "x.png"), draw(tmp_path / "y.png", value=9)
    (tmp_path / "t.csv").write_text("path,label,patient\nx.png,a,\ny.png,b,7\n")
    found, _ = sources.read(pack_of(packed_images, tmp_path / "t.csv", tmp_path / "q"), "images", {})
    known, _ = sources.read(tmp_path / "t.csv", "images", {})
    assert {name: list(values) for name, values in found.columns.items()} == known.columns


def test_images_that_cannot_be_read_are_named_or_skipped(photos, tmp_path):
    (photos / "0" / "bad.png").write_bytes(b"none")
    with pytest.raises(KitError, match=r"bad\.png"):
        pack_of(packed_images, photos, tmp_path / "p")
    assert not (tmp_path / "p").exists()
    found, _ = sources.read(pack_of(packed_images, photos, tmp_path / "p", on_bad="skip"), "images", {})
    assert len(found.names) == 41 and "bad.png" in found.skipped[0]


def test_a_pack_of_another_kind_is_refused(photos, tmp_path):
    pack = pack_of(packed_images, photos, tmp_path / "p")
    for kind in ("texts", "documents", "pairs", "tables"):
        with pytest.raises(KitError, match="is a pack of labelled images; expected"):
            sources.read(pack, kind, {})
    alone = pack_of(packed_images, photos / "0", tmp_path / "q", needs_classes=False)
    with pytest.raises(KitError, match="without classes; expected labelled images"):
        sources.read(alone, "images", {})


def test_documents_packed_are_those_of_the_file(tmp_path):
    (tmp_path / "a.txt").write_text("one\n two\n\n\t\nthree\n\nfour ü\n\n\n")
    (tmp_path / "folder").mkdir()
    for name in ("train.txt", "test.txt", "dev.txt"):
        (tmp_path / "folder" / name).write_text(f"of {name}")
    for source in (tmp_path / "a.txt", tmp_path / "folder"):
        known = text_documents.read(source)
        found = packed_documents.read(pack_of(packed_documents, source, tmp_path / f"{source.name}.pack"))
        assert list(found.texts) == known.texts and list(found.places) == known.places
        assert list(found.names) == known.names and (found.split is None) == (known.split is None)


def test_labelled_texts_packed_are_those_of_the_table(tmp_path):
    table = tmp_path / "t.csv"
    rows = [f"text {row},{'ab'[row % 2]},{'train' if row < 6 else 'test'},{row}\n" for row in range(9)]
    table.write_text("text,label,split,who\n" + "".join(rows))
    known, _ = sources.read(table, "texts", {})
    found = packed_texts.read(pack_of(packed_texts, table, tmp_path / "p"))
    assert list(found.texts) == known.texts and found.targets == known.targets and list(found.names) == known.names
    assert found.split.tolist() == known.split.tolist() and list(found.columns["who"]) == known.columns["who"]
