"""Sentences and their translations: generated ones."""

import gzip

import pytest
from babel import Locale

from kit.data import sources
from kit.data.sources import pair_files, phrase_pairs
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


def write(path, text, packed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.fixture
def parallel(tmp_path):
    """A folder of parallel files for three splits."""
    folder = tmp_path / "corpus"
    for name, count in (("train", 4), ("val", 2), ("test_2016", 1)):
        for language in ("en", "de"):
            text = "".join(f"{language} {name} {row}\n" for row in range(count))
            write(folder / f"{name}.{language}.gz", text, packed=True)
    return folder


def test_parallel_files_of_a_folder(parallel):
    module, place = sources.find(str(parallel), "pairs")
    pairs = module.read(place)
    assert pairs.sources[:2] == ["en train 0", "en train 1"]
    assert pairs.targets[:2] == ["de train 0", "de train 1"]
    assert list(pairs.split) == ["train"] * 4 + ["validation"] * 2 + ["test"]
    assert pairs.places[0] == "train.en.gz:1"
    turned = module.read(place, source_locale="de_AT", target_locale="en")
    assert (turned.sources, turned.targets) == (pairs.targets, pairs.sources)


def test_one_of_two_parallel_files_is_enough(parallel):
    first = pair_files.read(parallel / "train.en.gz")
    second = pair_files.read(parallel / "train.de.gz")
    assert first.sources == second.sources == [f"en train {row}" for row in range(4)]
    assert first.split is None


def test_tables(tmp_path):
    expected = (["A dog.", "Hi"], ["Ein Hund.", "Hallo"])
    for name, text in (
        ("a.tsv", "\ufeffA dog.\tEin Hund.\r\n\r\nHi\tHallo"),
        ("b.jsonl", '{"en": "A dog.", "de": "Ein Hund."}\n{"de": "Hallo", "en": "Hi", "id": 3}\n'),
        ("c.jsonl", '{"source": "A dog.", "target": "Ein Hund."}\n\n{"source": "Hi", "target": "Hallo"}\n'),
        (
            "d.jsonl",
            '{"translation": {"en": "A dog.", "de": "Ein Hund."}}\n{"translation": {"en": "Hi", "de": "Hallo"}}',
        ),
    ):
        pairs = pair_files.read(write(tmp_path / name, text))
        assert (pairs.sources, pairs.targets) == expected
    assert pairs.places == ["d.jsonl:1", "d.jsonl:2"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.en": "a\nb\nc\n", "train.de": "a\nb\n"}, r"train\.en has 3 lines, train\.de has 2"),
        ({"train.en": "a\n\nc\n", "train.de": "a\nb\nc\n"}, r"train\.en:2: empty, but its translation is not"),
        ({"train.en": "a\nb\n", "train.de": "a\n \n"}, r"train\.de:2: empty, but its source is not"),
        ({"train.en": "a\nb\n"}, r"train\.en: there is no train\.de beside it"),
        ({"train.en": b"a\n\xff\xfe\n", "train.de": "a\nb\n"}, r"train\.en:\d: not UTF-8"),
        ({"train.fr": "a\n"}, "no file with 'train' in its name that ends in .en"),
        ({"train.tsv": "a\tb\nc\n"}, r"train\.tsv:2: 1 columns, expected 2"),
        ({"train.tsv": "\n\n"}, r"train\.tsv: no sentences"),
        ({"train.tsv": "a\tb\n", "train.en": "a\n", "train.de": "a\n"}, "both look like the train split"),
        ({"train.jsonl": "{\n"}, r"train\.jsonl:1: not valid JSON"),
        ({"train.jsonl": '{"en": "a", "fr": "b"}'}, r"train\.jsonl:1: expected \{'en': '...', 'de': '...'\}"),
        ({"train.jsonl": '{"en": "a", "de": 3}'}, r"train\.jsonl:1: expected"),
        ({"train.jsonl": '{"en": "a", "de": "\\ud800"}'}, "lone surrogates"),
    ],
)
def test_files_that_cannot_be(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path / "corpus" / name, text)
    with pytest.raises(KitError, match=message):
        pair_files.read(tmp_path / "corpus")


def test_a_file_of_another_language_is_named(tmp_path):
    with pytest.raises(KitError, match=r"corpus\.fr: ends neither in \.en nor in \.de"):
        pair_files.read(write(tmp_path / "corpus.fr", "a\n"))


def test_sides_by_words_of_the_names(tmp_path):
    for part, count in (("train", 4), ("val", 2), ("test", 1)):
        for side in ("src", "tgt"):
            write(
                tmp_path / "opennmt" / f"{side}-{part}.txt", "".join(f"{side} {part} {row}\n" for row in range(count))
            )
    pairs = pair_files.read(tmp_path / "opennmt")
    assert (pairs.sources[0], pairs.targets[0]) == ("src train 0", "tgt train 0")
    assert list(pairs.split) == ["train"] * 4 + ["validation"] * 2 + ["test"]
    one = pair_files.read(tmp_path / "opennmt" / "tgt-train.txt")
    assert (one.sources[0], one.targets[0]) == ("src train 0", "tgt train 0")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train.src", "train.tgt"),
        ("train.source", "train.target"),
        ("SRC.txt", "TGT.txt"),
        ("corpus.src", "corpus.trg"),
        ("news.de-en.en", "news.de-en.de"),
        ("train.en.txt", "train.de.txt"),
        ("en-train.txt", "de-train.txt"),
        ("train_en.txt.gz", "train_de.txt"),
    ],
)
def test_parallel_names(tmp_path, first, second):
    write(tmp_path / first, "a\nb\n", packed=first.endswith(".gz"))
    write(tmp_path / second, "x\ny\n")
    for name in (first, second):
        pairs = pair_files.read(tmp_path / name)
        assert (pairs.sources, pairs.targets) == (["a", "b"], ["x", "y"])


def test_a_side_without_the_other_is_named(tmp_path):
    with pytest.raises(KitError, match=r"src-train\.txt: there is no tgt-train\.txt beside it"):
        pair_files.read(write(tmp_path / "src-train.txt", "a\n"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tsv", "en\tde\none\tein\ntwo\tzwei\n", "a.tsv: the first line is a heading, 'en' to 'de'"),
        ("a.tsv", "English\tDeutsch\none\tein\ntwo\tzwei\n", "heading, 'English' to 'Deutsch'"),
        ("a.tsv", "Source\tTarget\none\tein\ntwo\tzwei\n", "heading, 'Source' to 'Target'"),
        ("a.tsv", "de\ten\nein\tone\nzwei\ttwo\n", "heading, 'en' to 'de'"),
        (
            "a.tsv",
            "id\ten\tde\n1\tone\tein\n2\ttwo\tzwei\n",
            "columns 2 and 3 are sentences and translations",
        ),
        ("a.tsv", "one\tein\tCC-BY 2.0\ntwo\tzwei\tCC-BY 3.0\n", "column 3, such as 'CC-BY 2.0', is left out"),
        (
            "a.tsv",
            '"one"\t"ein"\n"two"\t"zwei"\n',
            "a.tsv: the quotes that a spreadsheet put around",
        ),
        ("a.csv", 'de;en\n"ein";one\nzwei;two\n', "a.csv: the first line is a heading, 'en' to 'de'"),
        ("a.csv", "one,ein\ntwo,zwei\n", None),
    ],
)
def test_headings_quotes_and_more_columns(tmp_path, caplog, name, content, said):
    with caplog.at_level("INFO", "kit"):
        pairs = pair_files.read(write(tmp_path / name, content))
    assert (pairs.sources, pairs.targets) == (["one", "two"], ["ein", "zwei"])
    assert said in caplog.text if said else not caplog.text


def test_quotes_inside_and_those_of_the_sentences(tmp_path):
    path = write(tmp_path / "a.tsv", 'he said ""no""\ter\n"he said ""yes"""\tsie\n')
    assert pair_files.read(path).sources == ['he said ""no""', '"he said ""yes"""']
    path = write(tmp_path / "b.tsv", 'no\ter\n"he said ""yes"""\tsie\n')
    assert pair_files.read(path).sources == ["no", 'he said "yes"']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "1\tone\tein\n2\ttwo\tzwei\n", r"a\.tsv:1: 3 columns, and column 1 holds numbers; expected 2"),
        (
            "a.tsv",
            "one\tein\none\tein\ntwo\tzwei\tCC-BY\n",
            r"a\.tsv:3: 3 columns, .*; the third is 'CC-BY'",
        ),
        ("a.csv", 'one,"ein\ntwo,zwei\nthree","drei"\n', r"a\.csv:3: a field of several lines"),
    ],
)
def test_columns_that_are_not_clear_are_named(tmp_path, name, content, message):
    with pytest.raises(KitError, match=message):
        pair_files.read(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("files", "skipped"),
    [
        ({"a.tsv": "one\tein\ntwo\ntwo\tzwei\nx\t \n"}, ["a.tsv:2: 1 columns", "a.tsv:4: empty"]),
        (
            {"a.jsonl": '{"en": "one", "de": "ein"}\n{\n{"en": 3}\n{"en": "two", "de": "zwei"}'},
            ["a.jsonl:2", "a.jsonl:3"],
        ),
        ({"a.en": b"one\n\xff\ntwo\nx\n", "a.de": "ein\ny\nzwei\n\n"}, ["a.en:2: not UTF-8", "a.de:4: empty"]),
        ({"a.csv": "one,ein\ntwo,zwei\nthree\n"}, ["a.csv:3: 1 columns"]),
    ],
)
def test_pairs_with_bad_rows_are_left_out_and_listed(tmp_path, files, skipped):
    paths = [write(tmp_path / name, content) for name, content in files.items()]
    with pytest.raises(KitError):
        pair_files.read(paths[0])
    pairs = pair_files.read(paths[0], on_bad="skip")
    assert (pairs.sources, pairs.targets) == (["one", "two"], ["ein", "zwei"])
    assert [found.startswith(start) for found, start in zip(pairs.skipped, skipped, strict=True)] == [True] * len(
        skipped
    )
