"""Saved division and fingerprints of a run's data: a resumed run goes on with the same, or refuses other data."""

import json
import os

from kit import config
from kit.data import split_rule
from kit.errors import KitError, SettingError
from kit.files import read_json, reading, text_sum, write_json, write_text
from kit.runs import settings as run_settings

# File of a division by a rule, in place of `splits.csv`.
RULE = "splits.json"
# Names of examples that end with a check sum of them.
_TOLD_BY_CONTENT = r"(?s).* [0-9a-f]{8}"


def kept_data(folder):
    """Returns what an earlier or unfinished run has `Kept` of its data, or None in a new folder."""
    from kit.data.splits import Kept

    path = folder / "assets" / "splits.csv"
    if not (folder / "config.toml").exists():
        return None
    rule = rule_of(folder)
    table = _listed(path) if rule is None else None
    check_unchanged(folder, "splits.csv" if rule is None else RULE)
    assets = read_json(path.with_name("assets.json"))
    check_unchanged(folder, "assets.json")
    files = path.with_name("files.csv")
    return Kept(table, assets, files if files.exists() else None, rule)


def rule_of(folder):
    """Returns the facts of the rule that has divided the examples of a run, or None where they are listed."""
    path = folder / "assets" / RULE
    return read_json(path) if path.exists() else None


def _listed(path):
    """Returns the table of a division that is a list of examples."""
    import pandas as pd

    with reading(path):
        known = {"example": str, "split": str, "label": int, "group": str, "time": str}
        table = pd.read_csv(path, dtype=known, keep_default_na=False)
        return table[["example", "split", *(name for name in ("label", "group", "time") if name in table)]]


def keep_data(run_folder, splits):
    """Writes what is kept of the data that a run has read: their division, assets and files, and sums of those."""
    assets = run_folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    rule = split_rule.facts_of(splits.assignment)
    division = "splits.csv" if rule is None else RULE
    if rule is None:
        write_text(assets / "splits.csv", splits.assignment.to_csv(index=False))
    else:
        write_json(assets / RULE, rule)
    write_json(assets / "assets.json", splits.assets)
    if splits.files is not None:
        splits.files.write(assets / "files.csv")
    write_json(assets / "sums.json", {name: text_sum(assets / name) for name in (division, "assets.json")})


def check_unchanged(folder, name):
    """Raises KitError where a file of a run's assets is not the one that the run began with."""
    path = folder / "assets" / "sums.json"
    if path.exists():  # runs from before it was kept lack it
        sums = read_json(path)
        with reading(path):
            before = sums[name]
        if text_sum(folder / "assets" / name) != before:
            raise KitError(
                f"{folder / 'assets' / name}: changed since the run began; expected what it was trained with"
            )


def check_assets(folder, splits, source):
    """Raises KitError where the data of a run, or what was learned from them, are not those with which it began.

    Args:
        folder: The run folder.
        splits: The `Splits`, read again.
        source: Where they were read from now; another place than in the beginning may hold the same.
    """
    path = folder / "assets" / "assets.json"
    if not (folder / "config.toml").exists():
        return
    saved, now = read_json(path), json.loads(json.dumps(splits.assets))
    check_unchanged(folder, path.name)
    files = folder / "assets" / "files.csv"
    are_files = splits.files is not None and files.exists()  # runs from before it was kept lack it
    if are_files:
        splits.files.check(files)  # first: it names the one that changed
    for name in saved:
        if saved[name] != now.get(name):
            raise KitError(
                f"the data changed since this run was started: its {name} differ from those in {path}; "
                "expected the same files"
            )
    if are_files:
        return
    before = config.read_toml(folder / "config.toml").get(run_settings.SOURCE)
    now = str(source) if isinstance(source, str | os.PathLike) else before  # data of Python are told by their content
    names = splits.assignment["example"]
    if not run_settings.alike(before, now) and not names.str.fullmatch(_TOLD_BY_CONTENT).all():
        raise SettingError(
            run_settings.SOURCE,
            f"the run in {folder} was started with {before!r}, not {now!r}; nothing tells whether they hold the same",
        )
