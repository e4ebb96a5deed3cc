"""Measures what published weights of EfficientNet-Lite0 are worth on a tenth of CIFAR-10, at 96x96 pixels.

    .venv/bin/python benchmarks/published_images.py --data <folder that holds cifar10/> --weights <folder> --write

Both begin with `own.toml` and train as many epochs on the same 5,000 images; those with random weights train all layers
from the first epoch on, so that they have at least as many CPU-seconds. 5,000 of the test images are scored.
"""

import argparse
import os
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train_seeds, write
from own_data import coloured

RECIPE = "image_classification"
_COLUMNS = ("weights of EfficientNet-Lite0", "test accuracy", "CPU-s of training", "day")
_SIZE = ("--data.image_size", "96")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds cifar10/; without it nothing is measured")
    parser.add_argument("--weights", help="folder of published weights of EfficientNet-Lite0")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data or not options.weights:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measured = []
    with scratch_folder(options.runs) as scratch:
        folder = Path(scratch) / "sets" / "cifar10, a tenth"
        folder.mkdir(parents=True, exist_ok=True)
        source = coloured(Path(options.data), folder, 5000)
        both = ("--data.source", str(source), *_SIZE, "--train.epochs", str(options.epochs))
        kinds = {
            "published": ("--model.weights", options.weights),
            "random": ("--model.backbone", "efficientnet_lite0"),
        }
        for name, more in kinds.items():
            runs = train_seeds(RECIPE, name, "accuracy", (*both, *more), scratch, options.seeds)
            accuracy = spread([run["test"]["accuracy"] for run in runs], 100)
            seconds = spread([run["train_cpu_seconds"] for run in runs], 1, 0)
            measured.append(f"| {name}, {options.epochs} epochs | {accuracy} % | {seconds} | {day()} |")
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: measured}, "published weights"), "published weights")
    print(machine())


if __name__ == "__main__":
    main()
