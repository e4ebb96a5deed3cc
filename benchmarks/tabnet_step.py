"""Compares the training of TabNet with that of pytorch_tabnet: rows a CPU-second, the same shape, side by side.

    .venv/bin/python benchmarks/tabnet_step.py --torch <python of an environment with torch and pytorch-tabnet>

Each trains for an epoch by its own `fit`, with one thread, in turns; what is told is the median over rounds, compiling
left out. The rows are random: 14 numbers, two classes, batches of 1,024 that are normalised in parts of 128.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measure import machine

_ROUNDS, _STEPS, _BATCH, _COLUMNS = 5, 60, 1024, 14
_KIT = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
import keras, numpy as np
from kit.recipes.tabular_prediction import tabular_predictor
steps, batch, columns, compiles = map(int, sys.argv[1:])
optimizer = keras.optimizers.Adam(0.02)
model = tabular_predictor(columns, (), 2, backbone="tabnet", optimizer=optimizer)
model.compile(optimizer=optimizer, loss=model.loss, jit_compile=bool(compiles), steps_per_execution=10)
random = np.random.default_rng(0)
x = random.normal(size=(batch * steps, columns)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int32")
model.fit({"numbers": x[: 10 * batch]}, y[: 10 * batch], batch_size=batch, verbose=0)
began = time.process_time()
model.fit({"numbers": x}, y, batch_size=batch, verbose=0)
print(json.dumps({"seconds": time.process_time() - began, "params": model.count_params()}))
"""
_TORCH = """
import json, os, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
torch.set_num_threads(1)
from pytorch_tabnet.tab_model import TabNetClassifier
steps, batch, columns = map(int, sys.argv[1:])
random = np.random.default_rng(0)
x = random.normal(size=(batch * steps, columns)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int64")
settings = {"n_d": 16, "n_a": 16, "n_steps": 4, "verbose": 0, "device_name": "cpu"}
how = {"max_epochs": 1, "batch_size": batch, "virtual_batch_size": 128, "drop_last": False, "compute_importance": False}
TabNetClassifier(**settings).fit(x[: 10 * batch], y[: 10 * batch], **how)
model = TabNetClassifier(**settings)
began = time.process_time()
model.fit(x, y, **how)
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "params": sum(each.numel() for each in model.network.parameters())}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", help="python of an environment with torch and pytorch-tabnet; without it nothing")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args()
    if not options.torch:
        return
    kinds = {"kit": (sys.executable, _KIT, "0"), "kit, XLA": (sys.executable, _KIT, "1"), "": (options.torch, _TORCH)}
    found = {name or "pytorch_tabnet": [] for name in kinds}
    for _ in range(options.rounds):
        for name, (python, program, *more) in zip(found, kinds.values(), strict=True):
            words = [python, "-c", program, str(_STEPS), str(_BATCH), str(_COLUMNS), *more]
            done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            if done.returncode:
                raise SystemExit(done.stderr)
            said = json.loads(done.stdout.splitlines()[-1])
            found[name].append(_STEPS * _BATCH / said["seconds"])
            print(f"{name}: {found[name][-1]:,.0f} rows a CPU-second, {said['params']:,} parameters", flush=True)
    *ours, theirs = found.values()
    for name, rows in zip(found, ours, strict=False):
        ratios = [one / other for one, other in zip(rows, theirs, strict=True)]
        print(f"{name}: {statistics.median(ratios):.2f} times pytorch_tabnet ({min(ratios):.2f} to {max(ratios):.2f})")
    print(machine())


if __name__ == "__main__":
    main()
