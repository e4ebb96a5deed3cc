"""Measures what pre-training a small BERT is worth for 500 labelled sentences of film reviews.

    .venv/bin/python benchmarks/pretraining.py --data <folder that holds brown/ and sentence_polarity/> --write

Brown and 8,000 sentences of reviews without their labels, lower-cased, are learned from with hidden tokens. Then
500 other sentences with labels train the same network, once from its weights and once from random ones, with the same
tokenizer and settings; 2,000 more are scored. Nothing is chosen on those.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from measure import day, machine, rows, scratch_folder, spread, train, train_seeds, write
from own_data import difference

RECIPE = "text_classification"
_COLUMNS = ("500 labels of MR, BERT-tiny", "test accuracy", "difference", "CPU-s of training", "of pre-training", "day")
_LABELLED, _TEST = 500, 2000
_PRETRAINED = (
    *("--data.vocabulary_size", "8000", "--data.lowercase", "true", "--data.max_length", "64"),
    *("--train.batch_size", "64", "--optimizer.learning_rate", "0.002", "--train.matmul_precision", "bfloat16"),
)
_TUNED = ("--config", "fine_tune", "--train.epochs", "20", "--train.use_validation", "true")


def sets(data, folder, labels=_LABELLED):
    """Writes plain texts, and a folder of so many labelled sentences and others to test; returns their paths."""
    import numpy as np

    found = []
    with zipfile.ZipFile(data / "sentence_polarity" / "sentence_polarity.zip") as archive:
        for name in ("neg", "pos"):
            text = archive.read(f"sentence_polarity/rt-polarity.{name}").decode("latin-1")
            found += [(line.strip(), name) for line in text.split("\n") if line.strip()]
    order = np.random.default_rng(0).permutation(len(found))
    parts = {"train": order[:labels], "test": order[labels : labels + _TEST]}
    labelled, plain = folder / "labelled", folder / "plain"
    for each in (labelled, plain):
        each.mkdir(exist_ok=True)
    for split, chosen in parts.items():
        with open(labelled / f"{split}.csv", "w", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerows([("text", "label"), *(found[row] for row in chosen)])
    others = [found[row][0] for row in order[labels + _TEST :]]
    documents = ["\n".join(others[start : start + 50]) for start in range(0, len(others), 50)]
    with zipfile.ZipFile(data / "brown" / "brown.zip") as archive:
        for name in archive.namelist():
            if re.fullmatch(r"brown/c[a-r]\d\d", name):
                words = archive.read(name).decode("ascii").split()
                documents.append(" ".join(word.rpartition("/")[0] for word in words))
    (plain / "texts.txt").write_text("\n\n".join(documents), encoding="utf-8")
    return plain / "texts.txt", labelled


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds brown/ and sentence_polarity/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", default="46", help="epochs of pre-training")
    parser.add_argument("--rate", default="0.001", help="learning rate with labels, of both")
    parser.add_argument("--pooling", default="attention", help="pooling with labels, of both")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        (Path(scratch) / "sets").mkdir(exist_ok=True)
        plain, labelled = sets(Path(options.data), Path(scratch) / "sets")
        before = Path(scratch) / "pretrained"
        words = ("--data.source", str(plain), "--train.epochs", options.epochs, *_PRETRAINED)
        spent = train("masked_language_modelling", str(before), *words)["train_cpu_seconds"]
        published = before / "exports" / "safetensors"
        if not published.exists():
            command = [sys.executable, "-m", "kit", "export", str(before), "safetensors"]
            subprocess.run(command, check=True, capture_output=True)
        both = (*_TUNED, "--optimizer.learning_rate", options.rate, "--model.pooling", options.pooling)
        both += ("--data.source", str(labelled))
        kinds = {
            "random weights": ("--model.backbone", "bert_tiny", "--data.tokenizer", str(published)),
            "pre-trained": ("--model.weights", str(published)),
        }
        measured, found = [], {}
        for name, more in kinds.items():
            runs = train_seeds(RECIPE, name.replace(" ", "-"), "accuracy", (*both, *more), scratch, options.seeds)
            found[name] = [100 * run["test"]["accuracy"] for run in runs]
            seconds = spread([run["train_cpu_seconds"] for run in runs], 1, 0)
            has_learned = name == "pre-trained"
            apart = difference(found["random weights"], found[name]) if has_learned else ""
            beside = f"{spent:,.0f}" if has_learned else ""
            measured.append(f"| {name} | {spread(found[name])} % | {apart} | {seconds} | {beside} | {day()} |")
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: measured}, "pre-training"), "pre-training")
    print(machine())


if __name__ == "__main__":
    main()
