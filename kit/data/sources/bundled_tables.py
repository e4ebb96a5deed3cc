"""Small tables that come with scikit-learn: wine and breast cancer (classes), diabetes (a number)."""

import numpy as np

from kit.data.sources.tables import Table

NAMES = ("wine", "breast_cancer", "diabetes")


def read(source):
    """Returns one of the tables; the last column, `target`, is what is to be answered.

    Args:
        source: One of `NAMES`.
    """
    from sklearn import datasets

    found = getattr(datasets, f"load_{source}")(as_frame=True, **({"scaled": False} if source == "diabetes" else {}))
    frame = found.frame.rename(columns=lambda name: name.replace(" ", "_").replace("/", "_per_"))
    if source == "diabetes":
        return Table(frame, _places(source, frame))
    frame["target"] = np.array(found.target_names, dtype=object)[frame["target"].to_numpy()]
    return Table(frame.astype({"target": "str"}), _places(source, frame))


def _places(source, frame):
    return [f"{source} row {number}" for number in range(1, len(frame) + 1)]
