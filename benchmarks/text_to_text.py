"""Measures what span corruption on plain text is worth for a small T5 and 2,000 labelled sentences of film reviews.

    make bench DATA=<folder that holds brown/ and sentence_polarity/>

Brown and 6,600 sentences of reviews without their labels, lower-cased, are learned from by writing the spans that were
left out. Then 2,000 other sentences, "polarity: ..." with the word that is to be written, train the same network, once
from its weights and once from random ones, with the same tokens and settings; 2,000 more are scored. Nothing is chosen
on those.
"""

import argparse
import csv
import os
import statistics
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, train_seeds, write
from own_data import difference
from pretraining import sets

RECIPE = "text_to_text"
_COLUMNS = ("2,000 labels of MR, T5-tiny", "written right", "difference", "CPU-s of training", "of pre-training", "day")
_LABELS = 2000
_WORDS = {"neg": "negative", "pos": "positive"}
_PLAIN = (
    *("--config", "span_corruption", "--data.lowercase", "true", "--data.max_length", "64"),
    *("--data.vocabulary_size", "8000", "--train.matmul_precision", "bfloat16"),
)
_TUNED = (
    "--config",
    "default",
    "--data.lowercase",
    "true",
    "--optimizer.learning_rate",
    "0.01",
    "--train.epochs",
    "10",
)


def tasks(labelled, folder):
    """Writes labelled sentences as tasks by their prefix, a file a split, and returns the folder."""
    folder.mkdir(exist_ok=True)
    for split in ("train", "test"):
        with open(labelled / f"{split}.csv", encoding="utf-8", newline="") as lines:
            found = list(csv.DictReader(lines))
        texts = [f"polarity: {row['text']}\t{_WORDS[row['label']]}\n" for row in found]
        (folder / f"{split}.tsv").write_text("".join(texts), encoding="utf-8")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", help="folder that holds brown/ and sentence_polarity/; without it nothing is measured"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--epochs", default="20", help="epochs of pre-training")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        (Path(scratch) / "sets").mkdir(exist_ok=True)
        plain, labelled = sets(Path(options.data), Path(scratch) / "sets", _LABELS)
        before = Path(scratch) / "span_corruption"
        words = ("--data.source", str(plain), "--train.epochs", options.epochs, *_PLAIN)
        spent = train(RECIPE, str(before), *words)["train_cpu_seconds"]
        source = ("--data.source", str(tasks(labelled, Path(scratch) / "sets" / "tasks")))
        same = (*_TUNED, *source, "--data.tokenizer", str(before))
        kinds = {"random weights": (), "pre-trained": ("--train.start_from", str(before))}
        measured, found = [], {}
        for name, more in kinds.items():
            runs = train_seeds(RECIPE, name.replace(" ", "-"), "exact_match", (*same, *more), scratch, options.seeds)
            found[name] = [100 * run["test"]["exact_match"] for run in runs]
            apart = difference(found["random weights"], found[name]) if more else ""
            seconds = f"{statistics.mean(run['train_cpu_seconds'] for run in runs):,.0f}"
            beside = f"{spent:,.0f}" if more else ""
            measured.append(f"| {name} | {spread(found[name])} % | {apart} | {seconds} | {beside} | {day()} |")
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: measured}, "pre-training"), "pre-training")
    print(machine())


if __name__ == "__main__":
    main()
