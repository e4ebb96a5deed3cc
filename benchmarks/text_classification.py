"""Measures the numbers in `recipes/text_classification/README.md`.

    make bench DATA=<folder that holds banking77/>
    .venv/bin/python benchmarks/text_classification.py --data <folder> --weights <folder of all-MiniLM-L6-v2> --write

Every training runs in a process of its own, through `kit train`, which fits TF-IDF with logistic regression beside it.
"""

import argparse
import os
import statistics
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train_seeds, write

RECIPE = "text_classification"
_COLUMNS = (
    *("what", "settings", "test accuracy", "TF-IDF with logistic regression"),
    *("CPU-seconds of training", "of TF-IDF", "parameters", "day"),
)


def row(name, words, scratch, seeds=SEEDS):
    """Trains with every seed and returns a row of the table."""
    runs = train_seeds(RECIPE, name.replace(" ", "-"), "accuracy", words, scratch, seeds)
    beside = [run["baseline"] for run in runs if "baseline" in run]
    shown = " ".join(word if not Path(word).exists() else f"<{Path(word).name}>" for word in words)
    return (
        f"| {name} | `{shown or 'default'}` | {spread([run['test']['accuracy'] for run in runs], 100)} % | "
        f"{spread([each['accuracy'] for each in beside], 100) + ' %' if beside else ''} | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | "
        f"{statistics.mean([each['cpu_seconds'] for each in beside]) if beside else 0:,.0f} | {runs[0]['params']:,} | "
        f"{day()} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds banking77/")
    parser.add_argument("--weights", help="folder of published weights of MiniLM")
    parser.add_argument("--only", nargs="+", help="measure the rows of these names alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    chosen = {"languages": []}
    if options.data:
        source = ["--data.source", str(Path(options.data) / "banking77")]
        chosen["banking77, nothing pre-trained"] = ["--config", "banking77", *source]
        if options.weights:
            tuned = ["--config", "fine_tune", *source, "--model.weights", options.weights]
            chosen["banking77, MiniLM"] = tuned
    with scratch_folder(options.runs) as scratch:
        measured = []
        for name, words in chosen.items():
            if not options.only or name in options.only:
                measured.append(row(name, words, scratch, options.seeds))
                print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, f"{rows(RECIPE, {_COLUMNS: measured})}\n\n{machine()}")
    print(machine())


if __name__ == "__main__":
    main()
