"""Words in pieces: tokens of a published tokenizer, and which of them is the first of each word."""

import dataclasses

import numpy as np

from kit.data.columns import Ragged
from kit.data.tokens import Tokenizer
from kit.errors import KitError, check


@dataclasses.dataclass(frozen=True)
class PieceOptions:
    """A tokenizer that cuts words into pieces, for an encoder of tokens such as BERT.

    Args:
        tokenizer: Folder of published weights, or of a run of the kit, whose tokenizer is used; by default a model is
            given whole words and their features.
        max_pieces: Most pieces of a sentence, with start and end; a longer sentence is refused, since none of its words
            would go without a tag.

    Raises:
        SettingError: a value out of range.
    """

    tokenizer: str | None = None
    max_pieces: int = 512

    def __post_init__(self):
        check(3 <= self.max_pieces <= 100_000, "max_pieces", self.max_pieces, "3 to 100000")

    def learn(self, saved, words, pretrained, tokenizer_of):
        """Returns the `Pieces`, or None without a tokenizer.

        Args:
            saved: `Kept` of an earlier run, whose tokenizer is used again, or None.
            words: `WordOptions`, which have to be at their defaults.
            pretrained: `VectorOptions`, likewise.
            tokenizer_of: Function from a folder to its `Tokenizer` and the number of tokens that have embeddings.

        Raises:
            KitError: the folder has no tokenizer that fits its weights.
            SettingError: there is no such folder, or a setting that whole words alone can have is stated.
        """
        if self.tokenizer is None:
            return None
        check(
            words.features == "auto", "features", words.features, "'auto' where data.tokenizer cuts words into pieces"
        )
        vectors = pretrained.vectors
        check(vectors is None, "vectors", vectors, "none where data.tokenizer cuts words into pieces")
        if saved is not None:
            return Pieces(*(saved.assets[name] for name in ("tokenizer", "embeddings", "max_pieces")))
        tokenizer, embeddings = tokenizer_of(self.tokenizer)
        return Pieces(tokenizer.to_json(), embeddings, self.max_pieces)


class Pieces:
    """Cuts words into pieces and makes ids of them.

    Args:
        tokenizer: JSON text of the `Tokenizer`.
        embeddings: Number of tokens that have embeddings.
        max_pieces: Most pieces of a sentence, with start and end.
    """

    # The column whose lengths are the numbers of words.
    of_words = "first_pieces"

    def __init__(self, tokenizer, embeddings, max_pieces):
        self.tokenizer = Tokenizer(tokenizer)
        self.embeddings = embeddings
        self.max_pieces = max_pieces

    def sizes(self):
        """Returns the number of tokens."""
        return self.embeddings

    def assets(self):
        """Returns what `Pieces` takes, by the names of assets."""
        return {"tokenizer": self.tokenizer.to_json(), "embeddings": self.embeddings, "max_pieces": self.max_pieces}

    def columns(self, sentences):
        """Returns the columns of sentences: `ids` of pieces, and `first_pieces`, where each word begins.

        The ids have a start and an end; places in them are padded with -1.

        Args:
            sentences: Words of each sentence.

        Raises:
            KitError: a sentence has too many pieces.
        """
        known = self.tokenizer
        types = list({word: None for words in sentences for word in words})
        pieces = dict(zip(types, known.encode_words(types), strict=True))
        ids, firsts = [], []
        for words in sentences:
            row, places = [known.start_id], []
            for word in words:
                places.append(len(row))
                row += pieces[word] or [known.unknown_id]
            row.append(known.end_id)
            if len(row) > self.max_pieces:
                raise KitError(
                    f"a sentence of {len(words):,} words ({' '.join(words[:4])} ...) has {len(row):,} pieces; expected "
                    f"at most {self.max_pieces:,} (data.max_pieces)"
                )
            ids.append(row)
            firsts.append(places)
        return {"ids": Ragged.of(ids, fill=known.pad_id), "first_pieces": Ragged.of(firsts, fill=-1)}

    def shown(self, ids):
        """Returns the text of each of a sequence of ids, and whether it is a start or an end, (time,)."""
        return self.tokenizer.pieces(ids), np.array(self.tokenizer.is_special(ids))
