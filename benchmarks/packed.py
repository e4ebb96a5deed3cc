"""Measures training on packed data: seconds to the first step, memory, and the rate of shuffled access.

    python benchmarks/packed.py --images 200000 --megabytes 200
    python benchmarks/packed.py --images 0 --megabytes 1000 --bytes

Images are PNG files of 32x32 pixels, about 1.2 kB each, of 100 classes; texts are words at random, drawn by Zipf's law.
Each training is a process of its own, whose largest memory is told; the rates are of one process, shuffled batches from
a pack, from encoded files in memory, and from pixels decoded into memory.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_MOST_IN_MEMORY = 500_000  # images
_CLASSES, _BLOCK, _BATCH = 100, 1000, 64
_MOST_BLOCKS = 200  # of texts, about a megabyte each, that are drawn
# Trains for so many steps, and prints seconds to the end of the first step, and memory then and in the end.
_TRAIN = """
import os, sys, time
began = time.perf_counter()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import json, psutil
import kit
from kit import terminal
terminal.load_tensorflow()
import keras
found = {}
class Clock(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        found.setdefault("first_step_seconds", time.perf_counter() - began)
        found.setdefault("first_step_cpu_seconds", time.process_time())
        found["train_rss"] = max(found.get("train_rss", 0), psutil.Process().memory_info().rss)
fit = keras.Model.fit
def clocked(self, *arguments, callbacks=None, **more):
    return fit(self, *arguments, callbacks=[*(callbacks or []), Clock()], **more)
keras.Model.fit = clocked
recipe, settings = sys.argv[1], json.loads(sys.argv[2])
run = kit.train(recipe, verbose=False, **settings)
seen = run.metrics["examples_per_second"] * run.metrics["train_seconds"]
print(json.dumps(found | {"per_cpu_second": seen / run.metrics["train_cpu_seconds"]}))
"""


def encoded(count):
    """Yields the bytes of PNG files, and their class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = np.random.default_rng(99).integers(0, 128, (_CLASSES, 4, 4, 3), "uint8").repeat(4, 1).repeat(4, 2)
    for start in range(0, count, _BLOCK):
        labels = np.arange(start, min(start + _BLOCK, count)) % _CLASSES
        small = rng.integers(0, 128, (len(labels), 16, 16, 3), "uint8") + colours[labels]
        for label, pixels in zip(labels, small.repeat(2, 1).repeat(2, 2), strict=True):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "png", compress_level=1)
            yield file.getvalue(), int(label)


def photographs(path, count):
    """Writes an archive of encoded images."""
    data, ends, labels = bytearray(), [0], []
    for content, label in encoded(count):
        data += content
        ends.append(len(data))
        labels.append(label)
    np.savez(path, train_jpeg=np.frombuffer(data, "uint8"), train_offsets=ends, train_labels=np.array(labels, "int32"))


def texts(path, megabytes):
    """Writes a file of documents with empty lines between them."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(20_000)])
    share = 1 / np.arange(1, len(words) + 1)
    size, count, blocks = 0, 0, []
    with open(path, "w", encoding="utf-8") as file:
        while size < megabytes * 1_000_000:
            if len(blocks) < _MOST_BLOCKS:
                drawn = rng.choice(words, 200_000, p=share / share.sum())
                cuts = np.cumsum(rng.integers(100, 500, 600))
                blocks.append([" ".join(part) for part in np.split(drawn, cuts[cuts < len(drawn)])])
                parts = blocks[-1]
            else:  # the same ones again, each with a number, which makes it another text
                parts = [f"{count + number} {text}" for number, text in enumerate(blocks[rng.integers(_MOST_BLOCKS)])]
            count += len(parts)
            size += file.write("\n\n".join(parts) + "\n\n")


def kit(*words):
    """Runs a command of the kit; returns its result and seconds."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "kit", *words, "--json"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - began


def trained(recipe, settings):
    """Trains in a process of its own; returns what it has measured."""
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, recipe, json.dumps(settings)], capture_output=True, text=True, cwd=os.getcwd()
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def told(name, found):
    """Prints what a training has measured."""
    print(
        f"{name}: first step after {found['first_step_seconds']:.1f} s ({found['first_step_cpu_seconds']:.1f} CPU-s), "
        f"memory {found['train_rss'] / 1e9:.2f} GB, "
        f"{found['per_cpu_second']:,.0f} examples trained on a CPU-second",
        flush=True,
    )


def packed(found, noun, seconds):
    """Prints what was packed."""
    print(f"packed {found['examples']:,} {noun}, {found['bytes'] / 1e9:.2f} GB, in {seconds:.0f} s", flush=True)


def rates(pack, steps):
    """Prints how many images a second come from a pack, from encoded files in memory and from pixels in memory."""
    from kit.data.columns import Dense, Files
    from kit.data.examples import Examples
    from kit.data.image import decoded
    from kit.data.sources import packed_images

    found = packed_images.read(Path(pack))
    whole = decoded(found.paths, (32, 32, 3), False, False, is_known=True)
    held = Files(_Held(found.paths, min(len(found.paths), 200_000)), whole.decode, whole.shape)
    pixels = Dense(held.values(np.arange(min(len(held), 50_000))))
    columns = {"pack": whole, "encoded files in memory": held, "pixels in memory": pixels}
    best = dict.fromkeys(columns, 0.0)
    for _ in range(3):  # in turn, so that other work on the machine meets all alike
        for name, column in columns.items():
            examples = Examples({"image": column})
            began = time.process_time()
            for _ in examples.stream(_BATCH, 0, 0, steps):
                pass
            best[name] = max(best[name], steps * _BATCH / (time.process_time() - began))
    for name, rate in best.items():
        share = f"{rate / best['encoded files in memory']:.0%} of encoded files in memory"
        print(f"{name}: {rate:,.0f} images a CPU-second, {share}", flush=True)


def formats(folder, count=200_000, size=1400):
    """Prints how many records a second come in random order from a flat file and from ArrayRecord."""
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    rng = np.random.default_rng(0)
    flat, grouped = f"{folder}/records.bin", f"{folder}/records.array_record"
    writer = ArrayRecordWriter(grouped, "group_size:1,uncompressed")
    with open(flat, "wb") as file:
        for _ in range(count):
            record = rng.bytes(size)
            file.write(record)
            writer.write(record)
    writer.close()
    order = rng.permutation(count)
    with open(flat, "rb") as file:
        began = time.perf_counter()
        for row in order.tolist():
            os.pread(file.fileno(), size, row * size)
        print(f"flat file: {count / (time.perf_counter() - began):,.0f} records a second")
    for options in ("", "index_storage_option:in_memory,readahead_buffer_size:0"):
        reader, began = ArrayRecordReader(grouped, options), time.perf_counter()
        for start in range(0, count, _BATCH):
            reader.read(order[start : start + _BATCH].tolist())
        print(f"ArrayRecord {options}: {count / (time.perf_counter() - began):,.0f} records a second")


class _Held:
    """Encoded files of a pack, in memory."""

    headers = None

    def __init__(self, paths, count):
        self._files = paths[:count]

    def __len__(self):
        return len(self._files)

    def __getitem__(self, rows):
        return [self._files[row] for row in rows]


def main():
    """Packs, trains and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pack", help="pack of such images that is there already")
    parser.add_argument("--bytes", action="store_true", help="tokens of the texts are bytes, none are learned")
    parser.add_argument("--data", help="not used: the data are generated")
    parser.add_argument("--write", action="store_true", help="not used: numbers are printed")
    parser.add_argument("--formats", action="store_true", help="compare flat files with ArrayRecord, and nothing else")
    options = parser.parse_args()
    if options.formats:
        with tempfile.TemporaryDirectory() as scratch:
            formats(scratch)
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        os.environ["KIT_CACHE"] = str(Path(scratch, "cache"))
        train = {"epochs": 1, "steps_per_epoch": options.steps, "batch_size": _BATCH, "steps_per_execution": 1}
        train["jit_compile"] = False
        if options.images:
            pack = options.pack or "photos.pack"
            if not options.pack:
                photographs("photos.npz", options.images)
                found, seconds = kit("pack", "photos.npz", pack)
                print(
                    f"packed {found['examples']:,} images, {found['bytes'] / 1e9:.2f} GB, in {seconds:.0f} s",
                    flush=True,
                )
            share = min(0.1, 1000 / options.images)
            data = {"source": pack, "validation_fraction": share, "test_fraction": share}
            settings = {"config": "default", "data": data, "train": train}
            told("images", trained("image_classification", settings))
            if options.images <= _MOST_IN_MEMORY:
                settings["data"] = data | {"in_memory": True}
                told("images, decoded into memory", trained("image_classification", settings))
            rates(pack, options.steps)
        if options.megabytes:
            texts("words.txt", options.megabytes)
            recipe = "language_modelling" if options.bytes else "masked_language_modelling"
            found, seconds = kit("pack", "words.txt", "words.pack", "--recipe", recipe)
            os.unlink("words.txt")
            packed(found, "texts", seconds)
            share = min(0.1, 2 / options.megabytes)
            data = {"source": "words.pack", "validation_fraction": share, "test_fraction": share}
            settings = {"config": "smoke", "data": data, "train": train}
            told("texts, cut into tokens once", trained(recipe, settings))
            told("texts, from the cache", trained(recipe, settings))


if __name__ == "__main__":
    main()
