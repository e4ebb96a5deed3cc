"""Data and exported models at an address: memory:// is a store like s3://, inside this process."""

import fsspec
import numpy as np
import pytest
from PIL import Image

import kit
from kit.data import remote
from kit.errors import SettingError


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/bucket", recursive=True) if memory.exists("/bucket") else None


def photographs(store, tmp_path):
    random = np.random.default_rng(0)
    for kind in ("a", "b"):
        for number in range(20):
            path = tmp_path / "photos" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (8, 8, 3), "uint8")).save(path)
    store.put(str(tmp_path / "photos"), "/bucket/photos", recursive=True)


def test_a_run_reads_a_folder_at_an_address(store, tmp_path):
    photographs(store, tmp_path)
    train = {"epochs": 1, "batch_size": 8}
    run = kit.train(
        "image_classification",
        config="smoke",
        folder=tmp_path / "run",
        data="memory://bucket/photos",
        train=train,
        verbose=False,
    )
    assert run.settings["data"]["source"] == "memory://bucket/photos"
    here = kit.train(
        "image_classification",
        config="smoke",
        folder=tmp_path / "here",
        data=str(tmp_path / "photos"),
        train=train,
        verbose=False,
    )
    assert run.history.equals(here.history)
    assert kit.inspect("memory://bucket/photos").recipe == "image_classification"


def test_a_copy_is_made_once_and_anew_when_something_changes(store, monkeypatch):
    store.pipe("/bucket/table.csv", b"text,label\na,b\n")
    first = remote.local("memory://bucket/table.csv")
    assert first.name == "table.csv" and first.read_bytes() == b"text,label\na,b\n"
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "get_file", None)
        assert remote.local("memory://bucket/table.csv") == first
    store.pipe("/bucket/table.csv", b"text,label\na,c\n")
    assert remote.local("memory://bucket/table.csv").read_bytes() == b"text,label\na,c\n"


def test_what_is_sent_comes_back(store, tmp_path):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "sub" / "x.bin").write_bytes(b"1")
    remote.send(tmp_path / "model", "memory://bucket/out/model")
    assert (remote.local("memory://bucket/out/model") / "sub" / "x.bin").read_bytes() == b"1"
    remote.send(tmp_path / "model" / "sub" / "x.bin", "memory://bucket/out/x.bin")
    assert store.cat("/bucket/out/x.bin") == b"1"
    with pytest.raises(SettingError, match="output: 'memory://bucket/out/x.bin' exists already; expected a new one"):
        remote.send(tmp_path / "model", "memory://bucket/out/x.bin")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("memory://bucket/nothing", "source: no file at 'memory://bucket/nothing'"),
        ("memory://a.zip::zip://b", "source: 'memory://a.zip::zip://b' is not one address; expected none with '::'"),
        ("zip://photos.zip", "source: unknown store 'zip' in 'zip://photos.zip'; expected s3, "),
        ("s3://bucket/photos", "source: 's3://bucket/photos' cannot be used \\(Install s3fs to access S3\\)"),
    ],
)
def test_what_cannot_be_read_is_one_line(store, address, expected, tmp_path):
    with pytest.raises(SettingError, match=expected):
        remote.local(address)
    with pytest.raises(SettingError, match="^data." + expected):
        kit.train("image_classification", folder=tmp_path / "run", data=address)
    assert not (tmp_path / "run").exists()


def test_names_that_lead_out_of_a_copy_are_refused(store):
    store.pipe("/bucket/photos/../../out.csv", b"1")
    store.store["/bucket/photos/../out.csv"] = store.store[next(iter(store.store))]
    with pytest.raises(SettingError, match="expected names without"):
        remote.local("memory://bucket/photos")


def test_paths_are_no_addresses():
    assert not remote.is_address("photos/a:b") and not remote.is_address("tfds:mnist") and not remote.is_address(None)
    assert remote.is_address("gs://bucket/a")
