"""Augmented texts: each change does what it says, statelessly, to the training split alone; bad inputs are refused."""

import dataclasses
import logging

import numpy as np
import pytest

from kit import config
from kit.data import text_augmentation
from kit.data.text_augmentation import TextAugmentation
from kit.errors import KitError, SettingError
from kit.recipes.text_classification import labelled_texts
from kit.reporting import plots, token_plots
from kit.tasks.text_classification import _illustrate
from tests.conftest import plots_drawn

KNOWN = {"cat": ["feline", "pet"], "sat": ["was seated"]}
TEXT = "The Cat sat, on a mat!"


def change(name, share, text=TEXT, known=KNOWN, seed=0):
    return text_augmentation._CHANGES[name](text, share, known, np.random.default_rng(seed))


def test_words_are_deleted_and_one_stays():
    assert change("random_deletion", 0.0) == TEXT
    for seed in range(20):
        found = change("random_deletion", 0.5, seed=seed)
        words = found.replace(",", " ").replace("!", " ").split()
        assert set(words) <= {"The", "Cat", "sat", "on", "a", "mat"} and "," in found and "!" in found
        assert len([word for word in change("random_deletion", 1.0, seed=seed) if word.isalpha()]) >= 1
    assert change("random_deletion", 0.9, text="...") == "..."


def test_words_change_places():
    found = change("random_swap", 0.2)
    assert found != TEXT and sorted(found.replace(",", "").replace("!", "").split()) == sorted(
        TEXT.replace(",", "").replace("!", "").split()
    )
    assert found[-1] == "!" and found.index(",") > 0 and change("random_swap", 0.5, text="alone") == "alone"


def test_synonyms_are_inserted_and_stand_in():
    assert {change("synonym_replacement", 0.1, seed=seed) for seed in range(30)} == {
        *("The Feline sat, on a mat!", "The Pet sat, on a mat!", "The Cat was seated, on a mat!"),
    }
    both = change("synonym_replacement", 1.0)
    assert "was seated, on a mat!" in both and "Cat" not in both
    inserted = change("random_insertion", 0.5)
    assert len(inserted.split()) > len(TEXT.split()) and "Cat" in inserted and "sat" in inserted
    for name in ("synonym_replacement", "random_insertion"):
        assert change(name, 0.5, text="nothing known") == "nothing known"


def test_combining_marks_do_not_cut_words():
    assert change("random_deletion", 1.0, text="हिन्दी") == "हिन्दी"


ROWS = [(f"{'ab'[row % 2]} cat sat on the mat number {row}", "xy"[row % 2]) for row in range(40)]


def splits_of(rows=ROWS, augmentation=None, **settings):
    own = dataclasses.asdict(augmentation) if augmentation else {}
    return config.call(labelled_texts, 0, None, source=rows, **own, **settings)


def batches(examples, start, stop, seed=3, shard=(0, 1)):
    return [
        {"ids": batch[0]["ids"].numpy(), "labels": batch[1].numpy()}
        for batch in examples.stream(4, seed, start, stop, shard)
    ]


def test_a_stream_that_begins_later_yields_the_same_batches():
    train = splits_of(augmentation=TextAugmentation(random_swap=0.3, random_deletion=0.3, augmented_share=1.0)).train
    whole, later, other = batches(train, 0, 6), batches(train, 4, 6), batches(train, 0, 6, seed=4)
    for one, again in zip(whole[4:], later, strict=True):
        np.testing.assert_array_equal(one["ids"], again["ids"])
        np.testing.assert_array_equal(one["labels"], again["labels"])
    assert any(
        one["ids"].shape != two["ids"].shape or (one["ids"] != two["ids"]).any()
        for one, two in zip(whole, other, strict=True)
    )
    half = batches(train, 0, 1, shard=(1, 2))[0]["ids"]
    np.testing.assert_array_equal(whole[0]["ids"][1::2, : half.shape[1]], half)
    first = train.changed.texts(train, [0, 1], 3, 0)
    assert first == train.changed.texts(train, [0, 1], 3, 0) != train.changed.texts(train, [0, 1], 3, 9)


def test_the_training_split_alone_is_changed_and_stays_what_it_was():
    plain, splits = splits_of(), splits_of(augmentation=TextAugmentation(random_swap=0.5, augmented_share=1.0))
    assert plain.train.changed is None and splits.validation.changed is None and splits.test.changed is None
    for one, other in ((plain.train, splits.train), (plain.validation, splits.validation), (plain.test, splits.test)):
        assert one.extra("text").tolist() == other.extra("text").tolist() and len(one) == len(other)
        np.testing.assert_array_equal(one.target("label"), other.target("label"))
        np.testing.assert_array_equal(one.arrays([0, 1])[0]["ids"], other.arrays([0, 1])[0]["ids"])
    inputs, labels = splits.train.changed(splits.train, np.arange(4), 0, 0)
    np.testing.assert_array_equal(labels, splits.train.target("label")[:4])
    assert sorted(inputs["ids"][0]) == sorted(plain.train.arrays(np.arange(4))[0]["ids"][0])
    assert splits.train.take([0, 1]).changed is splits.train.changed


def test_class_weights_and_pairs_are_kept():
    rows = [(f"a b c {row}", "d e f", "xy"[row % 2]) for row in range(30)]
    train = splits_of(
        rows, class_weights="balanced", augmentation=TextAugmentation(random_swap=0.5, augmented_share=1.0)
    ).train
    inputs, labels, weights = train.changed(train, np.arange(5), 0, 0)
    assert set(inputs) == {"ids", "segments"} and len(labels) == len(weights) == 5
    assert all(len(texts) == 2 for texts in train.changed.texts(train, np.arange(5), 0, 0))


def test_a_thesaurus_is_read(tmp_path, caplog):
    path = tmp_path / "synonyms.tsv"
    path.write_text("Cat\tfeline, pet\n\ncat\tpet,tom\nunheard\tof\n", "utf-8")
    caplog.set_level(logging.INFO, "kit")
    assert text_augmentation.synonyms(path, {"cat", "sat"}) == {"cat": ["feline", "pet", "tom"]}
    assert "synonyms of 1 of 2 words of the training texts" in caplog.text
    splits = splits_of(augmentation=TextAugmentation(synonym_replacement=0.1, synonyms=str(path), augmented_share=1.0))
    assert splits.settings["synonyms"] == str(path) and len(splits.assets["synonyms"]) == 64
    (text,), *_ = splits.train.changed.texts(splits.train, [0], 0, 0)
    assert any(word in text for word in ("feline", "pet", "tom")) and "cat" not in text


def test_neighbours_by_word_vectors_are_synonyms(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("cat 1 0\nfeline 0.9 0.1\nstone 0 1\nsat -1 0\n")
    assert text_augmentation.synonyms(path, {"cat", "sat", "mat"}) == {"cat": ["feline"]}


def test_what_cannot_be_is_refused(tmp_path):
    for key in ("random_deletion", "random_swap", "augmented_share", "back_translated_share"):
        for value in (-0.1, 1.5):
            with pytest.raises(SettingError, match=f"{key}: expected a share from 0 to 1"):
                TextAugmentation(**{key: value})
    for key in ("random_insertion", "synonym_replacement"):
        with pytest.raises(SettingError, match=f"{key}: expected data.synonyms"):
            TextAugmentation(**{key: 0.1})
    with pytest.raises(SettingError, match="synonyms: expected random_insertion or synonym_replacement, too"):
        TextAugmentation(synonyms="x.tsv")
    with pytest.raises(SettingError, match="back_translation: expected two run folders, there and back"):
        TextAugmentation(back_translation=("one",))
    with pytest.raises(SettingError, match="synonyms: no file"):
        text_augmentation.synonyms(tmp_path / "none.tsv", {"cat"})
    path = tmp_path / "synonyms.tsv"
    cases = {
        "dog\thound\n": "none of its words is in the training texts",
        "cat\tpet\ncat\n": ":2: expected a word, a tab, and its synonyms",
        "cat\tpet\ta\n": ":1: expected a word, a tab",
        "cat\tcat\n": ":1: expected a word, a tab",
        "": "empty; expected a word and its numbers",
    }
    for content, said in cases.items():
        path.write_text(content)
        with pytest.raises(KitError, match=said):
            text_augmentation.synonyms(path, {"cat"})


def test_texts_before_and_after_are_drawn(tmp_path):
    assert _illustrate(splits_of(), 0) == {}
    figures = _illustrate(splits_of(augmentation=TextAugmentation(random_swap=0.5)), 0)
    with plots_drawn():
        figure = figures["5_training_texts"]()
        plots.save(figure, tmp_path / "texts.png")
    assert len(figure.axes[0].texts) > 10 and (tmp_path / "texts.png").stat().st_size > 1000
    shown = {
        text.get_text(): text.get_color() for text in token_plots.changed_texts([("a b", "a new b")]).axes[0].texts
    }
    assert shown["new"] != shown["b"] and token_plots.changed_texts([]).axes[0].texts
