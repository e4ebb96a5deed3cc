"""Tokenizer: texts to token ids (BPE or words) and back."""

import json
import re
import unicodedata

import numpy as np

from kit.data import token_tables
from kit.errors import check

PADDING, UNKNOWN, START, END = 0, 1, 2, 3  # of the tokenizers that `Tokenizer.learn` makes
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
# What tokens with a meaning of their own are called, where nothing else is said.
_NAMES = {
    "pad": ("<pad>", "[PAD]"),
    "unknown": ("<unk>", "[UNK]"),
    "start": ("<s>", "[CLS]", "<bos>", "<|begin_of_text|>"),
    "end": ("</s>", "[SEP]", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
_SPACE = "▁"


class Tokenizer:
    """Cuts texts into tokens and puts tokens together to a text; what it knows is learned from training texts.

    Words, single digits and single punctuation marks are kept apart, and a mark stands for the space in front of a
    word; so the text can be put together again without rules for any language.

    Args:
        content: JSON text of a tokenizer of the `tokenizers` package.
        special_tokens: Tokens with a meaning of their own, under "pad", "unknown", "start", "end" and "mask", each a
            text or, of "end", a list of several; those left out, or None, are found by their usual names among the
            special tokens of the content.

    Attributes:
        pad_id, unknown_id, start_id, end_id, mask_id: Ids of these tokens, None where there is no such token; of
            several ends the first.
        end_ids: Ids of all ends, a tuple.

    Raises:
        SettingError: there is no such special token; the message names it.
    """

    def __init__(self, content, special_tokens=None):
        from tokenizers import Tokenizer as Known

        content = json.loads(content)
        self._special_tokens = {**content.pop("special_tokens", {}), **(special_tokens or {})}
        strange = sorted(self._special_tokens.keys() - _NAMES.keys())
        check(not strange, "special_tokens", strange, " or ".join(map(repr, _NAMES)))
        self._known = Known.from_str(json.dumps(content))
        self._table = token_tables.table_of(content)
        self._marks_inside = content["model"].get("type") == "WordPiece"
        self._known.no_padding()  # a published one may pad and cut all texts to one length
        self._known.no_truncation()
        self._known.encode_special_tokens = True  # what looks like one in a text is text
        special = {each["content"] for each in content.get("added_tokens", ()) if each["special"]}
        special.add(content["model"].get("unk_token"))
        special &= self._known.get_vocab().keys()
        ids = {}
        for role, usual in _NAMES.items():
            names = self._special_tokens.get(role) or [name for name in usual if name in special][:1]
            ids[role] = tuple(self._id(name) for name in ([names] if isinstance(names, str) else names))
        firsts = ((*ids[role], None)[0] for role in _NAMES)
        self.pad_id, self.unknown_id, self.start_id, self.end_id, self.mask_id = firsts
        self.end_ids = ids["end"]

    @classmethod
    def learn(cls, texts, *, kind="bpe", vocabulary_size=4000, min_count=2, lowercase=False, at_most=False, mask=False):
        """Learns tokens from training texts.

        Args:
            texts: Training texts.
            kind: "bpe": frequent pairs of pieces are merged, from single characters on (Sennrich et al., "Neural
                Machine Translation of Rare Words with Subword Units", 2016); "word": whole words.
            vocabulary_size: Number of tokens, the four special ones included.
            min_count: Words that occur less often are unknown; of "bpe", pairs that are not merged.
            lowercase: Make texts lower-case.
            at_most: Take fewer tokens where the texts support no more.
            mask: Add a token that stands for a hidden one.

        Raises:
            SettingError: the texts do not support so many tokens, or hold more different characters.
        """
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        check(kind in ("bpe", "word"), "token_kind", kind, "'bpe' or 'word'")
        check(min_count >= 1, "min_count", min_count, "at least 1")
        check(vocabulary_size > len(SPECIAL), "vocabulary_size", vocabulary_size, f"more than {len(SPECIAL)}")
        model = (
            models.BPE(unk_token=SPECIAL[UNKNOWN]) if kind == "bpe" else models.WordLevel(unk_token=SPECIAL[UNKNOWN])
        )
        known = Tokenizer(model)
        known.encode_special_tokens = True
        spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        known.normalizer = normalizers.Sequence(
            [normalizers.NFC(), *spaces, *([normalizers.Lowercase()] if lowercase else [])]
        )
        known.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always"),
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Punctuation("isolated"),
            ]
        )
        known.decoder = decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
        trainer = (trainers.BpeTrainer if kind == "bpe" else trainers.WordLevelTrainer)(
            vocab_size=vocabulary_size,
            min_frequency=min_count,
            special_tokens=[*SPECIAL, *(["<mask>"] if mask else [])],
            show_progress=False,
        )
        known.train_from_iterator(texts, trainer)
        if known.get_vocab_size() < vocabulary_size and kind == "bpe" and not at_most:
            check(
                False,
                "vocabulary_size",
                vocabulary_size,
                f"at most {known.get_vocab_size()}, what the training sentences support",
            )
        check(
            known.get_vocab_size() <= vocabulary_size,
            "vocabulary_size",
            vocabulary_size,
            f"at least {known.get_vocab_size()}, for every character of the training sentences",
        )
        return cls(known.to_str())

    def with_words(self, words):
        """Returns this tokenizer of whole words with others added, those that it could cut a text into."""
        content = json.loads(self.to_json())
        vocabulary = content["model"]["vocab"]
        for word in words:
            if word.isalpha():
                vocabulary.setdefault(f"{_SPACE}{word}", len(vocabulary))
        return Tokenizer(json.dumps(content, ensure_ascii=False))

    def vectors_of(self, words, matrix):
        """Returns the ids of tokens that are words with vectors, and these (tokens, dim); of a word also in capitals.

        Args:
            words: The words.
            matrix: Their vectors, (words, dim).
        """
        rows = {word: row for row, word in enumerate(words)}
        found = {}
        for name, token in self._known.get_vocab().items():
            word = name.removeprefix(_SPACE)
            row = rows.get(word, rows.get(word.lower()))
            if row is not None:
                found[token] = row
        tokens = sorted(found)
        return np.array(tokens, int), matrix[[found[token] for token in tokens]]

    def __len__(self):
        return self._known.get_vocab_size()

    def _id(self, name):
        number = self._known.token_to_id(name)
        check(number is not None, "special_tokens", name, "a token of the vocabulary")
        return number

    def to_json(self):
        """Returns what `Tokenizer` takes."""
        if not self._special_tokens:
            return self._known.to_str()
        return json.dumps({**json.loads(self._known.to_str()), "special_tokens": self._special_tokens})

    def encode(self, texts):
        """Returns the ids of each text, without start and end."""
        texts = list(texts)
        if self._table is not None and all(map(self._table.can, texts)):
            return list(map(self._table.encode, texts))
        return [each.ids for each in self._known.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_words(self, words):
        """Returns the ids of each word as it stands in a sentence, behind a space, which some tokenizers count in."""
        return self.encode(f" {word}" for word in words)

    def encode_in_place(self, text):
        """Returns the ids of a text, and the (start, end) of each token in it, in characters, (tokens, 2).

        Spaces around a token do not belong to it: a token that is nothing else ends where it starts. Marks that are
        written apart, such as accents, belong to their letter.
        """
        found = self._known.encode(text, add_special_tokens=False)
        spans = np.array(found.offsets, "int32").reshape(-1, 2)
        is_space = np.array([*map(str.isspace, text), False])
        for _ in range(int((spans[:, 1] - spans[:, 0]).max(initial=0))):
            inside = spans[:, 0] < spans[:, 1]
            left, right = inside & is_space[spans[:, 0]], inside & is_space[spans[:, 1] - 1]
            if not (left | right).any():
                break
            spans[:, 0] += left
            spans[:, 1] -= right & ~(left & (spans[:, 0] == spans[:, 1]))
        if len(spans) and not unicodedata.is_normalized("NFC", text):
            is_mark = np.array([*(unicodedata.combining(sign) > 0 for sign in text), False])
            ends = np.append(spans[1:, 0], len(text))  # where the next token begins
            while (grows := (spans[:, 0] < spans[:, 1]) & (spans[:, 1] < ends) & is_mark[spans[:, 1]]).any():
                spans[:, 1] += grows
        return found.ids, spans

    def words(self, text):
        """Returns the words of a text as they stand in it, and the number of the word that each token is a piece of.

        A token for nothing but a space belongs to the word behind it.
        """
        known = self._known.encode(text, add_special_tokens=False)
        spans, owners, following, last = [], [], False, None
        for word, (start, end) in zip(known.word_ids, known.offsets, strict=True):
            if word == last or following:
                spans[-1] = (min(start, spans[-1][0]), max(end, spans[-1][1]))
            else:
                spans.append((start, end))
            following, last = not text[slice(*spans[-1])].strip(), word
            owners.append(len(spans) - 1)
        return [text[start:end].strip() for start, end in spans], owners

    def is_special(self, ids):
        """Tells of each of a sequence of ids whether it is padding, start or end."""
        special = {self.pad_id, self.start_id, *self.end_ids}
        return [int(each) in special for each in ids]

    def decode(self, rows):
        """Returns the text of each list of ids; padding, start and end are left out, the unknown one is "⁇"."""
        hidden = {self.pad_id, self.start_id, *self.end_ids}
        shown = [[int(each) for each in row if int(each) not in hidden] for row in rows]
        texts = self._known.decode_batch(shown, skip_special_tokens=False)
        if self.unknown_id is not None:
            unknown = " ?" + re.escape(self._known.id_to_token(self.unknown_id))
            texts = [re.sub(unknown, " ⁇", text) for text in texts]
        return [text.strip() for text in texts]

    def joined(self, ids):
        """Returns the text of ids as it is, spaces at its ends included."""
        return self._known.decode([int(each) for each in ids], skip_special_tokens=False)

    def name(self, token):
        """Returns the text of a token as the vocabulary has it; None for no token."""
        return None if token is None else self._known.id_to_token(int(token))

    def id_of(self, name):
        """Returns the id of a token as the vocabulary has it; None where there is none."""
        return self._known.token_to_id(name)

    def begins_word(self, token):
        """Tells whether a token begins a word: WordPiece marks the others with ##, BPE of `learn` marks the first."""
        name = self._known.id_to_token(int(token)) or ""
        return not name.startswith("##") if self._marks_inside else name.startswith(_SPACE)

    def is_space(self, token):
        """Tells whether a token is nothing but the space in front of a word."""
        return self._known.id_to_token(int(token)) == _SPACE

    def pieces(self, ids):
        """Returns the text of each of a sequence of ids, for a picture; "_" stands for the space in front."""
        return [self._known.id_to_token(int(each)).replace(_SPACE, "_") for each in ids]
