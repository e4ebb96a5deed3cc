"""Measures the numbers in `recipes/sequence_tagging/README.md`.

    make bench DATA=<folder that holds ud_english_ewt/ and wnut17/>

Every training runs in a process of its own, through `kit train`; the table that is printed replaces the one between the
markers in the README when `--write` is given.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from measure import SEEDS, day, machine, spread, train, train_seeds, write

RECIPE = "sequence_tagging"
ENCODERS = ("rnn", "gru", "lstm", "peephole_lstm", "bilstm", "cnn_bilstm", "transformer")


def reopened(folder):
    """Returns a run and its data."""
    import kit
    from kit import config
    from kit.recipes.sequence_tagging import tagged_sentences

    run = kit.load(folder)
    splits = config.call(tagged_sentences, run.settings["seed"], None, **run.settings["data"])
    return run, splits


def words_per_second(folder):
    """Returns how many words a second are tagged: text in, tags out, both cores; the median of seven turns."""
    run, splits = reopened(folder)
    text = "\n".join(" ".join(words) for words in splits.test.extra("words"))
    count = len(run.predict(text))
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        run.predict(text)
        seconds.append(time.perf_counter() - start)
    return count / statistics.median(seconds)


def row(name, command, score, options, scratch, seeds=SEEDS):
    """Trains with every seed and returns a row of the table."""
    from kit.data.sequences import words_of

    runs = train_seeds(RECIPE, name, score, options, scratch, seeds)
    _, splits = reopened(f"{scratch}/{name}-{seeds[0]}")
    words = int(words_of(splits.train).sum())
    trained = [run["epochs"] * words / run["train_cpu_seconds"] for run in runs]
    tagged = words_per_second(f"{scratch}/{name}-{seeds[0]}")
    return (
        f"| {name} | {f'`{command}` | ' if command else ''}{spread([run['test'][score] for run in runs], 100)} % | "
        f"{spread([run['train_cpu_seconds'] for run in runs], 1, 0)} | {statistics.mean(trained):,.0f} | "
        f"{tagged:,.0f} | {runs[0]['params']:,} |"
    )


def texts_row(name, scratch, seeds=SEEDS):
    """Returns a row of the table of raw texts, of runs that `row` has trained."""
    runs = [train(RECIPE, f"{scratch}/{name}-{seed}") for seed in seeds]
    scores = [spread([run["test"][score] for run in runs], 100) for score in ("accuracy", "text_f1", "text_words_f1")]
    return f"| {name} | " + " | ".join(f"{score} %" for score in scores) + " |"


def crf_ratio():
    """Returns the CPU-time of a training step with a CRF as a share of one with a softmax, the median of nine turns."""
    import keras
    import numpy as np

    import kit

    random = np.random.default_rng(0)
    sizes, num_tags = {"word": 5000, "characters": 100, "suffix3": 1000}, 17
    inputs = {
        "word": random.integers(1, 5000, (64, 24)),
        "characters": random.integers(1, 100, (64, 24, 16)),
        "suffix3": random.integers(1, 1000, (64, 24)),
    }
    labels = random.integers(0, num_tags, (64, 24))
    models = []
    for encoder in ("bilstm", "bilstm_crf"):
        keras.utils.set_random_seed(0)
        models.append(kit.recipes.sequence_tagger(sizes, num_tags, backbone=encoder, optimizer="adamw"))
    ratios = []
    for turn in range(10):
        spent = []
        for model in models:
            start = time.process_time()
            for _ in range(20):
                model.train_on_batch(inputs, labels)
            spent.append(time.process_time() - start)
        if turn:  # the first one compiles
            ratios.append(spent[1] / spent[0])
    return statistics.median(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds ud_english_ewt/ and wnut17/")
    parser.add_argument("--weights", help="folder of published weights that are fine-tuned on EWT, such as MiniLM")
    parser.add_argument("--only", help="measure the row of this name alone, or `encoders`, or `crf`")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    make = f"make train RECIPE={RECIPE}"
    chosen = [("phrases", make, "f1", [])]
    encoders = []
    if options.data:
        ewt, wnut = (str(Path(options.data) / name) for name in ("ud_english_ewt", "wnut17"))
        for config, source, score, more in (
            ("ewt_upos_fast", ewt, "accuracy", ""),
            ("ewt_upos", ewt, "accuracy", ""),
            ("wnut17", wnut, "f1", ""),
            ("wnut17", wnut, "f1", "model.backbone=bilstm"),
        ):
            name = f"{config} softmax" if more else config
            command = f"{make} CONFIG={config} DATA={Path(source).name}" + (f" SET={more}" if more else "")
            words = ["--config", config, "--data.source", source, *([f"--{more}"] if more else [])]
            chosen.append((name, command, score, words))
        if options.weights:
            words = ["--config", "fine_tune", "--data.source", ewt, "--data.column", "upos"]
            name, tuned = Path(options.weights).name, 'SET="data.column=upos model.weights=FOLDER"'
            command = f"{make} CONFIG=fine_tune DATA=ud_english_ewt {tuned}"
            chosen.append((f"fine_tune, {name}", command, "accuracy", [*words, "--model.weights", options.weights]))
        short = ["--config", "ewt_upos_fast", "--data.source", ewt, "--train.epochs", "3"]
        encoders = [(name, "", "accuracy", [*short, "--model.backbone", name]) for name in ENCODERS]
    if options.only:
        chosen = [each for each in chosen if each[0] == options.only]
        encoders = encoders if options.only == "encoders" else []
    heading = ["test score", "CPU-seconds of training", "words trained per CPU-second", "words tagged per second"]
    heading += ["parameters", ""]
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        if chosen:
            lines += ["| what | command | " + " | ".join(heading).strip(), "|" + " --- |" * 7]
            lines += [row(*each, scratch) for each in chosen]
        treebanks = [name for name, *_ in chosen if name.startswith("ewt")]
        if treebanks:
            lines += ["", "The same taggers given the text of the test split (`# text`) in place of its words:", ""]
            lines += [
                "| what | accuracy, its words | F1 of tags, its text | F1 of words, its text |",
                "|" + " --- |" * 4,
            ]
            lines += [texts_row(name, scratch) for name in treebanks]
        if encoders:
            command = f'{make} CONFIG=ewt_upos_fast DATA=ud_english_ewt SET="train.epochs=3 model.backbone=..."'
            lines += ["", f"Encoders on EWT after three epochs, `{command}`:", ""]
            lines += ["| encoder | " + " | ".join(heading).strip(), "|" + " --- |" * 6]
            lines += [row(*each, scratch) for each in encoders]
    if options.only in (None, "crf"):
        lines += [
            "",
            f"A training step with a CRF takes {crf_ratio():.2f} times as long as one with a softmax (17 tags).",
        ]
    lines += ["", f"Mean ± standard deviation over seeds {', '.join(map(str, SEEDS))}; {day()}; {machine()}"]
    table = "\n".join(lines)
    print(table)
    if options.write and not options.only:
        write(RECIPE, table)


if __name__ == "__main__":
    main()
