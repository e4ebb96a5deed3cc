"""Measures what a training step costs by the length of the sequences: attention to all before, to a window, to blocks.

    .venv/bin/python benchmarks/language_windows.py

A training step of 2 blocks of width 128 on one sequence of 512 to 8,192 tokens, each in a process of its own: Llama's
block with attention to all tokens before, Mistral's with a window of 64 of them, and BigBird's blocks of 16 (a window,
the first and random blocks), which looks both ways. Told are the CPU-seconds of a step (median of three), how much more
memory the process has at its peak than one of 512 tokens has, and the slopes of both in a log-log plot: of seconds from
2,048 tokens on, of memory of what twice the length adds, since a process holds much besides.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from measure import day, machine

LENGTHS = (512, 1024, 2048, 4096, 8192)
_SIZES = {"dim": 128, "depth": 2, "num_heads": 4}
_TOKENS = 100


def step(kind, length):
    """Prints CPU-seconds of a training step on a sequence, and the peak of this process' memory in bytes."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras

    from kit.models.text import big_bird, llama
    from kit.training import fused

    if kind == "blocks":
        sizes = _SIZES | {"max_length": length, "block_size": 16}
        network = big_bird.big_bird(_TOKENS, 0, **sizes, dropout=0.0)
    else:
        window = 64 if kind == "window" else None
        network = llama.llama(_TOKENS, None, **_SIZES, num_key_value_heads=2, feedforward_dim=352, window=window)
    model = keras.Model(network.inputs, keras.layers.Dense(_TOKENS)(network.output))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    draw = np.random.default_rng(0).integers(1, _TOKENS, (1, length)).astype("int32")
    inputs = {each.name: draw if each.name == "ids" else np.zeros_like(draw) for each in network.inputs}
    seconds = []
    with fused.training(model):
        for number in range(4):
            began = time.process_time()
            model.train_on_batch(inputs, draw)
            seconds += [time.process_time() - began] if number else []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([statistics.median(seconds), peak]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="not used: nothing but noise is read")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step[0], int(options.step[1]))
        return
    print(f"| attention | {' | '.join(f'{length:,}' for length in LENGTHS)} | slope of time | slope of memory |")
    print(f"| --- {'| --- ' * len(LENGTHS)}| --- | --- |")
    for kind, name in (("all", "all tokens before"), ("window", "a window of 64"), ("blocks", "blocks of 16")):
        found = []
        for length in LENGTHS:
            words = [sys.executable, __file__, "--step", kind, str(length)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
        seconds, peaks = (np.array(each) for each in zip(*found, strict=True))
        more = (peaks - peaks[0]) / 1e6
        cells = [f"{second:.2f} s, {each:,.0f} MB" for second, each in zip(seconds, more, strict=True)]
        time_slope = np.polyfit(np.log(LENGTHS[2:]), np.log(seconds[2:]), 1)[0]
        added = np.diff(peaks)
        print(f"| {name} | {' | '.join(cells)} | {time_slope:.2f} | {np.log2(added[-1] / added[-2]):.2f} |", flush=True)
    print(f"\n{day()}, {machine()}")


if __name__ == "__main__":
    main()
