"""Divisions that go by groups, times, published lists and folds: nothing is torn, nothing later is learned from."""

import logging
from pathlib import Path

import numpy as np
import pytest

from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions, TokenOptions
from kit.data.split_columns import times_of, values_of
from kit.data.split_lists import absolute
from kit.data.splits import Kept, Known, assign
from kit.data.tags import move_unknown
from kit.errors import KitError, SettingError
from kit.recipes.sequence_tagging import tagged_sentences
from kit.recipes.translation import translated_sentences
from kit.runs.settings import alike
from tests.conftest import draw

RANDOM = np.random.default_rng(0)
# 400 examples of 3 classes in 60 groups of very different size.
GROUPS = RANDOM.geometric(0.06, 400) % 60
LABELS = (GROUPS + RANDOM.integers(0, 2, 400)) % 3
NAMES = [f"site{group:02}/{row}.png" for row, group in enumerate(GROUPS)]
CLASSES = ["a", "b", "c"]


def divide(names=NAMES, labels=LABELS, given=None, columns=None, saved=None, **settings):
    classes = {} if labels is None else {"labels": np.asarray(labels), "class_names": CLASSES}
    division = Division(settings.pop("validation", 0.2), settings.pop("test", 0.2), **settings)
    return assign(names, given, division, saved, Known(names, columns or {}), **classes)


def torn(table):
    """Groups that stand in more than one split."""
    return (table.groupby("group")["split"].nunique() > 1).sum()


@pytest.mark.parametrize("labels", [LABELS, None], ids=["classes", "none"])
@pytest.mark.parametrize("seed", range(5))
def test_groups_are_whole_and_shares_near(labels, seed):
    table = divide(labels=labels, group=r"site(\d+)", split_seed=seed)
    assert table["group"].tolist() == [f"{group:02}" for group in GROUPS]
    assert not torn(table)
    shares = table["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.05) and shares["validation"] == pytest.approx(0.16, abs=0.05)
    assert table.equals(divide(labels=labels, group=r"site(\d+)", split_seed=seed))
    if labels is not None:
        counts = table.groupby(["split", "label"]).size().unstack(fill_value=0)
        assert (counts > 0).to_numpy().all()
        expected = np.bincount(LABELS) / 400
        np.testing.assert_allclose(counts.loc["test"] / counts.loc["test"].sum(), expected, atol=0.12)


def test_another_seed_draws_other_groups_and_a_column_is_the_same_as_a_pattern():
    tables = [divide(group=r"site(\d+)", split_seed=seed) for seed in range(6)]
    assert len({tuple(table["split"]) for table in tables}) > 1
    column = divide(columns={"site": [f"{group:02}" for group in GROUPS]}, group="site")
    assert column.equals(tables[0])


def test_a_whole_match_is_the_group_where_the_pattern_has_none():
    assert set(divide(group="^site.")["group"]) == {f"site{digit}" for digit in range(6)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"group": "site"}, "group: 'site' makes one group of all 400 examples, 'site'; expected several"),
        ({"group": "patient"}, "group: 'patient' is in no name, such as 'site.*expected a regular expression"),
        ({"group": r"/(1\d)"}, r"group: '/\(1\\\\d\)' is in \d+ of 400 names, not in 'site"),
        ({"group": "("}, r"group: '\(' is none \(missing \)"),
        ({"group": "sites", "columns": {"site": ["x"] * 400}}, "a column .'site'. or a regular.*did you mean 'site'"),
        ({"group": "site", "columns": {"site": [None, *["x"] * 399]}}, r"\(example 1\) has no 'site'; expected one"),
        ({"time": "site"}, "time: 'site' of site.* is no time; expected numbers throughout, or ISO dates"),
        (
            {"group": r"site(\d+)", "time": r"/(\d+)"},
            "time: group '.*' is at .* and at .*; with data.group expected one",
        ),
        ({"fold": (5, 5)}, r"fold: expected such as \[0, 5\] to \[4, 5\], of five folds, got \[5, 5\]"),
        ({"fold": (0, 1)}, "fold: expected such as"),
        ({"fold": (0, 61), "group": r"site(\d+)"}, r"train\.folds: expected at most \d+, the number of groups, got 61"),
        ({"fold": (0, 300)}, r"train\.folds: expected at most \d+, the number of examples of class '.', got 300"),
        ({"fold": (0, 401), "labels": None}, r"train\.folds: expected at most 400, the number of examples, got 401"),
        ({"fold": (0, 9), "time": r"site(\d)"}, "train.folds: expected at least 11 different times for 9 folds"),
    ],
)
def test_what_cannot_be_divided_is_one_line(settings, said):
    with pytest.raises(KitError, match=said) as caught:
        divide(**settings)
    assert "\n" not in str(caught.value)


def test_few_groups_are_refused_and_so_is_a_class_in_one_of_them():
    names = [f"{group}-{row}" for group in "AB" for row in range(20)]
    with pytest.raises(SettingError, match="group: expected at least 3 groups to divide, not 2"):
        divide(names, [0, 1] * 20, group="^.")
    names = [f"{group}-{row}" for group in "ABCD" for row in range(10)]
    labels = [2 * (group == "A") for group in "ABCD" for _ in range(10)]
    labels[-1] = labels[-11] = 1
    table = divide(names, labels, group="^.")  # possible: class c stays in training
    assert (table[table["group"] == "A"]["split"] == "train").all()
    with pytest.raises(SettingError, match=r"train\.folds: class 'c' is in too few groups"):
        divide(names, labels, group="^.", fold=(0, 2))


@pytest.mark.parametrize("seed", range(5))
def test_three_groups_are_enough_for_three_splits(seed):
    names = [f"{group}-{row}" for group in "ABC" for row in range(10)]
    table = divide(names, [0, 1] * 15, group="^.", split_seed=seed, test=0.6, validation=0.6)
    assert set(table["split"]) == {"train", "validation", "test"} and not torn(table)


def test_each_class_in_a_group_of_its_own_is_refused():
    names = [f"{group}-{row}" for group in "ABC" for row in range(10)]
    with pytest.raises(KitError, match="data.group: class 'a' is in group 'A' alone, so that none is left to train on"):
        divide(names, np.repeat([0, 1, 2], 10), group="^.")


def test_a_group_that_the_source_tears_is_refused():
    given = np.array(["train"] * 300 + ["test"] * 100, dtype=object)
    with pytest.raises(
        SettingError, match="group: the source itself has group '..' in the train and in the test split"
    ):
        divide(given=given, group=r"site(\d+)")
    given[:] = np.where(GROUPS < 10, "test", "train")
    table = divide(given=given, group=r"site(\d+)")
    assert not torn(table) and ((table["split"] == "test") == (GROUPS < 10)).all()
    # Folds join training and validation of the source, which may share a group then.
    given = np.where(np.arange(400) % 7 == 0, "validation", "train").astype(object)
    assert not torn(divide(given=given, group=r"site(\d+)", fold=(0, 3)))


TIMES = RANDOM.integers(0, 50, 400)


@pytest.mark.parametrize(
    "written",
    [
        lambda time: str(time),
        lambda time: f"{time / 7:.3f}",
        lambda time: f"2031-{1 + time // 28:02}-{1 + time % 28:02}",
        lambda time: f"2031-05-30T{time // 3:02}:{time % 3:02}:00+00:00",
    ],
)
@pytest.mark.parametrize("fold", [None, (0, 3), (1, 3), (2, 3)])
def test_later_is_test_and_equal_times_stay_together(written, fold):
    table = divide(columns={"when": [written(time) for time in TIMES]}, time="when", fold=fold)
    split = table["split"].to_numpy()
    last = {name: TIMES[split == name].max() for name in ("train", "validation", "test")}
    first = {name: TIMES[split == name].min() for name in ("validation", "test")}
    assert last["train"] < first["validation"] <= last["validation"] < first["test"]
    if fold is None:
        assert set(split) == {"train", "validation", "test"}
        assert (split == "test").mean() == pytest.approx(0.2, abs=0.03)
        assert (split == "validation").sum() / (split != "test").sum() == pytest.approx(0.2, abs=0.03)
    else:
        assert ("unused" in split) == (fold[0] < 2)
        assert (TIMES[split == "unused"] > last["test"]).all()
        assert (split == "test").mean() == pytest.approx(0.25, abs=0.05)


def test_forward_folds_follow_each_other_and_cover_all_but_the_first_part():
    names = [f"{row}" for row in range(9)]
    for folds in (2, 5, 7):
        tables = [divide(names, None, time=".", fold=(number, folds)) for number in range(folds)]
        tested = [set(table.index[table["split"] == "test"]) for table in tables]
        assert all(tested) and sum(map(len, tested)) == len(set().union(*tested))
        assert set().union(*tested) == set(range(min(tested[0]), 9)) and min(tested[0]) >= 2
    with pytest.raises(SettingError, match=r"train\.folds: expected at least 10 different times for 8 folds"):
        divide(names, None, time=".", fold=(0, 8))


def test_groups_and_times_go_together_where_each_group_has_one_time():
    columns = {"when": [str(group // 4) for group in GROUPS]}
    table = divide(columns=columns, group=r"site(\d+)", time="when")
    assert not torn(table)
    assert (GROUPS[table["split"] == "train"].max() // 4) < (GROUPS[table["split"] == "test"].min() // 4)


def test_splits_of_the_source_must_follow_each_other_and_classes_begin_early():
    given = np.array(["train"] * 300 + ["test"] * 100, dtype=object)
    with pytest.raises(SettingError, match="time: the test split of the source itself begins at .*, before its train"):
        divide(given=given, columns={"when": TIMES}, time="when")
    assert (divide(given=given, columns={"when": range(400)}, time="when")["split"][300:] == "test").all()
    with pytest.raises(KitError, match="data.time: class 'c' begins after the last training example"):
        divide(labels=[0, 1] * 195 + [2] * 10, columns={"when": range(400)}, time="when")
    with pytest.raises(KitError, match="data.time: 2 times are left to take a test split of; expected at least 3"):
        divide(columns={"when": [1] * 300 + [2] * 100}, time="when")
    with pytest.raises(KitError, match="data.time: one time is left to take a test split of"):
        divide(columns={"when": [1] * 400}, time="when")


def test_three_times_are_enough_for_three_splits():
    """The test split leaves a time for validation, though two would be nearer to its share."""
    table = divide(columns={"when": [2019] * 320 + [2020] * 40 + [2021] * 40}, time="when", labels=None)
    assert table.groupby("time")["split"].unique().map(list).to_dict() == {
        **{"2019": ["train"], "2020": ["validation"], "2021": ["test"]},
    }


def test_no_test_split_is_drawn_from_what_is_before_a_validation_split():
    given = np.array(["train"] * 300 + ["validation"] * 100, dtype=object)
    with pytest.raises(SettingError, match="time: the source has a validation split and no test split"):
        divide(given=given, columns={"when": range(400)}, time="when")


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        (["1", "2", "soon"], "soon"),
        (["2031-01-01", "2031-01-02", "7 May"], "7 May"),
        (["1", "inf", "3"], "inf"),
        (["2031-01-01", "now", "2031-01-02"], "now"),
        (["2031-01-01", "2031-13-01", "2031-01-02"], "2031-13-01"),
    ],
)
def test_what_is_no_time_is_named_with_its_row(values, bad):
    names = ["x.png", "y.png", "z.png"]
    row = values.index(bad)
    with pytest.raises(
        SettingError, match=rf"time: '{bad}' of {names[row]} \(example {row + 1}\) is no time"
    ) as caught:
        times_of("when", names, {"when": values})
    assert "\n" not in str(caught.value)


def test_times_of_a_day_and_of_zones_are_compared():
    times, _ = times_of("t", ["a", "b", "c"], {"t": ["2031-05-30", "2031-05-30T01:00+02:00", "2031-05-30T00:30Z"]})
    assert times[1] < times[0] < times[2]
    assert values_of("group", "t", ["a"], {"t": [7]}) == ["7"]


@pytest.mark.parametrize("group", [None, r"site(\d+)"])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["classes", "none"])
def test_folds_test_each_example_once(group, labels):
    tables = [divide(labels=labels, group=group, fold=(number, 4)) for number in range(4)]
    tested = np.array([table["split"] == "test" for table in tables])
    assert (tested.sum(0) == 1).all()
    for table in tables:
        assert set(table["split"]) == {"train", "validation", "test"}
        assert (table["split"] == "test").mean() == pytest.approx(0.25, abs=0.05)
        if group:
            assert not torn(table)
        if labels is not None:
            shares = table[table["split"] == "test"]["label"].value_counts(normalize=True).sort_index()
            np.testing.assert_allclose(shares, np.bincount(LABELS) / 400, atol=0.1 if group else 0.01)
    other = divide(labels=labels, group=group, fold=(0, 4), split_seed=1)
    assert (other["split"] != tables[0]["split"]).any()


def test_folds_leave_a_test_split_of_the_source_closed(caplog):
    given = np.array(["train"] * 200 + ["validation"] * 100 + ["test"] * 100, dtype=object)
    with caplog.at_level(logging.INFO, "kit"):
        tables = [divide(given=given, fold=(number, 3)) for number in range(3)]
    for table in tables:
        assert (table["split"][300:] == "unused").all() and (table["split"][:300] != "unused").all()
    assert "the 100 examples of the source's own test split are left for a run without folds" in caplog.text
    assert divide(saved=Kept(tables[0]), fold=(0, 3)).equals(tables[0])


def lists(tmp_path, **contents):
    for name, content in contents.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(content) + "\n", encoding="utf-8")
    return tuple(str(tmp_path / f"{name}.txt") for name in contents)


CLIPS = [f"{word}/{number}.wav" for word in ("yes", "no") for number in range(10)]


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: name,
        lambda name: name.removesuffix(".wav"),
        lambda name: f"/data/speech/{name}",
        lambda name: f"./{name} masks/{name}",
        lambda name: name.replace("/", "\\"),
    ],
)
def test_lists_of_names_divide(spelled, tmp_path):
    files = lists(
        tmp_path,
        testing_list=[*(spelled(name) for name in ("yes/1.wav", "no/3.wav")), ""],
        validation_list=[spelled("no/1.wav")],
    )
    table = divide(CLIPS, None, split_files=files)
    named = dict(zip(CLIPS, table["split"], strict=True))
    assert [named[name] for name in ("yes/1.wav", "no/3.wav", "no/1.wav", "yes/3.wav")] == [
        *("test", "test", "validation", "train"),
    ]
    assert (table["split"] == "train").sum() == 17


def test_a_list_of_training_examples_leaves_others_out_and_missing_splits_are_drawn(tmp_path, caplog):
    files = lists(tmp_path, train=CLIPS[:12])
    with caplog.at_level(logging.INFO, "kit"):
        table = divide(CLIPS, None, split_files=files)
    assert (table["split"][12:] == "unused").all()
    assert table["split"][:12].value_counts().to_dict() == {"train": 8, "test": 2, "validation": 2}
    assert "8 of 20 examples are in no list and not used" in caplog.text
    (tmp_path / "fold1").write_text("1\n", encoding="utf-8")
    table = divide(["1", "2", "3", "4"], None, split_files=(f"test={tmp_path / 'fold1'}",))
    assert table["split"].tolist()[0] == "test"


def test_a_whole_name_is_not_mixed_up_with_one_that_has_an_ending(tmp_path):
    table = divide(["doc1", "doc1.2", "doc2", "doc3"], None, split_files=lists(tmp_path, test=["doc1"], val=["doc1.2"]))
    assert table["split"].tolist() == ["test", "validation", "train", "train"]


def test_a_group_is_torn_though_its_first_example_is_in_no_list(tmp_path):
    names = [f"p{person}_{number}" for person in range(4) for number in range(3)]
    files = lists(tmp_path, train=[f"p{person}_1" for person in range(4)], test=[f"p{person}_2" for person in range(4)])
    with pytest.raises(SettingError, match="group: the source itself has group 'p0' in the train and in the test"):
        divide(names, None, split_files=files, group=r"^(p\d+)")


def test_a_list_may_name_images_that_are_skipped(tmp_path):
    for kind in "ab":
        for number in range(8):
            draw(tmp_path / "photos" / kind / f"{number}.png", value=number)
    (tmp_path / "photos" / "a" / "3.png").write_bytes(b"damaged")
    files = lists(tmp_path, test=["a/3.png", "a/1.png", "b/1.png"])
    read = image_splits(None, ImageOptions(str(tmp_path / "photos"), on_bad="skip"), Division(split_files=files))
    tested = read.assignment["example"][read.assignment["split"] == "test"]
    assert tested.tolist() == ["a/1.png", "b/1.png"]


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (
            {"test": ["yes/1.wav", "yes/99.wav"]},
            r"test\.txt:2: no example is called 'yes/99.wav'; expected a name such",
        ),
        ({"test": ["yes/1.wav", "yes/1"]}, r"test\.txt:2: yes/1.wav is in .*test\.txt:1 already; expected it once"),
        ({"test": ["yes/1"], "val": ["yes/1"]}, r"test\.txt:1: yes/1.wav is in .*val\.txt:1 already; expected it once"),
        ({"test": ["1.wav"]}, r"test\.txt:1: '1.wav' names several examples; expected more of the path"),
        ({"test": [""]}, r"test\.txt: no names; expected one in each line"),
        (
            {"list": ["yes/1"]},
            "split_files: '.*list.txt' looks like no split; expected .* or before it, as in 'test=.*",
        ),
        ({"train_test": ["yes/1"]}, "split_files: .* looks like train and like test"),
        ({"test": ["yes/1"], "testing": ["yes/2"]}, "split_files: .* are both for test; expected one"),
    ],
)
def test_lists_that_cannot_be_are_one_line(contents, said, tmp_path):
    with pytest.raises(KitError, match=said) as caught:
        divide(CLIPS, None, split_files=lists(tmp_path, **contents))
    assert "\n" not in str(caught.value)


def test_lists_that_are_not_there_or_not_needed(tmp_path):
    with pytest.raises(SettingError, match="split_files: no file 'test.txt'; expected a text file"):
        divide(CLIPS, None, split_files=("test.txt",))
    files = lists(tmp_path, test=["yes/1"])
    with pytest.raises(SettingError, match="split_files: the source has splits of its own"):
        divide(CLIPS, None, given=["train"] * 20, split_files=files)
    with pytest.raises(KitError, match=r"test\.txt:1: not UTF-8"):
        (tmp_path / "test.txt").write_bytes(b"\xff\n")
        divide(CLIPS, None, split_files=files)


def test_a_run_goes_on_whether_lists_are_relative_or_absolute():
    files = ["lists/test.txt", "val=lists/1.txt"]
    kept = tuple(map(absolute, files))
    assert kept == (str(Path("lists/test.txt").resolve()), f"val={Path('lists/1.txt').resolve()}")
    assert alike(kept, files) and not alike(kept, files[:1]) and not alike(kept, ["lists/other.txt", files[1]])


@pytest.fixture
def patients(tmp_path):
    """A CSV file of 24 images of 6 patients, with the day of each."""
    rows = ["path,label,patient,day"]
    for row in range(24):
        draw(tmp_path / "scans" / f"{row}.png", value=row)
        rows.append(f"scans/{row}.png,{'ill' if row % 2 else 'well'},P{row // 4},2031-01-{1 + row // 2:02}")
    path = tmp_path / "scans.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_columns_of_a_table_of_images(patients):
    read = image_splits(None, ImageOptions(str(patients)), Division(0.25, 0.25, group="patient"))
    assert not torn(read.assignment) and set(read.assignment["group"]) == {f"P{index}" for index in range(6)}
    read = image_splits(None, ImageOptions(str(patients)), Division(0.25, 0.25, time="day"))
    assert (read.assignment["split"][18:] == "test").all() and read.assignment["time"][0] == "2031-01-01"
    assert len(read.known()[0]) == 18
    read = image_splits(None, ImageOptions(str(patients)), Division(time="day", fold=(0, 2)))
    assert len(read.known()[0]) == (read.assignment["split"].isin(["train", "validation"])).sum() < 18


def test_lists_in_a_folder_of_images_are_told_of_and_not_taken(photos, caplog):
    (photos / "testing_list.txt").write_text("cat/0.png\ndog/0.png\n", encoding="utf-8")
    with caplog.at_level(logging.INFO, "kit"):
        image_splits(None, ImageOptions(str(photos)), Division())
    assert f'testing_list.txt looks like a published division, which data.split_files=["{photos}' in caplog.text
    caplog.clear()
    division = Division(split_files=(str(photos / "testing_list.txt"),))
    with caplog.at_level(logging.INFO, "kit"):
        read = image_splits(None, ImageOptions(str(photos)), division)
    assert "published division" not in caplog.text
    table = read.assignment.set_index("example")["split"]
    assert table[table == "test"].index.tolist() == ["cat/0.png", "dog/0.png"]


CONLLU = """# newdoc id = d{document}
# sent_id = d{document}-{sentence}
# text = a b
1\ta\ta\tNOUN\t_\t_\t0\troot\t_\t_
2\tb\tb\tVERB\t_\t_\t1\tdep\t_\t_

# sent_id = d{document}-{sentence}x
1\tb\tb\tNOUN\t_\t_\t0\troot\t_\t_

"""


def test_documents_of_conllu_columns_tables_and_objects(tmp_path):
    def groups(name, content, group, **more):
        (tmp_path / name).write_text(content, encoding="utf-8")
        division = Division(0.2, 0.2, group=group)
        splits = tagged_sentences(0, None, source=str(tmp_path / name), division=division, **more)
        assert not torn(splits.assignment)
        return splits.assignment["group"].tolist()

    conllu = "".join(CONLLU.format(document=document, sentence=1) for document in range(8))
    twice = [f"d{document}" for document in range(8) for _ in range(2)]
    assert groups("a.conllu", conllu, "newdoc id") == twice
    assert groups("a.conllu", conllu, "^(.*)-") == twice  # in the sent_id
    columns = "".join(f"-DOCSTART- -X- O O\n\na O\nb B-X\n\nb B-X\na O\n\n# {row}\n" for row in range(8))
    assert len(set(groups("b.conll", columns.replace("# 7\n", ""), "document"))) == 8
    table = "doc,Sentence #,Word,Tag\n" + "".join(
        f"D{row // 2},{row},a,O\nD{row // 2},{row},b,B-X\n" for row in range(16)
    )
    assert groups("c.csv", table, "doc") == [f"D{row // 2}" for row in range(16)]
    rows = (f'{{"tokens": ["a", "b"], "tags": ["O", "B-X"], "doc": {row // 2}, "id": "{row}"}}\n' for row in range(16))
    assert groups("d.jsonl", "".join(rows), "doc") == [str(row // 2) for row in range(16)]


def test_columns_of_pairs(tmp_path):
    rows = "".join(f"a {row}\tb {row}\ttalk{row // 3}\n" for row in range(30))
    (tmp_path / "a.tsv").write_text(f"en\tde\ttalk\n{rows}", encoding="utf-8")
    division = Division(0.2, 0.2, group="talk")
    splits = translated_sentences(
        0, None, source=str(tmp_path / "a.tsv"), division=division, tokens=TokenOptions("word")
    )
    assert not torn(splits.assignment) and splits.assignment["group"].nunique() == 10


def test_a_rare_tag_moves_its_whole_group_or_nothing_later():
    given = np.array(["train", "train", "validation", "test", "test", "test"], dtype=object)
    table = assign([*"abcdef"], given, Division(0.2, 0.2), None).assign(group=[*"xyzwwv"])
    written = [["A"], ["A"], ["A"], ["A"], ["B"], ["A"]]
    move_unknown(table, written)
    assert table["split"].tolist() == ["train", "train", "validation", "train", "train", "test"]
    table = assign([*"abcdef"], given, Division(0.2, 0.2), None).assign(time=[*"123456"])
    move_unknown(table, written)
    assert table["split"].tolist() == [*given[:4], "unused", "test"]


def test_a_published_list_is_not_changed_by_rare_tags(tmp_path, caplog):
    table = assign([*"abcdef"], None, Division(0.2, 0.2), None)
    table["split"] = ["train", "train", "validation", "validation", "test", "test"]
    written = [["A"], ["A"], ["A"], ["C"], ["B"], ["A"]]
    with caplog.at_level(logging.INFO, "kit"):
        move_unknown(table, written, listed=("test",))
    assert table["split"].tolist() == ["train", "train", "validation", "train", "test", "test"]
    assert "1 sentences with a tag that no training sentence has are trained on, too" in caplog.text
    rows = "".join(f"w{row}\t{'B' if row < 3 else 'AC'[row % 2]}\n\n" for row in range(30))
    (tmp_path / "a.tsv").write_text(rows, encoding="utf-8")
    names = [f"a.tsv:{2 * row + 1}" for row in range(3)]
    division = Division(split_files=lists(tmp_path, test=names))
    with pytest.raises(KitError, match="'B'"):
        tagged_sentences(0, None, source=str(tmp_path / "a.tsv"), division=division)


def test_a_split_of_rare_tags_alone_is_refused():
    table = assign([*"abc"], np.array(["train", "validation", "test"], dtype=object), Division(0.2, 0.2), None)
    with pytest.raises(KitError, match="every test sentence that was drawn has a tag that no training sentence has"):
        move_unknown(table, [["A"], ["B"], ["C"]])


def test_a_folder_that_is_called_like_embedded_data_is_none_of_theirs(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(image_splits(None, ImageOptions("digits"), Division()).class_names) == 10
