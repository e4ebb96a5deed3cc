"""Exact match and F1 of answers as SQuAD's evaluation script computes them; best spans; the threshold of no answer."""

import numpy as np
import pytest

from kit.scoring import question_answering as scores

# Answer, right answers, exact match and F1, by the rules of SQuAD's evaluate-v2.0.py worked out by hand.
CASES = {
    "case and punctuation": ("The  Eiffel-Tower!", ["eiffeltower"], 1, 1),
    "articles are no words": ("a cat, an owl, the dog", ["cat owl dog"], 1, 1),
    "an article inside a word stays": ("theatre", ["atre"], 0, 0),
    "hyphens join what they stand between": ("twenty-one", ["twenty one"], 0, 0),
    "half of the words": ("in May 1990", ["May 1990"], 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
    "repeated words count as often": ("New York New York", ["New York"], 0, 2 * 0.5 * 1 / 1.5),
    "the nearest of several": ("May 1990", ["1990", "in May 1990", "May 1990 AD"], 0, 0.8),
    "another answer is exact": ("Denver Broncos", ["Broncos", "Denver Broncos"], 1, 1),
    "nothing in common": ("Oslo", ["Lima"], 0, 0),
    "no answer, rightly": ("", [], 1, 1),
    "no answer, wrongly": ("", ["Oslo"], 0, 0),
    "an answer where there is none": ("Oslo", [], 0, 0),
    "articles alone are no answer": ("the", [], 1, 1),
    "a right answer of articles alone counts as none": ("", ["the"], 1, 1),
    "and is passed over beside others": ("Oslo", ["a", "Oslo"], 1, 1),
    "letters of other scripts": ("МОСКВА", ["москва"], 1, 1),
    "accents are letters": ("Café", ["cafe"], 0, 0),
    "marks that are not of ASCII stay": ("“Oslo”", ["Oslo"], 0, 0),
    "spaces of any kind": ("5:30\u202fPM", ["530 pm"], 1, 1),
    "a sharp s is one letter": ("Straße", ["STRASSE"], 0, 0),
    "a sign of money is one of ASCII": ("$5 million", ["5 million"], 1, 1),
    "or another one": ("€5 million", ["5 million"], 0, 0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_squad(name):
    answer, golds, exact, f1 = CASES[name]
    assert scores.scores(answer, golds) == (exact, pytest.approx(f1, abs=1e-12))


def test_the_best_spans_are_those_of_all():
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 2, 9)).astype("float32")
    starts, ends = random.random((2, 3, 9)) < 0.7
    starts[2] = False  # no span at all
    found, first, last, total = scores.best_spans(logits, starts, ends, most=4, count=5)
    for row in range(2):
        every = {
            (start, end): logits[row, 0, start].astype(float) + logits[row, 1, end]
            for start in range(9)
            for end in range(start, min(start + 4, 9))
            if starts[row, start] and ends[row, end]
        }
        best = sorted(every, key=every.get, reverse=True)[:5]
        assert list(zip(first[row], last[row], strict=True)) == best
        np.testing.assert_allclose(found[row], [every[span] for span in best])
        assert total[row] == pytest.approx(np.log(sum(np.exp(list(every.values())))))
    assert (found[2] == -np.inf).all() and total[2] < -1e20


def test_the_threshold_of_no_answer_is_the_best_one():
    differences = np.array([-3.0, -1.0, 0.5, 2.0, 2.0, 4.0])
    answered, unanswered = np.array([1, 1, 0.8, 0, 0, 0]), np.array([0, 0, 0, 1, 0, 1])
    found = scores.best_threshold(differences, answered, unanswered)
    assert found == pytest.approx(1.25)
    for threshold in np.linspace(-5, 6, 45):
        own = np.where(differences > threshold, unanswered, answered).sum()
        assert own <= np.where(differences > found, unanswered, answered).sum()
    assert scores.best_threshold([-1.0, 2.0], [1, 1], [0, 0]) >= 2.0  # always an answer
    assert scores.best_threshold([-1.0, 2.0], [0, 0], [1, 1]) < -1.0  # never one
    assert scores.best_threshold([-5.0, -4.0], [1, 1], [0, 0]) == 0.0


def test_the_closest_sentence_shares_most_words():
    passage = "Maria flew to Oslo on 3 May. Jonas flew to Lima on 5 June! Who knows?"
    assert scores.closest_sentence("When did Jonas fly to Lima?", passage) == "Jonas flew to Lima on 5 June!"
    assert scores.closest_sentence("xyz", passage) == "Maria flew to Oslo on 3 May."
