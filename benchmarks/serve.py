"""Measures `kit serve`: one client against a call of the network, and many clients against calls of whole batches.

    .venv/bin/python benchmarks/serve.py

A server in a process of its own, asked on 127.0.0.1. Calls and requests are measured in turn, so that both see the same
load of the machine.

- `one client`: median seconds of a request, and of a compiled call with one image (`predict_on_batch`).
- `many clients`: answers a second, against images a second of compiled calls with 32; lost or wrong answers; memory.

On a machine with other load seconds are mostly those of waiting for a processor; the CPU-seconds of the server for an
answer, against those of a call for an image, stand beside them.
"""

import argparse
import contextlib
import http.client
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
from measure import day, machine, scratch_folder, train

_BATCH, _IMAGES = 32, 64
_SMALL = ("--train.epochs", "1", "--train.steps_per_epoch", "4")
_LARGE = (*_SMALL, "--data.image_size", "64", "--model.backbone", "resnet50", "--evaluate.bootstrap_samples", "20")


@contextlib.contextmanager
def server(folder):
    """Yields process and port of a server of a run."""
    words = [sys.executable, "-m", "kit", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        yield process, int(re.search(r":(\d+) ", line).group(1))
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait()
        assert status == 0, f"the server ended with status {status}"


class Client:
    """Client with a connection that stays open."""

    def __init__(self, port, name):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.path = f"/runs/{name}/predict"

    def ask(self, data):
        """Returns status and content of the answer to one image."""
        self.connection.request("POST", self.path, data, {"content-type": "image/png"})
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


def images(shape):
    """Returns random images, as arrays and as PNG files."""
    import numpy as np
    from PIL import Image

    arrays = np.random.default_rng(0).integers(0, 256, (_IMAGES, *shape)).astype("uint8")
    files = []
    for array in arrays:
        file = io.BytesIO()
        Image.fromarray(array[..., 0] if shape[2] == 1 else array).save(file, "PNG")
        files.append(file.getvalue())
    return arrays, files


def seconds_of_calls(model, batch, seconds):
    """Returns seconds of compiled calls with a batch, measured for so long."""
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 3:
        start = time.perf_counter()
        model.predict_on_batch(batch)
        found.append(time.perf_counter() - start)
    return found


def one_client(port, files, seconds):
    """Returns seconds of requests, one after the other."""
    client, found, end = Client(port, "image_classification"), [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 3:
        start = time.perf_counter()
        status, _ = client.ask(files[len(found) % len(files)])
        found.append(time.perf_counter() - start)
        assert status == 200, status
    return found


def many_clients(port, files, labels, count, seconds, process):
    """Returns answers a second and in all, those lost or wrong, and the server's memory over time, in megabytes."""
    end, answered, lost = time.perf_counter() + seconds, [0] * count, []

    def ask_on(number):
        client, turn = Client(port, "image_classification"), number
        while time.perf_counter() < end:
            turn += 1
            row = turn % len(files)
            try:
                status, content = client.ask(files[row])
                if status != 200 or content["predictions"][0]["label"] != labels[row]:
                    lost.append((status, content))
            except Exception as error:
                lost.append(error)
                return
            answered[number] += 1

    threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    memory = []
    while time.perf_counter() < end:
        memory.append(psutil.Process(process.pid).memory_info().rss / 1e6)
        time.sleep(1)
    for thread in threads:
        thread.join()
    return sum(answered) / (time.perf_counter() - start), sum(answered), lost, memory


def cpu_seconds(process):
    """Returns the CPU-seconds that a process has taken."""
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def counted(process, found):
    """Adds to a list the CPU-seconds that a process takes inside."""
    before = cpu_seconds(process)
    yield
    found.append(cpu_seconds(process) - before)


def measured(folder, rounds, clients, seconds):
    """Prints the rows of a run."""
    import kit

    run = kit.load(folder)
    arrays, files = images(tuple(run.assets["input_shape"]))
    labels = run.predict(arrays)["label"].tolist()
    one, whole = arrays[:1], arrays[:_BATCH]
    for batch in (one, whole, one, whole):
        run.model.predict_on_batch(batch)
    own = psutil.Process()
    with server(folder) as (process, port):
        its = psutil.Process(process.pid)
        many_clients(port, files, labels, clients, 3, process)  # memory has grown to what it will be
        for number in range(rounds):
            cpu = []
            calls = seconds_of_calls(run.model, one, 3)
            asked = one_client(port, files, 5)
            calls += seconds_of_calls(run.model, one, 3)
            call, request = statistics.median(calls) * 1000, statistics.median(asked) * 1000
            with counted(own, cpu):
                batches = seconds_of_calls(run.model, whole, 8)
            cpu[0] /= len(batches) * _BATCH
            with counted(its, cpu):
                rate, answers, lost, memory = many_clients(port, files, labels, clients, seconds, process)
            cpu[1] /= answers
            batches += seconds_of_calls(run.model, whole, 8)
            best = _BATCH / statistics.mean(batches)
            load = os.getloadavg()[0]
            print(
                f"| {Path(folder).name} {number + 1} | {call:.1f} ms | {request:.1f} ms | {request - call:+.1f} ms "
                f"| {best:.1f} | {rate:.1f} | {rate / best:.2f} "
                f"| {cpu[0] * 1000:.1f} ms | {cpu[1] * 1000:.1f} ms | {cpu[0] / cpu[1]:.2f} | {len(lost)} of {answers} "
                f"| {memory[0]:.0f} to {memory[-1]:.0f} MB | {load:.1f} |",
                flush=True,
            )
            for problem in lost[:3]:
                print(f"  lost: {problem!r}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where the runs are kept; else they are thrown away")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", choices=["small", "large"])
    parser.add_argument("--data", help="not used: it needs none; `make bench` names it to all")
    parser.add_argument("--write", action="store_true", help="not used: it prints its table")
    options = parser.parse_args()
    with scratch_folder(options.folder) as scratch:
        print(f"{day()}, {machine()}, {options.clients} clients for {options.seconds:g} s\n")
        print(
            "| run | a call with 1 | a request | difference | images/s of calls with 32 | answers/s | share "
            "| CPU of a call, an image | CPU of the server, an answer | share | lost | memory | load |\n"
            f"{'| --- ' * 13}|"
        )
        for name, settings in (("small", _SMALL), ("large", _LARGE)):
            if options.only in (None, name):
                train("image_classification", f"{scratch}/{name}", *settings)
                measured(f"{scratch}/{name}", options.rounds, options.clients, options.seconds)


if __name__ == "__main__":
    main()
