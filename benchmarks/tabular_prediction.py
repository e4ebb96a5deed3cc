"""Measures the numbers in `recipes/tabular_prediction/README.md`.

    make bench DATA=<folder that holds adult/ and housing/>

Adult (census income) has the published test split; of California's houses a fifth is the test split, the same for
every seed and network. Gradient boosting and a linear model are fitted to the same rows, by `kit train` itself.
"""

import argparse
import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from measure import day, machine, rows, scratch_folder, spread, train_seeds, write

RECIPE = "tabular_prediction"
SEEDS = (0, 1, 2, 3, 4)
_COLUMNS = (
    *("what", "settings", "test score", "gradient boosting", "linear model", "CPU-seconds of training"),
    *("of gradient boosting", "parameters", "day"),
)


def adult(data, folder):
    """Writes the census tables with a heading, as they are otherwise."""
    names = (data / "adult" / "adult.names").read_text(encoding="latin-1")
    columns = re.findall(r"^([a-z-]+):\s", names, re.MULTILINE)[-14:]
    for part in ("data", "test"):
        with gzip.open(data / "adult" / f"adult.{part}.gz", "rt", encoding="utf-8") as file:
            lines = [line.rstrip(".\n") for line in file if line.count(",") == 14]
        name = "train" if part == "data" else "test"
        (folder / f"{name}.csv").write_text(
            "\n".join([", ".join([*columns, "income"]), *lines]) + "\n", encoding="utf-8"
        )
    return folder


def housing(data, folder):
    """Writes the houses of California as they are."""
    with gzip.open(data / "housing" / "housing.csv.gz", "rb") as file:
        (folder / "housing.csv").write_bytes(file.read())
    return folder / "housing.csv"


_ADULT = ("--data.target", "income")
_HOUSING = ("--data.target", "median_house_value", "--data.answer", "number")
_ACCURACY, _ERROR = ("accuracy", 100, " %"), ("rmse", 1e-5, "")  # the latter in 100,000 dollars
_LONGER = ("--train.epochs", "30")
SETS = {
    "Adult, MLP": (adult, (*_ADULT, "--config", "mlp"), _ACCURACY),
    "Adult, residual MLP": (adult, (*_ADULT, "--config", "resnet_mlp"), _ACCURACY),
    "Adult, Wide & Deep": (adult, (*_ADULT, "--config", "wide_and_deep"), _ACCURACY),
    "Adult, TabNet": (adult, (*_ADULT, "--config", "tabnet"), _ACCURACY),
    "Adult, FT-Transformer": (adult, (*_ADULT, "--config", "ft_transformer"), _ACCURACY),
    "California housing, MLP": (housing, (*_HOUSING, "--config", "mlp_numbers"), _ERROR),
    "California housing, Wide & Deep": (housing, (*_HOUSING, "--config", "wide_and_deep", *_LONGER), _ERROR),
    "California housing, TabNet": (housing, (*_HOUSING, "--config", "tabnet", "--train.epochs", "60"), _ERROR),
    "California housing, FT-Transformer": (housing, (*_HOUSING, "--config", "ft_transformer", *_LONGER), _ERROR),
}


def row(name, words, score, scratch, seeds):
    """Trains with every seed and returns a row of the table."""
    key, factor, unit = score
    digits = 2 if unit else 3
    runs = train_seeds(RECIPE, name.replace(" ", "-"), key, words, scratch, seeds)
    boosting = runs[0]["baseline"]
    linear = boosting["others"][0]
    shown = " ".join(f"<{Path(word).name}>" if Path(word).exists() else word for word in words)
    return (
        f"| {name} | `{shown}` | {spread([run['test'][key] for run in runs], factor, digits)}{unit} | "
        f"{boosting[key] * factor:.{digits}f}{unit} | {linear[key] * factor:.{digits}f}{unit} | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {boosting['cpu_seconds']:,.0f} | "
        f"{runs[0]['params']:,} | {day()} |"
    )


def large(scratch, count=1_000_000):
    """Reads, trains for an epoch and predicts a generated table of a million rows; returns seconds and memory."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    columns = {f"number{index}": random.normal(size=count).round(4) for index in range(20)}
    columns |= {
        f"kind{index}": random.choice([f"value{each}" for each in range(5 + 10 * index)], count) for index in range(10)
    }
    score = columns["number0"] * columns["number1"] + (columns["kind1"] == "value3")
    table, run = Path(scratch) / "large.csv", Path(scratch) / "large"
    pd.DataFrame(columns | {"target": np.where(score > 0, "yes", "no")}).to_csv(table, index=False)
    training = ["train", RECIPE, "--folder", str(run), "--config", "mlp", "--data.source", str(table)]
    training += ["--train.epochs", "1", "--train.batch_size", "1024"]
    commands = {"read and trained for an epoch": training, "predicted": ["predict", str(run), str(table), "--json"]}
    told = []
    for name, command in commands.items():
        began = time.perf_counter()
        with open(Path(scratch) / "large.out", "w", encoding="utf-8") as out:
            process = subprocess.Popen([sys.executable, "-m", "kit", *command], stdout=out, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"kit {command[0]} failed")
        seconds = time.perf_counter() - began
        told.append(
            f"{name}: {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU-s, {used.ru_maxrss / 2**20:.1f} GiB"
        )
    return "; ".join(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing is measured")
    parser.add_argument("--only", nargs="+", choices=list(SETS), help="measure the rows of these names alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    parser.add_argument("--large", action="store_true", help="a generated table of a million rows in place of the sets")
    options = parser.parse_args()
    if options.large:
        with scratch_folder(options.runs) as scratch:
            print(large(scratch))
        return
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        measured = []
        for name, (prepare, words, score) in SETS.items():
            if options.only and name not in options.only:
                continue
            folder = Path(scratch) / "sets" / prepare.__name__
            folder.mkdir(parents=True, exist_ok=True)
            source = ("--data.source", str(prepare(Path(options.data), folder)))
            measured.append(row(name, [*words, *source], score, scratch, options.seeds))
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, f"{rows(RECIPE, {_COLUMNS: measured})}\n\n{machine()}")
    print(machine())


if __name__ == "__main__":
    main()
