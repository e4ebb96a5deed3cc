"""Learning curve over the number of training examples: runs on a quarter and a half of them, and an extrapolation."""

import logging

from kit import config, terminal
from kit.errors import KitError, SettingError
from kit.files import as_path, atomic, read_json, reading, write_json
from kit.runs import finished
from kit.runs import folder as folders
from kit.runs.assembly import trained_share
from kit.runs.python_inputs import PythonInputs, own_source
from kit.runs.run import train_with

log = logging.getLogger("kit")

_PARTS = {"quarter": 0.25, "half": 0.5}


def learning_curve(folder, *, data=None, verbose=True):
    """Estimates what twice as many training examples would give a finished run.

    The same settings are trained on a quarter and a half of the training examples, with as many steps as all had, so
    that they differ in nothing else; the test scores of the three are extrapolated. It takes up to twice the time of
    the run. What is done is kept in the run folder, and the page of the run gets the curve.

    Args:
        folder: The run folder; of one with several seeds the run that is best on the validation split is taken.
        data: The data of the run again, where they were given in Python.
        verbose: Print what happens.

    Returns:
        Dictionary: `score` (its name), `examples` and `scores` of the three, `doubled` (number of examples), `value`,
        `low` and `high` of the estimate.

    Raises:
        KitError: there is no finished run, its recipe learns from no examples or has no score with an interval, or a
            quarter of its examples is too little to train on, or as much as a half.
        SettingError: it was trained on the validation split too.
    """
    finished.check_settings(folder, "evaluate", {})  # a finished run
    folder = as_path(folder, "folder")
    if finished.has_several(folder):
        folder = folder / read_json(folder / "metrics.json")["best"]
    flat = config.read_toml(folder / "config.toml")
    if flat.get("train.use_validation"):
        raise SettingError(
            "train.use_validation",
            f"expected false: {folder} was trained on the validation split too, which train.share leaves whole",
        )
    metrics = read_json(folder / "metrics.json")
    name = _score(folder, metrics, flat["recipe"])
    with terminal.log_shown(verbose):
        terminal.load_tensorflow()
        run = finished.load(folder)
        train = finished.data_of(run, data).train
        if train.follows_model:
            raise KitError(f"{folder}: {flat['recipe']} learns from no examples; expected a recipe with a data set")
        share, size = flat.get("train.share", 1.0), flat["train.batch_size"]
        shares = {part: of_all * share for part, of_all in _PARTS.items()}
        # Of each class one at least is trained on, so that a part may be more than its share of the number.
        everything, *parts = (trained_share(train, each, run.settings["data"]) for each in (share, *shares.values()))
        counts = dict(zip(shares, map(len, parts), strict=True))
        _check_counts(folder, *counts.values(), len(everything), size)
        steps = flat.get("train.steps_per_epoch") or everything.steps_per_epoch(size)
        own = PythonInputs(own_source(data)[1])
        runs = {}
        for part, of_all in shares.items():
            path = folder / "learning_curve" / part
            log.info("learning curve: a %s of the training examples", part)
            if not folders.finished(path):
                changes = {"train.share": of_all, "train.steps_per_epoch": steps}
                train_with(flat["recipe"], changes, config=folder / "config.toml", folder=path, inputs=own)
            runs[path] = counts[part]
        runs[folder] = len(everything)
    return _finish(folder, name, runs)


def _check_counts(folder, quarter, half, everything, batch_size):
    """Raises KitError where a quarter of the examples is too little to train on, or two runs would have as many."""
    if quarter < batch_size:
        raise KitError(
            f"{folder}: a quarter of the {everything:,} training examples is less than a batch of {batch_size}; "
            "expected a run with a smaller train.batch_size"
        )
    for name, less, more in (("a quarter and a half", quarter, half), ("a half and the whole", half, everything)):
        if less == more:
            raise KitError(
                f"{folder}: {name} of the {everything:,} training examples are {less:,} each, with one of each class "
                "at least; expected a run with more examples of a class"
            )


def _score(folder, metrics, recipe):
    """Returns the name of the first test score that has an interval."""
    for name, value in metrics["test"].items():
        if f"{name}_low" in metrics["test"] and isinstance(value, float):
            return name
    raise KitError(
        f"{folder}: no score of {recipe} has an interval to extrapolate with; expected a recipe that has one"
    )


def _finish(folder, name, runs):
    """Extrapolates the scores of runs, and writes what was found into the run folder and its page.

    Args:
        folder: The run folder.
        name: Name of the score.
        runs: Folder of each run to its number of training examples.
    """
    from kit.reporting import page, plots
    from kit.scoring.extrapolation import power_law

    scores, lows, highs = [], [], []
    for path in runs:
        with reading(path / "metrics.json"):
            test = read_json(path / "metrics.json")["test"]
            for values, ending in ((scores, ""), (lows, "_low"), (highs, "_high")):
                values.append(float(test[f"{name}{ending}"]))
    counts = list(runs.values())
    top = 1.0 if max(highs) <= 1 else 100.0
    deviations = [(high - low) / 3.92 for low, high in zip(lows, highs, strict=True)]
    least = max(deviations) ** 2 / top / 2  # about that of half an example of the test split
    estimate = power_law(counts, scores, deviations, 2 * counts[-1], top=top, least=max(least, 1e-4 * top))
    found = {
        "score": name,
        "examples": counts,
        "scores": scores,
        "lows": lows,
        "highs": highs,
        "doubled": 2 * counts[-1],
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
    }
    write_json(folder / "learning_curve.json", found)
    with atomic(folder / "plots" / "2_more_training_examples.png") as temporary:
        plots.save(plots.over_examples(found), temporary)
    page.write(folder)
    return found
