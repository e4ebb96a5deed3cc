"""Which epoch is kept: compares rules that choose by the validation split, by the test score of the epoch chosen.

    .venv/bin/python benchmarks/epoch_choice.py --data <folder that holds the sets> --traces <folder>

Every set is trained once a seed, and scored on validation and test split after every epoch; each rule then chooses from
the same trainings, so that their scores differ by the choice alone. Nothing else is chosen by the test split.
"""

import argparse
import dataclasses
import functools
import json
import os
import tempfile
from pathlib import Path

import numpy as np

SEEDS = (0, 1, 2, 3, 4)
# Name: recipe, folder below the data or a name, training examples (None: all), settings.
_SMALL = {"train.batch_size": 16, "optimizer.learning_rate": 0.003}
_PHOTOGRAPHS = _SMALL | {"data.image_size": 48, "data.flip": True}
_WORDS = {"train.epochs": 12, "train.batch_size": 16}
SETS = {
    "digits": ("image_classification", "digits", None, {}),
    "digits, 300": ("image_classification", "digits", 300, _SMALL),
    "mnist, 500": ("image_classification", "mnist", 500, _SMALL),
    "fashion_mnist, 500": ("image_classification", "fashion_mnist", 500, _SMALL),
    "fashion_mnist, 1500": ("image_classification", "fashion_mnist", 1500, {}),
    "cifar10, 1000": ("image_classification", "cifar10", 1000, _SMALL | {"data.flip": True}),
    "cifar10, 2000": ("image_classification", "cifar10", 2000, {"data.flip": True}),
    "flowers": ("image_classification", "flowers", None, _PHOTOGRAPHS),
    "ewt, 300 sentences": ("sequence_tagging", "ud_english_ewt", 300, _WORDS | {"train.monitor": "val_accuracy"}),
    "wnut17, 800 sentences": ("sequence_tagging", "wnut17", 800, _WORDS),
}
_MOST_TEST = 1000  # examples that score an epoch on the test split


class TestScores:
    """Scores of every epoch on the test split, beside those that its choice goes by."""

    def __init__(self, task, splits, monitor):
        self.task, self.splits, self.monitor, self.rows = task, splits, monitor, []

    def observers(self, network, splits, folder):
        import keras

        test = splits.test.take(slice(0, _MOST_TEST))
        name = self.monitor.removeprefix("val_")

        def scored(epoch, logs):
            if self.task.validate:
                values = self.task.validate(network, test, splits.assets)
            else:
                logits = network.predict(test.arrays(slice(None))[0], batch_size=256, verbose=0)
                values = {"accuracy": float((logits.argmax(-1) == test.target("label")).mean())}
            self.rows.append(
                {"value": float(logs[self.monitor]), "loss": float(logs["val_loss"]), "test": float(values[name])}
            )

        return [keras.callbacks.LambdaCallback(on_epoch_end=scored)]


def small(splits, count, seed):
    """Returns splits of which a small part is left: so many training examples, and an eighth of that to validate."""
    if count is None:
        return splits
    draw = np.random.default_rng(0)  # one division for all seeds of training
    rows = np.sort(draw.permutation(len(splits.train))[:count])
    train = splits.train.take(rows)
    train.transform, train.weights = splits.train.transform, None
    most = len(splits.validation)
    kept = np.sort(draw.permutation(most)[: min(max(count // 8, 40), most)])
    return dataclasses.replace(splits, train=train, validation=splits.validation.take(kept))


def trace(recipe, source, count, more, seed):
    """Trains with one seed; returns validation score, its loss and test score of each epoch, and what was counted."""
    from kit import recipes
    from kit.runs import run, schema, settings
    from kit.runs.python_inputs import PythonInputs

    recipe = recipes.get(recipe)
    whole = recipe.data
    watcher = TestScores(recipe.task, None, more.get("train.monitor") or next(iter(recipe.task.monitors)))
    recipe = dataclasses.replace(
        recipe,
        data=functools.wraps(whole)(lambda *words, **keys: small(whole(*words, **keys), count, seed)),
        task=dataclasses.replace(recipe.task, observers=watcher.observers),
    )
    asked = {"data.source": str(source), **more}
    resolved = settings.resolve(schema.get(recipe.name), "default", asked, seed)
    with tempfile.TemporaryDirectory() as scratch:
        training = run._fitted(recipe, Path(scratch), resolved, PythonInputs())
        with training as (parts, _, trained):
            examples, kept = len(parts.splits.validation), trained.best_epoch
    return {"validation": examples, "kept": kept, "epochs": watcher.rows, "most_test": _MOST_TEST}


def best_first(epochs, examples):
    """The best score, the first of several."""
    return int(np.argmax([each["value"] for each in epochs]))


def best_last(epochs, examples):
    """The best score, the last of several."""
    values = np.array([each["value"] for each in epochs])
    return int(np.flatnonzero(values == values.max())[-1])


def best_lowest_loss(epochs, examples):
    """The best score; of several the one of the lowest validation loss."""
    best = max(each["value"] for each in epochs)
    return min(range(len(epochs)), key=lambda row: (epochs[row]["value"] < best, epochs[row]["loss"], -row))


def within_error(epochs, examples, errors=1.0):
    """Within a standard error of the best score, the lowest validation loss."""
    best = max(each["value"] for each in epochs)
    error = errors * (best * (1 - best) / examples) ** 0.5
    near = [row for row, each in enumerate(epochs) if each["value"] >= best - error]
    return min(near, key=lambda row: (epochs[row]["loss"], -row))


def within_error_last(epochs, examples):
    """Within a standard error of the best score, the last."""
    return _last_within(epochs, examples)


def within_smoothed_error_last(epochs, examples):
    """Within a standard error of the best score, two right and two wrong ones added, the last: the kit's rule."""
    return _last_within(epochs, examples, added=2)


def _last_within(epochs, examples, added=0):
    best = max(each["value"] for each in epochs)
    share = (best * examples + added) / (examples + 2 * added)
    error = (share * (1 - share) / (examples + 2 * added)) ** 0.5
    return max(row for row, each in enumerate(epochs) if each["value"] >= best - error)


def lowest_loss(epochs, examples):
    """The lowest validation loss."""
    return min(range(len(epochs)), key=lambda row: epochs[row]["loss"])


def last(epochs, examples):
    """The last epoch."""
    return len(epochs) - 1


RULES = (
    best_first,
    best_last,
    best_lowest_loss,
    within_error,
    within_error_last,
    within_smoothed_error_last,
    lowest_loss,
    last,
)


def compared(traces):
    """Prints the mean test score of each rule, and its paired difference to the present one with its 95 % interval.

    The interval is of the bootstrap that draws sets, and seeds within each.
    """
    scores = {
        rule: np.array(
            [[each["epochs"][rule(each["epochs"], each["validation"])]["test"] for each in runs] for runs in traces]
        )
        for rule in RULES
    }  # (sets, seeds)
    draw = np.random.default_rng(0)
    sets, seeds = scores[best_first].shape
    print("| rule | test score, % | difference to the first of the best, points | 95 % interval |")
    print("| --- | --- | --- | --- |")
    for rule, values in scores.items():
        differences = 100 * (values - scores[best_first])
        rows = draw.integers(0, sets, (10_000, sets))
        columns = draw.integers(0, seeds, (10_000, sets, seeds))
        means = differences[rows[:, :, None], columns].mean((1, 2))
        low, high = np.percentile(means, [2.5, 97.5])
        says = rule.__doc__.rstrip(".")
        print(f"| {says} | {100 * values.mean():.2f} | {differences.mean():+.2f} | {low:+.2f} to {high:+.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds the sets")
    parser.add_argument("--traces", required=True, help="folder that keeps what each training showed")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = Path(options.traces)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in options.only:
        recipe, source, count, more = SETS[name]
        where = source if source == "digits" else Path(options.data) / source
        for seed in options.seeds:
            path = folder / f"{name}-{seed}.json"
            if not path.exists():
                path.write_text(json.dumps(trace(recipe, where, count, more, seed)))
            print(f"{name}, seed {seed}", flush=True)
        found.append([json.loads((folder / f"{name}-{seed}.json").read_text()) for seed in options.seeds])
    compared(found)


if __name__ == "__main__":
    main()
