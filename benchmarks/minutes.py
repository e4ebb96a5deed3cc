"""Measures `train.minutes`: when such runs end, on a machine with other load, and what more minutes give.

    make bench DATA=<folder that holds flowers/, cifar10/, wnut17/ and multi30k/>

- `ends`: ten runs of different recipes and minutes beside a process that keeps a core busy half of the time; how long
  the whole command took, start and page included, as a share of the minutes asked.
- `scores`: the test scores of 1, 10 and 60 minutes on one set.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import day, machine, scratch_folder, train

# Recipe, source, minutes, further settings.
RUNS = (
    ("image_classification", "flowers", 1, ()),
    ("image_classification", "flowers", 3, ()),
    ("image_classification", "fashion_mnist", 2, ()),
    ("image_classification", "digits", 1, ()),
    ("sequence_tagging", "wnut17", 1, ()),
    ("sequence_tagging", "phrases", 2, ()),
    ("translation", "phrases", 2, ()),
    ("autoencoder", "mnist", 1.5, ()),
    ("image_to_image", "digits", 1.5, ()),
    ("autoencoder", "flowers", 2, ()),
)
_BUSY = """
import time
while True:
    end = time.perf_counter() + 1
    while time.perf_counter() < end:
        pass
    time.sleep(1)
"""


def ends(data, scratch):
    """Prints how long each run took; and how many of them ended within a tenth of their minutes."""
    print("| recipe | source | minutes | took | share | day |\n| --- | --- | --- | --- | --- | --- |")
    busy, within = subprocess.Popen([sys.executable, "-c", _BUSY]), 0
    try:
        for recipe, source, minutes, more in RUNS:
            where = data / source if (data / source).exists() else source
            options = ["--data.source", str(where), "--train.minutes", str(minutes), *more]
            began = time.perf_counter()
            train(recipe, f"{scratch}/{recipe}-{source}-{minutes}", *options)
            took = time.perf_counter() - began
            share = took / 60 / minutes
            within += abs(share - 1) <= 0.1
            print(f"| {recipe} | {source} | {minutes} | {took:.0f} s | {share:.2f} | {day()} |", flush=True)
    finally:
        busy.kill()
    print(f"{within} of {len(RUNS)} within a tenth\n")


def scores(source, scratch, minutes):
    """Prints the test accuracy of each number of minutes."""
    print("| minutes | test accuracy | parameters | epochs | day |\n| --- | --- | --- | --- | --- |")
    for each in minutes:
        options = ["--data.source", str(source), "--train.minutes", str(each)]
        found = train("image_classification", f"{scratch}/scores-{each}", *options)
        test = found["test"]
        shown = [f"{100 * test[name]:.2f}" for name in ("accuracy", "accuracy_low", "accuracy_high")]
        print(
            f"| {each} | {shown[0]} % ({shown[1]} to {shown[2]}) | {found['params']:,} | {found['epochs']} | {day()} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing is measured")
    parser.add_argument("--only", nargs="+", choices=["ends", "scores"], default=["ends", "scores"])
    parser.add_argument("--source", help="set of `scores`, below the folder of the data", default="fashion_mnist")
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        if "ends" in options.only:
            ends(Path(options.data), scratch)
        if "scores" in options.only:
            scores(Path(options.data) / options.source, scratch, options.minutes)
    print(machine())


if __name__ == "__main__":
    main()
