"""Trains the gan recipe's settings and families, scores them, and measures how fast they train.

    make bench DATA=<folder that holds mnist/ and fashion_mnist/>
    .venv/bin/python benchmarks/gan.py --data <folder> --only mnist_dcgan --write
    .venv/bin/python benchmarks/gan.py --only speed --torch <a Python that has PyTorch>

- `digits` and `mnist_dcgan`: the shipped settings, three seeds.
- `families`: every family on Fashion-MNIST, and a variational autoencoder, for as many steps as take the same CPU time,
  by a measurement of all of them in turn, which comes first.
- `speed`: images per CPU-second of a training step, DCGAN with 64 and 32 channels at 28x28, beside the same in PyTorch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train_seeds, write

RECIPE = "gan"
# Settings in which a family differs from those of `fashion_mnist_families.toml`.
FAMILIES = {
    "gan": {"optimizer.learning_rate": 0.0005},
    "dcgan": {},
    "lsgan": {},
    "wgan": {"optimizer.name": "rmsprop", "optimizer.learning_rate": 0.0005},
    "wgan_gp": {"optimizer.learning_rate": 0.0005},
    "sngan": {},
    "stylegan": {"optimizer.learning_rate": 0.002, "optimizer.beta_1": 0.0},
    "vae": {},  # of the recipe `autoencoder`
}
SHIPPED = ("what", "command", "Fréchet distance", "floor", "PCA-Gaussian", "noise", "KID", "precision", "recall")
SHIPPED = (*SHIPPED, "classes found", "rarest and most frequent", "CPU-seconds", "day")
COMPARED = ("family", "changed", "Fréchet distance", "KID", "classes found", "precision", "recall")
COMPARED = (*COMPARED, "images seen", "images per CPU-second", "CPU-seconds", "day")
SPEED = ("training step", "images per CPU-second", "day")


def shipped(name, options, command, scratch, seeds):
    """Trains shipped settings with several seeds and returns their row."""
    runs = train_seeds(RECIPE, name, "frechet_distance", options, scratch, seeds)
    test = {key: [run["test"][key] for run in runs] for key in runs[0]["test"] if key != "features"}
    ratio = [a / b for a, b in zip(test["frechet_distance"], test["frechet_distance_floor"], strict=True)]
    return (
        f"| {name} | `{command}` | {spread(test['frechet_distance'])}, {spread(ratio, 1, 1)} times the floor | "
        f"{spread(test['frechet_distance_floor'])} | {spread(test['frechet_distance_pca_gaussian'])} | "
        f"{spread(test['frechet_distance_noise'], 1, 1)} | {spread(test['kid'], 1, 3)} | {spread(test['precision'])} | "
        f"{spread(test['recall'])} | {', '.join(f'{value:.0f}' for value in test['modes_covered'])} | "
        f"{min(test['smallest_mode_share']):.1%}, {max(test['largest_mode_share']):.1%} | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {day()} |"
    )


def seconds_of_a_step(names, rounds=3, steps=80):
    """Returns the CPU-seconds of a training step with 64 images of each family, all measured in turn, some times over.

    In turn, so that what else the machine does meets all of them alike; so many steps that each has all kinds of them.
    """
    import time

    import numpy as np

    import kit
    from kit.data.columns import Dense
    from kit.data.examples import Examples
    from kit.training import fused

    pixels = Dense(np.random.default_rng(0).integers(0, 256, (6400, 28, 28, 1), dtype="uint8"))
    found, models = {}, {}
    for name in names:
        if name == "vae":
            vae = {"latent_dim": 64, "variational": True, "likelihood": "gaussian"}
            both = Examples({"image": pixels}, {"image": pixels})
            models[name] = kit.recipes.image_autoencoder((28, 28, 1), **vae), both
        else:
            models[name] = kit.recipes.image_generator((28, 28, 1), backbone=name), Examples({"image": pixels})
        models[name][0].steps_per_execution, models[name][0].jit_compile = 5, False
    for _ in range(rounds + 1):
        for name, (model, images) in models.items():
            start = time.process_time()
            with fused.batch_normalization(model):
                model.fit(images.stream(64, 0, 0, steps), steps_per_epoch=steps, shuffle=False, verbose=0)
            found.setdefault(name, []).append((time.process_time() - start) / steps)
    return {name: statistics.median(seconds[1:]) for name, seconds in found.items()}  # the first one compiled


def family(name, changed, source, scratch, seeds, steps, epochs=4):
    """Trains a family for so many steps with several seeds and returns its row."""
    recipe = "autoencoder" if name == "vae" else RECIPE
    steps = max(1, round(steps / epochs))
    options = ["--config", "fashion_mnist_vae" if name == "vae" else "fashion_mnist_families"]
    options += ["--data.source", str(source), "--train.epochs", str(epochs), "--train.steps_per_epoch", str(steps)]
    options += [] if name == "vae" else ["--model.backbone", name]
    options += [f"--{key}={value}" for key, value in changed.items()]
    runs = train_seeds(recipe, name, "frechet_distance", options, scratch, seeds)
    test = {key: [run["test"][key] for run in runs] for key in ("frechet_distance", "kid", "precision", "recall")}
    images = [64 * steps * epochs / run["train_cpu_seconds"] for run in runs]
    shown = ", ".join(f"`{key}={value}`" for key, value in changed.items())
    shown = shown if name != "vae" else "recipe `autoencoder`, `fashion_mnist_vae.toml`"
    return (
        f"| {name} | {shown} | {spread(test['frechet_distance'])} | {spread(test['kid'], 1, 3)} | "
        f"{', '.join(format(run['test']['modes_covered'], '.0f') for run in runs)} | {spread(test['precision'])} | "
        f"{spread(test['recall'])} | {64 * steps * epochs:,} | {spread(images, 1, 0)} | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {day()} |"
    )


def speed(torch):
    """Returns the rows of images per CPU-second, the kit's and PyTorch's in turn, each on one core and one thread."""
    here = Path(__file__).parent
    programs = {"kit": [sys.executable, here / "gan_step.py"]}
    if torch:
        programs["PyTorch"] = [torch, here / "gan_step_torch.py"]
    found = {name: [] for name in programs}
    for _ in range(3):
        for name, words in programs.items():
            done = subprocess.run(["taskset", "-c", "0", *words], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found[name].append(float(done.stdout.split()[-1]))
    return [f"| {name} | {statistics.median(values):,.0f} | {day()} |" for name, values in found.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("digits", "mnist_dcgan", "families", "speed")
    parser.add_argument("--data", help="folder that holds mnist/ and fashion_mnist/")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--family", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--budget", type=float, default=120, help="CPU-seconds of training of a family")
    parser.add_argument("--torch", help="a Python that has PyTorch, for `speed`")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tables = {SHIPPED: [], COMPARED: [], SPEED: []}
    with scratch_folder(options.runs) as scratch:
        if "digits" in options.only:
            tables[SHIPPED].append(shipped("digits", [], "make train RECIPE=gan", scratch, options.seeds))
        if "mnist_dcgan" in options.only and options.data:
            words = ["--config", "mnist_dcgan", "--data.source", f"{options.data}/mnist"]
            command = "make train RECIPE=gan CONFIG=mnist_dcgan DATA=mnist"
            tables[SHIPPED].append(shipped("mnist_dcgan", words, command, scratch, options.seeds))
        if "families" in options.only and options.data:
            source = Path(options.data) / "fashion_mnist"
            kept = Path(scratch) / "seconds_of_a_step.json"  # so that runs of another day are as long
            cost = json.loads(kept.read_text()) if kept.exists() else seconds_of_a_step(list(FAMILIES))
            kept.write_text(json.dumps(cost))
            for name in options.family:
                steps = options.budget / cost[name]
                tables[COMPARED].append(family(name, FAMILIES[name], source, scratch, options.seeds, steps))
        if "speed" in options.only:
            tables[SPEED] = speed(options.torch)
    seeds = ", ".join(map(str, options.seeds))
    text = f"{rows(RECIPE, tables)}\n\nMean ± standard deviation over seeds {seeds}; {machine()}"
    print(text)
    if options.write:
        write(RECIPE, text)


if __name__ == "__main__":
    main()
