"""Measures the numbers in `recipes/translation/README.md`.

    make bench DATA=<folder that holds multi30k/>

Every training runs in a process of its own, through `kit train`. With `--write` the measured rows take the place of
those that begin alike between the markers in the README.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from measure import day, machine, rows, spread, train_seeds, write

RECIPE = "translation"
ENCODERS = ("rnn", "gru", "lstm", "bilstm")
ATTENTIONS = {"": "none", "_bahdanau": "additive", "_luong": "multiplicative"}
_TRAININGS = (
    *("what", "command", "seeds", "BLEU", "BLEU, lower-case", "chrF", "exact match"),
    *("CPU-seconds", "parameters", "day"),
)
_ENCODERS = ("encoder and decoder", "attention", "BLEU", "steps per CPU-second", "parameters", "day")
_SPEEDS = ("speed", "value", "day")
# Name, settings file, seeds, name of the data set.
TRAININGS = (
    ("phrases", "default", (0, 1, 2), None),
    ("multi30k_fast", "multi30k_fast", (0,), "multi30k"),
    ("multi30k", "multi30k", (0,), "multi30k"),
    ("multi30k_long", "multi30k_long", (0,), "multi30k"),
)
_BATCH, _LENGTHS = 64, (10, 20, 40)


def training_row(name, config, seeds, source, runs):
    """Returns the row of a training, from the metrics of each seed."""
    tests = [run["test"] for run in runs]
    command = f"make train RECIPE={RECIPE}" + (f" CONFIG={config} DATA={source}" if source else "")
    cells = (
        name,
        f"`{command}`",
        ", ".join(map(str, seeds)),
        spread([test["bleu"] for test in tests]),
        spread([test["bleu_lowercased"] for test in tests]),
        spread([test["chrf"] for test in tests]),
        f"{spread([test['exact_match'] for test in tests], 100, 1)} %",
        spread([run["train_cpu_seconds"] for run in runs], 1, 0),
        f"{runs[0]['params']:,}",
        day(),
    )
    return f"| {' | '.join(cells)} |"


def encoder_row(encoder, ending, metrics, steps):
    """Returns the row of a recurrent network, from its metrics and the steps that it was trained."""
    cells = (
        f"{encoder}{ending}",
        ATTENTIONS[ending],
        f"{metrics['test']['bleu']:.1f}",
        f"{steps / metrics['train_cpu_seconds']:.1f}",
        f"{metrics['params']:,}",
        day(),
    )
    return f"| {' | '.join(cells)} |"


def tokens_per_second(source, batch_size=256, steps=30, turns=3):
    """Returns the target tokens that a CPU-second of training takes in, the best of some turns; padding not counted."""
    import keras

    from kit import config
    from kit.recipes import translation
    from kit.training import fused

    splits = config.call(translation.translated_sentences, 0, None, source=source, vocabulary_size=10_000)
    keras.utils.set_random_seed(0)
    build, arguments = translation.ARCHITECTURES["transformer_tiny"]
    model = translation.translator(
        **splits.facts,
        backbone=lambda dim: build(dim, splits.facts["max_length"], **arguments),
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
    )
    found = []
    for turn in range(turns + 1):
        batches = splits.train.stream(batch_size, 0, turn * steps, (turn + 1) * steps)
        count = sum(int((labels.numpy() > 0).sum()) for _, labels in batches)
        start = time.process_time()
        with fused.training(model):  # as `kit train` does
            model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)
        found.append(count / (time.process_time() - start))
    return max(found[1:])  # the first one compiles


def _without_cache(model):
    """Returns a decoding step that computes the whole translation so far, again and again; the source only once."""
    from keras import ops

    from kit.models.text import seq2seq
    from kit.recipes import translation

    embedding = model.get_layer("embedding")
    encoder, _, decoder = seq2seq.parts(translation._architecture(model))

    def initial_state(source, max_length):
        mask = ops.not_equal(source, 0)
        (memory,) = encoder([translation._embedded(embedding, source), mask]).values()
        written = ops.zeros((ops.shape(source)[0], max_length), "int32")
        return {"fixed": {"memory": memory, "mask": mask}, "moving": {"written": written}}

    def step(tokens, position, state):
        written = ops.slice_update(state["moving"]["written"], (0, position), tokens[:, None])
        target = translation._embedded(embedding, written[:, : position + 1])
        x = decoder(target, state["fixed"]["memory"], state["fixed"]["mask"])[:, -1]
        return embedding(x, reverse=True), {"moving": {"written": written}}

    return step, initial_state


def _whole_model(model):
    """Returns a decoding step that calls the whole trained model at every step, as it was called in training."""
    from keras import ops

    def initial_state(source, max_length):
        written = ops.zeros((ops.shape(source)[0], max_length), "int32")
        return {"fixed": {"source": source}, "moving": {"written": written}}

    def step(tokens, position, state):
        written = ops.slice_update(state["moving"]["written"], (0, position), tokens[:, None])
        inputs = {"source": state["fixed"]["source"], "target": written[:, : position + 1]}
        return model(inputs, training=False)[:, -1], {"moving": {"written": written}}

    return step, initial_state


def decoding_seconds():
    """Returns CPU-seconds of translating a batch with a beam of 5 with a cache and without, for each length."""
    import keras
    import numpy as np

    from kit import decoding
    from kit.recipes import translation

    keras.utils.set_random_seed(0)
    build, arguments = translation.ARCHITECTURES["transformer_tiny"]
    model = translation.translator(10_000, 128, backbone=lambda dim: build(dim, 128, **arguments))
    never = decoding.Tokens(start=2, end=9_999)  # no sentence ends early, whatever an untrained network says
    spent = {}
    for length in _LENGTHS:
        source = np.random.default_rng(0).integers(4, 9_000, (_BATCH, length)).astype("int32")
        for name, step in (
            ("cache", translation.decoding_step(model)),
            ("none", _without_cache(model)),
            ("whole", _whole_model(model)),
        ):
            decode = decoding.compiled(step, decoding.beam, never, max_length=length, beam_width=5, length_penalty=1.0)
            decode(source)
            seconds = []
            for _ in range(3):
                start = time.process_time()
                decode(source)
                seconds.append(time.process_time() - start)
            spent[name, length] = statistics.median(seconds)
    return spent


def speed_rows(source):
    found = []
    if source:
        speed = tokens_per_second(source)
        found.append(("target tokens trained per CPU-second, transformer_tiny, 10,000 tokens", f"{speed:,.0f}"))
    spent = decoding_seconds()
    for length in _LENGTHS:
        rate = _BATCH / spent["cache", length]
        ratio, whole = (spent[name, length] / spent["cache", length] for name in ("none", "whole"))
        found.append(
            (
                f"sentences of {length} tokens translated per CPU-second, beam 5, batch {_BATCH}",
                f"{rate:.1f}; {whole:.1f} times as many as with the whole model at every step, {ratio:.1f} times as "
                "many as with the decoder alone, without a cache",
            )
        )
    return [f"| {name} | {value} | {day()} |" for name, value in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds multi30k/")
    known = ["speed", *(each[0] for each in TRAININGS), *(f"{one}{other}" for one in ENCODERS for other in ATTENTIONS)]
    parser.add_argument("--only", nargs="+", choices=known, help="trainings, `speed`, or encoders")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    data = Path(options.data) if options.data else None

    def is_wanted(name):
        return options.only is None or name in options.only

    tables = {_TRAININGS: [], _ENCODERS: [], _SPEEDS: []}
    with tempfile.TemporaryDirectory() as scratch:
        for name, config, seeds, source in TRAININGS:
            if is_wanted(name) and (data or not source):
                words = ["--config", config, *(["--data.source", str(data / source)] if source else [])]
                runs = train_seeds(RECIPE, name, "bleu", words, scratch, seeds)
                tables[_TRAININGS].append(training_row(name, config, seeds, source, runs))
        for encoder in ENCODERS if data else ():
            for ending in ATTENTIONS:
                name = f"{encoder}{ending}"
                if is_wanted(name):
                    words = ["--config", "multi30k_recurrent", "--data.source", str(data / "multi30k")]
                    words += ["--model.backbone", name]
                    (metrics,) = train_seeds(RECIPE, name, "bleu", words, scratch, (0,))
                    steps = metrics["epochs"] * round(29_000 / 128)
                    tables[_ENCODERS].append(encoder_row(encoder, ending, metrics, steps))
    if is_wanted("speed"):
        tables[_SPEEDS] = speed_rows(data / "multi30k" if data else None)
    text = f"{rows(RECIPE, tables)}\n\nMean ± standard deviation over the seeds; {machine()}"
    print(text)
    if options.write:
        write(RECIPE, text)


if __name__ == "__main__":
    main()
