"""Trains the settings of the recipes that act with five seeds, beside stable-baselines3.

That has RL-Zoo's settings for `dqn`, and else the recipe's own, but that its learning rate stays as it is.

    taskset -c 1 .venv/bin/python benchmarks/agents.py --recipe dqn --write
    taskset -c 1 .venv/bin/python benchmarks/agents.py --only ppo_cartpole --sb3 <python with stable-baselines3 2.9.2>

Each run is a process of its own, with one thread. Of stable-baselines3 the same is measured: the policy at the end,
the best one by about fifty evaluations of five episodes on the way, and CPU-seconds without these evaluations. What the
environments themselves take is measured apart: copies of them stepped together by random actions, as both do it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from measure import day, machine, rows, scratch_folder, spread, train, write


class Task(NamedTuple):
    """A recipe's settings, and what they are set beside.

    Args:
        recipe: Name of the recipe.
        config: Its settings.
        environment: Name of the environment.
        steps: Steps in the environments.
        good: Return that counts as good.
        algorithm: Class of stable-baselines3, or None where it has none.
        other: Its settings.
    """

    recipe: str
    config: str
    environment: str
    steps: int
    good: float
    algorithm: str | None = None
    other: dict | None = None


def _dqn(environment, steps, good, config, **settings):
    # RL-Zoo's settings; CartPole's and Acrobot's networks are 256x256 there too.
    settings = {"gamma": 0.99, "policy_kwargs": {"net_arch": [256, 256]}, **settings}
    return Task("dqn", config, environment, steps, good, "DQN", settings)


_SLOW = {
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 0,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": -1,
    "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}
TASKS = {
    "cartpole": _dqn(
        "CartPole-v1",
        50_000,
        475,
        "default",
        learning_rate=2.3e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=1000,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
    ),
    "acrobot": _dqn("Acrobot-v1", 99_000, -100, "acrobot", **_SLOW),
    "lunar_lander": _dqn("LunarLander-v3", 99_000, 200, "lunar_lander", **_SLOW),
    "reinforce_cartpole": Task("policy_gradient", "default", "CartPole-v1", 200_000, 475),
    # From here on the settings are the recipe's own.
    "ppo_cartpole": Task(
        "actor_critic",
        "default",
        "CartPole-v1",
        99_840,
        475,
        "PPO",
        {"n_envs": 8, "n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.8}
        | {"learning_rate": 1e-3, "clip_range": 0.2},
    ),
    "a2c_cartpole": Task(
        "actor_critic",
        "a2c",
        "CartPole-v1",
        200_000,
        475,
        "A2C",
        {"n_envs": 8, "n_steps": 5, "gamma": 0.99, "gae_lambda": 1.0, "learning_rate": 7e-4},
    ),
    "ppo_pendulum": Task(
        "actor_critic",
        "pendulum",
        "Pendulum-v1",
        196_608,
        -250,
        "PPO",
        {"n_envs": 8, "n_steps": 256, "batch_size": 64, "n_epochs": 10, "gamma": 0.9, "gae_lambda": 0.95}
        | {"learning_rate": 1e-3, "clip_range": 0.2},
    ),
    "ppo_acrobot": Task(
        "actor_critic",
        "acrobot",
        "Acrobot-v1",
        196_608,
        -100,
        "PPO",
        {"n_envs": 16, "n_steps": 128, "batch_size": 64, "n_epochs": 4, "gamma": 0.99, "gae_lambda": 0.94}
        | {"learning_rate": 1e-3, "clip_range": 0.2, "ent_coef": 0.005, "normalize": True},
    ),
}
COLUMNS = ("task", "command", "last policy, mean of the test episodes for each seed", "its IQM over seeds")
COLUMNS = (*COLUMNS, "worst episode of all", "best policy for each seed", "its IQM over seeds")
COLUMNS = (*COLUMNS, "share of good evaluations", "CPU-seconds without evaluations", "with them", "day")
# Runs under the other Python: imports nothing of the kit.
_OTHER = """
import copy, json, sys, time
import gymnasium, numpy as np, stable_baselines3, torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
torch.set_num_threads(1)
algorithm, name, steps, seed, settings, episodes = json.loads(sys.argv[1])
count, normalize = settings.pop("n_envs", 1), settings.pop("normalize", False)
venv = make_vec_env(name, n_envs=count, seed=seed)
if normalize:
    venv = VecNormalize(venv, gamma=settings["gamma"])
model = getattr(stable_baselines3, algorithm)("MlpPolicy", venv, seed=seed, device="cpu", **settings)
def play(number, first):
    found = []
    environment = gymnasium.make(name)
    for episode in range(number):
        observation, _ = environment.reset(seed=first + episode)
        total, over = 0.0, False
        while not over:
            seen = venv.normalize_obs(observation) if normalize else observation
            action = model.predict(seen, deterministic=True)[0]
            observation, reward, ended, cut, _ = environment.step(action)
            total, over = total + reward, ended or cut
        found.append(total)
    return found
class Watch(BaseCallback):
    evaluations, best, weights, moments, spent, due = [], -1e9, None, None, 0.0, steps // 50
    def _on_step(self):
        if self.num_timesteps >= self.due:
            self.due += steps // 50
            start = time.process_time()
            self.evaluations.append(float(np.mean(play(5, 10_000))))
            if self.evaluations[-1] >= self.best:
                self.best = self.evaluations[-1]
                self.weights = {key: value.clone() for key, value in model.policy.state_dict().items()}
                self.moments = copy.deepcopy(venv.obs_rms) if normalize else None
            self.spent += time.process_time() - start
        return True
watch, start = Watch(), time.process_time()
model.learn(steps, callback=watch)
whole = time.process_time() - start
last = play(episodes, 50_000)
model.policy.load_state_dict(watch.weights)
if normalize:
    venv.obs_rms = watch.moments
best = play(episodes, 50_000)
print(json.dumps({"last": last, "best": best, "evaluations": watch.evaluations, "whole": whole, "spent": watch.spent}))
"""


def kit_run(task, name, seed, scratch):
    """Returns what is compared of a run of the recipe."""
    folder = f"{scratch}/{name}-{seed}"
    metrics = train(task.recipe, folder, "--seed", str(seed), "--config", task.config)
    history = pd.read_csv(f"{folder}/history.csv")
    settings = tomllib.loads(Path(folder, "config.toml").read_text(encoding="utf-8"))
    judged = history["val_length"].sum() * settings["data"]["validation_episodes"]
    return {
        "last": metrics["test_of_last_epoch"]["return"],
        "worst": metrics["test_of_last_epoch"]["return_min"],
        "best": metrics["test"]["return"],
        "share": float((history["val_return"] >= task.good).mean()),
        "seconds": metrics["train_cpu_seconds"] - metrics["score_cpu_seconds"],
        "whole": metrics["train_cpu_seconds"],
        "steps": int(history["environment_steps"].iloc[-1]),
        "judged": float(judged / metrics["score_cpu_seconds"]),
    }


def other_run(task, name, seed, python, scratch):
    """Returns the same of stable-baselines3; a finished run is taken as it is."""
    kept = Path(scratch) / f"{name}-{seed}-sb3.json"
    if not kept.exists():
        given = json.dumps([task.algorithm, task.environment, task.steps, seed, task.other, 100])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        result = subprocess.run([python, "-c", _OTHER, given], capture_output=True, text=True, env=environment)
        if result.returncode:
            raise SystemExit(result.stderr)
        kept.write_text(result.stdout.splitlines()[-1], encoding="utf-8")
    found = json.loads(kept.read_text(encoding="utf-8"))
    return {
        "last": sum(found["last"]) / len(found["last"]),
        "worst": min(found["last"]),
        "best": sum(found["best"]) / len(found["best"]),
        "share": sum(value >= task.good for value in found["evaluations"]) / len(found["evaluations"]),
        "seconds": found["whole"] - found["spent"],
        "whole": found["whole"],
        "steps": task.steps,
    }


def row(name, command, runs):
    """Returns the runs of all seeds as a row."""
    from kit.agents.returns import interquartile_mean

    cells = [name, command]
    for key in ("last", "best"):
        values = [run[key] for run in runs]
        cells += [", ".join(f"{value:.1f}" for value in values), f"{interquartile_mean(values):.1f}"]
        if key == "last":
            cells.append(f"{min(run['worst'] for run in runs):.0f}")
    cells.append(f"{spread([run['share'] for run in runs], 100, 0)} %")
    cells += [spread([run[key] for run in runs], 1, 1) for key in ("seconds", "whole")]
    return f"| {' | '.join(cells)} | {day()} |"


def environment_speed(name, copies, seconds=3.0):
    """Returns the steps in a CPU-second of copies of an environment that act at random, nothing else being done."""
    import gymnasium

    environments = gymnasium.make_vec(name, num_envs=copies, vectorization_mode="sync")
    environments.reset(seed=0)
    actions = [environments.action_space.sample() for _ in range(100)]
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        environments.step(actions[count % 100])
        count += 1
    return count * copies / (time.process_time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=sorted({task.recipe for task in TASKS.values()}), help="its tasks alone")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--sb3", help="a Python that has stable-baselines3, to set it beside")
    parser.add_argument("--data", help="not needed: the environments make their own")
    parser.add_argument("--runs", help="folder that keeps the runs: finished ones are not trained again")
    parser.add_argument("--write", action="store_true", help="put the rows into the recipes' READMEs")
    options = parser.parse_args()
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measured = {}
    with scratch_folder(options.runs) as scratch:
        for name in options.only:
            task = TASKS[name]
            if options.recipe not in (None, task.recipe):
                continue
            chosen = "" if task.config == "default" else f" CONFIG={task.config}"
            title = f"{task.environment}{', A2C' if task.algorithm == 'A2C' else ''}"
            sides = [(title, f"`make train RECIPE={task.recipe}{chosen}`", kit_run, ())]
            if options.sb3 and task.algorithm:
                sides.append((f"{title}, stable-baselines3", "`--sb3`", other_run, (options.sb3,)))
            for label, command, function, more in sides:
                runs = []
                for seed in options.seeds:
                    runs.append(function(task, name, seed, *more, scratch))
                    print(f"  {label} seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
                measured.setdefault(task.recipe, []).append(row(label, command, runs))
                if function is kit_run:
                    seconds = np.mean([run["seconds"] for run in runs])
                    speed = environment_speed(task.environment, (task.other or {}).get("n_envs", 8))
                    steps = np.mean([run["steps"] for run in runs])
                    print(
                        f"  {title}: {steps / seconds:,.0f} steps/CPU-s in training, of which the environment takes "
                        f"{steps / speed / seconds:.0%} (alone {speed:,.0f} steps/CPU-s); "
                        f"{np.mean([run['judged'] for run in runs]):,.0f} in evaluation",
                        flush=True,
                    )
    for recipe, found in measured.items():
        text = f"{rows(recipe, {COLUMNS: found})}\n\nMean ± standard deviation; one thread; {machine()}"
        text = text.replace("`make bench DATA=...`", "`benchmarks/agents.py`")
        print(text)
        if options.write:
            write(recipe, text)


if __name__ == "__main__":
    main()
