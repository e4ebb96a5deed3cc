"""Measures the numbers in `recipes/recommendation/README.md`.

    make bench DATA=<folder that holds movielens_latest_small/>
    .venv/bin/python benchmarks/recommendation.py --data <folder> --write

Every training runs in a process of its own, through `kit train`. Popularity and item neighbours are the same in all of
them; neighbours are looked for with the first seed.
"""

import argparse
import os
import sys
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train_seeds, write

RECIPE = "recommendation"
_COLUMNS = (
    *("ranked by", "settings", "hit rate at 10", "NDCG at 10", "NDCG more than popularity's, seed 0"),
    *("seeds whose interval is above 0", "than item neighbours', seed 0", "catalogue covered", "CPU-seconds", "day"),
)
# Row: settings beside those of all.
MODELS = {
    "matrix_factorization": ("--config", "matrix_factorization"),
    "two_tower": ("--config", "two_tower"),
    "wide_and_deep": ("--config", "wide_and_deep"),
    "sequential": ("--model.backbone", "sequential"),
}
_ALL = ("--data.feedback", "clicks")


def _scores(metrics, kind=""):
    """Returns hit rate and NDCG of a simple ranking with their intervals, as cells."""
    cells = []
    for name in ("hit_rate_at_10", "ndcg_at_10"):
        value, low, high = (metrics[f"{kind}{name}{end}"] for end in ("", "_low", "_high"))
        cells.append(f"{value:.4f} ({low:.4f} to {high:.4f})")
    return " | ".join(cells)


def _more(metrics, kind):
    """Returns the difference of NDCG to a simple ranking with its interval, as a cell."""
    key = f"ndcg_at_10_over_{kind}"
    if key not in metrics:
        return ""
    return "{:+.4f} ({:+.4f} to {:+.4f})".format(*(metrics[f"{key}{end}"] for end in ("", "_low", "_high")))


def row(name, data, scratch, seeds):
    """Trains with every seed and returns a row of the table, and the metrics of the first seed."""
    words = (*MODELS[name], *_ALL)
    source = ("--data.source", str(data / "movielens_latest_small"))
    options = [*source, *words]
    runs = train_seeds(RECIPE, name, "ndcg_at_10", options, scratch, seeds[:1])
    options += ["--evaluate.neighbours", "false"]  # which are the same in all
    runs += train_seeds(RECIPE, name, "ndcg_at_10", options, scratch, seeds[1:])
    test = [run["test"] for run in runs]
    above, hits = (
        sum(each[f"{score}_at_10_over_popularity_low"] > 0 for each in test) for score in ("ndcg", "hit_rate")
    )
    print(f"  {name}: hit rate above popularity's with {hits} of {len(test)} seeds", file=sys.stderr, flush=True)
    return (
        f"| {name} | `{' '.join(words)}` | {spread([each['hit_rate_at_10'] for each in test], 1, 4)} | "
        f"{spread([each['ndcg_at_10'] for each in test], 1, 4)} | {_more(test[0], 'popularity')} | "
        f"{above} of {len(test)} | "
        f"{_more(test[0], 'neighbours')} | {spread([100 * each['catalogue_coverage'] for each in test], 1, 1)} % | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {day()} |"
    ), runs[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing is measured")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"| {' | '.join(_COLUMNS)} |\n{'| --- ' * len(_COLUMNS)}|")
    with scratch_folder(options.runs) as scratch:
        measured = []
        for name in options.only:
            text, run = row(name, Path(options.data), scratch, options.seeds)
            if not measured:
                seconds = f"{run['baseline']['cpu_seconds']:.1f}"
                for kind, spent in (("popularity", "0"), ("neighbours", seconds)):
                    cells = _scores(run["test"], f"{kind}_")
                    measured.append(f"| {kind} | | {cells} | | | | | {spent} | {day()} |")
                    print(measured[-1], flush=True)
            measured.append(text)
            print(text, flush=True)
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: measured}))
    print(machine())


if __name__ == "__main__":
    main()
