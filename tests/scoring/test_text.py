"""BLEU and chrF of whole texts, with intervals inside their scale."""

import pytest

from kit.scoring.text import corpus_scores

ALIKE = "the cat sat on the mat"


def ends(scores, name):
    return scores[f"{name}_low"], scores[name], scores[f"{name}_high"]


def test_draws_without_a_match_are_draws_like_others():
    found, references = ["a b", "c d", ALIKE], ["x y z", "u v", ALIKE]
    low, score, high = ends(corpus_scores(found, references, 200), "bleu")
    assert low == 0 and 0 < score < high <= 100


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_intervals_stay_on_the_scale_and_around_the_score(name):
    found = [ALIKE] * 8 + ["a dog ran over the wet grass", "one and two and three are six"]
    references = [ALIKE] * 8 + ["a dog ran over the green grass", "one and two and three"]
    scores = corpus_scores(found, references, 300)
    low, score, high = ends(scores, name)
    assert 0 < low < score < high <= 100 and low > 40
    assert scores == corpus_scores(found, references, 300)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_an_interval_has_a_width_where_every_translation_is_right_and_where_all_are_wrong(name):
    low, score, high = ends(corpus_scores([ALIKE] * 20, [ALIKE] * 20, 50), name)
    assert score == pytest.approx(100) and high == 100 and low == pytest.approx(100 * 20 / (20 + 1.96**2), abs=0.01)
    low, score, high = ends(corpus_scores(["zz"] * 20, [ALIKE] * 20, 50), name)
    assert low == score == 0 and high == pytest.approx(100 - 100 * 20 / (20 + 1.96**2), abs=0.01)
    # Nor where all sentences are the same, wrong in part.
    low, score, high = ends(corpus_scores(["the cat sat on a mat"] * 20, [ALIKE] * 20, 50), name)
    assert 0 < low < score < high < 100


def test_rounding_does_not_leave_the_scale():
    texts = ["one red tree", "two blue houses and a big green one", "five small trees stand here", "a house"]
    scores = corpus_scores(texts, texts, 50)
    assert scores["bleu"] == scores["bleu_lowercased"] == 100 >= scores["bleu_high"] >= scores["bleu_low"]
