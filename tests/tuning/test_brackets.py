"""What Hyperband spends its epochs on."""

import random

import pytest

from kit import config
from kit.terminal import counted
from kit.tuning import brackets, oracle, outcome, space

PARAMETERS = space.read(config.nested({"model.dropout": {"min": 0.0, "max": 0.5}}))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("trials", "epochs", "workers"), [(3, 3, 2), (6, 9, 2), (10, 9, 4), (2, 27, 3)])
def test_brackets_that_were_begun_keep_their_epochs(tmp_path, seed, trials, epochs, workers):
    made = oracle.make(
        "hyperband",
        "val_accuracy",
        "max",
        space.hyperparameters(PARAMETERS, {}),
        0,
        trials=trials,
        epochs=epochs,
        factor=3,
    )
    journal = oracle.Journal(made, tmp_path / "journal.jsonl")
    random_ = random.Random(seed)  # who is done first is chance
    busy = []
    while True:
        while len(busy) < workers and brackets.has_room(made, trials * epochs):
            trial = journal.ask()
            if trial is None:
                break
            busy.append(oracle.number(trial))
        if not busy:
            break
        number = busy.pop(random_.randrange(len(busy)))
        record = {"trial": number, "state": "completed", "message": None, "score": random_.random()}
        journal.end(record | {"folder": f"{number:04}", "curve": [0.5], "epochs": 1})
    assert epochs * trials - epochs < brackets.spent(made) <= epochs * trials
    for bracket in made._brackets[:-1]:  # the last one is cut short where the epochs end
        sizes = [len(entries) for entries in bracket["rounds"]]
        whole = [made._get_size(bracket["bracket_num"], index) for index in range(len(sizes))]
        assert sizes == whole
    journal.close()


def test_few_trials_of_few_epochs_are_said():
    short, few = outcome.hints(6, 2)
    assert short.startswith("2 epochs of training say little") and few.startswith("the best of 6 trials is in part")
    assert outcome.hints(1, 1)[0].startswith("1 epoch of training says little")
    assert outcome.hints(20, 10) == []
    assert (counted(1, "worker"), counted(2, "thread"), counted(0, "epoch")) == ("1 worker", "2 threads", "0 epochs")
