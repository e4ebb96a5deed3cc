"""Scripts, languages, odd characters, and nearly equal texts."""

import numpy as np
import pytest

from kit.inspection import languages, near_texts, text_checks
from tests.inspection.planted import sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat is on the mat and it was not happy", "en"),
        ("Der Hund ist nicht auf dem Tisch und das ist gut", "de"),
        ("Le chat est sur la table avec les enfants", "fr"),
        ("El perro está en la casa y no es de los niños", "es"),
        ("Het huis is niet van een man die op de weg staat", "nl"),
        ("Oslo 1952 Lima", None),
        ("", None),
    ],
)
def test_languages_by_little_words(text, expected):
    assert languages.language(text) == expected


def test_scripts_of_letters():
    assert languages.scripts("Ab é 12") == {"Latin": 3}
    assert languages.scripts("мост 東京 さくら 서울 ψ") == {
        "Cyrillic": 4,
        "Han": 2,
        "Hiragana": 3,
        "Hangul": 2,
        "Greek": 1,
    }


@pytest.mark.parametrize("text", ["a\x07b", "a\u200bb", "a\ufeff", "a\ufffdb", "cafÃ©", "itâ€™s", "soft\u00adhyphen"])
def test_odd_characters_are_found(text):
    assert languages.odd_characters(text)


@pytest.mark.parametrize(
    "text", ["It's café ☃ 東京 – “quoted” … €5", "👨\u200d👩\u200d👧 family", "نامه\u200cها", "Ângela Ávila"]
)
def test_usual_characters_are_not_odd(text):
    assert not languages.odd_characters(text)


def test_characters_are_spelled_for_people():
    assert languages.spelled("\u200b") == "U+200B zero width space"
    assert languages.spelled("\x07") == "U+0007 control"


def test_nearly_equal_texts_are_found_among_many():
    texts = [" ".join(sentence(number)[0]) for number in range(600)]
    assert near_texts.near_pairs(texts) == []
    texts += [texts[3].upper(), texts[77].replace(" .", " !"), texts[200].replace("The", "One")]
    found = {(first, second) for first, second, _ in near_texts.near_pairs(texts)}
    assert found == {(3, 600), (77, 601), (200, 602)}


def test_the_share_is_that_of_common_shingles():
    first = "a long sentence about the garden behind the old house"
    second = "a long sentence about the garden behind the old mill"
    shingles = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (first, second)]
    expected = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    ((_, _, share),) = near_texts.near_pairs([first, second])
    assert share == pytest.approx(expected)


def test_short_texts_are_nobodys_copies():
    assert near_texts.near_pairs(["Thank you.", "Thank you!", "thank you"]) == []


def test_texts_without_letters_have_a_table():
    texts = text_checks.Texts([["2021-05-03"], ["1", "+", "1"]], ["a:1", "a:2"], np.array(["train", "test"], object))
    table = text_checks.languages_table(texts)
    assert table["what"].tolist() == ["language not told"]
