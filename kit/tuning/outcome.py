"""Results of a study: its table of trials, the best settings, and its page."""

import dataclasses
import logging
import shlex
from pathlib import Path

import pandas as pd

from kit.errors import KitError
from kit.files import read_json, reading, write_json, write_text
from kit.terminal import counted, duration, number, short

log = logging.getLogger("kit")

# Of fewer trials the best is in part the luckiest; after fewer epochs settings seldom stand in the order of their end.
_FEWEST_TRIALS, _FEWEST_EPOCHS = 8, 4
_COLUMNS = ("trial", "state", "score", "best_epoch", "epochs", "seconds", "cpu_seconds", "memory_mb", "folder")


@dataclasses.dataclass
class Study:
    """A study, as `kit.tune` returns it.

    Args:
        folder: Its folder.
        monitor: Name of the value that it went by.
        mode: "max" or "min".
        trials: `pandas.DataFrame` with a row a trial: its number, how it ended, its best value, what it cost, why it
            failed, and a column for each setting that was searched.
        best: The searched settings of the best trial.
        score: Its value, on the validation split.
        saved_epochs: Epochs that the median rule saved.
        retrained: Scores on the test split of the best settings, trained on training and validation split; or None.
    """

    folder: Path
    monitor: str
    mode: str
    trials: pd.DataFrame
    best: dict
    score: float
    saved_epochs: int
    retrained: dict | None = None

    def __repr__(self):
        shown = f"{len(self.trials)} trials, best {self.monitor} {number(self.score)}"
        return f"Study({str(self.folder)!r}, {shown})"

    def _repr_html_(self):
        """Returns the best trial of the study, for a notebook."""
        from kit.reporting import study

        return study.summary(self.folder, self.monitor, self.score, len(self.trials), self.best)


def table(running):
    """Returns the trials that have ended, a row each, in the order of their beginning."""
    rows = []
    for record in sorted(running.journal.ended, key=lambda record: record["trial"]):
        values = {name: record.get(name) for name in _COLUMNS if name != "memory_mb"}
        memory = record.get("memory")
        values |= {"memory_mb": None if memory is None else round(memory / 1024)}
        settings = {key: _cell(value) for key, value in running.overrides(record["trial"]).items()}
        rows.append({**{name: values[name] for name in _COLUMNS}, **settings, "message": record["message"]})
    frame = pd.DataFrame(rows)
    return frame[[name for name in frame if name != "message"] + ["message"] * bool(len(frame))]


def _cell(value):
    return str(value) if isinstance(value, list | tuple) else value


def saved(running):
    """Returns the epochs and the seconds that stopped trials were spared."""
    epochs = seconds = 0
    for record in running.journal.ended:
        if record["state"] == "stopped":
            until = running.trial(record["trial"]).hyperparameters.values.get("tuner/epochs", running.epochs)
            left = until - len(record["curve"])
            epochs += left
            seconds += left * record["seconds"] / max(record["new_epochs"], 1)
    return epochs, seconds


def hints(trials, epochs):
    """Returns what tells that the best of a study may be no good choice: a sentence each.

    Args:
        trials: Number of trials with a score.
        epochs: Most epochs that one of them was trained.
    """
    found = []
    if epochs < _FEWEST_EPOCHS:
        found.append(
            f"{counted(epochs, 'epoch')} of training {'says' if epochs == 1 else 'say'} little of where settings end: "
            "what learns fastest at first is seldom best; search with more train.epochs before you train with these"
        )
    if trials < _FEWEST_TRIALS:
        found.append(f"the best of {counted(trials, 'trial')} is in part the luckiest; more tune.trials tell more")
    return found


def write(running):
    """Writes `best.toml`, `trials.csv` and the page of a study that has ended; returns the `Study`.

    Raises:
        KitError: no trial has a score.
    """
    from kit.reporting import study as page

    best = running.best()
    folder = running.folder
    if best is None:
        reason = next((record["message"] for record in running.journal.ended if record["message"]), "none was run")
        raise KitError(f"{folder}: no trial has a score; {reason}")
    trials = table(running)
    write_text(folder / "trials.csv", trials.to_csv(index=False))
    settings = running.overrides(best["trial"])
    place = folder / "trials" / best["folder"]
    text = (place / "config.toml").read_text(encoding="utf-8")
    of = counted(len(trials), "trial")
    header = f"# The best of {of}: {running.monitor} {best['score']:.4f} on the validation split.\n\n"
    write_text(folder / "best.toml", header + text)
    epochs, seconds = saved(running)
    study = Study(folder, running.monitor, running.mode, trials, settings, best["score"], epochs)
    summary = {
        "recipe": running.recipe.name,
        "monitor": study.monitor,
        "mode": study.mode,
        "best": study.best,
        "best_trial": best["trial"],
        "score": study.score,
        "saved_epochs": epochs,
        "saved_seconds": round(seconds, 1),
    }
    scored = [len(record["curve"]) for record in running.journal.ended if record["state"] != "failed"]
    if found := hints(len(scored), max(scored)):
        summary["hints"] = found
    write_json(folder / "summary.json", summary)
    curves = {record["trial"]: record["curve"] for record in running.journal.ended}
    page.write(folder, summary, trials, curves)
    if epochs:
        log.info(
            "the median rule stopped trials early: %s saved, about %s", counted(epochs, "epoch"), duration(seconds)
        )
    shown = "  ".join(f"{key}={short(value)}" for key, value in settings.items())
    log.info("best  trial %d: %s %.4f   %s", best["trial"], running.monitor, best["score"], shown)
    for hint in found:
        log.warning("note: %s", hint)
    log.info("page  %s", folder / "report.html")
    log.info("use   kit train %s --config %s", running.recipe.name, shlex.quote(str(folder / "best.toml")))
    if (place / "checkpoint").exists():
        log.info(
            "or    kit train %s --folder %s   # ends that trial's run", running.recipe.name, shlex.quote(str(place))
        )
    return study


def load(folder):
    """Returns the `Study` that a finished one has left in its folder."""
    summary = read_json(folder / "summary.json")
    with reading(folder / "trials.csv"):
        trials = pd.read_csv(folder / "trials.csv")
    scores = retrained(folder, summary["best_trial"]) / "metrics.json"
    return Study(
        folder,
        summary["monitor"],
        summary["mode"],
        trials,
        summary["best"],
        summary["score"],
        summary["saved_epochs"],
        read_json(scores)["test"] if scores.exists() else None,
    )


def retrained(folder, trial):
    """Returns the folder of the run with a trial's settings on training and validation split."""
    return folder / f"retrained-{trial:04}"
