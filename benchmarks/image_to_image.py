"""Trains the image_to_image recipe's settings on each change of the digits, and scores them.

make bench
.venv/bin/python benchmarks/image_to_image.py --only inverted --write
"""

import argparse
import os

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train_seeds, write

RECIPE = "image_to_image"
# What makes domain B of the digits, and settings that differ from those of `default.toml`.
CHANGES = {"inverted": {}, "rotated": {"data.change": "rotated"}, "thick": {"data.change": "thick"}}
COLUMNS = ("digits", "command", "direction", "read correctly", "if untranslated", "real images", "Fréchet distance")
COLUMNS = (*COLUMNS, "floor", "of untranslated", "back again, grey levels", "CPU-seconds", "day")


def measured(name, changed, scratch, seeds):
    """Trains with several seeds and returns a row for each direction."""
    options = [f"--{key}={value}" for key, value in changed.items()]
    runs = train_seeds(RECIPE, name, "a_to_b_read_correctly", options, scratch, seeds)
    words = f' SET="{" ".join(f"{key}={value}" for key, value in changed.items())}"' if changed else ""
    seconds, found = spread([run["train_cpu_seconds"] for run in runs], 1, 0), []
    for direction, shown in (("a_to_b", "plain to"), ("b_to_a", "back from")):

        def over_seeds(score, scale=1, digits=2, direction=direction):
            return spread([run["test"][f"{direction}_{score}"] for run in runs], scale, digits)

        found.append(
            f"| {shown} {name} | `make train RECIPE={RECIPE}{words}` | {direction} | "
            f"{over_seeds('read_correctly', 100, 1)} % | {over_seeds('read_correctly_untranslated', 100, 1)} % | "
            f"{over_seeds('read_correctly_real', 100, 1)} % | {over_seeds('frechet_distance')} | "
            f"{over_seeds('frechet_distance_floor')} | {over_seeds('frechet_distance_untranslated', 1, 1)} | "
            f"{over_seeds('back_again_error', 1, 1)} | {seconds} | {day()} |"
        )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="taken and not used: these digits come with scikit-learn")
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    table = []
    with scratch_folder(options.runs) as scratch:
        for name in options.only:
            table += measured(name, CHANGES[name], scratch, options.seeds)
    seeds = ", ".join(map(str, options.seeds))
    text = f"{rows(RECIPE, {COLUMNS: table})}\n\nMean ± standard deviation over seeds {seeds}; {machine()}"
    print(text)
    if options.write:
        write(RECIPE, text)


if __name__ == "__main__":
    main()
