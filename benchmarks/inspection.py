"""Measures `kit inspect` on a folder of 100,000 JPEG files of 64x64 pixels, in a process of its own.

    .venv/bin/python benchmarks/inspection.py --data <folder that holds cifar10/ and fashion_mnist/>

The files are made of both sets: 60,000 and 40,000 images, a folder for each of their twenty classes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from measure import day, machine
from PIL import Image

_SIDE = 64
_PARTS = (("cifar10", 60_000), ("fashion_mnist", 40_000))


def make_folder(data, folder):
    """Writes the files; returns their number."""
    from kit.data import sources
    from kit.data.image import read_image

    number = 0
    for name, count in _PARTS:
        read, _ = sources.read(str(Path(data) / name), "images", {})
        for row in range(min(count, len(read.names))):
            pixels = read_image(read.paths[row]) if read.paths is not None else read.pixels[row]
            image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).convert("RGB")
            place = Path(folder) / f"{name} {read.class_names[read.labels[row]]}".replace("/", "-")
            place.mkdir(exist_ok=True)
            image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(place / f"{number:06}.jpg", quality=90)
            number += 1
    return number


def measured(folder, page):
    """Returns seconds, CPU-seconds and most bytes of memory of an inspection."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "kit", "inspect", str(folder), "--output", str(page)]
    process = psutil.Popen(words, stdout=subprocess.DEVNULL)
    memory, spent = 0, 0.0
    while process.poll() is None:
        try:
            memory = max(memory, process.memory_info().rss)
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            break
        spent = times.user + times.system
        time.sleep(0.05)
    if process.wait():
        raise SystemExit("kit inspect failed")
    return time.perf_counter() - start, spent, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds cifar10/ and fashion_mnist/; without it nothing is measured")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the row is printed alone")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "images"
        folder.mkdir()
        count = make_folder(options.data, folder)
        seconds, spent, memory = measured(folder, Path(scratch) / "page")
    print("| images | seconds | CPU-seconds | memory | day |\n| --- | --- | --- | --- | --- |")
    print(f"| {count:,} of {_SIDE}x{_SIDE} | {seconds:.1f} | {spent:.1f} | {memory / 1e6:,.0f} MB | {day()} |")
    print(machine())


if __name__ == "__main__":
    main()
