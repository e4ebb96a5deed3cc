"""Measures the numbers of "Searching settings" in the README.

    make bench DATA=<folder that holds fashion_mnist/>

- `speed`: trials a minute of `kit tune` with two workers, with one, and of the same search in plain Keras Tuner.
- `memory`: the parent's memory after 5 and after 50 trials.
- `quality`: random search against Hyperband with the median rule, the same epochs each, on a fifth of Fashion-MNIST.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measure import day, machine, spread

SPACE = {
    "optimizer.learning_rate": {"min": 1e-3, "max": 3e-2, "sampling": "log"},
    "optimizer.weight_decay": {"min": 1e-4, "max": 1e-1, "sampling": "log"},
    "model.label_smoothing": {"min": 0.0, "max": 0.2},
    "train.batch_size": [32, 64, 128],
}
WIDE = SPACE | {
    "optimizer.learning_rate": {"min": 1e-4, "max": 3e-1, "sampling": "log"},
    "model.dropout": {"min": 0.0, "max": 0.6},
}
_TRIALS, _EPOCHS = 24, 10
_SEEDS = (0, 1, 2)


def trials_per_minute(workers, scratch):
    """Returns trials a minute of `kit tune` on the digits, its rehearsal and start included."""
    import kit

    start = time.perf_counter()
    kit.tune(
        "image_classification",
        trials=_TRIALS,
        folder=Path(scratch) / f"workers{workers}",
        space=SPACE,
        train={"epochs": _EPOCHS},
        tune={"workers": workers, "threads": 1, "median_stop": False},
        verbose=False,
    )
    return _TRIALS / (time.perf_counter() - start) * 60


def plain_trials_per_minute(scratch):
    """Returns trials a minute of the same search as a page of Keras Tuner's documentation would have it."""
    import keras
    import keras_tuner
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from kit.models.vision.resnet import VARIANTS, resnet

    digits = load_digits()
    images = (digits.images[..., None] / 16 * 255).astype("uint8")
    images, _, labels, _ = train_test_split(images, digits.target, test_size=0.2, random_state=0)
    images, few, labels, few_labels = train_test_split(images, labels, test_size=0.1, random_state=0)
    labels, few_labels = np.eye(10)[labels], np.eye(10)[few_labels]

    class Search(keras_tuner.HyperModel):
        def build(self, hp):
            backbone = resnet((8, 8, 1), **VARIANTS["resnet8"] | {"stem": "cifar", "zero_init": True})
            inputs = keras.Input((8, 8, 1))
            x = keras.layers.RandomTranslation(0.125, 0.125, fill_mode="constant")(inputs)
            x = backbone(keras.layers.Rescaling(1 / 64, -1)(x))
            x = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
            model = keras.Model(inputs, x)
            steps = len(images) // 64 * _EPOCHS
            model.compile(
                keras.optimizers.AdamW(
                    keras.optimizers.schedules.CosineDecay(hp.Float("rate", 1e-3, 3e-2, sampling="log"), steps),
                    weight_decay=hp.Float("decay", 1e-4, 1e-1, sampling="log"),
                ),
                keras.losses.CategoricalCrossentropy(True, label_smoothing=hp.Float("smoothing", 0.0, 0.2)),
                metrics=["accuracy"],
            )
            return model

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [32, 64, 128]), **kwargs)

    start = time.perf_counter()
    tuner = keras_tuner.RandomSearch(
        Search(),
        keras_tuner.Objective("val_accuracy", "max"),
        max_trials=_TRIALS,
        seed=1,
        directory=scratch,
        project_name="plain",
    )
    tuner.search(images, labels, epochs=_EPOCHS, validation_data=(few, few_labels), verbose=0)
    return _TRIALS / (time.perf_counter() - start) * 60


def memory_growth(scratch):
    """Returns the parent's resident memory in MB after 5 trials and after 50."""
    import psutil

    import kit
    from kit.tuning.running import Running

    seen, end = [], Running._end

    def noted(self, attempt, result):
        end(self, attempt, result)
        seen.append(psutil.Process().memory_info().rss / 2**20)

    Running._end = noted
    try:
        kit.tune(
            "image_classification",
            trials=50,
            folder=Path(scratch) / "memory",
            space=SPACE,
            model={"backbone": "mlp"},
            train={"epochs": 1},
            verbose=False,
        )
    finally:
        Running._end = end
    return seen[4], seen[49]


def fifth_of(source, scratch):
    """Writes a fifth of Fashion-MNIST's training images, and its test images, as an archive; returns its path."""
    import numpy as np

    from kit.data.sources import idx

    images = idx.read(Path(source))
    train = np.random.default_rng(0).permutation(np.flatnonzero(images.split != "test"))[:12_000]
    test = np.flatnonzero(images.split == "test")
    path = Path(scratch) / "fifth.npz"
    parts = {"train": train, "test": test}
    arrays = {f"x_{name}": images.pixels[rows] for name, rows in parts.items()}
    np.savez(path, **arrays, **{f"y_{name}": images.labels[rows] for name, rows in parts.items()})
    return path


def search(algorithm, seed, source, scratch, epochs=9):
    """Returns (CPU-seconds, best validation accuracy so far) after each trial, and the test accuracy of the best."""
    import kit

    folder = Path(scratch) / f"{algorithm}{seed}"
    done = kit.tune(
        "image_classification",
        trials=8,
        seed=seed,
        folder=folder,
        space=WIDE,
        data={"source": str(source), "validation_fraction": 0.2},
        train={"epochs": epochs, "steps_per_epoch": 75, "patience": 0},  # the file's are for all of the images
        # The first epochs of a one-cycle schedule, at low rates, say little of the last: no use to Hyperband.
        optimizer={"name": "adamw", "schedule": "warmup_cosine"},
        tune={"algorithm": algorithm, "median_stop": algorithm == "hyperband"},
        verbose=False,
        config="fashion_mnist_fast",
    )
    scored = done.trials[done.trials["state"] != "failed"]
    curve = list(zip(scored["cpu_seconds"].cumsum(), scored["score"].cummax(), strict=True))
    best = folder / "trials" / scored.loc[scored["score"].idxmax(), "folder"]
    return curve, kit.train(folder=best, verbose=False).metrics["test"]["accuracy"]


def quality_figure(curves, path):
    """Draws the best validation accuracy so far over the CPU-seconds spent, a line a seed."""
    from kit.reporting import plots

    figure = plots.Figure(figsize=(7, 3.4), layout="constrained")
    axis = figure.subplots()
    colors = {"random": plots.BLUE, "hyperband": plots.ORANGE}
    for (algorithm, seed), curve in curves.items():
        seconds, best = zip(*curve, strict=True)
        name = {"random": "random search", "hyperband": "Hyperband, median rule"}[algorithm]
        axis.step(seconds, best, where="post", color=colors[algorithm], label=name if seed == _SEEDS[0] else None)
    low = statistics.quantiles([value for curve in curves.values() for _, value in curve], n=10)[0]
    axis.set_ylim(low, None)
    axis.set_xlabel("CPU-seconds of all trials")
    axis.set_title("best validation accuracy so far", loc="left", fontsize=11)
    axis.legend(frameon=False)
    plots.plain(axis)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds fashion_mnist/")
    parser.add_argument(
        "--only", nargs="+", choices=["speed", "memory", "quality"], default=["speed", "memory", "quality"]
    )
    parser.add_argument("--figure", default="tuning.png", help="where the figure of `quality` goes")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        if "speed" in options.only:
            two, one = (trials_per_minute(workers, scratch) for workers in (2, 1))
            plain = plain_trials_per_minute(scratch)
            rows.append(("trials a minute on the digits, 10 epochs each: two workers", f"{two:.1f}"))
            rows.append(("one worker", f"{one:.1f}; two are {two / one:.2f} times as fast"))
            rows.append(
                ("plain Keras Tuner, both cores", f"{plain:.1f}; two workers are {two / plain:.2f} times as fast")
            )
        if "memory" in options.only:
            before, after = memory_growth(scratch)
            rows.append(("memory of the parent after 5 and after 50 trials", f"{before:.0f} MB, {after:.0f} MB"))
        if "quality" in options.only and options.data:
            source = fifth_of(Path(options.data) / "fashion_mnist", scratch)
            curves, tests = {}, {"random": [], "hyperband": []}
            for seed in _SEEDS:
                for algorithm, found in tests.items():
                    curve, test = search(algorithm, seed, source, scratch)
                    curves[algorithm, seed] = curve
                    found.append(test)
                    seconds, best = curve[-1]
                    print(f"  {algorithm} {seed}: {best:.4f} {test:.4f} {seconds:.0f} s", file=sys.stderr, flush=True)
            quality_figure(curves, options.figure)
            for seed in _SEEDS:
                seconds, value = curves["random", seed][-1]
                by_then = max(best for spent, best in curves["hyperband", seed] if spent <= seconds)
                rows.append(
                    (
                        f"seed {seed}, best validation accuracy after {seconds:.0f} CPU-seconds",
                        f"random {value:.2%}, Hyperband {by_then:.2%}",
                    )
                )
            for algorithm, found in tests.items():
                ends = [curve[-1] for (name, _), curve in curves.items() if name == algorithm]
                rows.append(
                    (
                        f"a fifth of Fashion-MNIST, {algorithm}: validation, test accuracy of the best; CPU-seconds",
                        f"{spread([best for _, best in ends], 100)} %, {spread(found, 100)} %; "
                        f"{spread([seconds for seconds, _ in ends], 1, 0)}",
                    )
                )
    print("\n".join(f"| {name} | {value} | {day()} |" for name, value in rows))
    print(machine())


if __name__ == "__main__":
    main()
