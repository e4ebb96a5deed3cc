"""Words to ids, and sentences to batches."""

import numpy as np
import pytest

from kit.data.sequences import tagged_examples
from kit.data.text import FEATURES, Features, case, shape, tokenize
from kit.data.vectors import read as read_vectors
from kit.errors import KitError, SettingError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Maria flew to Oslo on 3 May.", "Maria flew to Oslo on 3 May ."),
        ("It's 3.50 € (well-known)!", "It's 3.50 € ( well-known ) !"),
        ("1\u202f234,5 km\u00a0- 12:30", "1 234,5 km - 12:30"),
        ("naïve Ærø 東京 x1", "naïve Ærø 東京 x1"),
        ("हिन्दी Zu\u0308rich", "हिन्दी Zu\u0308rich"),
        ("@kim #tag a.b@x.org https://x.org/a?b=1 3rd 5km", "@kim #tag a.b@x.org https://x.org/a?b=1 3rd 5 km"),
        (" \t\n", ""),
    ],
)
def test_tokenize(text, words):
    tokens, places = tokenize(text)
    assert tokens == words.split()
    assert [text[start:end] for start, end in places] == tokens


def test_case_and_shape():
    written = "lower UPPER X Title McGraw 123 2nd ... Ünïcode"
    assert [case(word) for word in written.split()] == [
        "lower",
        "upper",
        "initial",
        "title",
        "mixed",
        "number",
        "digits",
        "sign",
        "title",
    ]
    assert shape("McGraw-2000x") == "XxXxxx-ddddx"
    assert shape("aaaaaaaaaa!!!!!!") == "xxxx!!!!"


def test_features_count_and_encode():
    words = ["The", "the", "cat", "cats", "Cat", "sat"]
    features = Features.learn(words, FEATURES, min_count=2, max_characters=4)
    assert features.vocabularies["word"] == ["the", "cat"]
    assert features.sizes()["word"] == 4
    ids = features.encode(["THE", "dog", "cataract"])
    np.testing.assert_array_equal(ids["word"], [2, 1, 1])
    assert set(ids) == set(FEATURES)
    assert ids["characters"].shape == (3, 4)
    letters = features.vocabularies["characters"]
    expected = [letters.index(letter) + 2 if letter in letters else 1 for letter in "cact"]
    np.testing.assert_array_equal(ids["characters"][2], expected)
    assert ids["prefix3"][2] == features.vocabularies["prefix3"].index("cat") + 2
    again = Features(**features.to_json())
    for name, values in again.encode(["THE", "dog"]).items():
        np.testing.assert_array_equal(values, ids[name][:2])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"names": ("words",)}, "features"),
        ({"names": ()}, "features"),
        ({"names": ("word", "word")}, "features"),
        ({"names": ("word",), "min_count": 0}, "min_count"),
        ({"names": ("word",), "max_characters": 1}, "max_characters"),
    ],
)
def test_features_refuse(arguments, key):
    with pytest.raises(SettingError) as error:
        Features.learn(["a"], **arguments)
    assert error.value.key == key


def sequences(count=50, seed=0):
    random = np.random.default_rng(seed)
    vocabulary = [f"w{number}" for number in range(30)]
    sentences = [[vocabulary[k] for k in random.integers(0, 30, random.integers(1, 12))] for _ in range(count)]
    labels = [[int(word[1:]) % 5 for word in words] for words in sentences]
    features = Features.learn([word for words in sentences for word in words], ("word", "characters"), min_count=1)
    return tagged_examples(sentences, features, labels)


def spelled(sequences, inputs, labels):
    """Turns a batch back into words and labels."""
    names = Features.learn(
        [word for words in sequences.extra("words") for word in words], ("word",), min_count=1
    ).vocabularies["word"]
    found = []
    for ids, row in zip(np.asarray(inputs["word"]), np.asarray(labels), strict=True):
        real = ids > 0
        assert (row[~real] == -1).all()
        found.append((tuple(names[k - 2] for k in ids[real]), tuple(row[real])))
    return found


def test_batches_hold_every_sentence_once():
    data = sequences()
    found = [item for inputs, labels in data.batches(8) for item in spelled(data, inputs, labels)]
    expected = [(tuple(words), tuple(row)) for words, row in zip(data.extra("words"), data.target("tag"), strict=True)]
    assert sorted(found) == sorted(expected)
    assert len(list(data.batches(8))) == int(data.batches(8).cardinality())


def test_stream_is_a_function_of_the_step():
    data = sequences()
    whole = [(inputs["word"].numpy(), labels.numpy()) for inputs, labels in data.stream(8, 3, 0, 130)]
    later = [(inputs["word"].numpy(), labels.numpy()) for inputs, labels in data.stream(8, 3, 95, 130)]
    for (one, first), (other, second) in zip(whole[95:], later, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(first, second)
    other_seed = next(iter(data.stream(8, 4, 0, 1)))[0]["word"].numpy()
    assert other_seed.shape != whole[0][0].shape or (other_seed != whole[0][0]).any()


@pytest.mark.parametrize(("count", "batch_size"), [(64, 16), (50, 8), (700, 4)])
def test_an_epoch_is_about_a_pass(count, batch_size):
    data = tagged_examples([[f"w{row}"] * (1 + row % 30) for row in range(count)], Features.learn(["a"], ("word",)))
    steps = data.steps_per_epoch(batch_size)
    rows = []
    size = max(1, min(100, count // batch_size))
    for step, batch in enumerate(data.batching.training_rows(data, batch_size, 0, 0, steps)):
        assert len(set(batch)) == batch_size or step // size > 0
        rows += list(batch)
    assert len(set(rows)) >= 0.9 * min(count, len(rows))


def test_stream_shows_every_sentence_equally_often_and_sorts_by_length():
    data = sequences(count=40)
    seen, padding = {}, 0
    for inputs, labels in data.stream(8, 0, 0, 100):
        assert inputs["word"].shape[0] == 8
        padding += int((inputs["word"].numpy() == 0).sum())
        for words, _ in spelled(data, inputs, labels):
            seen[words] = seen.get(words, 0) + 1
    assert sum(seen.values()) == 800
    assert max(seen.values()) == min(seen.values()) == 20 or len(seen) < 40  # two sentences may be equal
    assert padding < 0.15 * 800 * 6  # a third of that of batches drawn at random


def test_long_sentences_come_in_smaller_batches():
    features = Features.learn(["a"], ("word",), min_count=1)
    data = tagged_examples([["a"] * 5000] * 20 + [["a"]] * 100, features)
    sizes = [len(rows) * data.lengths("word")[rows].max() for rows in data.chunks(64)]
    assert max(sizes) <= 32_768
    assert sum(len(rows) for rows in data.chunks(64)) == 120


def test_take():
    data = sequences()
    part = data.take([3, 1])
    words, tags = data.extra("words"), data.target("tag")
    assert list(part.extra("words")) == [words[3], words[1]]
    assert [list(row) for row in part.target("tag")] == [list(tags[3]), list(tags[1])]
    assert len(data.take(slice(0, 7))) == 7


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_vectors_with_and_without_header(tmp_path):
    plain = write(tmp_path / "glove.txt", "The 1 2\ncat 3 -4e-1\nthe 9 9\n")
    words, matrix = read_vectors(plain)
    assert words == ["the", "cat"]
    np.testing.assert_allclose(matrix, [[1, 2], [3, -0.4]])
    headed = write(tmp_path / "word2vec.txt", "3 2\nThe 1 2\ncat 3 4\nthe 9 9\n")
    assert read_vectors(headed, lowercase=False)[0] == ["The", "cat", "the"]
    assert read_vectors(headed, max_words=1)[0] == ["the"]
    spaced = write(tmp_path / "spaced.txt", "cat 3 4\n. . 1 2\n")
    assert read_vectors(spaced)[0] == ["cat", ". ."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", r"v.txt:2: 1 numbers after the word, expected 2"),
        ("a 1 2\nb 1 x\n", r"v.txt:2: expected a word and 2 numbers"),
        ("a 1 nan\n", r"v.txt:1: expected a word and 2 numbers"),
        ("", r"v.txt: empty"),
        (b"a 1\n\xff 2\n", r"v.txt:2: not UTF-8"),
    ],
)
def test_vectors_name_file_and_line(tmp_path, content, message):
    with pytest.raises(KitError, match=message):
        read_vectors(write(tmp_path / "v.txt", content))
