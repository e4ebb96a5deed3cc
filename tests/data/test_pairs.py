"""Sentences and their translations: generated ones."""

import pytest
from babel import Locale

from kit.data import sources
from kit.data.sources import phrase_pairs
from kit.errors import KitError, SettingError


def test_phrases_repeat_with_the_seed_and_are_in_one_split():
    module, place = sources.find("phrases", "pairs")
    assert module is phrase_pairs
    first, second, other = (module.read(place, num_sentences=300, seed=seed) for seed in (0, 0, 1))
    assert first.sources == second.sources
    assert first.targets == second.targets
    assert first.sources != other.sources
    assert len(set(first.sources)) == len(first.sources) == len(first.targets) == len(set(first.places)) == 300
    assert {name: int((first.split == name).sum()) for name in ("train", "validation", "test")} == {
        "train": 240,
        "validation": 24,
        "test": 36,
    }


@pytest.mark.parametrize("locale", ["de", "fr", "ja", "ar", "pt_BR", "zh-Hant", "sw", "ru"])
def test_every_locale_of_cldr_can_be_the_target(locale):
    pairs = phrase_pairs.read("phrases", target_locale=locale, num_sentences=200)
    assert all(pairs.sources)
    assert all(pairs.targets)
    different = sum(first != second for first, second in zip(pairs.sources, pairs.targets, strict=True))
    assert different > 140
    places = Locale.parse(locale.replace("-", "_")).territories.values()
    assert any(name in text for name in places for text in pairs.targets)


def test_both_sides_say_the_same():
    german = phrase_pairs.read("phrases", target_locale="de", num_sentences=400)
    english, deutsch = Locale("en").territories, Locale("de").territories
    named = {english[code]: deutsch[code] for code in ("FR", "JP", "ES", "IT", "BR", "KE", "PL", "SE", "EE", "LV")}
    found = [pair for pair in zip(german.sources, german.targets, strict=True) if pair[0] in named]
    assert found
    assert all(named[first] == second for first, second in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"target_locale": "klingon"},
            r"target_locale: expected a locale of CLDR such as 'de' or 'pt_BR', got 'klingon'",
        ),
        ({"target_locale": "de_XX"}, "target_locale: expected a locale of CLDR"),
        ({"source_locale": ""}, "source_locale: expected a locale of CLDR"),
        ({"target_locale": "en"}, "target_locale: expected another locale than en, got 'en'"),
        ({"num_sentences": 10}, "num_sentences: expected 200 to 1000000, got 10"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(SettingError, match=message):
        phrase_pairs.read("phrases", **settings)


def test_too_few_different_phrases_are_said(monkeypatch):
    monkeypatch.setattr(phrase_pairs, "_PIECES", (phrase_pairs._weekday,))
    with pytest.raises(KitError, match=r"phrases: only \d+ different phrases in en and de; expected 2,000"):
        phrase_pairs.read("phrases", num_sentences=2000)
