"""Measures what each kind of augmentation of texts is worth for 500 labelled sentences of film reviews.

    .venv/bin/python benchmarks/text_augmentation.py --data <folder with brown/, sentence_polarity/, multi30k/> --write

A TextCNN learns 500 sentences with labels (`sentences.toml`, more epochs) and 2,000 others are scored, once without
and once with each kind. Synonyms are the nearest neighbours of word vectors that `word_vectors` learns from Brown and
from the 8,000 sentences that are left, without their labels. Back-translation goes to German and back by two
translators of image captions (`multi30k_fast`): no translators of reviews are at hand.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from measure import day, machine, rows, scratch_folder, spread, train, train_seeds, write
from own_data import difference
from pretraining import sets

RECIPE = "text_classification"
_COLUMNS = ("500 labels of MR, TextCNN", "settings", "test accuracy", "difference to none", "CPU-s of training", "day")
_ALWAYS = (
    "--config",
    "sentences",
    "--train.epochs",
    "20",
    "--train.use_validation",
    "true",
    "--train.batch_size",
    "32",
)


def _synonyms(plain, scratch):
    """Learns vectors of words from plain text and returns their file, which `data.synonyms` takes."""
    folder = Path(scratch) / "word_vectors"
    train("word_vectors", str(folder), "--data.source", str(plain), "--train.epochs", "5")
    vectors = folder / "exports" / "vectors.txt"
    if not vectors.exists():
        subprocess.run([sys.executable, "-m", "kit", "export", str(folder), "word2vec"], check=True)
    return vectors


def _translators(data, scratch):
    """Trains two translators, to German and back, and returns their folders as one setting."""
    folders = []
    for source, target in (("en", "de"), ("de", "en")):
        folder = Path(scratch) / f"{source}_{target}"
        locales = ("--data.source_locale", source, "--data.target_locale", target)
        train(
            "translation", str(folder), "--config", "multi30k_fast", "--data.source", str(data / "multi30k"), *locales
        )
        folders.append(str(folder))
    return f"[{','.join(folders)}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds brown/, sentence_polarity/ and multi30k/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with scratch_folder(options.runs) as scratch:
        (Path(scratch) / "sets").mkdir(exist_ok=True)
        plain, labelled = sets(Path(options.data), Path(scratch) / "sets")
        kinds = {
            "none": {},
            "random deletion": {"random_deletion": "0.1"},
            "random swap": {"random_swap": "0.1"},
            "synonym replacement": {"synonym_replacement": "0.1", "synonyms": _synonyms(plain, scratch)},
            "random insertion": {"random_insertion": "0.1", "synonyms": _synonyms(plain, scratch)},
            "back-translation": {"back_translation": _translators(Path(options.data), scratch)},
        }
        measured, found = [], {}
        for name, settings in kinds.items():
            words = [word for key, value in settings.items() for word in (f"--data.{key}", str(value))]
            words = (*_ALWAYS, "--data.source", str(labelled), *words)
            runs = train_seeds(RECIPE, name.replace(" ", "-"), "accuracy", words, scratch, options.seeds)
            found[name] = [100 * run["test"]["accuracy"] for run in runs]
            said = " ".join(f"data.{key}={value if str(value)[0] == '0' else '...'}" for key, value in settings.items())
            seconds = spread([run["train_cpu_seconds"] for run in runs], 1, 0)
            apart = difference(found["none"], found[name]) if settings else ""
            measured.append(
                f"| {name} | {said and f'`{said}`'} | {spread(found[name])} % | {apart} | {seconds} | {day()} |"
            )
            print(measured[-1], flush=True)
    if options.write:
        write(RECIPE, rows(RECIPE, {_COLUMNS: measured}, "augmentation"), "augmentation")
    print(machine())


if __name__ == "__main__":
    main()
