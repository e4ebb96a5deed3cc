"""Tokens from which a text can be put together again to the last character, for networks that write."""

import dataclasses
from typing import Literal

from kit.data.tokens import Tokenizer
from kit.errors import check

END = "<|endoftext|>"
UNKNOWN = "<unk>"


@dataclasses.dataclass(frozen=True)
class LosslessTokens:
    """How texts are cut into tokens, spaces and line ends among them.

    Args:
        token_kind: "characters" are those of the training texts, "bytes" those of UTF-8, "byte_bpe" frequent sequences
            of bytes (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019).
        vocabulary_size: Number of tokens of "byte_bpe", at least the 256 bytes and the end of a text.
    """

    token_kind: Literal["characters", "bytes", "byte_bpe"] = "byte_bpe"
    vocabulary_size: int = 4000

    def learn(self, texts):
        """Returns the `Tokenizer` that is learned from training texts, with an end of texts.

        Raises:
            SettingError: the vocabulary is too small.
        """
        from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Known

        if self.token_kind == "characters":
            letters = set()
            for text in texts:
                letters.update(text)
            names = {name: number for number, name in enumerate([END, UNKNOWN, *sorted(letters)])}
            known = Known(models.WordLevel(names, unk_token=UNKNOWN))
            known.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
            known.decoder = decoders.Fuse()
        else:
            known = Known(models.BPE())
            known.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            known.decoder = decoders.ByteLevel()
            least = len(pre_tokenizers.ByteLevel.alphabet()) + 1
            size = least if self.token_kind == "bytes" else self.vocabulary_size
            check(size >= least, "vocabulary_size", size, f"at least {least}, the bytes and the end of a text")
            trainer = trainers.BpeTrainer(
                vocab_size=size,
                special_tokens=[END],
                initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                show_progress=False,
            )
            known.train_from_iterator([] if self.token_kind == "bytes" else texts, trainer)
        known.add_special_tokens([AddedToken(END, special=True)])
        return Tokenizer(known.to_str(), {"end": END})


def beginning_of(tokenizer):
    """Returns the token in front of every text: the start of a tokenizer that has one, or the end of the one before."""
    return tokenizer.end_id if tokenizer.start_id is None else tokenizer.start_id


def text_of(tokenizer, ids):
    """Returns the text of ids as it was, spaces at its ends included; starts and ends of texts are left out."""
    left_out = {tokenizer.start_id, *tokenizer.end_ids}
    return tokenizer.joined([each for each in ids if int(each) not in left_out])
