"""Tokens: learned, saved, and put together to the same text again."""

import pytest

from kit.data.tokens import END, PADDING, START, UNKNOWN, Tokenizer
from kit.errors import SettingError

TEXTS = [
    'Die "kleine" Katze (3 Jahre) sitzt im Haus.',
    "Das Haus, das große Haus, ist rot — und 12,50 € teuer!",
    "Eine Katze ist im großen Haus; die Katzen sind rot.",
    "Über-Katzen gibt's nicht: 50%",
] * 3


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_texts_come_back(kind):
    tokenizer = Tokenizer.learn(TEXTS, kind=kind, vocabulary_size=60 if kind == "bpe" else 100, min_count=1)
    again = Tokenizer(tokenizer.to_json())
    rows = again.encode(TEXTS)
    assert rows == tokenizer.encode(TEXTS)
    assert again.decode(rows) == TEXTS
    assert again.decode([[START, *rows[0], END, PADDING]]) == TEXTS[:1]
    assert max(max(row) for row in rows) < len(again)
    assert min(min(row) for row in rows) > END


def test_pieces_are_merged_and_words_are_not_cut():
    pieces = Tokenizer.learn(TEXTS, vocabulary_size=70)
    words = Tokenizer.learn(TEXTS, kind="word", vocabulary_size=100, min_count=1)
    assert pieces.pieces(pieces.encode(["Katze"])[0]) == ["_Katze"]
    assert words.pieces(words.encode(["im Haus."])[0]) == ["_im", "_Haus", "."]
    assert pieces.pieces(pieces.encode(["12"])[0]) == ["_", "1", "2"]


def test_the_same_texts_give_the_same_tokens():
    assert len({Tokenizer.learn(TEXTS, vocabulary_size=70).to_json() for _ in range(5)}) == 1


def test_spaces_and_case_and_composition():
    tokenizer = Tokenizer.learn(TEXTS, vocabulary_size=60, lowercase=True)
    assert tokenizer.decode(tokenizer.encode(["  U\u0308ber \t Katzen\n"])) == ["über katzen"]
    assert tokenizer.encode([""]) == [[]]


def test_what_looks_like_a_special_token_is_text():
    texts = [*TEXTS, "<s>durch</s> <pad> <unk>"]
    tokenizer = Tokenizer.learn(texts, vocabulary_size=70)
    (ids,) = tokenizer.encode(["<s>durch</s> <pad>"])
    assert min(ids) > END
    assert tokenizer.decode([ids]) == ["<s>durch</s> <pad>"]


def test_unknown_characters_and_words():
    words = Tokenizer.learn(TEXTS, kind="word", vocabulary_size=100, min_count=1)
    ids = words.encode(["Die Giraffe sitzt."])
    assert ids[0].count(UNKNOWN) == 1
    assert words.decode(ids) == ["Die ⁇ sitzt."]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary_size": 5000}, r"^vocabulary_size: expected at most \d+, what the training sentences support"),
        ({"vocabulary_size": 20}, r"^vocabulary_size: expected at least \d+, for every character"),
        ({"vocabulary_size": 4}, "^vocabulary_size: expected more than 4"),
        ({"kind": "unigram"}, "^token_kind: "),
        ({"min_count": 0}, "^min_count: "),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(SettingError, match=message):
        Tokenizer.learn(TEXTS, **settings)
