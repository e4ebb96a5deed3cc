"""Numbers on a page need no second reading."""

import pytest

from kit.reporting import numbers


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", 0.98607, "98.61 %"),
        ("top_5_accuracy", 1.0, "100 %"),
        ("f1_low", 0.0, "0 %"),
        ("a_to_b_read_correctly_untranslated", 0.1, "10.00 %"),
        ("largest_mode_share", 0.25, "25.00 %"),
        ("bleu", 31.4159, "31.42"),
        ("psnr", 20.1249, "20.12"),
        ("cross_entropy", 0.13102, "0.131"),
        ("cross_entropy", 0.00012345, "0.0001"),
        ("kid", 0.0000123, "1.2e-05"),
        ("frechet_distance", 2.3053, "2.305"),
        ("return", 500.0, "500"),
        ("return", -1234.5, "-1,234"),
        ("episodes", 100, "100"),
        ("loss", float("nan"), "nan"),
    ],
)
def test_scores(name, value, shown):
    assert numbers.score(name, value) == shown


def test_names_are_those_of_the_field():
    assert numbers.label("macro_f1") == "macro F1"
    assert numbers.label("psnr") == "PSNR (dB)" and numbers.label("psnr_pca") == "PSNR PCA"
    assert numbers.label("frechet_distance_floor") == "Fréchet distance floor"
    assert numbers.label("find q: exact_match") == "find q: exact match" and numbers.is_share("find q: exact_match")


def test_an_interval_stands_beside_its_score():
    metrics = {"f1": 0.5, "f1_low": 0.4, "f1_high": 0.6, "chrf": 31.0, "signature": "nrefs:1"}
    found = list(numbers.scores(metrics))
    assert found == [("F1", "50.00 %", "95 % interval 40.00 to 60.00 %"), ("chrF", "31", "")]


def test_counts_and_durations_in_words():
    assert numbers.count(8_179) == ("8,179", "")
    assert numbers.count(2_605_568) == ("2.61 million", "2,605,568")
    assert numbers.count(1_500_000_000) == ("1.5 billion", "1,500,000,000")
    assert [numbers.seconds(value) for value in (0.84, 42.4, 185, 7800)] == ["0.8 s", "42 s", "3 min 5 s", "2 h 10 min"]
