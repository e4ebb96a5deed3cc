"""Span corruption: spans of a text are left out, each with a sentinel in its place, and are to be written.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5), 2020, section
3.1.4: 15 % of the tokens in spans of 3 on average. The published code always leaves out the end of a piece, and of a
short one, with a single span, nothing else; here spans may be anywhere.
"""

import dataclasses
import json

import numpy as np

from kit.data.batching import ByTokens
from kit.data.bitext import text_pairs
from kit.data.columns import Ragged
from kit.data.drawn_examples import DrawnExamples
from kit.data.split_names import SPLITS
from kit.data.tokens import Tokenizer
from kit.errors import KitError

SENTINELS = tuple(f"<extra_id_{number}>" for number in range(100))
_LEAST = 8  # tokens of a piece: rests of fewer are left out


def with_sentinels(tokenizer, is_learned=False):
    """Returns a tokenizer with sentinels, and with padding as the start of what is written, as T5 has it.

    They are no special tokens, so that one in a text is one.

    Args:
        tokenizer: The `Tokenizer`.
        is_learned: It was learned just now: sentinels are added. One that comes with weights has its own, or none.
    """
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Known

    content = json.loads(tokenizer.to_json())
    special = content.pop("special_tokens", {}) | {"start": tokenizer.name(tokenizer.pad_id)}
    for each in content.get("added_tokens", ()):
        each["special"] = each["special"] and each["content"] not in SENTINELS
    known = Known.from_str(json.dumps(content))
    if is_learned:
        known.add_tokens([AddedToken(name, special=False, normalized=False) for name in SENTINELS])
    return Tokenizer(known.to_str(), special)


def sentinels_of(tokenizer, name):
    """Returns the ids of a tokenizer's sentinels, in order.

    Args:
        tokenizer: The `Tokenizer`.
        name: What it is called in a message.

    Raises:
        KitError: it has none.
    """
    ids = [tokenizer.id_of(each) for each in SENTINELS]
    if ids[0] is None:
        raise KitError(f"{name}: its tokenizer has no {SENTINELS[0]}; expected sentinels that stand for spans")
    return [each for each in ids if each is not None]


@dataclasses.dataclass(frozen=True)
class SpanCorruption:
    """Batches of pieces of texts with spans left out, as `Examples.changed` wants them: functions of seed and step.

    Args:
        tokenizer: `Tokenizer`.
        sentinels: Ids of its sentinels.
        rate: Share of the tokens that are left out.
        mean_span: Mean number of tokens of a span.
        seed: Seed of what is drawn once, a number for each split.
    """

    tokenizer: Tokenizer
    sentinels: tuple
    rate: float
    mean_span: float
    seed: int = 0

    def __call__(self, examples, rows, seed, step):
        """Returns the batch of some rows in a step."""
        own = np.asarray(rows) if examples.rows is None else examples.rows[rows]
        pieces = examples.extras["piece"].values(own)
        random = np.random.default_rng((seed, 3, step))
        return self.examples([self.corrupted(piece, random) for piece in pieces]).arrays(np.arange(len(pieces)))

    def counts(self, length):
        """Returns how many tokens of a piece are left out, and in how many spans."""
        missing = min(max(round(length * self.rate), 1), length - 1)
        spans = min(max(round(missing / self.mean_span), 1), missing, length - missing, len(self.sentinels))
        return missing, spans

    def piece_length(self, most):
        """Returns the most tokens of a piece of which what is read and what is written have at most so many."""
        fitting = [length for length in range(2, 2 * most + 2) if max(self.lengths(length)) <= most]
        return max(fitting, default=0)

    def lengths(self, length):
        """Returns how many tokens are read and written of a piece, without their ends."""
        missing, spans = self.counts(length)
        return length - missing + spans, missing + spans

    def corrupted(self, piece, random):
        """Returns what is read of a piece, and what is to be written.

        Args:
            piece: Ids, at least two.
            random: NumPy's random numbers.
        """
        missing, spans = self.counts(len(piece))
        # In front of the first span and behind the last one there may be nothing.
        kept = _parts(len(piece) - missing + 2, spans + 1, random)
        kept[0], left_out = kept[0] - 1, _parts(missing, spans, random)
        source, target, place = [], [], 0
        for sentinel, before, span in zip(self.sentinels, kept, left_out, strict=False):
            source += [*piece[place : place + before], sentinel]
            target += [sentinel, *piece[place + before : place + before + span]]
            place += before + span
        return [*source, *piece[place:]], target

    def examples(self, pairs, texts=None):
        """Returns examples of what `corrupted` returns for each piece."""
        tokenizer = self.tokenizer
        special = {"start": tokenizer.start_id, "end": tokenizer.end_id, "padding": tokenizer.pad_id}
        sources, targets = zip(*pairs, strict=True) if pairs else ((), ())
        sources_in_words, targets_in_words = texts or ([""] * len(pairs),) * 2
        return text_pairs(sources, targets, sources_in_words, targets_in_words, **special)

    def training(self, pieces):
        """Returns examples of pieces of which spans are left out anew in every step.

        Args:
            pieces: `Ragged` column of ids.
        """
        sizes, place = np.unique(pieces.lengths, return_inverse=True)
        read, written = np.array([self.lengths(int(size)) for size in sizes], "int32").reshape(-1, 2).T[:, place]
        padding, following = self.tokenizer.pad_id, Undrawn(written + 1, self.tokenizer.pad_id)
        return DrawnExamples(
            {"source": Undrawn(read + 1, padding), "target": following},
            {"following": following},
            extras={"piece": pieces},
            batching=ByTokens("source", "target"),
            changed=self,
            is_named=True,
        )

    def drawn(self, pieces):
        """Yields what is read and what is written of each piece of a held-out split, drawn once.

        Args:
            pieces: Iterable of ids of each piece.
        """
        random = np.random.default_rng((self.seed, 4))
        return (self.corrupted(np.asarray(piece).tolist(), random) for piece in pieces)

    def held_out(self, pieces):
        """Returns examples of the pieces of a held-out split, drawn once.

        Args:
            pieces: `Ragged` column of ids.
        """
        pairs = list(self.drawn(pieces.values()))
        texts = [self.tokenizer.decode(side) for side in zip(*pairs, strict=True)] if pairs else None
        made = self.examples(pairs, texts)
        return DrawnExamples(
            made.inputs,
            made.targets,
            extras=made.extras | {"piece": pieces},
            batching=made.batching,
            is_named=True,
            whole=self.training(pieces),
        )


class Undrawn(Ragged):
    """Column of sequences of known lengths that are drawn in every step; they hold nothing but padding.

    Args:
        lengths: Length of each sequence, (examples,).
        fill: The padding.
    """

    def __init__(self, lengths, fill):
        self.lengths, self.fill, self.flat = lengths, fill, np.zeros(0, "int32")

    def take(self, rows):
        """Returns padding as long as the longest of rows, (batch, time)."""
        return np.full((len(rows), self.lengths[rows].max(initial=0)), self.fill, "int32")

    def values(self, rows=None):
        """Returns the padding of rows, or of all."""
        lengths = self.lengths if rows is None else self.lengths[rows]
        return [np.full(length, self.fill, "int32") for length in lengths]

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        both = [
            part.lengths if chosen is None else part.lengths[chosen]
            for part, chosen in ((self, rows), (other, other_rows))
        ]
        return Undrawn(np.concatenate(both), self.fill)


def pieces(documents, length):
    """Returns documents, ids each, in pieces of so many tokens, and the number of the document of each."""
    found, owners = [], []
    for number, ids in enumerate(documents):
        for start in range(0, len(ids), length):
            part = ids[start : start + length]
            if len(part) >= min(_LEAST, length):
                found.append(part)
                owners.append(number)
    return found, np.array(owners, int)


def span_splits(found, split, spans, length):
    """Returns the examples of training, validation and test split.

    Args:
        found: `kit.data.sources.Documents`.
        split: Name of the split of each document.
        spans: `SpanCorruption`.
        length: Tokens of a piece.
    """
    ids, owners = pieces(spans.tokenizer.encode(found.texts), length)
    columns = [
        Ragged.of(each for each, owner in zip(ids, owners, strict=True) if split[owner] == name) for name in SPLITS
    ]
    held_out = [dataclasses.replace(spans, seed=number).held_out(columns[number]) for number in (1, 2)]
    return [spans.training(columns[0]), *held_out]


def _parts(total, count, random):
    """Returns the sizes of so many parts of a total, each at least 1, every division as likely."""
    cuts = np.sort(random.choice(total - 1, count - 1, replace=False)) + 1 if count > 1 else []
    return np.diff([0, *cuts, total]).tolist()
