"""Measures the numbers in `recipes/text_classification/README.md`.

    make bench DATA=<folder that holds banking77/, sentence_polarity/ and glue_small/>
    .venv/bin/python benchmarks/text_classification.py --data <folder> --weights <folder of all-MiniLM-L6-v2> --write

Every training runs in a process of its own, through `kit train`, which fits TF-IDF with logistic regression beside it.
Sets are written as tables first, with the divisions that they are published with; of sentence polarity there is none:
ten folds, every sentence answered once.
"""

import argparse
import csv
import io
import json
import os
import statistics
import zipfile
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, train_seeds, write

RECIPE = "text_classification"
_COLUMNS = (
    *("what", "settings", "test accuracy", "TF-IDF with logistic regression"),
    *("CPU-seconds of training", "of TF-IDF", "parameters", "day"),
)


def banking77(data, folder, count=None):
    """Bank customers' questions: all as they are, or the first so many of each class for training."""
    if count is None:
        return data / "banking77"
    with open(data / "banking77" / "train.csv", encoding="utf-8", newline="") as lines:
        header, *found = csv.reader(lines)
    seen, kept = {}, []
    for text, label in found:
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= count:
            kept.append((text, label))
    _table(folder / "train.csv", header, kept)
    (folder / "test.csv").write_bytes((data / "banking77" / "test.csv").read_bytes())
    return folder


def polarity(data, folder):
    """Sentences of film reviews, in one table."""
    found = []
    with zipfile.ZipFile(data / "sentence_polarity" / "sentence_polarity.zip") as archive:
        for name in ("neg", "pos"):
            text = archive.read(f"sentence_polarity/rt-polarity.{name}").decode("latin-1")
            found += [(line.strip(), name) for line in text.split("\n") if line.strip()]
    return _table(folder / "sentences.csv", ("text", "label"), found)


def pairs(data, folder, names, columns, skips_heading=True):
    """Tables of GLUE's layouts: file of each split, and the numbers of the columns of texts and label."""
    heading = ("text", "second_text", "label") if len(columns) == 3 else ("text", "label")
    for split, name in names.items():
        text = (data / "glue_small" / name).read_text(encoding="utf-8-sig")
        found = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))[skips_heading:]
        _table(folder / f"{split}.csv", heading, [[row[column] for column in columns] for row in found if row])
    return folder


def _table(path, header, found):
    with open(path, "w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([header, *found])
    return path


def _splits(name, dev, test):
    """Returns files of splits; a dev split that is scored as test leaves validation to be drawn."""
    return {"train": name, "test": test} | ({"validation": dev} if dev else {})


MRPC = _splits("msr-para-train.tsv", "msr-para-val.tsv", "msr-para-test.tsv")
SICK = _splits("SICK_train.txt", "SICK_trial.txt", "SICK_test_annotated.txt")
RTE = _splits("RTE.train.tsv", None, "RTE.dev.tsv")
COLA = _splits("CoLA.train.tsv", "CoLA.val.tsv", "CoLA.dev.tsv")
_LONG = ("--data.max_length", "128")
_FOLDS = ("--train.folds", "10")
_BFLOAT16 = ("--train.matmul_precision", "bfloat16")
_GENTLY = ("--train.epochs", "3", "--optimizer.learning_rate", "1e-4", "--train.use_validation", "true", *_BFLOAT16)
_NUMBER = ("--data.answer", "number", "--model.label_smoothing", "0")

# Row: how its table is made, settings, and whether they begin with published weights.
SETS = {
    "languages": ((None,), (), False),
    "banking77, nothing pre-trained": ((banking77,), ("--config", "banking77"), False),
    "banking77, MiniLM": ((banking77,), ("--config", "fine_tune"), True),
    "banking77, MiniLM, products in bfloat16": ((banking77,), ("--config", "fine_tune", *_BFLOAT16), True),
    "banking77, 10 a class, MiniLM": ((banking77, 10), ("--config", "few"), True),
    "MR, nothing pre-trained": ((polarity,), ("--config", "sentences", *_FOLDS), False),
    "MR, MiniLM": ((polarity,), ("--config", "fine_tune", *_GENTLY, *_FOLDS), True),
    "RTE, MiniLM": ((pairs, RTE, (1, 2, 3)), ("--config", "fine_tune", *_LONG), True),
    "MRPC, MiniLM": ((pairs, MRPC, (3, 4, 0)), ("--config", "fine_tune", *_LONG), True),
    "CoLA, MiniLM": ((pairs, COLA, (3, 1), False), ("--config", "fine_tune"), True),
    "SICK, entailment, MiniLM": ((pairs, SICK, (1, 2, 4)), ("--config", "fine_tune"), True),
    "SICK, relatedness (Pearson's r), MiniLM": ((pairs, SICK, (1, 2, 3)), ("--config", "fine_tune", *_NUMBER), True),
}


def row(name, words, scratch, seeds=SEEDS, source=None):
    """Trains with every seed and returns a row of the table."""
    runs = _folds(name, words, scratch) if "--train.folds" in words else None
    score, factor, unit = ("pearson", 1, "") if set(_NUMBER) <= set(words) else ("accuracy", 100, " %")
    runs = runs or train_seeds(RECIPE, name.replace(" ", "-"), score, words, scratch, seeds)
    beside = [run["baseline"] for run in runs if "baseline" in run]
    shown = " ".join(word if not Path(word).exists() else f"<{Path(word).name}>" for word in words)
    classical = f"{spread([each[score] for each in beside], factor)}{unit}" if beside else ""
    return (
        f"| {name}{_commonest(source)} | `{shown or 'default'}` | "
        f"{spread([run['test'][score] for run in runs], factor)}{unit} | {classical} | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | "
        f"{statistics.mean([each['cpu_seconds'] for each in beside]) if beside else 0:,.0f} | {runs[0]['params']:,} | "
        f"{day()} |"
    )


def _folds(name, words, scratch):
    """Returns the metrics of each fold of seed 0."""
    folder = Path(scratch) / name.replace(" ", "-")
    folders = train(RECIPE, str(folder), *words)["folders"]
    return [json.loads((folder / each / "metrics.json").read_text(encoding="utf-8")) for each in folders]


def _commonest(source):
    """Returns the share of the commonest label of a test split of two to four classes, in words."""
    if source is None or not (Path(source) / "test.csv").exists():
        return ""
    with open(Path(source) / "test.csv", encoding="utf-8", newline="") as lines:
        labels = [each[-1] for each in csv.reader(lines)][1:]
    counts = {label: labels.count(label) for label in set(labels)}
    return f" (the commonest label {max(counts.values()) / len(labels):.1%})" if len(counts) < 5 else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing but the default is measured")
    parser.add_argument("--weights", help="folder of published weights of MiniLM")
    parser.add_argument("--only", nargs="+", choices=list(SETS), help="measure the rows of these names alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        measured = []
        for name, ((prepare, *more), words, is_published) in SETS.items():
            is_asked = not options.only or name in options.only
            if not is_asked or (is_published and not options.weights) or (prepare and not options.data):
                continue
            source = None
            if prepare:
                folder = Path(scratch) / "sets" / name
                folder.mkdir(parents=True, exist_ok=True)
                source = prepare(Path(options.data), folder, *more)
                words = [*words, "--data.source", str(source)]
            if is_published:
                words = [*words, "--model.weights", options.weights]
            measured.append(row(name, list(words), scratch, options.seeds, source))
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, f"{rows(RECIPE, {_COLUMNS: measured})}\n\n{machine()}")
    print(machine())


if __name__ == "__main__":
    main()
