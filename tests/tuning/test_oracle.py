import json

import pytest

from kit import config
from kit.errors import KitError
from kit.tuning import oracle, space

ENTRIES = {
    "model.dropout": {"min": 0.0, "max": 0.5},
    "optimizer.name": ["adamw", "sgd"],
    "optimizer.momentum": {"min": 0.5, "max": 0.9, "step": 0.1, "when": {"optimizer.name": "sgd"}},
}


def journal(path, algorithm, trials=6, seed=0):
    parameters = space.read(config.nested(ENTRIES))
    made = oracle.make(
        algorithm, "val_accuracy", "max", space.hyperparameters(parameters, {}), seed, trials=trials, epochs=9, factor=3
    )
    return oracle.Journal(made, path)


def score(trial):
    return 1 - abs(trial.hyperparameters.values["model.dropout"] - 0.2)


def record(trial, state="completed"):
    return {"trial": oracle.number(trial), "state": state, "score": score(trial), "message": "it failed"}


def walk(path, algorithm, *, trials=6, kills=(), most=40, failing=()):
    """Asks and tells with two workers; after each of `kills` exchanges all is thrown away and read again."""
    book, exchanges, running, seen = journal(path, algorithm, trials), 0, {}, {}
    while len(seen) < most:
        for worker in ("worker0", "worker1"):
            if worker not in running:
                trial = book.ask()
                if trial is not None:
                    running[worker] = trial
                    seen[oracle.number(trial)] = dict(trial.hyperparameters.values)
        if not running:
            break
        worker = sorted(running)[exchanges % len(running)]
        trial = running.pop(worker)
        book.end(record(trial, "failed" if oracle.number(trial) in failing else "completed"))
        exchanges += 1
        if exchanges in kills:
            book.close()
            book = journal(path, algorithm, trials)
            again = {oracle.number(trial): trial for trial in book.running()}
            assert set(again) == {oracle.number(trial) for trial in running.values()}
            running = {worker: again[oracle.number(trial)] for worker, trial in running.items()}
    book.close()
    return seen


@pytest.mark.parametrize("algorithm", oracle.ALGORITHMS)
def test_a_search_that_is_read_again_proposes_what_it_would_have(tmp_path, algorithm):
    most = 14 if algorithm != "bayesian" else 10  # the first nine are drawn at random
    whole = walk(tmp_path / "whole", algorithm, trials=14, most=most)
    killed = walk(tmp_path / "killed", algorithm, trials=14, most=most, kills=(1, 3, 4, 7, 9))
    assert killed == whole and len(whole) == most
    assert len({json.dumps(values) for values in whole.values()}) == most


def test_hyperband_trains_the_best_on(tmp_path):
    seen = walk(tmp_path / "journal", "hyperband", most=13)
    promoted = [values for values in seen.values() if "tuner/trial_id" in values]
    assert promoted
    for values in promoted:
        earlier = seen[int(values["tuner/trial_id"])]
        assert values["tuner/initial_epoch"] == earlier["tuner/epochs"] < values["tuner/epochs"]
        assert values["model.dropout"] == earlier["model.dropout"]


def test_grid_search_goes_on_where_more_trials_are_allowed(tmp_path):
    first = walk(tmp_path / "journal", "grid", trials=4)
    more = walk(tmp_path / "journal", "grid", trials=7)
    assert len(first) == 4 and len(more) == 3 and not set(first) & set(more)


def test_grid_search_gives_work_to_all_workers(tmp_path):
    book = journal(tmp_path / "journal", "grid", trials=9)
    asked = [book.ask() for _ in range(9)]
    assert len({json.dumps(trial.hyperparameters.values) for trial in asked}) == 9
    assert book.ask() is None and book.is_over


def test_an_oracle_that_waits_is_not_asked_again_before_a_trial_has_ended(tmp_path):
    path = tmp_path / "journal"
    parameters = space.read(config.nested({"optimizer.name": ["adamw", "sgd"]}))
    made = oracle.make(
        "hyperband", "val_accuracy", "max", space.hyperparameters(parameters, {}), 0, trials=6, epochs=9, factor=3
    )
    book = oracle.Journal(made, path)
    assert book.ask() is not None and book.ask() is not None
    assert [book.ask() for _ in range(5)] == [None] * 5
    assert len(path.read_text().splitlines()) == 3


def test_studies_with_neighbouring_seeds_have_nothing_in_common(tmp_path):
    found = [{walk["model.dropout"] for walk in walk_with(tmp_path / str(seed), seed)} for seed in (0, 1)]
    assert not found[0] & found[1]


def walk_with(path, seed):
    book = journal(path, "random", trials=12, seed=seed)
    return [book.ask().hyperparameters.values for _ in range(12)]


def test_failed_trials_are_left_behind_and_end_nothing(tmp_path):
    assert len(walk(tmp_path / "journal", "random", trials=8, failing=range(5))) == 8


def test_a_line_that_was_cut_off_is_taken_away(tmp_path):
    path = tmp_path / "journal"
    walk(path, "random", trials=3)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"ask": "work')
    journal(path, "random", trials=3).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ["{", '{"end": {"trial": 99, "state": "completed", "score": 1}}', "7"])
def test_a_damaged_journal_is_named(tmp_path, line):
    path = tmp_path / "journal"
    path.write_text(line + "\n")
    with pytest.raises(KitError, match="line 1 is damaged"):
        journal(path, "random")


def test_the_journal_of_another_study_is_refused(tmp_path):
    walk(tmp_path / "journal", "random")
    with pytest.raises(KitError, match="not what these settings lead to"):
        journal(tmp_path / "journal", "random", seed=1)
