"""Compares BERT's training step and its answers with those of `transformers` and PyTorch, in CPU-seconds.

    .venv/bin/python benchmarks/bert_step.py --torch <a Python that has torch and transformers>

Both have the sizes of MiniLM (6 blocks of width 384, 12 heads, 30,522 word pieces), random weights, batches of 32
sequences of 64 tokens, 77 classes, dropout and AdamW. They run in turn, each time in a process of its own; the medians
of the rounds are compared. With `--bfloat16` both train with products of it: the kit with
`train.matmul_precision=bfloat16`, PyTorch under `autocast`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from measure import day, machine

_BATCH, _LENGTH, _TOKENS, _CLASSES = 32, 64, 30_522, 77
_WARM, _STEPS = 5, 30


def batches():
    """Returns ids and labels of all steps."""
    import numpy as np

    draw = np.random.default_rng(0)
    return draw.integers(1, _TOKENS, (_STEPS, _BATCH, _LENGTH)), draw.integers(0, _CLASSES, (_STEPS, _BATCH))


def kits(matmul_precision):
    """Returns CPU-seconds of a training step and of a batch's answers, as `kit train` runs them."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    import kit
    from kit.training import fused

    ids, labels = batches()
    model = kit.recipes.text_classifier(
        _TOKENS, _CLASSES, backbone="minilm", dropout=0.1, optimizer=keras.optimizers.AdamW(3e-4)
    )
    stream = tf.data.Dataset.from_tensor_slices(({"ids": ids.astype("int32")}, labels.astype("int32")))
    stream = stream.repeat().prefetch(2)
    model.steps_per_execution, model.jit_compile = 1, False
    with fused.training(model, matmul_precision):  # as the kit's own path does
        model.fit(stream, steps_per_epoch=_WARM, shuffle=False, verbose=0)  # compiles
        began = time.process_time()
        model.fit(stream, steps_per_epoch=_STEPS, shuffle=False, verbose=0)
        training = (time.process_time() - began) / _STEPS
    flat = {"ids": ids.reshape(-1, _LENGTH).astype("int32")}
    model.predict({"ids": flat["ids"][: 2 * _BATCH]}, batch_size=_BATCH, verbose=0)
    began = time.process_time()
    model.predict(flat, batch_size=_BATCH, verbose=0)
    return training, (time.process_time() - began) / _STEPS


def theirs(matmul_precision):
    """Returns the same of `BertForSequenceClassification`, in a plain loop."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    ids, labels = (torch.from_numpy(each) for each in batches())
    torch.manual_seed(0)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    model = BertForSequenceClassification(BertConfig(vocab_size=_TOKENS, num_labels=_CLASSES, **sizes)).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)

    def step(number):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=matmul_precision == "bfloat16"):
            mask = torch.ones_like(ids[number])
            loss = model(input_ids=ids[number], attention_mask=mask, labels=labels[number]).loss
        loss.backward()
        optimizer.step()

    def steps(count, run):
        for number in range(count):
            run(number)

    steps(_WARM, step)
    began = time.process_time()
    steps(_STEPS, step)
    training = (time.process_time() - began) / _STEPS
    model.eval()
    with torch.inference_mode():
        answer = lambda number: model(input_ids=ids[number], attention_mask=torch.ones_like(ids[number])).logits  # noqa: E731
        steps(_WARM, answer)
        began = time.process_time()
        steps(_STEPS, answer)
    return training, (time.process_time() - began) / _STEPS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", help="a Python that has torch and transformers; without it nothing is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", help="accepted for `make bench`")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    parser.add_argument("--side", choices=["kit", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--bfloat16", action="store_true", help="train with products of bfloat16")
    options = parser.parse_args()
    if options.side:
        measure = kits if options.side == "kit" else theirs
        print(json.dumps(measure("bfloat16" if options.bfloat16 else "float32")))
        return
    if not options.torch:
        return
    found, more = {"kit": [], "transformers": []}, ["--bfloat16"] if options.bfloat16 else []
    for _ in range(options.rounds):
        for side, python in (("kit", sys.executable), ("transformers", options.torch)):
            done = subprocess.run([python, __file__, "--side", side, *more], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print("| what | the kit, CPU-s | transformers, CPU-s | times as fast | day |\n| --- | --- | --- | --- | --- |")
    for place, name in enumerate(("training step", "answers to a batch")):
        ours, other = (statistics.median(each[place] for each in found[side]) for side in found)
        print(f"| {name} | {ours:.3f} | {other:.3f} | {other / ours:.2f} | {day()} |")
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
