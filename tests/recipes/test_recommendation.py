"""Recommendation: nothing looks at what comes later, shuffled rows change nothing, rankings, ratings, predictions."""

import json
import logging

import numpy as np
import pytest

import kit
from kit import cli, recipes
from kit.config import call
from kit.data.sources import generated_tastes
from kit.errors import KitError, SettingError
from kit.tasks.recommended import tops

TRAIN = {"epochs": 2, "batch_size": 16, "steps_per_execution": 1, "jit_compile": False, "patience": 0}
DATA = {"feedback": "clicks", "max_length": 10, "negatives": 1000}
SMALL = {"bootstrap_samples": 50}
NEXT = 12


def cycles(users=60, length=9):
    """Users who take items in one order, each from another one on: what comes next is plain, and all are as popular."""
    rows = [(f"u{user}", f"i{(user + step) % NEXT}", 1.0, step) for user in range(users) for step in range(length)]
    return rows


def splits(rows, seed=0, **settings):
    return call(recipes.get("recommendation").data, seed, None, source=rows, **{**DATA, **settings})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A Transformer that has learned the order."""
    return kit.train(
        "recommendation",
        folder=tmp_path_factory.mktemp("recommendation") / "run",
        data={"source": cycles(), **DATA},
        model={"backbone": "sequential"},
        backbone={"dim": 16, "depth": 1, "num_heads": 1, "feedforward_dim": 32, "dropout": 0.0},
        optimizer={"name": "adam", "learning_rate": 0.02},
        train={**TRAIN, "epochs": 30},
        evaluate={"top_k": 1, **SMALL},
        verbose=False,
    )


def test_what_comes_next_is_learned_and_ranked_first(run):
    test = run.metrics["test"]
    assert test["hit_rate_at_1"] == test["hit_rate_at_1_low"] == 1.0 and test["ndcg_at_1"] > 0.9
    assert test["ndcg_at_1_over_popularity_low"] > 0 and test["popularity_hit_rate_at_1"] < 0.8
    assert test["users"] == 60 and test["new_items"] == 0 and 0 < test["catalogue_coverage"] <= 1
    assert run.metrics["baseline"]["name"] == "item nearest neighbours"
    assert run.metrics["baseline"]["hit_rate_at_1"] == test["neighbours_hit_rate_at_1"]


def test_predictions_leave_out_what_was_taken(run):
    table = run.predict("u3", n=2)
    assert list(table.columns) == ["input", "rank", "item", "title", "score", "by"]
    assert table["input"].tolist() == ["u3", "u3"] and table["rank"].tolist() == [1, 2]
    assert table["item"][0] == f"i{(3 + 9) % NEXT}"  # it took nine from i3 on
    taken = {f"i{(3 + step) % NEXT}" for step in range(9)}
    everything = run.predict(["u3"], n=NEXT)
    assert len(everything) == NEXT - 9 and not taken & set(everything["item"])
    assert len(run.predict(user="u3", n=NEXT, seen=True)) == NEXT
    both = run.predict(user=("u3", "u5"), n=1)
    assert both["input"].tolist() == ["u3", "u5"]
    near = run.predict(item="i4", n=2)
    assert near["by"].tolist() == ["cosine"] * 2 and "i4" not in set(near["item"])


def test_who_is_unknown_is_refused_by_name_or_told_what_is_popular(run, caplog):
    with pytest.raises(KitError, match=r"text:1: unknown user 'u333'; expected one of the 60 .*; did you mean 'u33'"):
        run.predict("u333")
    with pytest.raises(KitError, match="unknown item 'i99'; expected one of the 12"):
        run.predict(item="i99")
    with pytest.raises(KitError, match="no users; expected names of users, or predict.user"):
        run.predict()
    with pytest.raises(SettingError, match="n: expected at most the 12 items of the catalogue, got 13"):
        run.predict("u1", n=13)
    table = run.predict(["u1", "nobody"], n=2, unknown="popularity")
    assert table["by"].tolist() == ["model", "model", "popularity", "popularity"]


def test_the_command_line_takes_a_user_without_an_input(run, capsys, tmp_path):
    assert cli.main(["predict", str(run.folder), "--user", "u3", "--n", "2"]) == 0
    assert "for user u3" in capsys.readouterr().out
    (tmp_path / "users.txt").write_text("u3\nu5\n")
    assert cli.main(["predict", str(run.folder), str(tmp_path / "users.txt"), "--n", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert [each["input"] for each in found] == ["u3", "u5"]
    assert cli.main(["predict", str(run.folder), "--user", "stranger"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_history_holds_what_came_later():
    found = generated_tastes.read("tastes", num_users=30, num_items=40, seed=3)
    rows = list(zip(found.users, found.items, found.ratings, found.times, strict=True))
    of_pair = {(user, item): time for user, item, _, time in rows}
    for division in ("last_out", "time"):
        read = splits(rows, division=division)
        names, users = ["", *read.assets["items"]], read.assets["users"]
        latest = dict.fromkeys(users, -1)
        for part in (read.train, read.validation, read.test):
            for user, history, item in zip(part.input("user"), part.input("history"), part.extra("item"), strict=True):
                if not item:
                    continue
                user, now = users[user - 1], of_pair[users[user - 1], names[item]]
                before = [of_pair[user, names[each]] for each in history if 0 < each < len(names)]
                assert before == sorted(before) and all(time < now for time in before)
        split = read.assignment["split"].to_numpy()
        told = read.assignment["example"].str.split(" ").tolist()
        for name in ("train", "validation", "test"):
            for user, item, _ in (told[row] for row in np.flatnonzero(split == name)):
                if name == "train":
                    latest[user] = max(latest[user], of_pair[user, item])
                else:
                    assert of_pair[user, item] > latest[user]


def test_vocabularies_and_popularity_know_training_alone():
    rows = [*cycles(6, 5), ("u1", "late", 1.0, 99)]
    read = splits(rows)
    assert "late" not in read.assets["items"] and read.facts["num_items"] == len(read.assets["items"])
    item = read.test.extra("item")[read.assets["users"].index("u1")]
    assert item == 0  # it is none of the catalogue, and never a hit
    assert sum(read.assets["counts"]) == (read.assignment["split"] == "train").sum()
    changed = [(*row[:3], row[3]) if row[1] != "late" else ("u1", "other", 1.0, 99) for row in rows]
    again = splits(changed)
    for name in ("items", "counts", "trained"):
        assert again.assets[name] == read.assets[name]


def test_shuffled_rows_and_another_process_give_the_same_numbers(tmp_path):
    rows = cycles(20, 6)
    shuffled = [rows[row] for row in np.random.default_rng(0).permutation(len(rows))]
    found = [
        kit.train(
            "recommendation",
            folder=tmp_path / str(number),
            data={"source": given, **DATA, "negatives": 5},
            backbone={"dim": 4},
            train=TRAIN,
            model={"backbone": "matrix_factorization"},
            evaluate=SMALL,
            verbose=False,
        )
        for number, given in enumerate((rows, shuffled))
    ]
    assert found[0].metrics["test"] == found[1].metrics["test"]
    assert found[0].history.equals(found[1].history)


@pytest.mark.parametrize("backbone", ["matrix_factorization", "sequential"])
def test_ratings_are_predicted_in_their_own_unit(backbone, tmp_path):
    draw, rows = np.random.default_rng(0), []
    for user in range(40):
        for place, item in enumerate(draw.permutation(15)[:10]):
            rows.append((user, int(item), 2.0 + item % 2 + draw.normal(0, 0.1), place))
    run = kit.train(
        "recommendation",
        folder=tmp_path / "run",
        data={"source": rows, "max_length": 10},
        model={"backbone": backbone},
        backbone={"dim": 8},
        optimizer={"name": "adam", "learning_rate": 0.03},
        train={**TRAIN, "epochs": 12, "steps_per_epoch": 8},
        evaluate=SMALL,
        verbose=False,
    )
    test = run.metrics["test"]
    assert run.metrics["monitor"] == "val_rmse"
    assert test["rmse_low"] <= test["rmse"] <= test["rmse_high"] and test["rmse"] < test["rmse_of_mean"]
    assert test["mae"] <= test["rmse"] and test["rmse_of_biases"] < test["rmse_of_mean"]
    scores = run.predict(0, n=3)["score"]
    assert scores.is_monotonic_decreasing and scores.min() > 1 and scores.max() < 4


def test_lists_longer_than_the_catalogue_are_refused_before_the_training(tmp_path):
    with pytest.raises(SettingError, match=r"evaluate.top_k: expected at most the 12 items of the catalogue, got 13"):
        kit.train(
            "recommendation",
            folder=tmp_path / "run",
            data={"source": cycles(20, 6), **DATA},
            train=TRAIN,
            evaluate={"top_k": 13},
            verbose=False,
        )
    assert not (tmp_path / "run" / "config.toml").exists()


def test_generated_tastes_are_told_in_the_log(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="kit"):
        call(recipes.get("recommendation").data, 0, None, num_users=20, num_items=30)
    assert "tastes: the users, items and tastes are generated" in caplog.text


def test_the_best_columns_come_first_equal_ones_in_their_order():
    assert tops(np.array([[1.0, 3.0, 3.0, 2.0]]), 3).tolist() == [[1, 2, 3]]
    assert tops(np.array([[0.0, 0.0, 5.0]]), 10).tolist() == [[2, 0, 1]]
