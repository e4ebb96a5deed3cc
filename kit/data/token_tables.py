"""Tokens that are one byte, or one character, each: looked up in a table, where a tokenizer would go the long way."""

import numpy as np

_CHARACTERS = 0x110000  # code points of Unicode


def table_of(content):
    """Returns the `TokenTable` of a tokenizer whose tokens are single bytes or characters; None of any other.

    Args:
        content: What a tokenizer of the `tokenizers` package is written as, parsed JSON; special tokens in a text are
            text to it.
    """
    model, cut = content["model"], content.get("pre_tokenizer") or {}
    if content.get("normalizer") is not None:
        return None
    added = [each["content"] for each in content.get("added_tokens", ()) if not each["special"]]
    vocabulary = model.get("vocab", {})
    if model.get("type") == "BPE" and not model["merges"] and cut.get("type") == "ByteLevel":
        names = _names_of_bytes()
        if cut["add_prefix_space"] or not all(name in vocabulary for name in names):
            return None
        return TokenTable("utf-8", np.array([vocabulary[name] for name in names], "int32"), added)
    is_split = cut.get("type") == "Split" and cut["pattern"] == {"Regex": r"[\s\S]"} and cut["behavior"] == "Isolated"
    if model.get("type") == "WordLevel" and is_split and model["unk_token"] in vocabulary:
        table = np.full(_CHARACTERS, vocabulary[model["unk_token"]], "int32")
        for name, number in vocabulary.items():
            if len(name) == 1:
                table[ord(name)] = number
        return TokenTable("utf-32-le", table, added)
    return None


def _names_of_bytes():
    """Returns the characters that stand for the 256 bytes in byte-level BPE (Radford et al., 2019)."""
    printed = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    rest = [number for number in range(256) if number not in printed]
    return [chr(number if number in printed else 256 + rest.index(number)) for number in range(256)]


class TokenTable:
    """Cuts texts into single bytes or characters.

    Args:
        encoding: "utf-8" of bytes, "utf-32-le" of characters.
        table: Id of each byte or character.
        added: Tokens that stand for longer pieces of a text.
    """

    def __init__(self, encoding, table, added):
        self.encoding, self.table, self.added = encoding, table, added
        self._type = np.uint8 if encoding == "utf-8" else np.uint32

    def can(self, text):
        """Tells whether a text has nothing but single bytes or characters."""
        return not any(each in text for each in self.added)

    def encode(self, text):
        """Returns the ids of a text."""
        return self.table[np.frombuffer(text.encode(self.encoding), self._type)].tolist()
