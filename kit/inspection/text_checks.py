"""Findings on texts, whatever is learned of them: copies, odd characters, other scripts and languages, odd lengths."""

from collections import Counter

import numpy as np
import pandas as pd

from kit.data.findings import Finding, of_total, some
from kit.data.split_names import SPLITS
from kit.inspection import copies, languages, near_texts

# Shorter texts are equal by chance, such as `Thank you .`; they are counted, but no copies of each other.
_LEAST_WORDS = 5
# A script or language is another one where its texts are less than this share of all.
_RARE = 0.02
# A word that stands in more than this share of the texts is of their language.
_COMMON = 0.005
_LONG, _LEAST_LONG = 4.0, 60
_ADVICE = (
    "remove them from training, or keep what belongs together in one split",
    "remove all but one, unless they are as frequent in use",
)


class Texts:
    """Texts as the checks see them.

    Args:
        words: Words of each text.
        places: Where each stands.
        split: Name of the split of each, (texts,).
        noun: What they are called, such as "sentences".
    """

    def __init__(self, words, places, split, noun="sentences"):
        self.words, self.places, self.split, self.noun = words, places, split, noun
        self.lines = [" ".join(each) for each in words]

    def __len__(self):
        return len(self.words)

    def describe(self, row):
        """Returns a dictionary that shows a text."""
        return {"example": self.places[row], "split": self.split[row], "text": self.lines[row][:400]}

    def finding(self, kind, level, rows, message, advice, more=None):
        """Returns a list of a finding on texts, of none if there are none.

        Args:
            kind, level, message, advice: As for `Finding`; `{of}` in the message is how many there are.
            rows: Row numbers.
            more: Function from a row to more that is to be shown of it, or None.
        """
        if not len(rows):
            return []
        text = message.format(of=of_total(len(rows), len(self), self.noun))
        shown = [self.describe(row) | (more(row) if more else {}) for row in rows[:20]]
        return [Finding(kind, level, text, advice, len(rows), shown)]


def of_copies(
    texts, labels=None, *, other="with other tags", advice=_ADVICE, other_level="warning", keys=None, apart=None
):
    """Returns findings on equal and nearly equal texts.

    Args:
        texts: `Texts`.
        labels: What is to be learned of each, or None.
        other: How a copy is described that differs in that.
        advice: What mends copies across splits, and inside of training.
        other_level: Level of copies that differ in their label.
        keys: What equal texts have in common; their words by default.
        apart: As for `copies.check`.
    """
    keys = [tuple(words) for words in texts.words] if keys is None else keys
    long = [len(words) >= _LEAST_WORDS for words in texts.words]
    groups = copies.groups_of_equal(keys)
    told = {"split": texts.split, "noun": texts.noun, "describe": texts.describe, "advice": advice, "other": other}
    found = copies.check([group for group in groups if long[group[0]]], "equal", labels=None, **told)
    if labels is not None:
        conflicts = copies.check(groups, "equal", labels=labels, apart=apart, **told)
        found += [_with_level(each, other_level) for each in conflicts if each.kind == "equal_with_other_label"]
    first = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    rows = list(first.values())
    near = near_texts.near_pairs([texts.lines[row] for row in rows])
    groups = copies.joined((rows[one], rows[two]) for one, two, _ in near)
    return found + copies.check(groups, "near", labels=None, level="warning", **told)


def _with_level(finding, level):
    fields = {name: getattr(finding, name) for name in ("kind", "message", "advice", "count", "examples", "rows")}
    return Finding(level=level, **fields)


def of_characters(texts, side=""):
    """Returns findings on odd characters, and on texts in another script or language than the others.

    Args:
        texts: `Texts`.
        side: Of which side of pairs they are, such as " of the source"; or nothing.
    """
    odd = {row: found for row, line in enumerate(texts.lines) if (found := languages.odd_characters(line))}
    kinds = Counter(character for found in odd.values() for character in set(found))
    found = texts.finding(
        "odd_characters",
        "warning",
        list(odd),
        f"{{of}}{side} hold characters that are none, are invisible or were misread: "
        f"{', '.join(languages.spelled(character) for character, _ in kinds.most_common(4))}",
        "clean the text (UTF-8 read as UTF-8, controls removed): each is a token of its own, which nobody types",
        lambda row: {"characters": ", ".join(languages.spelled(each) for each in dict.fromkeys(odd[row]))},
    )
    main = [_main_script(line) for line in texts.lines]
    counts = Counter(name for name in main if name)
    rare = {name for name, count in counts.items() if count < _RARE * counts.total() and count <= 0.2 * len(texts)}
    rows = [row for row, name in enumerate(main) if name in rare]
    told = ", ".join(f"{count:,} {name}" for name, count in counts.most_common() if name in rare)
    found += texts.finding(
        "other_script",
        "warning",
        rows,
        f"{{of}}{side} are in another script than the others ({some(n for n in counts if n not in rare)}): {told}",
        "remove them, unless they are wanted: so few are not learned",
        lambda row: {"script": main[row]},
    )
    return found + _of_languages(texts, side)


def _main_script(line):
    """Returns the script of most letters of a text; an empty text where there are fewer than three."""
    found = languages.scripts(line)
    return found.most_common(1)[0][0] if found.total() >= 3 else ""


def _of_languages(texts, side):
    told = [languages.language(line) for line in texts.lines]
    counts = Counter(name for name in told if name)
    if not counts:
        return []
    usual, number = counts.most_common(1)[0]
    if number < 0.9 * counts.total() or number < 0.2 * len(texts):
        return []
    common = _common_words(texts)
    sure = [
        row
        for row, name in enumerate(told)
        if name not in (None, usual) and _is_sure(texts.words[row], name, usual, common)
    ]
    languages_found = Counter(told[row] for row in sure)
    shown = ", ".join(f"{count:,} {name}" for name, count in languages_found.most_common(4))
    return texts.finding(
        "other_language",
        "warning",
        sure,
        f"{{of}}{side} seem to be in another language than the others ({usual}): {shown}",
        "remove them, unless they are wanted: so few are not learned",
        lambda row: {"language": told[row]},
    )


def _common_words(texts):
    """Returns the words that stand in more texts than those of another language could."""
    counts = Counter(word for words in texts.words for word in {word.lower() for word in words})
    return {word for word, count in counts.items() if count > max(3, _COMMON * len(texts))}


def _is_sure(words, name, usual, common):
    """Tells whether the little words of a text are many of one language and hardly any of the usual one.

    Words that many of the other texts have, too, tell nothing.
    """
    words = [word.lower() for word in words]
    own = {word for word in words if word in languages.little_words(name) and word not in common}
    others = {word for word in words if word in languages.little_words(usual) and word in common}
    count = sum(word in own for word in words)
    return len(own) >= 3 and len(others) <= 1 and count >= 0.2 * len(words)


def of_lengths(texts, most=None, key="data.max_length"):
    """Returns findings on texts that are too long for training, or far longer than the others.

    Args:
        texts: `Texts`.
        most: Most words that training takes, or None.
        key: Setting of that number.
    """
    lengths = np.array([len(words) for words in texts.words])
    too_long = np.flatnonzero(lengths > most) if most is not None else np.zeros(0, int)
    found = texts.finding(
        "too_long",
        "problem",
        too_long.tolist(),
        f"{{of}} have more than {most:,} words, the longest {lengths.max():,}" if most else "",
        f"training refuses them: {key}, or divide them at sentence ends",
        lambda row: {"words": int(lengths[row])},
    )
    bound = max(_LONG * np.quantile(lengths, 0.99), _LEAST_LONG)
    rows = np.flatnonzero((lengths > bound) & ~np.isin(np.arange(len(texts)), too_long))
    rows = rows[np.argsort(-lengths[rows])]
    return found + texts.finding(
        "overlong",
        "warning",
        rows.tolist(),
        f"{{of}} are far longer than the others: up to {lengths.max():,} words, where 99 of 100 have at most "
        f"{np.quantile(lengths, 0.99):,.0f}",
        f"look whether a sentence end was missed, and divide them; {key} leaves the longest out or refuses them",
        lambda row: {"words": int(lengths[row])},
    )


def of_skipped(skipped, noun="rows"):
    """Returns a finding on rows that cannot be read."""
    if not skipped:
        return []
    return [
        Finding(
            "damaged",
            "problem",
            f"{len(skipped):,} {noun} cannot be read; the first: {skipped[0]}",
            "mend or remove them; data.on_bad=skip goes on without them",
            len(skipped),
            [{"message": message} for message in skipped[:20]],
        )
    ]


def lengths_table(words, split, name="words"):
    """Returns a table of the lengths of texts in each split.

    Args:
        words: Words of each text.
        split: Name of the split of each.
        name: What is counted.
    """
    rows = []
    for part in SPLITS:
        lengths = np.array([len(each) for each, own in zip(words, split, strict=True) if own == part])
        if len(lengths):
            middle, most = np.quantile(lengths, [0.5, 0.99])
            rows.append(
                (part, len(lengths), int(lengths.sum()), int(lengths.min()), int(middle), int(most), lengths.max())
            )
    columns = ["split", "sentences", name, "least", "median", "99 %", "most"]
    return pd.DataFrame(rows, columns=columns)


def languages_table(texts, most=5000):
    """Returns a table of scripts and languages, by at most so many of the texts."""
    rows = np.unique(np.linspace(0, len(texts) - 1, min(most, len(texts))).astype(int))
    letters, told = Counter(), Counter()
    for row in rows:
        letters.update(languages.scripts(texts.lines[row]))
        told[languages.language(texts.lines[row]) or "not told"] += 1
    scripts = [
        (f"script {name}", f"{count / letters.total():.2%} of the letters") for name, count in letters.most_common(6)
    ]
    spoken = [(f"language {name}", f"{count / len(rows):.1%} of the sentences") for name, count in told.most_common(4)]
    return pd.DataFrame(scripts + spoken, columns=["what", "share"])
