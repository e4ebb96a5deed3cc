"""Predictions of a fold's test split, example by example, and those of all folds as one table."""

from kit.errors import KitError, shown
from kit.files import reading, write_text

# Columns that are text, whatever stands in them.
_TEXTS = ("example", "label", "prediction", "labels", "predicted labels", "token", "source")


def write(folder, splits, evaluation):
    """Writes the predictions of a run's test split into its folder, if its task answers single examples.

    Args:
        folder: The run folder.
        splits: `Splits`.
        evaluation: `Evaluation` of the test split.
    """
    if evaluation.predictions is None:
        return
    table = evaluation.predictions()
    names = splits.assignment["example"][splits.assignment["split"] == "test"].to_numpy()
    table.insert(0, "example", names[table.index])
    write_text(_path(folder), table.to_csv(index=False, float_format="%.6g"))


def _path(folder):
    return folder / "predictions.csv"


def joined(folders):
    """Returns the predictions of several folds as one table with a column `fold`; None where they have none.

    Args:
        folders: Run folder of each fold, in order.

    Raises:
        KitError: a table that is missing or damaged.
    """
    import pandas as pd

    if not any(_path(folder).exists() for folder in folders):
        return None
    parts = []
    for number, folder in enumerate(folders):
        if not _path(folder).exists():
            raise KitError(f"{_path(folder)}: missing; expected the predictions of this fold's test split")
        with reading(_path(folder)):
            part = pd.read_csv(_path(folder), dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False)
            part.insert(1, "fold", number)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def check_once(predictions, folder):
    """Raises KitError for an example that two folds were tested on: they were drawn from different data.

    Args:
        predictions: What `joined` returned.
        folder: Run folder of a fold, which tells the names of the examples; those that are not unique tell nothing.
    """
    import pandas as pd

    folds = predictions.groupby("example")["fold"].unique()
    twice = folds[folds.map(len) > 1]
    path = folder / "assets" / "splits.csv"
    counts = {}
    if path.exists():  # a rule that divides goes by names: equal ones are in one fold
        with reading(path):
            counts = pd.read_csv(path, dtype=str, keep_default_na=False)["example"].value_counts()
    for name, (first, second, *_) in twice.items():
        if counts.get(name, 0) <= 1:
            raise KitError(
                f"{folder.parent}: {shown(name)} is in fold {min(first, second)} and in fold {max(first, second)}: the "
                "data changed between them; expected the same data in all folds, trained anew in another folder"
            )
