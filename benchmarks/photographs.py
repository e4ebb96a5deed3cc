"""Compares a folder of photographs, nothing stated, with the network of Keras' tutorial on image classification.

    make bench DATA=<folder that holds flowers/>

Cross-validation: every photograph is answered once, by a network that has not seen it. The tutorial's network is that
of tensorflow.org/tutorials/images/classification (180x180 pixels, flips, rotation and zoom, dropout); it trains on the
same folds, for its own 15 epochs, and for as many CPU-seconds as the kit took, the epoch kept that is best on a tenth
of the training photographs. The interval of the difference is of the bootstrap over photographs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, write

RECIPE = "image_classification"
_FOLDS, _SIDE, _EPOCHS, _BATCH = 5, 180, 15, 32
_COLUMNS = ("network", "accuracy of all photographs, %", "CPU-s a fold", "difference to the kit, points", "day")


def tutorial(table, folder, seed, seconds):
    """Trains the tutorial's network on each fold; returns answers of all photographs and CPU-seconds a fold.

    Args:
        table: Out-of-fold predictions of the kit: examples, folds and labels.
        folder: The folder of photographs.
        seed: Seed of the network, and of what is left out to choose an epoch by.
        seconds: CPU-seconds of a fold, or None for the tutorial's epochs.
    """
    import keras
    from PIL import Image

    names = sorted(table["label"].unique())
    labels = np.array([names.index(label) for label in table["label"]])
    pixels = np.stack(
        [
            np.asarray(Image.open(folder / name).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
            for name in table["example"]
        ]
    )
    answers, spent = np.zeros(len(table), int), []
    for fold in range(_FOLDS):
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        is_test = (table["fold"] == fold).to_numpy()
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~is_test))
        kept, fit = np.split(rows, [len(rows) // 10])
        model = _network(len(names))
        began = time.process_time()
        best = _Best(seconds, began)
        model.fit(
            *(pixels[fit], labels[fit]),
            batch_size=_BATCH,
            epochs=_EPOCHS if seconds is None else 100_000,
            validation_data=(pixels[kept], labels[kept]) if seconds is not None else None,
            callbacks=[best] if seconds is not None else [],
            verbose=0,
        )
        if best.weights is not None:
            model.set_weights(best.weights)
        spent.append(time.process_time() - began)
        answers[is_test] = model.predict(pixels[is_test], verbose=0).argmax(-1)
    return answers == labels, statistics.mean(spent)


def _Best(seconds, began):
    """Returns a callback that keeps the best epoch's weights and ends when the CPU-seconds are spent."""
    import keras

    class Best(keras.callbacks.Callback):
        best, weights = -1.0, None

        def on_epoch_end(self, epoch, logs=None):
            if logs["val_accuracy"] >= self.best:
                self.best, self.weights = logs["val_accuracy"], self.model.get_weights()
            if time.process_time() - began >= seconds:
                self.model.stop_training = True

    return Best()


def _network(num_classes):
    """Returns the tutorial's network, compiled as it is there."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((_SIDE, _SIDE, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(num_classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


def kits(source, scratch, seed, name, more):
    """Trains every fold with nothing else stated; returns its table of answers and CPU-seconds a fold."""
    import pandas as pd

    folder = Path(scratch) / f"flowers-{name}-{seed}"
    train(RECIPE, str(folder), "--seed", str(seed), "--data.source", str(source), "--train.folds", str(_FOLDS), *more)
    table = pd.read_csv(folder / "tables" / "out_of_fold.csv", dtype={"label": str, "prediction": str})
    metrics = [json.loads((folder / f"fold-{fold}" / "metrics.json").read_text()) for fold in range(_FOLDS)]
    return table, statistics.mean(each["train_cpu_seconds"] for each in metrics)


def _in_a_process(scratch, name, words):
    """Returns what this script prints for one seed of the tutorial's network, in a process of its own; kept."""
    kept = Path(scratch) / f"tutorial-{name}.json"
    if not kept.exists():
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        kept.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    found = json.loads(kept.read_text(encoding="utf-8"))
    return np.array(found["right"]), found["seconds"]


def compared(ours, theirs):
    """Returns the difference of accuracies in points as text, with its 95 % interval over photographs."""
    gaps = 100 * (np.mean(theirs, 0) - np.mean(ours, 0))  # (photographs,)
    rows = np.random.default_rng(0).integers(0, len(gaps), (10_000, len(gaps)))
    low, high = np.percentile(gaps[rows].mean(1), [2.5, 97.5])
    return f"{gaps.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds flowers/; without it nothing is measured")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--minutes", type=float, help="minutes of a fold; by default what own.toml decides")
    parser.add_argument("--weights", help="folder of published weights that the kit begins with, at 160 pixels")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--table", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    source = Path(options.data) / "flowers"
    if options.table:
        import pandas as pd

        table = pd.read_csv(options.table, dtype={"label": str})
        right, seconds = tutorial(table, source, options.seeds[0], options.seconds)
        print(json.dumps({"right": right.tolist(), "seconds": seconds}))
        return
    more = () if options.minutes is None else ("--train.minutes", str(options.minutes))
    more += ("--model.weights", options.weights, "--data.image_size", "160") if options.weights else ()
    name = f"{options.minutes or 'own'}{'-published' if options.weights else ''}"
    right, seconds = {"kit": [], "long": [], "own": []}, {"kit": [], "long": [], "own": []}
    with scratch_folder(options.runs) as scratch:
        for seed in options.seeds:
            table, spent = kits(source, scratch, seed, name, more)
            table = table.sort_values("example").reset_index(drop=True)
            path = Path(scratch) / f"examples-{name}-{seed}.csv"
            table.to_csv(path, index=False)
            right["kit"].append((table["label"] == table["prediction"]).to_numpy())
            seconds["kit"].append(spent)
            for kind, limit in (("own", ()), ("long", ("--seconds", str(spent)))):
                words = ["--data", options.data, "--table", str(path), "--seeds", str(seed), *limit]
                answers, spent_there = _in_a_process(scratch, f"{kind}-{name}-{seed}", words)
                right[kind].append(answers)
                seconds[kind].append(spent_there)
            found = {kind: f"{100 * np.mean(values[-1]):.2f}" for kind, values in right.items()}
            print(f"  seed {seed}: {found}", file=sys.stderr, flush=True)
    stated = [f"{options.minutes:g} minutes"] if options.minutes else []
    stated += [f"weights of {Path(options.weights).name}"] if options.weights else []
    names = {
        "kit": "the kit, nothing stated" + (f" but {' and '.join(stated)}" if stated else ""),
        "own": "the tutorial's network, 15 epochs",
        "long": "the tutorial's network, as many CPU-seconds" + (f" as with {' and '.join(stated)}" if stated else ""),
    }
    found = [
        f"| {names[kind]} | {spread([100 * each.mean() for each in right[kind]])} | "
        f"{statistics.mean(seconds[kind]):,.0f} | {compared(right['kit'], right[kind]) if kind != 'kit' else ''} | "
        f"{day()} |"
        for kind in names
    ]
    print("\n".join([f"| {' | '.join(_COLUMNS)} |", "| --- " * len(_COLUMNS) + "|", *found]) + f"\n\n{machine()}")
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: found}, "photographs"), "photographs")


if __name__ == "__main__":
    main()
