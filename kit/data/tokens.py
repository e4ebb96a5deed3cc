"""Tokens: pieces of words, or words, that a text is cut into and can be put together from again."""

import re

from kit.errors import check

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
_SPACE = "▁"


class Tokenizer:
    """Cuts texts into tokens and puts tokens together to a text; what it knows is learned from training texts.

    Words, single digits and single punctuation marks are kept apart, and a mark stands for the space in front of a
    word; so the text can be put together again without rules for any language.

    Args:
        content: JSON text of a tokenizer of the `tokenizers` package.
    """

    def __init__(self, content):
        from tokenizers import Tokenizer as Known

        self._known = Known.from_str(content)
        self._known.encode_special_tokens = True  # what looks like one in a text is text

    @classmethod
    def learn(cls, texts, *, kind="bpe", vocabulary_size=4000, min_count=2, lowercase=False):
        """Learns tokens from training texts.

        Args:
            texts: Training texts.
            kind: "bpe": frequent pairs of pieces are merged, from single characters on (Sennrich et al., "Neural
                Machine Translation of Rare Words with Subword Units", 2016); "word": whole words.
            vocabulary_size: Number of tokens, the four special ones included.
            min_count: Words that occur less often are unknown; of "bpe", pairs that are not merged.
            lowercase: Make texts lower-case.

        Raises:
            SettingError: the texts do not support so many tokens, or hold more different characters.
        """
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        check(kind in ("bpe", "word"), "token_kind", kind, "'bpe' or 'word'")
        check(min_count >= 1, "min_count", min_count, "at least 1")
        check(vocabulary_size > len(SPECIAL), "vocabulary_size", vocabulary_size, f"more than {len(SPECIAL)}")
        texts = list(texts)
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
            vocab_size=vocabulary_size, min_frequency=min_count, special_tokens=list(SPECIAL), show_progress=False
        )
        known.train_from_iterator(texts, trainer)
        if known.get_vocab_size() < vocabulary_size and kind == "bpe":
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

    def __len__(self):
        return self._known.get_vocab_size()

    def to_json(self):
        """Returns what `Tokenizer` takes."""
        return self._known.to_str()

    def encode(self, texts):
        """Returns the ids of each text, without start and end."""
        return [each.ids for each in self._known.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, rows):
        """Returns the text of each list of ids; padding, start and end are left out, the unknown one is "⁇"."""
        shown = [[int(each) for each in row if each not in (PADDING, START, END)] for row in rows]
        texts = self._known.decode_batch(shown, skip_special_tokens=False)
        return [re.sub(r" ?<unk>", " ⁇", text).strip() for text in texts]

    def is_space(self, token):
        """Tells whether a token is nothing but the space in front of a word."""
        return self._known.id_to_token(int(token)) == _SPACE

    def pieces(self, ids):
        """Returns the text of each of a sequence of ids, for a picture; "_" stands for the space in front."""
        return [self._known.id_to_token(int(each)).replace(_SPACE, "_") for each in ids]
