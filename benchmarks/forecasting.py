"""Measures the numbers in `recipes/forecasting/README.md`.

    make bench DATA=<folder that holds sunspots.csv and co2.csv, as statsmodels ships them>

Sunspots are yearly, 1700 to 2008. CO2 at Mauna Loa is weekly, 1958 to 2001; its months are the means of their weeks,
and the five months without any are left empty, which `data.missing=last` fills from before. Every training runs in a
process of its own, through `kit train`, which fits ridge regression on lags beside it. The season alone is stated.
"""

import argparse
import json
import statistics
from pathlib import Path

from measure import day, machine, rows, scratch_folder, spread, train, train_seeds, write

RECIPE, SEEDS = "forecasting", (0, 1, 2, 3, 4)
_COLUMNS = (
    *("series", "settings", "MASE of the network", "below seasonal naive", "seasonal naive", "naive", "ridge on lags"),
    *("coverage of 90 %", "CPU-seconds of training", "of ridge", "day"),
)
_ENCODERS = ("series", "gru", "lstm", "lstm_attention", "tcn", "transformer", "day")


def sunspots(data, folder):
    """Sunspots a year, as they are."""
    return data / "sunspots.csv"


def carbon_dioxide(data, folder):
    """Monthly means of CO2, a month without measurements empty."""
    import pandas as pd

    weeks = pd.read_csv(data / "co2.csv")
    weeks["date"] = pd.to_datetime(weeks["date"].astype(str), format="%Y%m%d")
    weeks.set_index("date")["co2"].resample("MS").mean().to_csv(folder / "co2.csv")
    return folder / "co2.csv"


# How a table is made, and settings beside it.
SETS = {
    "sunspots, yearly": (sunspots, ("--data.season", "11")),
    "CO2, monthly": (carbon_dioxide, ("--data.season", "12", "--data.missing", "last")),
    "seasons, daily": (None, ()),
}


def row(name, data, scratch, seeds):
    """Trains with every seed and returns a row of the table."""
    words = options(name, data, scratch)
    runs = train_seeds(RECIPE, name.split(",")[0], "mase", words, scratch, seeds)
    found = [run["test"] for run in runs]
    naive = found[0]["mase_of_seasonal_naive"]
    shown = " ".join(SETS[name][1]) or "default"
    low, high = (statistics.mean(each[f"mase_{end}"] for each in found) for end in ("low", "high"))
    beside = runs[0]["baseline"]
    return (
        f"| {name} | `{shown}` | {spread([each['mase'] for each in found], 1, 3)} ({low:.3f} to {high:.3f}) | "
        f"{spread([100 * (1 - each['mase'] / naive) for each in found], 1, 1)} % | {naive:.3f} | "
        f"{found[0]['mase_of_naive']:.3f} | {beside['mase']:.3f} | "
        f"{spread([each['coverage'] for each in found], 100, 1)} % | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {beside['cpu_seconds']:.1f} | {day()} |"
    )


def options(name, data, scratch):
    """Returns the options of a training."""
    prepare, more = SETS[name]
    if prepare is None:
        return list(more)
    folder = Path(scratch) / "sets"
    folder.mkdir(parents=True, exist_ok=True)
    return ["--data.source", str(prepare(data, folder)), *more]


def encoders(name, data, scratch):
    """Trains every encoder with seed 0 and returns a row of their test scores."""
    words, found = options(name, data, scratch), []
    for encoder in _ENCODERS[1:-1]:
        kind = "0" if encoder == "gru" else encoder  # the default, whose first seed is trained
        folder = f"{scratch}/{name.split(',')[0]}-{kind}"
        metrics = train(RECIPE, folder, "--seed", "0", "--model.backbone", encoder, *words)
        found.append(f"{metrics['test']['mase']:.3f}")
    return f"| {name} | {' | '.join(found)} | {day()} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds sunspots.csv and co2.csv; without it generated series alone")
    parser.add_argument("--only", nargs="+", choices=list(SETS), help="measure only these series")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--encoders", action="store_true", help="every encoder with one seed, too")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the tables into the recipe's README")
    asked = parser.parse_args()
    data = Path(asked.data) if asked.data else None
    names = [name for name in SETS if (data or SETS[name][0] is None) and (not asked.only or name in asked.only)]
    with scratch_folder(asked.runs) as scratch:
        tables = {_COLUMNS: [], _ENCODERS: []}
        for name in names:
            tables[_COLUMNS].append(row(name, data, scratch, asked.seeds))
            print(tables[_COLUMNS][-1], flush=True)
            if asked.encoders:
                tables[_ENCODERS].append(encoders(name, data, scratch))
                print(tables[_ENCODERS][-1], flush=True)
        if asked.write:
            write(RECIPE, rows(RECIPE, tables))
        print(json.dumps({"machine": machine()}))


if __name__ == "__main__":
    main()
