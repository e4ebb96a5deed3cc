"""Interactions: which columns, what is refused, their order and division, features of items, what is drawn."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kit.data.entity_features import features_of, titles_of
from kit.data.histories import IGNORED, Histories, HistoryOptions, NegativeItems
from kit.data.interactions import InteractionDivision, InteractionSource
from kit.errors import KitError, SettingError

ROWS = [
    *(("ann", "b", 4.0, 30), ("ann", "a", 2.0, 10), ("ann", "c", 5.0, 20), ("ann", "d", 1.0, 40)),
    *(("bob", "a", 3.0, 15), ("bob", "c", 3.5, 35), ("bob", "e", 4.0, 25)),
    *(("cyd", "a", 1.0, 50), ("cyd", "b", 2.0, 60)),
]


def read(rows=ROWS, **settings):
    return InteractionSource(source=rows, **settings).read(0)[0]


def test_users_stand_together_each_from_the_earliest_to_the_latest():
    for rows in (ROWS, ROWS[::-1], pd.DataFrame(ROWS, columns=["userId", "movieId", "stars", "timestamp"])):
        found = read(rows)
        assert found.users.tolist() == ["ann"] * 4 + ["bob"] * 3 + ["cyd"] * 2
        assert found.items.tolist() == list("acbd") + list("aec") + list("ab")
        assert found.ratings.tolist()[:4] == [2.0, 5.0, 4.0, 1.0]
        assert found.names == read().names and len(set(found.names)) == 9


def test_files_and_folders_are_read_as_they_are_published(tmp_path, caplog):
    text = "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in ROWS)
    (tmp_path / "ratings.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\na,"Ant, The (1999)",War|Comedy\nb,Bee (2001),War\nz,Zoo,None\n'
    )
    with caplog.at_level(logging.INFO, logger="kit"):
        found, settings = InteractionSource(source=str(tmp_path)).read(0)
    assert found.names == read().names and settings["source"] == str(tmp_path.resolve())
    assert found.item_table["id"].tolist() == ["a", "b", "z"] and found.user_table is None
    assert "user is userId, item is movieId, rating is rating, time is timestamp" in caplog.text
    assert "data.feedback=auto: ratings" in caplog.text
    frame = pd.DataFrame(ROWS, columns=["who", "what", "mark", "when"])
    frame["when"] = pd.to_datetime(frame["when"], unit="D").dt.strftime("%Y-%m-%d")
    frame.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    found = read(str(tmp_path / "events.tsv"), user="who", item=2, rating="mark", time=-1)
    assert found.users.tolist() == read().users.tolist() and found.items.tolist() == read().items.tolist()


def test_names_stay_texts(tmp_path):
    (tmp_path / "a.csv").write_text("user,isbn,time\n1,0345,1\n1,034X,2\n2,0345,3\n2,12,4\n" + "3,0345,1\n" * 1)
    found = read(str(tmp_path / "a.csv"))
    assert found.users.tolist() == ["1", "1", "2", "2", "3"] and found.items.tolist()[:2] == ["0345", "034X"]
    assert read([(1, 10), (1, 11), (2, 10)]).items.tolist() == ["10", "11", "10"]


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (
            pd.DataFrame({"user": ["a", "b"], "x": [1, 2]}),
            {},
            "data: no column of items among user, x; data.item names",
        ),
        (pd.DataFrame(ROWS), {"user": "who"}, "user: no column 'who'"),
        ([("a", "x"), ("", "y"), ("b", "x")], {}, "data row 2: user .user. is empty; expected a name"),
        ([("a", "x"), ("b", None), ("b", "x")], {}, "data row 2: item .item. is empty; expected a name"),
        ([("a", "x", "good"), ("b", "y", "bad")], {}, "data row 1: rating .rating. is 'good'; expected a finite"),
        ([("a", "x", 1.0), ("b", "y", float("inf"))], {}, "data row 2: rating is inf; expected a finite number"),
        ([("a", "x", 1.0), ("b", "y", None)], {}, "data row 2: rating .rating. is empty; expected a finite number"),
        ([("a", "x", 1.0, "noon"), ("b", "y", 2.0, "2031-05-30")], {}, "data row 1: time .time. is 'noon'; expected"),
        ([("a", "x"), ("a", "y"), ("a", "z")], {}, "data: one user alone, 'a'; expected several"),
        ([("a", "x"), ("b", "x"), ("c", "x")], {}, "data: one item alone, 'x'; expected several"),
        (
            [("a", "x"), ("b", "y"), ("a", "x")],
            {"duplicates": "error"},
            "data row 3: user 'a' and item 'x' stand there",
        ),
        ([("a", "x"), ("b", "y")], {"feedback": "ratings"}, "feedback: expected 'clicks', since data has no different"),
        ([("a", "x"), ("b", "y", 2)], {}, "source: got rows of .2, 3. values; expected a list of"),
        ({"train": [("a", "x")]}, {}, "source: got splits; expected a list of"),
        ("tastes", {"user": "who"}, "user: expected none of generated tastes"),
        ([("a", "x"), ("b", "y")], {"num_users": 20}, "num_users: expected none where tastes are not generated"),
        (
            [("a", "x"), ("b", "y")],
            {"items": "nowhere.csv"},
            "items: expected a table of features, got '.*nowhere.csv'",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(rows, settings, message):
    with pytest.raises(KitError, match=message) as caught:
        read(rows, **settings)
    assert "\n" not in str(caught.value)


def test_the_last_of_several_counts(caplog):
    with caplog.at_level(logging.INFO, logger="kit"):
        found = read([*ROWS, ("ann", "a", 4.5, 35), ("bob", "a", 1.0, 1)])
    assert "2 interactions are of a user with an item a second time; the last one counts" in caplog.text
    assert found.items.tolist() == list("cbad") + list("aec") + list("ab") and found.ratings[2] == 4.5
    assert found.ratings[4] == 3.0


def test_equal_times_are_in_the_order_of_the_source(caplog):
    rows = [("a", "z", 1, 5), ("a", "x", 2, 5), ("a", "y", 3, 1), ("b", "x", 1, 1)]
    with caplog.at_level(logging.INFO, logger="kit"):
        assert read(rows).items.tolist()[:3] == ["y", "z", "x"]
    assert "1 of 4 interactions have the time of one before of the same user" in caplog.text


def test_the_last_two_of_each_user_are_held_out(caplog):
    with caplog.at_level(logging.INFO, logger="kit"):
        split = InteractionDivision().divide(read())
    assert split.tolist() == ["train", "train", "validation", "test", "train", "validation", "test", "train", "train"]
    assert "1 of 3 users have fewer than 3 interactions; all of theirs are for training" in caplog.text
    with pytest.raises(KitError, match="no user has 3 interactions; expected some"):
        InteractionDivision().divide(read([("a", "x"), ("a", "y"), ("b", "x")]))


def test_a_division_by_time_has_one_moment_for_all(caplog):
    draw = np.random.default_rng(0)
    rows = [
        (f"u{row % 20}", f"i{row}", 1.0 + row % 2, int(time)) for row, time in enumerate(draw.integers(0, 500, 400))
    ]
    rows += [("new", "i1", 1.0, 499), ("new", "i2", 1.0, 499)]
    found = read(rows)
    with caplog.at_level(logging.INFO, logger="kit"):
        split = InteractionDivision(division="time").divide(found)
    times = {name: found.times[split == name] for name in ("train", "validation", "test")}
    assert times["train"].max() < times["validation"].min() and times["validation"].max() < times["test"].min()
    assert (split[found.users == "new"] == "unused").all() and "1 users begin after" in caplog.text
    assert 0.05 < (split == "test").mean() < 0.15
    with pytest.raises(SettingError, match="division: 'time' needs a column of times"):
        InteractionDivision(division="time").divide(read([("a", "x"), ("b", "y")]))


def histories():
    items = [np.array([1, 2, 3, 4, 5, 6, 7]), np.array([3, 0, 1]), np.array([2])]
    return Histories(items, None, np.array([5, 1, 1]), start=8, max_length=3)


def test_every_training_item_is_told_once_with_what_was_before_it():
    draw = NegativeItems(np.ones(7), HistoryOptions(negatives=4), 0)
    examples = histories().training(draw, True)
    inputs, labels = examples.arrays(np.arange(len(examples)))
    told = inputs["target"][labels == 0].tolist()
    assert sorted(told) == [1, 2, 2, 3, 3, 4, 5] and (labels[inputs["target"] == 0] == IGNORED).all()
    assert inputs["user"].tolist() == [1, 1, 2, 3]
    assert inputs["history"].tolist() == [[2, 3, 4], [0, 8, 1], [0, 0, 8], [0, 0, 8]]
    assert inputs["target"].tolist() == [[3, 4, 5], [0, 1, 2], [0, 0, 3], [0, 0, 2]]
    assert examples.extra("position").tolist() == [4, 1, 0, 0]


def test_a_held_out_item_is_told_by_what_was_before_it_alone():
    draw = NegativeItems(np.ones(7), HistoryOptions(negatives=4), 0)
    examples = histories().held_out(np.array([0, 0, 1, 1]), np.array([5, 6, 1, 2]), draw, True)
    inputs, labels = examples.arrays(np.arange(4))
    assert inputs["history"].tolist() == [[3, 4, 5], [4, 5, 6], [0, 8, 3], [0, 8, 3]]  # 0 is an item nobody knows
    assert inputs["target"][:, -1].tolist() == [6, 7, 0, 1] and labels[:, -1].tolist() == [0, 0, IGNORED, 0]
    assert (labels[:, :-1] == IGNORED).all() and inputs["pool"].shape == (4,)


@pytest.mark.parametrize("negatives", [4, 7])  # some and all
def test_every_process_has_its_users_and_the_items_drawn_for_all(negatives):
    draw = NegativeItems(np.ones(7), HistoryOptions(negatives=negatives), 0)
    examples = histories().training(draw, True)
    whole, *shares = (examples.stream(4, 3, 0, 5, shard=shard) for shard in ((0, 1), (0, 2), (1, 2)))
    assert shares[0].element_spec[0]["pool"].shape == (negatives,)  # what is known tells that it is no example
    assert shares[0].element_spec[0]["user"].shape == shares[0].element_spec[1].shape[:1] == (None,)
    for (inputs, labels), *parts in zip(whole, *shares, strict=True):
        for rank, (own, own_labels) in enumerate(parts):
            np.testing.assert_array_equal(own_labels, labels[rank::2])
            for name, values in inputs.items():
                np.testing.assert_array_equal(own[name], values if name == "pool" else values[rank::2])


def test_items_are_drawn_by_seed_and_step_alone():
    frequencies, options = np.repeat([1000, 100, 100, 10], 10), HistoryOptions(negatives=39, negative_power=1.0)
    draw = NegativeItems(frequencies, options, 3)
    steps = [draw.drawn(tf.constant(step, tf.int64)).numpy() for step in range(100)]
    np.testing.assert_array_equal(NegativeItems(frequencies, options, 3).drawn(tf.constant(7, tf.int64)), steps[7])
    assert (steps[7] != steps[8]).any() and all(each.min() >= 1 and each.max() <= 40 for each in steps)
    shares = np.bincount((np.concatenate(steps) - 1) // 10, minlength=4) / (39 * 100)
    np.testing.assert_allclose(shares, frequencies[::10] / frequencies[::10].sum(), atol=0.03)
    np.testing.assert_allclose(np.exp(draw.log_counts[1:-1]), 39 * frequencies / frequencies.sum(), rtol=1e-5)
    even = NegativeItems(frequencies, HistoryOptions(negatives=3, negative_power=0.0), 3)
    np.testing.assert_allclose(even.shares, 1 / 40)
    everything = NegativeItems(frequencies, HistoryOptions(negatives=40), 3)
    assert everything.takes_all and everything.drawn(5).numpy().tolist() == list(range(1, 41))
    assert not everything.log_counts.any()


def test_features_are_categories_and_tenths(caplog):
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d", "z"],
            "title": ["Ant (1999)", "Bee (2001)", "Cat (1950)", None, "Zoo (2020)"],
            "genres": ["War|Comedy", "War", None, "Drama", "Opera"],
            "size": [1.0, 2.0, np.nan, 1.0, 9.0],
        }
    )
    with caplog.at_level(logging.INFO, logger="kit"):
        found = features_of(table, ["a", "b", "c", "d", "e"], "items")
    assert "1 of 5 items are not in items; they have no features" in caplog.text
    names = ["", *found.names]
    values = [{names[number] for number in row if number} for row in found.ids.tolist()]
    assert values[0] == values[-1] == values[5] == set()  # nothing, the beginning, and who is not in the table
    assert {"genres=War", "genres=Comedy", "size=1"} < values[1] and any(each.startswith("year=") for each in values[1])
    assert "genres=Opera" not in names  # of what training does not have
    assert titles_of(table, ["b", "d", "e"]) == ["Bee (2001)", "d", "e"] and titles_of(None, ["a"]) is None
    with pytest.raises(KitError, match="items: column 'colour' has no value for any of the known items; expected some"):
        features_of(table.assign(colour=None), ["a", "b"], "items")
    with pytest.raises(KitError, match="none of its items is among the 1 of the interactions"):
        features_of(table, ["y"], "items")


def test_a_table_of_features_names_each_once(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item\na,x\na,y\nb,x\n")
    (tmp_path / "items.csv").write_text("item,kind\nx,1\nx,2\n")
    with pytest.raises(KitError, match="items.csv row 2: item 'x' stands there twice; expected it once"):
        read(str(tmp_path))
    (tmp_path / "items.csv").write_text("item,kind\nx,1\n,2\n")
    with pytest.raises(KitError, match="items.csv row 2: item is empty"):
        read(str(tmp_path))


def test_tastes_are_a_function_of_their_seed():
    first, again, other = (InteractionSource(num_users=30, num_items=40).read(seed)[0].names for seed in (0, 0, 1))
    assert first == again != other
