"""ROUGE against published examples."""

import pytest

from kit.scoring import rouge


def test_the_example_of_googles_package():
    found = rouge.scores("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog")
    assert found["rouge1"] == pytest.approx(100 * 2 * 0.75 * 0.6666667 / (0.75 + 0.6666667), rel=1e-6)
    assert found["rougeL"] == pytest.approx(100 * 2 * 0.625 * 0.5555556 / (0.625 + 0.5555556), rel=1e-6)


def test_the_example_of_the_paper():
    reference = "police killed the gunman"
    one, other = (rouge.scores(text, reference) for text in ("police kill the gunman", "the gunman kill police"))
    assert (one["rougeL"], other["rougeL"]) == (75.0, 50.0)
    assert one["rouge2"] == other["rouge2"] == pytest.approx(100 / 3)


def test_equal_texts_have_all_of_it_and_others_nothing():
    assert rouge.corpus_scores(["Ein Fluß, 3 Äpfel"], ["ein fluß 3 äpfel"]) == dict.fromkeys(rouge.NAMES, 100.0)
    assert rouge.corpus_scores(["a b"], ["c d"]) == dict.fromkeys(rouge.NAMES, 0.0)
    assert rouge.scores("a", "a") == {"rouge1": 100.0, "rouge2": 0.0, "rougeL": 100.0}
    assert rouge.scores("...", "!")["rouge1"] == 100.0 and rouge.scores("", "a")["rougeL"] == 0.0


def test_a_word_that_is_there_twice_counts_as_often_as_in_both():
    assert rouge.scores("the the the", "the cat")["rouge1"] == pytest.approx(40.0)
