"""Measures language models on Tiny Shakespeare and on the Brown corpus, beside a character 5-gram and xz.

    make bench DATA=<folder that holds tinyshakespeare/ and brown/>

Tiny Shakespeare, characters: the last tenth is the test split, as nanoGPT's validation split is, and a fiftieth before
it chooses the epoch. Brown, its tags stripped: the first 800,000 words train, the next 200,000 choose, the rest tests.
Families get the same CPU-seconds: a few steps are timed first, and the number of steps follows from them. Of experts
the share of the busiest one stands over an even share, and that of the tokens without room; beside them a dense
network of as many active parameters with as many steps.
"""

import argparse
import json
import os
import re
import statistics
import tomllib
import zipfile
from pathlib import Path

from measure import SEEDS, day, machine, rows, scratch_folder, spread, train, write

RECIPE = "language_modelling"
_COLUMNS = ("what", "cross-entropy, nats a token", "bits a character", "5-gram", "xz -9e")
_COLUMNS += ("steps", "busiest expert", "dropped", "CPU-s", "parameters", "day")
_CONTRAST = ("Tiny Shakespeare, equal CPU-s", "cross-entropy, nats a token", "steps", "steps a CPU-s", "parameters")
_CONTRAST += ("BLEU of what it goes on with", "CPU-s", "day")
_BEGINNINGS, _READ, _WRITTEN = 200, 60, 100  # characters that are read, and that are written behind them
_TIMED = 60  # steps that tell how long one takes


def shakespeare(data, folder):
    """Writes the three parts of Tiny Shakespeare."""
    text = (data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    ends = [0, round(0.88 * len(text)), round(0.9 * len(text)), len(text)]
    for name, start, end in zip(("train", "validation", "test"), ends[:-1], ends[1:], strict=True):
        (folder / f"{name}.txt").write_text(text[start:end], encoding="utf-8")
    return folder


def brown(data, folder):
    """Writes the texts of the Brown corpus without their tags, a line each, divided by words."""
    words, parts = 0, {"train": [], "validation": [], "test": []}
    with zipfile.ZipFile(data / "brown" / "brown.zip") as archive:
        for name in sorted(each for each in archive.namelist() if re.fullmatch(r".*/c[a-r]\d\d", each)):
            sentences = archive.read(name).decode("utf-8").split("\n")
            lines = {part: [] for part in parts}
            for sentence in filter(str.strip, sentences):
                plain = [word.rpartition("/")[0] for word in sentence.split()]
                part = "train" if words < 800_000 else "validation" if words < 1_000_000 else "test"
                lines[part].append(" ".join(plain))
                words += len(plain)
            for part, found in lines.items():
                parts[part] += ["\n".join(found)] if found else []
    for part, texts in parts.items():
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{part}.jsonl").write_text(rows, encoding="utf-8")
    return folder


_SAME = "Tiny Shakespeare, as long: "
# Name: data, config and settings, and CPU-seconds that it gets, another run whose steps it gets, or None for what the
# config says.
RUNS = {
    "Tiny Shakespeare, shakespeare.toml": (shakespeare, ("--config", "shakespeare"), None),
    "Tiny Shakespeare, shakespeare_long.toml": (shakespeare, ("--config", "shakespeare_long"), None),
    **{
        f"{_SAME}{name}": (shakespeare, ("--config", "shakespeare", "--model.backbone", name, *more), 300)
        for name, more in (
            ("gpt2_tiny", ()),
            *((cell, ("--backbone.dim", "256", "--backbone.depth", "1")) for cell in ("rnn", "gru", "lstm")),
        )
    },
    **{
        f"Brown, {name}": (brown, ("--config", "brown", "--model.backbone", name), 1800)
        for name in ("gpt2_tiny", "qwen3_tiny", "mixtral_tiny", "switch_tiny", "mistral_tiny")
    },
    **{
        f"Brown, {name}, steps of {other}": (brown, ("--config", "brown", "--model.backbone", name), f"Brown, {other}")
        for name, other in (("llama_tiny", "mixtral_tiny"), ("llama_tiny", "switch_tiny"))
    },
}


def measured(name, data, scratch, seeds):
    """Trains with every seed and returns a row of the table."""
    prepare, options, budget = RUNS[name]
    folder = Path(scratch) / "sets" / prepare.__name__
    folder.mkdir(parents=True, exist_ok=True)
    options = (*options, "--data.source", str(prepare(data, folder)))
    plain = _plain(name)
    if isinstance(budget, str):
        if not Path(scratch, f"{_plain(budget)}-{seeds[0]}", "metrics.json").exists():
            measured(budget, data, scratch, seeds)
        steps = _trained(f"{scratch}/{_plain(budget)}-{seeds[0]}")["steps_per_epoch"]
    elif budget is not None:
        few = ("--train.epochs", "1", "--evaluate.baseline", "false", "--train.steps_per_epoch")
        timed = [
            train(RECIPE, f"{scratch}/{plain}-timed-{count}", *options, *few, str(count))["train_cpu_seconds"]
            for count in (10, 10 + _TIMED)
        ]
        steps = max(1, round(budget * _TIMED / (timed[1] - timed[0]) / 10))
    if budget is not None:
        options += ("--train.epochs", "10", "--train.steps_per_epoch", str(steps))
    runs = [train(RECIPE, f"{scratch}/{plain}-{seed}", "--seed", str(seed), *options) for seed in seeds]
    beside = runs[0]["baseline"]
    scores = [spread([each["test"][key] for each in runs], digits=4) for key in ("cross_entropy", "bits_per_character")]
    seconds = statistics.mean(each["train_cpu_seconds"] for each in runs)
    spent = f"{seconds:,.0f}"
    trained = _trained(f"{scratch}/{plain}-{seeds[0]}")
    tests = [each["test"] for each in runs]
    experts = ["", ""]
    if "busiest_expert_over_even" in tests[0]:
        experts = [f"{max(each['busiest_expert_over_even'] for each in tests):.2f}"]
        experts += [f"{max(each['dropped_by_experts_share'] for each in tests):.1%}"]
    steps = trained["epochs"] * trained["steps_per_epoch"]
    if name.startswith(_SAME):
        texts = (folder / "test.txt").read_text(encoding="utf-8")
        bleu = spread([gone_on_with(f"{scratch}/{plain}-{seed}", texts) for seed in seeds])
        words = (scores[0], f"{steps:,}", f"{steps / seconds:.1f}", f"{runs[0]['params']:,}", bleu, spent, day())
        return f"| {name.removeprefix(_SAME)} | {' | '.join(words)} |"
    floors = [f"{each['bits_per_character']:.3f}" for each in (beside, *beside["others"])]
    words = (*scores, *floors, f"{steps:,}", *experts, spent, f"{runs[0]['params']:,}", day())
    return f"| {name} | {' | '.join(words)} |"


def gone_on_with(run, text):
    """Returns BLEU of what a run writes behind beginnings out of a text, against what stands there."""
    import kit
    from kit.scoring import text as scores

    places = range(0, len(text) - _READ - _WRITTEN, (len(text) - _READ - _WRITTEN) // _BEGINNINGS)
    found = kit.load(run).predict([text[each : each + _READ] for each in places], max_tokens=_WRITTEN)["text"].tolist()
    return scores.corpus_scores(found, [text[each + _READ : each + _READ + _WRITTEN] for each in places])["bleu"]


def _trained(run):
    """Returns the settings of a run's training."""
    return tomllib.loads(Path(run, "config.toml").read_text(encoding="utf-8"))["train"]


def _plain(name):
    return re.sub(r"\W+", "-", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the sets; without it nothing is measured")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the table into the recipe's README")
    options = parser.parse_args()
    if not options.data:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = {_COLUMNS: [], _CONTRAST: []}
    with scratch_folder(options.runs) as scratch:
        for columns, own in found.items():
            names = [name for name in options.only if name.startswith(_SAME) == (columns is _CONTRAST)]
            if names:
                print(f"\n| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|", flush=True)
            for name in names:
                own.append(measured(name, Path(options.data), scratch, options.seeds))
                print(own[-1], flush=True)
    print(f"\n{machine()}")
    if options.write:
        write(RECIPE, rows(RECIPE, found))


if __name__ == "__main__":
    main()
