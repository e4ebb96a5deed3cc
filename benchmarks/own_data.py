"""Compares `own.toml`, which data of one's own begin with, with `default.toml`, on parts of published sets.

    make bench DATA=<folder that holds flowers/, cifar10/, mnist/, fashion_mnist/, adult/, housing/, ...>

Both train on the same division, with the same seeds; nothing but the source is stated. The difference is of means over
seeds, with the 95 % interval of Welch's t where there are several, and the interval of one run's test score beside it.
"""

import argparse
import gzip
import math
import os
import re
import shutil
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, train_seeds, write
from scipy import stats
from tabular_prediction import adult

_COLUMNS = ("set", "training examples", "default.toml", "own.toml", "difference", "CPU-s of training", "day")


def photographs(data, folder, count=None):
    """Photographs of flowers: all as they are, or so many of each class for training and the others for the test."""
    if count is None:
        return data / "flowers"
    for kind in sorted(each for each in (data / "flowers").iterdir() if each.is_dir()):
        files = sorted(kind.iterdir())
        order = np.random.default_rng(0).permutation(len(files))
        for place, row in enumerate(order):
            target = folder / ("train" if place < count else "test") / kind.name / files[row].name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files[row], target)
    return folder


def coloured(data, folder, count):
    """Part of CIFAR-10, and 5,000 of its test images."""
    from kit.data.image import read_images
    from kit.data.sources import image_npz

    read = image_npz.read(data / "cifar10")
    return _archive(folder, read_images(read.paths), read.labels, read.split, count, 5000)


def grey(data, folder, name, count):
    """Part of MNIST or Fashion-MNIST, and its test images."""
    from kit.data.sources import idx

    if count is None:
        return data / name
    read = idx.read(data / name)
    return _archive(folder, read.pixels, read.labels, read.split, count, 10_000)


def _archive(folder, pixels, labels, split, count, most_test):
    draw = np.random.default_rng(0)
    arrays = {}
    for part, most in (("train", count), ("test", most_test)):
        rows = np.flatnonzero(split == part)
        rows = np.sort(draw.permutation(rows)[:most])
        arrays |= {f"x_{part}": np.asarray(pixels)[rows], f"y_{part}": labels[rows]}
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


def sentences(data, folder, name, count):
    """Tagged sentences: so many of the training split, an eighth of that to validate, and the whole test split.

    Those come first that bring a tag which no earlier one has: held-out sentences may have any.
    """
    if count is None:
        return data / name
    for path in sorted((data / name).iterdir()):
        if "README" in path.name or "LICENSE" in path.name:
            continue
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        parts = re.split(r"\n\s*\n", content.decode("utf-8").strip())
        if "test" not in path.name:
            most = count if "train" in path.name else max(count // 8, 50)
            order = _new_tags_first(parts, np.random.default_rng(0).permutation(len(parts)))
            parts = [parts[row] for row in sorted(order[:most])]
        (folder / path.name.removesuffix(".gz")).write_text("\n\n".join(parts) + "\n\n", encoding="utf-8")
    return folder


def _new_tags_first(parts, order):
    seen, first = set(), []
    for row in order:
        fields = [line.split("\t") for line in parts[row].split("\n") if line and not line.startswith("#")]
        own = {each[3] if len(each) == 10 else each[-1] for each in fields}  # CoNLL-U has ten, upos among them
        if not own <= seen:
            first.append(row)
            seen |= own
    return [*first, *(row for row in order if row not in first)]


def pairs(data, folder, count):
    """English and German captions: so many of the training split, a tenth of that to validate, and the test split."""
    for split, name in (("train", "train"), ("val", "validation"), ("test_2016_flickr", "test")):
        most = {"train": count, "val": max(count // 10, 200)}.get(split)
        for language in ("en", "de"):
            with gzip.open(data / "multi30k" / f"{split}.{language}.gz", "rt", encoding="utf-8") as lines:
                kept = lines.read().split("\n")[: most or -1]
            (folder / f"{name}.{language}").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def thirty(data, folder):
    """Thirty photographs of each of five kinds of flowers."""
    for kind in sorted(each for each in (data / "flowers").iterdir() if each.is_dir()):
        (folder / kind.name).mkdir(parents=True, exist_ok=True)
        for path in sorted(kind.iterdir())[:30]:
            shutil.copy(path, folder / kind.name)
    return folder


def small(data, folder):
    """100,000 images of 28x28 pixels, digits and clothes: 20 classes."""
    from kit.data.sources import idx

    sets = [idx.read(data / name) for name in ("fashion_mnist", "mnist")]
    kept = [np.flatnonzero(each.split == "train")[:count] for each, count in zip(sets, (60_000, 40_000), strict=True)]
    pixels = [np.asarray(each.pixels)[rows] for each, rows in zip(sets, kept, strict=True)]
    labels = [each.labels[rows] + 10 * number for number, (each, rows) in enumerate(zip(sets, kept, strict=True))]
    np.savez(folder / "images.npz", images=np.concatenate(pixels), labels=np.concatenate(labels))
    return folder / "images.npz"


def scans(data, folder):
    """The photographs as grey pictures, of their own sizes."""
    from PIL import Image

    for path in sorted((data / "flowers").glob("*/*.jpg")):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("L").save(folder / path.parent.name / path.name)
    return folder


def unequal(data, folder):
    """2,000, 200 and 20 coloured images of three classes."""
    from PIL import Image

    from kit.data.image import read_image
    from kit.data.sources import image_npz

    read = image_npz.read(data / "cifar10")
    for label, count in enumerate((2000, 200, 20)):
        (folder / read.class_names[label]).mkdir(parents=True, exist_ok=True)
        for row in np.flatnonzero((read.labels == label) & (read.split == "train"))[:count]:
            Image.fromarray(read_image(read.paths[row])).save(folder / read.class_names[label] / f"{row}.png")
    return folder


# Folders as people have them: how each is made, and settings beside the source.
ODD = {
    "30 photographs a class": (thirty, ()),
    "100,000 small images": (small, ("--train.minutes", "5")),
    "grey scans": (scans, ()),
    "2,000, 200 and 20 a class": (unequal, ()),
}
_ODD_COLUMNS = ("folder", "accuracy", "macro F1", "the commonest class", "largest loss after a tenth", "guessing")


def odd_row(name, data, scratch):
    """Trains on an odd folder, nothing stated but the source, and returns a row of their table."""
    prepare, more = ODD[name]
    folder = Path(scratch) / "sets" / name
    folder.mkdir(parents=True, exist_ok=True)
    run = Path(scratch) / f"odd-{name}"
    test = train("image_classification", str(run), "--data.source", str(prepare(data, folder)), *more)["test"]
    history, splits = pd.read_csv(run / "history.csv"), pd.read_csv(run / "assets" / "splits.csv", dtype=str)
    shares = splits.loc[splits["split"] == "test", "label"].value_counts(normalize=True)
    losses = history[["loss", "val_loss"]].iloc[math.ceil(len(history) / 10) :].max().max()
    return (
        f"| {name} | {100 * test['accuracy']:.1f} % ({100 * test['accuracy_low']:.1f} to "
        f"{100 * test['accuracy_high']:.1f}) | {100 * test['macro_f1']:.1f} % | {100 * shares.max():.1f} % | "
        f"{losses:.2f} | {math.log(len(shares)):.2f} |"
    )


def census(data, folder, count=None):
    """Adult's published training rows, or so many of them, and its test rows."""
    return _fewer(adult(data, folder), count)


def houses(data, folder, count=None):
    """Houses of California, or so many of them for training, a fifth of that to validate, and a fifth of all to test.

    The price becomes one in 1,000 dollars.
    """
    table = pd.read_csv(data / "housing" / "housing.csv.gz").sample(frac=1, random_state=0)
    table["price"] = table.pop("median_house_value") / 1000
    tested = len(table) // 5
    parts = {"test": table[:tested], "validation": table[tested : 2 * tested], "train": table[2 * tested :]}
    if count is not None:
        parts |= {"train": parts["train"][:count], "validation": parts["validation"][: count // 5]}
    for name, part in parts.items():
        part.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _fewer(folder, count):
    if count is not None:
        table = pd.read_csv(folder / "train.csv", skipinitialspace=True)
        table.sample(count, random_state=0).to_csv(folder / "train.csv", index=False)
    return folder


def digits(data, folder):
    """The images of scikit-learn's digits as a table of 64 numbers."""
    from sklearn import datasets

    table = datasets.load_digits(as_frame=True).frame
    table["target"] = "digit " + table["target"].astype(str)
    table.to_csv(folder / "digits.csv", index=False)
    return folder / "digits.csv"


def bundled(data, folder, name):
    """A table that comes with scikit-learn, by name."""
    return name


# Recipe: score, its factor, whether more is better, further settings; and its sets.
RECIPES = {
    "image_classification": ("accuracy", 100, True, ()),
    "sequence_tagging": ("f1", 100, True, ()),
    "translation": ("bleu", 1, True, ("--data.source_locale", "en", "--data.target_locale", "de")),
    "autoencoder": ("elbo", 1, True, ()),
    "tabular_prediction": ("accuracy", 100, True, ("--evaluate.baseline", "false")),
}
# Sets with a score of their own, and its factor.
_OTHER_SCORES = {"ewt": ("accuracy", 100), "diabetes": ("rmse", 1), "housing": ("rmse", 1)}
SETS = {
    "image_classification": {
        "flowers, 100": (photographs, 20),
        "flowers, 400": (photographs,),
        "mnist, 300": (grey, "mnist", 300),
        "cifar10, 5,000": (coloured, 5000),
        "mnist, 10,000": (grey, "mnist", 10_000),
        "fashion_mnist": (grey, "fashion_mnist", None),
    },
    "sequence_tagging": {
        "wnut17, 300": (sentences, "wnut17", 300),
        "wnut17": (sentences, "wnut17", None),
        "ewt, 100": (sentences, "ud_english_ewt", 100),
        "ewt, 500": (sentences, "ud_english_ewt", 500),
        "ewt, 2,500": (sentences, "ud_english_ewt", 2500),
        "ewt": (sentences, "ud_english_ewt", None),
    },
    "translation": {
        "multi30k, 1,000": (pairs, 1000),
        "multi30k, 5,000": (pairs, 5000),
        "multi30k, 29,000": (pairs, 29_000),
    },
    "autoencoder": {
        "flowers, 400": (photographs,),
        "mnist, 2,000": (grey, "mnist", 2000),
        "fashion_mnist, 10,000": (grey, "fashion_mnist", 10_000),
    },
    "tabular_prediction": {
        "wine": (bundled, "wine"),
        "breast_cancer": (bundled, "breast_cancer"),
        "digits": (digits,),
        "adult, 500": (census, 500),
        "adult, 3,000": (census, 3000),
        "adult": (census,),
        "diabetes": (bundled, "diabetes"),
        "housing, 2,500": (houses, 2500),
        "housing": (houses,),
    },
}


def difference(before, after):
    """Returns the difference of two means as text, with the 95 % interval of Welch's t where it can be had."""
    found = statistics.mean(after) - statistics.mean(before)
    if min(len(before), len(after)) < 2 or not (np.ptp(before) or np.ptp(after)):
        return f"{found:+.2f}"
    interval = stats.ttest_ind(after, before, equal_var=False).confidence_interval()
    return f"{found:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"


def row(recipe, name, data, scratch, seeds):
    """Trains with both files of settings and returns a row of the table."""
    score, factor, _, more = RECIPES[recipe]
    score, factor = _OTHER_SCORES.get(name.partition(",")[0], (score, factor))  # parts of speech are no entities
    prepare, *words = SETS[recipe][name]
    folder = Path(scratch) / "sets" / f"{recipe} {name}"
    folder.mkdir(parents=True, exist_ok=True)
    source = prepare(data, folder, *words)
    runs = {}
    for settings in ("default", "own"):
        options = ["--config", settings, "--data.source", str(source), *more]
        runs[settings] = train_seeds(recipe, f"{recipe}-{name}-{settings}", score, options, scratch, seeds)
    values = {key: [factor * each["test"][score] for each in each_runs] for key, each_runs in runs.items()}
    seconds = [f"{statistics.mean([each['train_cpu_seconds'] for each in kind]):,.0f}" for kind in runs.values()]
    noise = runs["default"][0]["test"]
    texts = [spread(values[key]) for key in ("default", "own")]
    if f"{score}_low" in noise:
        texts[0] += f" ({factor * noise[f'{score}_low']:.1f} to {factor * noise[f'{score}_high']:.1f})"
    return (
        f"| {name} | {_examples(scratch, recipe, name, seeds)} | {' | '.join(texts)} | "
        f"{difference(values['default'], values['own'])} | {' / '.join(seconds)} | {day()} |"
    )


def _examples(scratch, recipe, name, seeds):
    """Returns the number of training examples of a set, as the log of a run tells it."""
    log = (Path(scratch) / f"{recipe}-{name}-own-{seeds[0]}" / "run.log").read_text(encoding="utf-8")
    found = re.search(r"([\d,]+) training (?:examples|sentences|pairs|images|rows)", log)
    return found.group(1) if found else "?"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing is measured")
    parser.add_argument("--recipe", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--only", nargs="+", help="measure only these sets")
    parser.add_argument("--odd", action="store_true", help="the odd folders in place of the sets")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the tables into the recipes' READMEs")
    options = parser.parse_args()
    known = ODD if options.odd else {name for recipe in options.recipe for name in SETS[recipe]}
    if strange := [name for name in options.only or () if name not in known]:
        parser.error(f"--only: no set {strange[0]!r}; expected some of {', '.join(sorted(known))}")
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        if options.odd:
            print(f"| {' | '.join(_ODD_COLUMNS)} |\n{'| --- ' * len(_ODD_COLUMNS)}|")
            for name in ODD if not options.only else options.only:
                print(odd_row(name, Path(options.data), scratch), flush=True)
            print(f"\n{day()}, {machine()}")
            return
        for recipe in options.recipe:
            names = [name for name in SETS[recipe] if not options.only or name in options.only]
            print(f"{recipe}, {RECIPES[recipe][0]}\n\n| {' | '.join(_COLUMNS)} |\n{'| --- ' * len(_COLUMNS)}|")
            measured = []
            for name in names:
                measured.append(row(recipe, name, Path(options.data), scratch, options.seeds))
                print(measured[-1], flush=True)
            if options.write:
                write(recipe, rows(recipe, {_COLUMNS: measured}, "own data"), "own data")
    print(machine())


if __name__ == "__main__":
    main()
