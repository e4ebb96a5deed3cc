"""Tokens: learned, saved, and put together to the same text again."""

import json

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


def test_special_tokens_of_its_own_have_the_ids_they_always_had():
    tokenizer = Tokenizer.learn(TEXTS, vocabulary_size=60)
    ids = (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.start_id, tokenizer.end_id)
    assert ids == (PADDING, UNKNOWN, START, END) == (0, 1, 2, 3)
    assert tokenizer.end_ids == (3,)


def foreign(vocabulary, special, unknown=None):
    """Returns the JSON text of somebody else's tokenizer of words, with other special tokens at other places."""
    from tokenizers import Tokenizer as Known
    from tokenizers import models, pre_tokenizers

    words = {word: number for number, word in enumerate(vocabulary)}
    known = Known(models.WordLevel(words, unk_token=unknown or "[UNK]"))
    known.pre_tokenizer = pre_tokenizers.Whitespace()
    known.add_special_tokens(special)
    return known.to_str()


def test_special_tokens_are_found_by_their_usual_names():
    content = foreign(["ein", "[UNK]", "Haus", "[CLS]", "[SEP]", "<s>", "[PAD]"], ["[CLS]", "[SEP]", "[PAD]"])
    tokenizer = Tokenizer(content)  # <s> is a word of the vocabulary like any other
    ids = (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.start_id, tokenizer.end_id)
    assert ids == (6, 1, 3, 4)
    assert tokenizer.decode([[3, 0, 2, 1, 4, 6]]) == ["ein Haus ⁇"]


def test_special_tokens_may_be_named_and_are_kept():
    content = foreign(["ein", "Haus", "<|im_end|>", "<|endoftext|>"], ["<|im_end|>", "<|endoftext|>"])
    plain = Tokenizer(content)
    assert (plain.pad_id, plain.unknown_id, plain.start_id, plain.end_ids) == (None, None, None, (3,))
    named = Tokenizer(content, {"end": ["<|im_end|>", "<|endoftext|>"], "pad": "<|endoftext|>"})
    for tokenizer in (named, Tokenizer(named.to_json())):
        assert (tokenizer.pad_id, tokenizer.end_id, tokenizer.end_ids) == (3, 2, (2, 3))
        assert tokenizer.decode([[0, 1, 2, 3]]) == ["ein Haus"]
    assert "special_tokens" not in json.loads(plain.to_json())


@pytest.mark.parametrize(
    ("special", "message"),
    [
        ({"end": "<eot>"}, "^special_tokens: expected a token of the vocabulary, got '<eot>'"),
        ({"stop": "Haus"}, "^special_tokens: expected 'pad' or 'unknown'"),
    ],
)
def test_special_tokens_that_cannot_be(special, message):
    with pytest.raises(SettingError, match=message):
        Tokenizer(foreign(["ein", "Haus"], []), special)


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
