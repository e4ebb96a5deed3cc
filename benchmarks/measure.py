"""What the benchmarks share: runs through `kit train`, spreads, and the tables between the markers of a README."""

import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = (0, 1, 2)
_END = "<!-- end of numbers -->"


@contextlib.contextmanager
def scratch_folder(path=None):
    """Yields a folder for runs: the given one, which is kept with all that has finished, or one that is thrown away."""
    if path is not None:
        Path(path).mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield scratch


def train(recipe, folder, *options):
    """Runs `kit train` in a process of its own and returns its metrics; those of a finished run are taken as they are.

    An unfinished one is carried on.
    """
    finished = Path(folder) / "metrics.json"
    if finished.exists():
        return json.loads(finished.read_text(encoding="utf-8"))
    words = [sys.executable, "-m", "kit", "train", recipe, "--json", "--folder", folder, *options]
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])["metrics"]


def train_seeds(recipe, name, score, options, scratch, seeds=SEEDS):
    """Trains with every seed, tells how it goes, and returns the metrics of each."""
    runs = []
    for seed in seeds:
        runs.append(train(recipe, f"{scratch}/{name}-{seed}", "--seed", str(seed), *options))
        value, seconds = runs[-1]["test"][score], runs[-1]["train_cpu_seconds"]
        print(f"  {name} seed {seed}: {value:.4f} {seconds} CPU-s", file=sys.stderr, flush=True)
    return runs


def spread(values, scale=1.0, digits=2):
    """Returns mean ± standard deviation as text, or the value where there is one."""
    values = [value * scale for value in values]
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def _begin(name):
    """Returns the mark in front of the numbers of a benchmark."""
    return f"<!-- {name} -->\n"


def rows(recipe, tables, name="numbers"):
    """Returns tables as text: measured rows take the place of those that begin alike in the recipe's README.

    Args:
        recipe: Name of the recipe.
        tables: Measured rows of each table, by its columns.
        name: Which of the README's numbers they are.
    """
    before = _readme(recipe).read_text(encoding="utf-8").partition(_begin(name))[2].partition(_END)[0]
    texts = []
    for columns, measured in tables.items():
        heading = f"| {' | '.join(columns)} |"
        _, found, rest = before.partition(heading)
        kept = rest.partition("\n\n")[0].splitlines()[2:] if found else []
        known = {row.split("|")[1]: row for row in [*kept, *measured]}
        if known:
            texts.append("\n".join([heading, "| --- " * len(columns) + "|", *known.values()]))
    return "\n\n".join(texts)


def day():
    """Returns the day as text."""
    return str(datetime.date.today())


def machine():
    """Returns the machine and the command as text."""
    return (
        f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}; `make bench DATA=...`."
    )


def _readme(recipe):
    return Path(__file__).parents[1] / "recipes" / recipe / "README.md"


def write(recipe, table, name="numbers"):
    """Puts a table behind the mark of that name in a recipe's README."""
    path = _readme(recipe)
    before, mark, rest = path.read_text(encoding="utf-8").partition(_begin(name))
    if not mark:
        raise SystemExit(f"{path}: has no {_begin(name).strip()}")
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{mark}{table}\n{_END}{after}", encoding="utf-8")
