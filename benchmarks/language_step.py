"""Compares a language model's training step and its writing with PyTorch's, in CPU-seconds, one thread each.

    .venv/bin/python benchmarks/language_step.py --torch <a Python that has torch and transformers>

Training: the network of nanoGPT's recipe for a CPU (4 blocks of width 128, 4 heads, 64 characters of 65, batches of 12,
no dropout, AdamW, gradients clipped), in the kit and in PyTorch as nanoGPT writes it (keys, queries and values in one
product, fused attention), compiled by `torch.compile` where that is asked for. Writing: GPT-2 with about 10 million
parameters (6 blocks of width 384) and a cache, 256 tokens, against `generate` of transformers, at batch 1 and 16. They
run in turn, each time in a process of its own; the medians of the rounds are compared. Beside them stands what the
products with the networks' matrices cost alone, which no way of training or writing does without. With `--bfloat16`
both train with products of it: the kit with `train.matmul_precision=bfloat16`, PyTorch under `autocast`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from measure import day, machine

_TOKENS, _LENGTH, _BATCH, _DIM, _DEPTH, _HEADS = 65, 64, 12, 128, 4, 4
_WARM, _STEPS, _WRITTEN = 20, 200, 256
_WRITER = {"dim": 384, "depth": 6, "num_heads": 6}


def _timed(run, count=1):
    """Returns CPU-seconds of each of so many calls."""
    began = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - began) / count


def kits(matmul_precision):
    """Returns CPU-seconds of a step, of writing at batch 1 and 16, and of the products alone: writing twice, a step."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    import keras
    import numpy as np
    import tensorflow as tf

    from kit import decoding
    from kit.models.text import gpt2
    from kit.models.text.causal_decoder import writing_step
    from kit.recipes.language_modelling import language_model
    from kit.training import fused

    def built(tokens, length, **sizes):
        network = gpt2.gpt2(tokens, None, length, **sizes, dropout=0.0, name="gpt2_tiny")
        optimizer = keras.optimizers.AdamW(1e-3, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
        return language_model(tokens, backbone=network, optimizer=optimizer)

    model = built(_TOKENS, _LENGTH, dim=_DIM, depth=_DEPTH, num_heads=_HEADS)
    draw = np.random.default_rng(0).integers(0, _TOKENS, (_STEPS * _BATCH, _LENGTH + 1)).astype("int32")
    stream = tf.data.Dataset.from_tensor_slices(({"ids": draw[:, :-1]}, draw[:, 1:])).batch(_BATCH).repeat().prefetch(2)
    model.steps_per_execution, model.jit_compile = 10, False
    with fused.training(model, matmul_precision):  # as the kit's own path does
        model.fit(stream, steps_per_epoch=_WARM, shuffle=False, verbose=0)
        training = _timed(lambda: model.fit(stream, steps_per_epoch=_STEPS, shuffle=False, verbose=0)) / _STEPS
    writer, found = built(_TOKENS, 512, **_WRITER), []
    write = decoding.compiled(
        writing_step(writer),
        decoding.greedy,
        decoding.Tokens(start=None, end=-1),
        max_length=_WRITTEN,
        prompt=lambda inputs: (inputs["ids"], inputs["lengths"]),
    )
    for batch in (1, 16):
        inputs = {"ids": np.full((batch, 8), 3, "int32"), "lengths": np.full(batch, 8, "int32")}
        write(inputs)
        found.append(_timed(lambda inputs=inputs: write(inputs)[0].numpy(), 2))
    kernels = [weight.value for weight in writer.trainable_variables if weight.path.endswith("kernel")]

    @tf.function(autograph=False, reduce_retracing=True)
    def products(rows):
        return tf.add_n([tf.reduce_sum(tf.matmul(tf.ones((rows, kernel.shape[0])), kernel)) for kernel in kernels])

    for batch in (1, 16):
        rows = tf.constant(batch)
        products(rows)
        found.append(_timed(lambda rows=rows: products(rows), 50) * _WRITTEN)

    @tf.function(autograph=False)
    def learned(rows):
        """The three products of a step with each matrix of the network: of what goes in, and both gradients."""
        corners = []
        for number, kernel in enumerate(weight.value for weight in model.trainable_variables):
            if kernel.shape.rank == 2 and kernel.shape[0] != _LENGTH:  # all but the table of positions
                kernel = tf.cast(kernel, matmul_precision)
                vectors, upstream = (tf.cast(tf.fill((rows, dim), 1.0 + number), kernel.dtype) for dim in kernel.shape)
                found = (vectors @ kernel, tf.matmul(upstream, kernel, transpose_b=True))
                corners += [each[0, 0] for each in (*found, tf.matmul(vectors, upstream, transpose_a=True))]
        return tf.add_n(corners)

    rows = tf.constant(_BATCH * _LENGTH)
    learned(rows)
    return training, *found, _timed(lambda: learned(rows), 50)


def theirs(matmul_precision, is_compiled):
    """Returns the same of PyTorch and transformers."""
    import torch
    from torch import nn
    from torch.nn import functional
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(_DIM), nn.LayerNorm(_DIM)])
            self.attend, self.project = nn.Linear(_DIM, 3 * _DIM), nn.Linear(_DIM, _DIM)
            self.wide, self.narrow = nn.Linear(_DIM, 4 * _DIM), nn.Linear(4 * _DIM, _DIM)

        def forward(self, x):
            heads = (
                part.unflatten(2, (_HEADS, -1)).transpose(1, 2) for part in self.attend(self.norms[0](x)).split(_DIM, 2)
            )
            y = functional.scaled_dot_product_attention(*heads, is_causal=True)
            x = x + self.project(y.transpose(1, 2).flatten(2))
            return x + self.narrow(functional.gelu(self.wide(self.norms[1](x))))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(_TOKENS, _DIM), nn.Embedding(_LENGTH, _DIM)
            self.blocks, self.norm = nn.ModuleList([Block() for _ in range(_DEPTH)]), nn.LayerNorm(_DIM)

        def forward(self, ids, targets):
            x = self.tokens(ids) + self.places.weight
            for block in self.blocks:
                x = block(x)
            logits = self.norm(x) @ self.tokens.weight.T
            return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    draw = torch.randint(0, _TOKENS, (_BATCH, _LENGTH + 1))
    run = torch.compile(network) if is_compiled else network

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=matmul_precision == "bfloat16"):
            loss = run(draw[:, :-1], draw[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    _timed(step, _WARM)
    training = _timed(step, _STEPS)
    sizes = {"n_embd": _WRITER["dim"], "n_layer": _WRITER["depth"], "n_head": _WRITER["num_heads"], "n_positions": 512}
    writer, found = GPT2LMHeadModel(GPT2Config(vocab_size=_TOKENS, **sizes)).eval(), []
    how = {"max_new_tokens": _WRITTEN, "min_new_tokens": _WRITTEN, "do_sample": False, "pad_token_id": 0}
    with torch.inference_mode():
        for batch in (1, 16):
            ids = torch.full((batch, 8), 3)
            mask = torch.ones_like(ids)
            writer.generate(ids, attention_mask=mask, **how)
            found.append(_timed(lambda ids=ids, mask=mask: writer.generate(ids, attention_mask=mask, **how), 2))
    return training, *found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", help="a Python that has torch and transformers; without it nothing is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compile the network of PyTorch")
    parser.add_argument("--bfloat16", action="store_true", help="train with products of bfloat16")
    parser.add_argument("--data", help="accepted for `make bench`")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    parser.add_argument("--side", choices=["kit", "torch"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        precision = "bfloat16" if options.bfloat16 else "float32"
        print(json.dumps(kits(precision) if options.side == "kit" else theirs(precision, options.compile)))
        return
    if not options.torch:
        return
    found, more = {"kit": [], "torch": []}, []
    more += [word for word in ("--compile", "--bfloat16") if getattr(options, word[2:])]
    for _ in range(options.rounds):
        for side, python in (("kit", sys.executable), ("torch", options.torch)):
            done = subprocess.run([python, __file__, "--side", side, *more], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    columns = ("what", "the kit, tokens a CPU-s", "PyTorch, tokens a CPU-s", "times as fast", "day")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    tokens = (_BATCH * _LENGTH, _WRITTEN, 16 * _WRITTEN)
    for place, name in enumerate(("training step", "writing, batch 1", "writing, batch 16")):
        ours, other = (statistics.median(each[place] for each in found[side]) for side in found)
        told = f"{tokens[place] / ours:,.0f} | {tokens[place] / other:,.0f} | {other / ours:.2f}"
        print(f"| {name} | {told} | {day()} |")
    medians = [statistics.median(values) for values in zip(*found["kit"], strict=True)]
    shares = [f"{medians[part] / medians[whole]:.0%}" for part, whole in ((5, 0), (3, 1), (4, 2))]
    print(f"\nOf the kit's CPU-seconds products of matrices alone: {shares[0]} of a training step, ", end="")
    print(f"{shares[1]} of writing at batch 1, {shares[2]} at batch 16")
    least = statistics.median(each[0] for each in found["torch"]) / medians[5]
    print(f"A training step of nothing else would be {least:.2f} times as fast as PyTorch's")
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
