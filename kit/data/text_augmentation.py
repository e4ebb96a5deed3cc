"""Data augmentation of texts: words deleted, swapped, inserted and replaced by synonyms, and back-translation.

Wei and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks", 2019;
Sennrich, Haddow and Birch, "Improving Neural Machine Translation Models with Monolingual Data", 2016.
"""

import dataclasses
import hashlib
import logging
from pathlib import Path

import numpy as np

from kit.data import vectors
from kit.data.labelled_texts import TEXTS, text_examples
from kit.data.sources.text_files import lines
from kit.data.text import tokenize
from kit.errors import KitError, SettingError, check
from kit.files import as_path

log = logging.getLogger("kit")

# Of a file of word vectors: neighbours of a word that count as its synonyms, and how like they are at least (cosine).
_NEAREST, _ALIKE, _MOST_VECTORS = 5, 0.5, 100_000
_SHARES = ("random_deletion", "random_swap", "random_insertion", "synonym_replacement")


@dataclasses.dataclass(frozen=True)
class TextAugmentation:
    """Random changes of training texts (data augmentation), drawn anew in every epoch; the split itself stays as it is.

    A text that is changed is changed in one of the ways that are on, each as likely.

    Args:
        random_deletion: Probability of each word of being left out; one at least stays.
        random_swap: Share of the words as often as which two words change places.
        random_insertion: Share of the words for as many of which a synonym is put behind a word somewhere.
        synonym_replacement: Share of the words that a synonym stands in for.
        synonyms: File of synonyms: in each line a word, a tab, and its synonyms with commas between; or a text file of
            pretrained word vectors (word2vec or GloVe), whose five nearest neighbours are taken.
        augmented_share: Probability of each training text of being changed in a step.
        back_translation: Folders of two finished runs of translation, one there and one back: each training text has a
            translation of its translation, which stands in for it.
        back_translated_share: Probability of that in a step, before other changes.

    Raises:
        SettingError: a share out of range, or one that needs synonyms without any.
    """

    random_deletion: float = 0.0
    random_swap: float = 0.0
    random_insertion: float = 0.0
    synonym_replacement: float = 0.0
    synonyms: str | None = None
    augmented_share: float = 0.5
    back_translation: tuple[str, ...] = ()
    back_translated_share: float = 0.5

    def __post_init__(self):
        for key in (*_SHARES, "augmented_share", "back_translated_share"):
            check(0 <= getattr(self, key) <= 1, key, getattr(self, key), "a share from 0 to 1")
        need = [key for key in _SHARES[2:] if getattr(self, key)]
        if need and self.synonyms is None:
            raise SettingError(need[0], "expected data.synonyms, a file of synonyms or word vectors, beside it")
        check(need or self.synonyms is None, "synonyms", self.synonyms, "random_insertion or synonym_replacement, too")
        count = len(self.back_translation)
        check(count in (0, 2), "back_translation", self.back_translation, "two run folders, there and back")

    def of(self, examples, tokenizer, lengths):
        """Returns the changes of training examples, or None where there are none.

        Args:
            examples: `Examples` of the training split, as `text_examples` makes them.
            tokenizer: Their `Tokenizer`.
            lengths: `kit.data.labelled_texts.Lengths`, as the examples were cut.

        Raises:
            SettingError: long texts are read in windows, which are no texts to change.
            KitError: a file of synonyms that cannot be used, or that knows none of the training texts' words.
        """
        ways = {key: getattr(self, key) for key in _SHARES if getattr(self, key)}
        if not ways and not self.back_translation:
            return None
        stride = lengths.window_stride
        check(not stride, "window_stride", stride, "0 where training texts are changed")
        known = {}
        if self.synonyms is not None:
            texts = (text for name in TEXTS if name in examples.extras for text in examples.extra(name))
            known = synonyms(self.synonyms, {word.lower() for text in texts for word in tokenize(text)[0]})
        share = self.back_translated_share if self.back_translation else 0.0
        return ChangedTexts(tokenizer, lengths, ways, known, self.augmented_share, share)

    def assets(self):
        """Returns what tells a run that is carried on whether it has the synonyms that it began with."""
        if self.synonyms is None:
            return {}
        return {"synonyms": hashlib.sha256(as_path(self.synonyms, "synonyms").read_bytes()).hexdigest()}

    def paths(self):
        """Returns those of the settings that are paths, absolute ones."""
        found = {}
        if self.synonyms is not None:
            found["synonyms"] = str(as_path(self.synonyms, "synonyms").resolve())
        if self.back_translation:
            found["back_translation"] = tuple(str(Path(each).expanduser().resolve()) for each in self.back_translation)
        return found


class ChangedTexts:
    """Batches of changed training texts, as `Examples.changed` wants them: functions of seed, step and row alone.

    Args:
        tokenizer: `kit.data.tokens.Tokenizer`.
        lengths: `Lengths`.
        ways: Names of the changes to their shares.
        synonyms: Lower-case words to their synonyms.
        share: Probability of a text of being changed.
        translated_share: Probability of a text of being the translation of its translation, before that.

    Attributes:
        translations: Texts to the translations of their translations; those of others are themselves.
    """

    def __init__(self, tokenizer, lengths, ways, synonyms, share, translated_share=0.0):
        self.tokenizer, self.lengths, self.share = tokenizer, lengths, share
        self.ways, self.synonyms, self.translated_share = ways, synonyms, translated_share
        self.translations = {}

    def __call__(self, examples, rows, seed, step):
        """Returns the batch of some rows in a step: inputs of changed texts; targets and weights as they are."""
        parts = [list(each) for each in zip(*self.texts(examples, rows, seed, step), strict=True)]
        changed, *_ = text_examples(parts, self.tokenizer, self.lengths)
        return changed.arrays(np.arange(len(rows)))[0], *examples.arrays(rows)[1:]

    def texts(self, examples, rows, seed, step):
        """Returns the texts of some rows as they are in a step, a tuple for each: one text, or those of a pair."""
        own = np.asarray(rows) if examples.rows is None else examples.rows[rows]
        columns = [examples.extras[name].take(own) for name in TEXTS if name in examples.extras]
        return [
            self.changed(texts, np.random.default_rng((seed, 2, step, row)))
            for row, *texts in zip(own.tolist(), *columns, strict=True)
        ]

    def changed(self, texts, random):
        """Returns the texts of an example, changed by what a generator of random numbers draws."""
        is_translated, is_changed = random.random(2) < (self.translated_share, self.share)
        if is_translated:
            texts = [self.translations.get(text, text) for text in texts]
        if is_changed and self.ways:
            way = list(self.ways)[random.integers(len(self.ways))]
            texts = [_CHANGES[way](text, self.ways[way], self.synonyms, random) for text in texts]
        return tuple(texts)


def synonyms(path, words):
    """Returns the synonyms of some words.

    Args:
        path: File of synonyms, or of word vectors.
        words: The words, lower-case.

    Returns:
        Dictionary from those of the words that have synonyms to lists of these.

    Raises:
        SettingError: there is no such file.
        KitError: it cannot be used, or knows none of the words.
    """
    path = as_path(path, "synonyms")
    if not path.is_file():
        raise SettingError("synonyms", f"no file {str(path)!r}; expected a file of synonyms or of word vectors")
    _, first = next(((number, line) for number, line in lines(path) if line.strip()), (0, ""))
    found = _thesaurus(path) if "\t" in first else _neighbours(path, words)
    found = {word: others for word, others in found.items() if word in words}
    if not found:
        raise KitError(f"{path}: none of its words is in the training texts; expected synonyms of words that are there")
    log.info("data.synonyms: synonyms of %s of %s words of the training texts", f"{len(found):,}", f"{len(words):,}")
    return found


def _thesaurus(path):
    found = {}
    for number, line in lines(path):
        if not line.strip():
            continue
        word, *rest = line.split("\t")
        others = [each.strip() for each in rest[0].split(",")] if len(rest) == 1 else []
        others = [each for each in others if each and each.lower() != word.strip().lower()]
        if not word.strip() or not others:
            raise KitError(f"{path}:{number}: expected a word, a tab, and its synonyms with commas between")
        known = found.setdefault(word.strip().lower(), [])
        known += [each for each in others if each not in known]
    return found


def _neighbours(path, words):
    """Returns the nearest words of each word by their vectors."""
    names, table = vectors.read(path, max_words=_MOST_VECTORS)
    table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    rows, found = [row for row, name in enumerate(names) if name in words], {}
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        alike = table[part] @ table.T  # (words, all words)
        alike[np.arange(len(part)), part] = -1
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :_NEAREST]
        for row, others, values in zip(part, nearest, alike, strict=True):
            chosen = [names[other] for other in others if values[other] >= _ALIKE]
            if chosen:
                found[names[row]] = chosen
    return found


def _apart(text):
    """Returns a text as a list: what stands in front of a word, the word, and so on, and what is behind the last."""
    pieces, end = [], 0
    for word, (start, stop) in zip(*tokenize(text), strict=True):
        if any(letter.isalnum() for letter in word):
            pieces += [text[end:start], word]
            end = stop
    return [*pieces, text[end:]]


def _count(share, total):
    return min(total, max(1, round(share * total)))


def _deleted(text, share, known, random):
    pieces = _apart(text)
    total = len(pieces) // 2
    is_kept = random.random(total) >= share
    if not is_kept.any() and total:
        is_kept[random.integers(total)] = True
    for word in np.flatnonzero(~is_kept):
        pieces[2 * word + 1] = ""
    return " ".join("".join(pieces).split()) if total else text


def _swapped(text, share, known, random):
    pieces = _apart(text)
    total = len(pieces) // 2
    if total > 1:
        for _ in range(_count(share, total)):
            one, other = 2 * random.choice(total, 2, replace=False) + 1
            pieces[one], pieces[other] = pieces[other], pieces[one]
    return "".join(pieces)


def _inserted(text, share, known, random):
    pieces = _apart(text)
    total = len(pieces) // 2
    usable = [word for word in pieces[1::2] if word.lower() in known]
    for _ in range(_count(share, total) if usable else 0):
        others = known[usable[random.integers(len(usable))].lower()]
        pieces[2 * random.integers(total) + 1] += f" {others[random.integers(len(others))]}"
    return "".join(pieces)


def _replaced(text, share, known, random):
    pieces = _apart(text)
    usable = [place for place in range(1, len(pieces), 2) if pieces[place].lower() in known]
    total = len(pieces) // 2
    if usable:
        for place in random.choice(usable, min(_count(share, total), len(usable)), replace=False):
            others = known[pieces[place].lower()]
            other = others[random.integers(len(others))]
            pieces[place] = other[:1].upper() + other[1:] if pieces[place][:1].isupper() else other
    return "".join(pieces)


_CHANGES = dict(zip(_SHARES, (_deleted, _swapped, _inserted, _replaced), strict=True))
