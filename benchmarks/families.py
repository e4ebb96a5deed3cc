"""Trains the small variant of every family of architectures on Fashion-MNIST with one shared setting.

    make bench DATA=<folder that holds fashion_mnist/>
    .venv/bin/python benchmarks/families.py --data <folder> --only mixvit vgg_small --write

Each training runs in a process of its own, through `kit train`; parameters and operations are those of the whole
classifier. Then a step of training and the answering of all of them are measured in turn, so that what else the machine
does meets all alike; `--only` without names does just that. What was measured takes the place of the same rows in
`recipes/image_classification/README.md`.
"""

import argparse
import functools
import os
import statistics
import sys
import time
from pathlib import Path

from measure import day, machine, rows, scratch_folder, train, write

RECIPE = "image_classification"
CONFIG = "fashion_mnist_families"
# Settings in which a variant differs from the shared ones.
VARIANTS = {
    "perceptron": {},
    "mlp": {"optimizer.learning_rate": 0.003},
    "lenet5": {},
    "alexnet_small": {"optimizer.learning_rate": 0.002},
    "vgg_small": {},
    "googlenet_small": {},
    "resnet8": {},
    "se_resnet8": {},
    "densenet_small": {},
    "mobilenet_small": {"train.epochs": 8},
    "mobilenetv2_small": {"train.epochs": 8},
    "mixnet_small": {},
    "vit_small_image": {"optimizer.learning_rate": 0.002, "train.epochs": 10},
    "vitc_small_image": {"optimizer.learning_rate": 0.003, "train.epochs": 6},
    "mixvit": {"optimizer.learning_rate": 0.003, "train.epochs": 6},
    "swin_small_image": {"optimizer.learning_rate": 0.003, "train.epochs": 6},
}
TRAINED = (
    *("family", "changed", "parameters", "million multiply-adds"),
    *("test accuracy", "CPU-seconds of training", "day"),
)
IN_TURN = (
    *("family", "CPU-ms of a training step of 128 images", "times that of the first"),
    *("images per CPU-second, answered", "day"),
)
SHAPE = (28, 28, 1)


def operations(model):
    """Returns millions of multiply-adds of convolutions, dense layers and attention for one image."""
    import math

    from keras import layers

    from kit.blocks.attention import Attention
    from kit.blocks.window_attention import WindowAttention

    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense) and hasattr(layer, "output"):
            output = layer.output.shape[1:]
            places = math.prod(output[:-1])
            if isinstance(layer, layers.DepthwiseConv2D):
                places = math.prod(output[:2])
            total += places * math.prod(layer.kernel.shape)  # a grouped kernel has its group's channels alone
        elif isinstance(layer, Attention):
            shape = layer.input.shape if isinstance(layer, WindowAttention) else layer.output[0].shape
            places, dim = math.prod(shape[1:-1]), shape[-1]
            seen = layer._side**2 if isinstance(layer, WindowAttention) else places
            total += places * (4 * dim * dim + 2 * seen * dim)
    return total / 1e6


def in_turn(names, rounds=5, steps=4, size=128):
    """Returns the rows of what a training step and an answer cost: medians of rounds in which all are measured in turn.

    A step's multiple is the median of the ratios to the first of `names` in the same round.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import kit
    from kit.training import fused

    tf.get_logger().setLevel("ERROR")  # one function a network is meant, and no cause for a warning
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (size, *SHAPE)), "float32")
    labels = tf.constant(random.integers(0, 10, size))
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    measured = {}
    for name in names:
        optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.05)
        model = kit.recipes.image_classifier(SHAPE, 10, backbone=name, label_smoothing=0.1, optimizer=optimizer)
        model.steps_per_execution, model.jit_compile = steps, False
        model.make_train_function()
        answer = tf.function(functools.partial(model, training=False))
        with fused.batch_normalization(model):  # it is traced now, and then stays so
            model.train_function(batches)
        answer(images)
        measured[name] = (functools.partial(model.train_function, batches), functools.partial(answer, images))
    seconds = {name: ([], []) for name in names}
    for _ in range(rounds):
        for name, calls in measured.items():
            for call, found, count in zip(calls, seconds[name], (steps, 1), strict=True):
                start = time.process_time()
                call()
                found.append((time.process_time() - start) / count)
    first = seconds[names[0]][0]
    return [
        f"| {name} | {1000 * statistics.median(step):,.1f} | "
        f"{statistics.median(own / other for own, other in zip(step, first, strict=True)):.2f} | "
        f"{size / statistics.median(answered):,.0f} | {day()} |"
        for name, (step, answered) in seconds.items()
    ]


def row(name, changed, data, scratch):
    """Trains a variant and returns its row."""
    import kit

    options = {"model.backbone": name, "data.source": Path(data) / "fashion_mnist", **changed}
    words = [f"--{key}={value}" for key, value in options.items()]
    metrics = train(RECIPE, f"{scratch}/{name}", "--config", CONFIG, *words)
    print(
        f"  {name}: {metrics['test']['accuracy']:.4f} {metrics['train_cpu_seconds']} CPU-s", file=sys.stderr, flush=True
    )
    model = kit.load(f"{scratch}/{name}").model
    settings = ", ".join(f"`{key}={value}`" for key, value in changed.items())
    return (
        f"| {name} | {settings} | {metrics['params']:,} | {operations(model):,.1f} | "
        f"{metrics['test']['accuracy']:.2%} | {metrics['train_cpu_seconds']:,.0f} | {day()} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds fashion_mnist/")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not options.data:
        return
    with scratch_folder(options.runs) as scratch:
        measured = [row(name, VARIANTS[name], options.data, scratch) for name in options.only]
    names = ["resnet8", *(name for name in VARIANTS if name != "resnet8")]
    text = f"{rows(RECIPE, {TRAINED: measured, IN_TURN: in_turn(names)}, 'families')}\n\n{machine()}"
    print(text)
    if options.write:
        write(RECIPE, text, "families")


if __name__ == "__main__":
    main()
