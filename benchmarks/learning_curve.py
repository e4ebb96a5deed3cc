"""Compares what `kit learning-curve` estimates with what twice as many training examples then give.

    .venv/bin/python benchmarks/learning_curve.py --data <folder that holds fashion_mnist/>

LeNet-5 on shares of Fashion-MNIST, each in runs of their own.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from measure import day, machine, scratch_folder, train

RECIPE = "image_classification"
SHARES = (0.01, 0.04)
_SETTINGS = {
    "model.backbone": "lenet5",
    "optimizer.learning_rate": 0.002,
    "optimizer.schedule": "constant",
    "train.epochs": 20,
    "train.batch_size": 64,
    "train.patience": 0,
}


def trained(source, share, folder):
    """Returns the test accuracy of a run on a share of the training images, other settings being defaults."""
    empty = Path(folder).parent / "empty.toml"
    empty.touch()
    options = [f"--{key}={value}" for key, value in _SETTINGS.items()]
    options += ["--config", str(empty), "--data.source", str(source), "--train.share", str(share)]
    return train(RECIPE, str(folder), *options)["test"]["accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds fashion_mnist/; without it nothing is measured")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    source = Path(options.data) / "fashion_mnist"
    print("| training images | estimated accuracy of twice as many, % | measured, % | day |\n| --- | --- | --- | --- |")
    with scratch_folder(options.runs) as scratch:
        for share in SHARES:
            trained(source, share, Path(scratch) / f"{share}")
            words = [sys.executable, "-m", "kit", "learning-curve", str(Path(scratch) / f"{share}"), "--json"]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            curve = json.loads(done.stdout.splitlines()[-1])
            estimate = f"{100 * curve['value']:.2f} ({100 * curve['low']:.2f} to {100 * curve['high']:.2f})"
            found = trained(source, 2 * share, Path(scratch) / f"{share} doubled")
            print(f"| {curve['doubled']:,} | {estimate} | {100 * found:.2f} | {day()} |", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
