"""Trains the dqn recipe's settings with five seeds, beside stable-baselines3 with RL-Zoo's settings.

    taskset -c 1 .venv/bin/python benchmarks/dqn.py --only cartpole --write
    taskset -c 1 .venv/bin/python benchmarks/dqn.py --only cartpole --sb3 <python that has stable-baselines3 2.9.2>

Each run is a process of its own, with one thread. Of stable-baselines3 the same is measured: the policy at the end, the
best one by fifty evaluations of five episodes on the way, and CPU-seconds: of the kit with these evaluations, of
stable-baselines3 without.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import pandas as pd
from measure import day, machine, rows, spread, train, write

RECIPE = "dqn"
COLUMNS = ("environment", "command", "last policy, mean of 100 episodes for each seed", "worst episode of all")
COLUMNS = (*COLUMNS, "best policy for each seed", "IQM of the best", "evaluations at {at} or more", "CPU-seconds")
COLUMNS = (*COLUMNS, "day")
# Name to settings file, environment, steps, and the return that counts as good.
TASKS = {
    "cartpole": ("default", "CartPole-v1", 50_000, 475),
    "acrobot": ("acrobot", "Acrobot-v1", 100_000, -100),
    "lunar_lander": ("lunar_lander", "LunarLander-v3", 100_000, 200),
}
# RL-Zoo's settings; CartPole's and Acrobot's networks are 256x256 there too.
ZOO = {
    "CartPole-v1": {
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
    },
    "Acrobot-v1": {
        "learning_rate": 6.3e-4,
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 0,
        "gamma": 0.99,
        "target_update_interval": 250,
        "train_freq": 4,
        "gradient_steps": -1,
        "exploration_fraction": 0.12,
        "exploration_final_eps": 0.1,
    },
    "LunarLander-v3": {
        "learning_rate": 6.3e-4,
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 0,
        "gamma": 0.99,
        "target_update_interval": 250,
        "train_freq": 4,
        "gradient_steps": -1,
        "exploration_fraction": 0.12,
        "exploration_final_eps": 0.1,
    },
}
# Runs under the other Python: imports nothing of the kit.
_OTHER = """
import json, sys, time
import gymnasium, numpy as np, torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
torch.set_num_threads(1)
name, steps, seed, settings, episodes = json.loads(sys.argv[1])
model = DQN("MlpPolicy", name, seed=seed, policy_kwargs={"net_arch": [256, 256]}, device="cpu", **settings)
def play(count, first):
    found = []
    environment = gymnasium.make(name)
    for episode in range(count):
        observation, _ = environment.reset(seed=first + episode)
        total, over = 0.0, False
        while not over:
            action = int(model.predict(observation, deterministic=True)[0])
            observation, reward, ended, cut, _ = environment.step(action)
            total, over = total + reward, ended or cut
        found.append(total)
    return found
class Watch(BaseCallback):
    evaluations, best, weights, spent = [], -1e9, None, 0.0
    def _on_step(self):
        if self.num_timesteps % (steps // 50) == 0:
            start = time.process_time()
            self.evaluations.append(float(np.mean(play(5, 10_000))))
            if self.evaluations[-1] >= self.best:
                self.best = self.evaluations[-1]
                self.weights = {key: value.clone() for key, value in model.policy.state_dict().items()}
            self.spent += time.process_time() - start
        return True
watch, start = Watch(), time.process_time()
model.learn(steps, callback=watch)
training = time.process_time() - start - watch.spent
last = play(episodes, 50_000)
model.policy.load_state_dict(watch.weights)
best = play(episodes, 50_000)
print(json.dumps({"last": last, "best": best, "evaluations": watch.evaluations, "training": training}))
"""


def kit_run(task, seed, scratch):
    """Returns what is compared of a run of the recipe."""
    config, _, _, good = TASKS[task]
    folder = f"{scratch}/{task}-{seed}"
    metrics = train(RECIPE, folder, "--seed", str(seed), "--config", config)
    history = pd.read_csv(f"{folder}/history.csv")
    return {
        "last": metrics["test_of_last_epoch"]["return"],
        "worst": metrics["test_of_last_epoch"]["return_min"],
        "best": metrics["test"]["return"],
        "share": float((history["val_return"] >= good).mean()),
        "seconds": metrics["train_cpu_seconds"],
    }


def other_run(task, seed, python):
    """Returns the same of stable-baselines3, its seconds without the evaluations."""
    _, name, steps, good = TASKS[task]
    words = [python, "-c", _OTHER, json.dumps([name, steps, seed, ZOO[name], 100])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(words, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise SystemExit(result.stderr)
    found = json.loads(result.stdout.splitlines()[-1])
    return {
        "last": sum(found["last"]) / 100,
        "worst": min(found["last"]),
        "best": sum(found["best"]) / 100,
        "share": sum(value >= good for value in found["evaluations"]) / len(found["evaluations"]),
        "seconds": found["training"],
    }


def row(name, command, runs):
    """Returns the runs of all seeds as a row."""
    best = sorted(run["best"] for run in runs)
    cut = len(best) // 4
    middle = best[cut : len(best) - cut]
    last, bests = (", ".join(f"{run[key]:.1f}" for run in runs) for key in ("last", "best"))
    return (
        f"| {name} | {command} | {last} | {min(run['worst'] for run in runs):.0f} | {bests} | "
        f"{sum(middle) / len(middle):.1f} | {spread([run['share'] for run in runs], 100, 0)} % | "
        f"{spread([run['seconds'] for run in runs], 1, 1)} | {day()} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--sb3", help="a Python that has stable-baselines3, to set it beside")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipe's README")
    options = parser.parse_args()
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tables = {}
    with tempfile.TemporaryDirectory() as scratch:
        for task in options.only:
            config, environment, _, good = TASKS[task]
            columns = tuple(column.format(at=good) for column in COLUMNS)
            chosen = "" if config == "default" else f" CONFIG={config}"
            kinds = [(environment, f"`make train RECIPE={RECIPE}{chosen}`", kit_run, scratch)]
            if options.sb3:
                kinds.append((f"{environment}, stable-baselines3", "`--sb3`", other_run, options.sb3))
            for name, command, function, more in kinds:
                runs = []
                for seed in options.seeds:
                    runs.append(function(task, seed, more))
                    print(f"  {name} seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
                tables.setdefault(columns, []).append(row(name, command, runs))
    text = f"{rows(RECIPE, tables)}\n\nMean ± standard deviation; one thread; {machine()}"
    text = text.replace("`make bench DATA=...`", "`benchmarks/dqn.py`")
    print(text)
    if options.write:
        write(RECIPE, text)


if __name__ == "__main__":
    main()
