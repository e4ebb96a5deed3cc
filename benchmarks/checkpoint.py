"""Measures how long training stands still while its state is saved, with a state as large as that of BERT-base.

    python benchmarks/checkpoint.py

The network is BERT-base (Devlin et al., 2019: 12 layers of 768) with Adam: weights, two moments of each, and the best
weights, which improve each time here, the worst case.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from measure import day, machine

_TIMES = 7


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from kit.models.text.bert import bert
    from kit.training.callbacks import BestWeights
    from kit.training.run_state import RunState

    network = bert(30_522, 0)
    network.compile(keras.optimizers.Adam(), "mse")
    network.optimizer.build(network.trainable_variables)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "state.npz"
        best = BestWeights(network, "val_loss", "min")
        state = RunState(path, Path(scratch) / "history.csv", [best], None, 1)
        for callback in (best, state):
            callback.set_model(network)
        state.on_train_begin()
        stood, written = [], []
        for epoch in range(_TIMES):
            began = time.perf_counter()
            for callback in (best, state):
                callback.on_epoch_end(epoch, {"val_loss": 1.0 / (epoch + 1)})
            stood.append(time.perf_counter() - began)
            state.writer.wait()
            written.append(time.perf_counter() - began)
        size = sum(each.stat().st_size for each in Path(scratch).glob("*.npz"))
        state.writer.close()
    print("| parameters | bytes saved | training stands still, s (median, longest) | until written, s (median) | day |")
    print("| --- | --- | --- | --- | --- |")
    print(
        f"| {network.count_params():,} | {size / 1e9:.2f} GB | {statistics.median(stood):.2f}, {max(stood):.2f} | "
        f"{statistics.median(written):.2f} | {day()} |\n\n{machine()}"
    )


if __name__ == "__main__":
    main()
