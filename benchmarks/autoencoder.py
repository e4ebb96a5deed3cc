"""Trains the autoencoder recipe's settings, and deep belief networks beside the same networks from random weights.

    make bench DATA=<folder that holds mnist/>
    .venv/bin/python benchmarks/autoencoder.py --data <folder> --only mnist_vae mnist_denoising --write

- `digits`, `mnist_vae`, `mnist_denoising`, `mnist_dbn`: the shipped settings, three seeds.
- `pretraining`: MNIST with 100 labels, with layer-wise training and without, five seeds; its table stands in the README
  of `image_classification`.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, train_seeds, write

RECIPE = "autoencoder"
SHIPPED = ("what", "command", "PSNR in dB", "as many principal components", "gain over the input in dB", "ELBO in nats")
SHIPPED = (*SHIPPED, "KL in nats", "CPU-seconds", "day")
PRETRAINED = ("weights begin", "command", "test accuracy of each seed", "mean", "CPU-seconds", "day")


def shipped(name, source, seeds, scratch):
    """Trains shipped settings with several seeds and returns their row."""
    options = ["--config", name, "--data.source", str(source)] if source else []
    runs = train_seeds(RECIPE, name, "psnr", options, scratch, seeds)

    def seen(key):
        return spread([run["test"][key] for run in runs]) if key in runs[0]["test"] else ""

    command = f"make train RECIPE={RECIPE}{f' CONFIG={name} DATA=mnist' if source else ''}"
    return (
        f"| {name} | `{command}` | {seen('psnr')} | {seen('psnr_pca')} | {seen('psnr_gain')} | {seen('elbo')} | "
        f"{seen('kl')} | {spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {day()} |"
    )


def pretraining(source, seeds, scratch):
    """Returns the rows of a deep belief network on 100 labels, and of the same network from random weights."""
    found = []
    starts = {
        "layer-wise, without labels": [],
        "at random": ["backbone.pretraining_epochs=0"],
        "at random, ReLU in place of sigmoid": ["model.backbone=mlp", "backbone.units=[500,500,2000]"],
    }
    for name, changed in starts.items():
        options = ["--config", "mnist_dbn", "--data.source", str(source), *(f"--{setting}" for setting in changed)]
        runs = []
        for seed in seeds:
            folder = Path(scratch) / f"{len(found)}-{seed}"
            before = os.times()
            runs.append(train("image_classification", str(folder), "--seed", str(seed), *options))
            after, kept = os.times(), folder / "seconds.txt"  # of a run that is kept, those that it took
            if not kept.exists():
                seconds = after.children_user + after.children_system - before.children_user - before.children_system
                kept.write_text(str(seconds))
            runs[-1]["seconds"] = float(kept.read_text())
            accuracy = runs[-1]["test"]["accuracy"]
            print(f"  {name} seed {seed}: {accuracy:.4f} {runs[-1]['seconds']:.0f} CPU-s", file=sys.stderr, flush=True)
        values = [run["test"]["accuracy"] for run in runs]
        setting = f' SET="{" ".join(changed)}"' if changed else ""
        found.append(
            f"| {name} | `make train RECIPE=image_classification CONFIG=mnist_dbn DATA=mnist{setting}` | "
            f"{', '.join(f'{value:.1%}' for value in values)} | "
            f"{statistics.mean(values):.1%} ± {statistics.stdev(values) * 100 if len(values) > 1 else 0:.1f} | "
            f"{statistics.mean(run['seconds'] for run in runs):.0f} | {day()} |"
        )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("digits", "mnist_vae", "mnist_denoising", "mnist_dbn", "pretraining")
    parser.add_argument("--data", help="folder that holds mnist/")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seeds", nargs="+", type=int, help="by default three, five for `pretraining`")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipes' READMEs")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    mnist = options.data and Path(options.data) / "mnist"
    with scratch_folder(options.runs) as scratch:
        measured = [
            shipped(name, None if name == "digits" else mnist, options.seeds or list(SEEDS), scratch)
            for name in options.only
            if name != "pretraining" and (name == "digits" or mnist)
        ]
        others = (
            pretraining(mnist, options.seeds or range(5), scratch) if "pretraining" in options.only and mnist else []
        )
    for recipe, columns, found, name in (
        (RECIPE, SHIPPED, measured, "numbers"),
        ("image_classification", PRETRAINED, others, "pretraining"),
    ):
        if found:
            text = f"{rows(recipe, {columns: found}, name)}\n\nMean ± standard deviation; {machine()}"
            print(text)
            if options.write:
                write(recipe, text, name)


if __name__ == "__main__":
    main()
