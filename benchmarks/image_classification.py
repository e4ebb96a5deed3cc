"""Measures the numbers in `recipes/image_classification/README.md`.

    make bench DATA=<folder that holds fashion_mnist/, mnist/ and cifar10/>
    .venv/bin/python benchmarks/image_classification.py --data <folder> --only lenet export --write

Every training runs in a process of its own, through `kit train`. With `--write` what was measured takes the place of
the same rows in the README; the others stay. All of it takes some hours on two cores.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import SEEDS, day, machine, rows, spread, train, train_seeds, write

RECIPE = "image_classification"
# Settings, folder of the data, seeds.
TRAININGS = {
    "digits": (None, None, SEEDS),
    "lenet": ("lenet", "mnist", SEEDS),
    "fashion_mnist_fast": ("fashion_mnist_fast", "fashion_mnist", SEEDS),
    "fashion_mnist": ("fashion_mnist", "fashion_mnist", SEEDS),
    "fashion_mnist_long": ("fashion_mnist_long", "fashion_mnist", (0,)),
    "cifar10": ("cifar10", "cifar10", (0,)),
}
_TRAININGS = (
    "what",
    "command",
    "seeds",
    "test accuracy",
    "CPU-seconds of training",
    "seconds",
    "images/s",
    "parameters",
    "day",
)
_OVERHEAD = ("an epoch of `kit.train` as a share of bare `model.fit`", "seconds", "CPU-seconds", "day")
_EXPORTS = (
    "export of the digits' model",
    "size",
    "largest difference to the Keras model's logits",
    "accuracy lost",
    "day",
)
_TIMES = ("what takes how long", "seconds", "day")


def training(name, data, scratch):
    """Trains with every seed and returns a row of the table."""
    config, folder, seeds = TRAININGS[name]
    options = ["--config", config] if config else []
    if folder:
        options += ["--data.source", str(Path(data) / folder)]
    return training_row(name, train_seeds(RECIPE, name, "accuracy", options, scratch, seeds))


def training_row(name, runs):
    """Returns the row of a training from the metrics of its runs."""
    config, folder, seeds = TRAININGS[name]
    command = "make train RECIPE=image_classification" + (f" CONFIG={config} DATA={folder}" if config else "")
    return (
        f"| {name} | `{command}` | {', '.join(map(str, seeds))} | "
        f"{spread([run['test']['accuracy'] for run in runs], 100)} % | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | "
        f"{spread([run['train_seconds'] for run in runs], 1, 0)} | "
        f"{statistics.mean(run['examples_per_second'] for run in runs):,.0f} | {runs[0]['params']:,} | {day()} |"
    )


def overhead(scratch):
    """Compares seconds and CPU-seconds of an epoch in `kit.train` with bare `model.fit` on the same model and data.

    Both train for 2 and for 6 epochs, in turns, in this process; the difference is free of compilation and start.

    Returns:
        Rows with the median ratios over five turns, for a convolutional network and for a small perceptron.
    """
    import keras
    import numpy as np

    import kit
    from kit import config
    from kit.recipes.image_classification import labelled_images

    splits = config.call(labelled_images, 0, None, source="digits")
    (x, y), validation = ((part.input("image"), part.target("label")) for part in (splits.train, splits.validation))
    x, y = np.tile(x, (4, 1, 1, 1))[:5120], np.tile(y, 4)[:5120]  # whole batches, so that both take as many steps
    plain = Path(scratch) / "plain.toml"
    plain.write_text("")  # every setting at the default of its signature, as in the bare model
    found = []
    for backbone, batch_size in (("resnet8", 128), ("mlp", 32)):

        def bare(epochs, backbone=backbone, batch_size=batch_size):
            keras.utils.set_random_seed(0)
            model = kit.recipes.image_classifier(splits.facts["input_shape"], 10, backbone=backbone)
            wall, cpu = time.perf_counter(), time.process_time()
            model.fit(x, y, batch_size=batch_size, epochs=epochs, validation_data=validation, verbose=0)
            return time.perf_counter() - wall, time.process_time() - cpu

        def ours(epochs, backbone=backbone, batch_size=batch_size):
            run = kit.train(
                "image_classification",
                config=plain,
                folder=Path(scratch) / f"{backbone}-{time.time_ns()}",
                data={"train": (x, y), "validation": validation, "test": validation},
                model={"backbone": backbone},
                train={"epochs": epochs, "batch_size": batch_size, "patience": 0},
                evaluate={"bootstrap_samples": 1},
            )
            return run.metrics["train_seconds"], run.metrics["train_cpu_seconds"]

        ratios = []
        for _ in range(5):
            first, second, third, fourth = bare(2), ours(2), bare(6), ours(6)
            ratios.append([(fourth[i] - second[i]) / (third[i] - first[i]) for i in (0, 1)])
        wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
        found.append(f"| {backbone} on digits | {wall:.2f} | {cpu:.2f} | {day()} |")
    return found


def exports(scratch):
    """Trains on the digits and exports the model in every format; returns rows with what the checks said."""
    from kit.commands.export import FORMATS, export

    folder = f"{scratch}/exported"
    train(RECIPE, folder)
    found = []
    for name in FORMATS:
        done = export(folder, name)
        files = [done.path] if done.path.is_file() else [path for path in done.path.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        found.append(
            f"| {name} | {size / 1e6:.2f} MB | {done.difference:.1e} | {100 * done.accuracy_lost:.2f} points on "
            f"{done.examples:,} images | {day()} |"
        )
    return found


def times(scratch):
    """Returns rows with the median time of `kit --help`, and of reading a folder of 100,000 image files once."""
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "kit", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    found = [f"| `kit --help` | {statistics.median(seconds):.2f} | {day()} |"]

    import numpy as np
    from PIL import Image

    from kit import config
    from kit.recipes.image_classification import labelled_images

    random = np.random.default_rng(0)
    for label in range(10):
        folder = Path(scratch) / "files" / str(label)
        folder.mkdir(parents=True)
        for index in range(100):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{index}.png")
            for copy in range(1, 100):
                os.link(folder / f"{index}.png", folder / f"{index}-{copy}.png")
    start = time.perf_counter()
    splits = config.call(labelled_images, 0, None, source=str(Path(scratch) / "files"))
    seconds = time.perf_counter() - start
    count = sum(len(part) for part in (splits.train, splits.validation, splits.test))
    found.append(f"| reading a folder of {count:,} PNG files of 32x32 pixels into memory | {seconds:.0f} | {day()} |")
    return found


def main():
    names = (*TRAININGS, "overhead", "export", "times")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the data sets; without it only what needs none is measured")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure only these")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tables = {_TRAININGS: [], _OVERHEAD: [], _EXPORTS: [], _TIMES: []}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only:
            if not options.data and name in TRAININGS and TRAININGS[name][1]:
                continue
            if name in TRAININGS:
                tables[_TRAININGS].append(training(name, options.data, scratch))
            elif name == "overhead":
                tables[_OVERHEAD] += overhead(scratch)
            elif name == "export":
                tables[_EXPORTS] += exports(scratch)
            else:
                tables[_TIMES] += times(scratch)
    text = f"{rows(RECIPE, tables)}\n\nMean ± standard deviation over the seeds; {machine()}"
    print(text)
    if options.write:
        write(RECIPE, text)


if __name__ == "__main__":
    main()
