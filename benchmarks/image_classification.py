"""Measures the numbers in `recipes/image_classification/README.md`.

    make bench DATA=<folder that holds fashion_mnist/ with the four idx files>

Every training runs in a process of its own, through `kit train`; the table that is printed replaces the one between the
markers in the README when `--write` is given.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import SEEDS, machine, spread, train_seeds, write

RECIPE = "image_classification"


def quality(name, command, options, scratch):
    """Trains with every seed and returns a row of the table."""
    runs = train_seeds(RECIPE, name, "accuracy", options, scratch)
    return (
        f"| {name} | `{command}` | {spread([run['test']['accuracy'] for run in runs], 100)} % | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | "
        f"{spread([run['train_seconds'] for run in runs], 1, 0)} | "
        f"{statistics.mean(run['examples_per_second'] for run in runs):,.0f} | {runs[0]['params']:,} |"
    )


def overhead(folder):
    """Compares seconds and CPU-seconds of an epoch in `kit.train` with bare `model.fit` on the same model and data.

    Both train for 2 and for 6 epochs, in turns, in this process; the difference is free of compilation and start.

    Returns:
        Median ratios (seconds, CPU-seconds) over five turns, for a convolutional network and for a small perceptron.
    """
    import keras
    import numpy as np

    import kit
    from kit.recipes.image_classification import labelled_images

    splits = labelled_images(0, None, source="digits")
    (x, y), (x_val, y_val) = splits.train.columns, splits.validation.columns
    x, y = np.tile(x, (4, 1, 1, 1))[:5120], np.tile(y, 4)[:5120]  # whole batches, so that both take as many steps
    folder = Path(folder)
    source = folder / "digits"
    source.mkdir()
    parts = {"train": (np.concatenate([x, x_val]), np.concatenate([y, y_val])), "t10k": (x_val, y_val)}
    for prefix, (images, labels) in parts.items():
        for name, array in ((f"{prefix}-images-idx3-ubyte", images[..., 0]), (f"{prefix}-labels-idx1-ubyte", labels)):
            header = np.array([2048 + array.ndim, *array.shape], ">i4").tobytes()
            (source / name).write_bytes(header + array.astype("uint8").tobytes())
    plain = folder / "plain.toml"
    plain.write_text("")  # every setting at the default of its signature, as in the bare model
    results = {}
    for backbone, batch_size in (("resnet8", 128), ("mlp", 32)):

        def bare(epochs, backbone=backbone, batch_size=batch_size):
            keras.utils.set_random_seed(0)
            model = kit.recipes.image_classifier(splits.facts["input_shape"], 10, backbone=backbone)
            wall, cpu = time.perf_counter(), time.process_time()
            model.fit(x, y, batch_size=batch_size, epochs=epochs, validation_data=(x_val, y_val), verbose=0)
            return time.perf_counter() - wall, time.process_time() - cpu

        def ours(epochs, backbone=backbone, batch_size=batch_size):
            run = kit.train(
                "image_classification",
                config=plain,
                folder=folder / f"{backbone}-{time.time_ns()}",
                data={
                    "source": str(source),
                    "validation_fraction": len(x_val) / (len(x) + len(x_val)),
                },
                model={"backbone": backbone},
                train={"epochs": epochs, "batch_size": batch_size, "patience": 0},
                evaluate={"bootstrap_samples": 1},
            )
            return run.metrics["train_seconds"], run.metrics["train_cpu_seconds"]

        ratios = []
        for _ in range(5):
            first, second, third, fourth = bare(2), ours(2), bare(6), ours(6)
            ratios.append([(fourth[i] - second[i]) / (third[i] - first[i]) for i in (0, 1)])
        results[backbone] = [statistics.median(column) for column in zip(*ratios, strict=True)]
    return results


def help_seconds():
    """Returns the median wall time of `kit --help`."""
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "kit", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds fashion_mnist/; without it only the digits are measured")
    parser.add_argument("--only", help="measure the training set-up of this name alone")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    lines = [
        "| what | command | test accuracy | CPU-seconds of training | seconds | images/s | parameters |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        make = "make train RECIPE=image_classification"
        if options.only in (None, "digits"):
            lines.append(quality("digits", make, [], scratch))
        if options.data:
            data = ["--data.source", str(Path(options.data) / "fashion_mnist")]
            for config in ("fashion_mnist_fast", "fashion_mnist"):
                if options.only not in (None, config):
                    continue
                command = f"{make} CONFIG={config} DATA=fashion_mnist"
                lines.append(quality(config, command, ["--config", config, *data], scratch))
        if options.only:
            print("\n".join(lines))
            return
        ratios = overhead(scratch)
    lines += [
        "",
        "| an epoch of `kit.train` as a share of bare `model.fit` | seconds | CPU-seconds |",
        "| --- | --- | --- |",
        *(f"| {name} on digits | {wall:.2f} | {cpu:.2f} |" for name, (wall, cpu) in ratios.items()),
        "",
        f"`kit --help`: {help_seconds():.2f} s.",
        "",
        f"Mean ± standard deviation over seeds {', '.join(map(str, SEEDS))}; {machine()}",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        write(RECIPE, table)


if __name__ == "__main__":
    main()
