"""Labelled texts as examples: ids of tokens, of pairs with segments, and what is to be answered of each."""

import dataclasses

import numpy as np

from kit.data import sources
from kit.data.batching import ByLength
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.data.sources import phrase_languages, text_folder, text_tables
from kit.errors import check

# Extras of examples that hold their texts.
TEXTS = ("text", "second_text")


@dataclasses.dataclass(frozen=True)
class TextSource:
    """Where labelled texts are, and in which columns.

    Args:
        source: `languages` (phrases in twelve languages, generated), `tfds:NAME`, a .csv, .tsv or .jsonl file with
            columns of texts and what is to be answered, a folder of such files with train, dev and test in their names,
            or a folder with a folder of .txt files for each class. In Python also a list of (text, answer) or (text,
            second text, answer), an answer being a label, a list of labels or a number, a table of pandas or Arrow, or
            a dictionary of these for train, validation and test.
        text: Column of the texts: its name, or its number from 1, or from the end as -1; by default a usual name such
            as text or sentence1.
        second_text: Column of the second texts of pairs; by default a usual name such as sentence2, where there is one.
        target: Column of what is to be answered; by default a usual name such as label or category. Several, as
            `a,b,c`, are labels that are 0 or 1 for each text.
        num_texts: Number of generated texts; 6000 by default.
    """

    source: str = "languages"
    text: int | str | None = None
    second_text: int | str | None = None
    target: int | str | None = None
    num_texts: int | None = None

    def read(self, answer, on_bad, seed):
        """Returns `kit.data.sources.Texts`, and the source as its reader wants it.

        Args:
            answer: What is answered, see `kit.data.text_answers.AnswerOptions`.
            on_bad: "error" or "skip".
            seed: Seed of generated texts.

        Raises:
            KitError: a file that cannot be used; the message names it and the line.
            SettingError: a setting that does not go with the source.
        """
        module, origin = sources.find(self.source, "texts")
        columns = {"text": self.text, "second_text": self.second_text, "target": self.target}
        options = {}
        if module is phrase_languages:
            options = {"seed": seed, **({} if self.num_texts is None else {"num_texts": self.num_texts})}
        else:
            check(self.num_texts is None, "num_texts", self.num_texts, "none where texts are not generated")
        if module in (phrase_languages, text_folder):
            for key, value in columns.items():
                check(value is None, key, value, "none where texts are in no table")
            check(answer in ("auto", "label"), "answer", answer, "'label' of texts that are generated, or in folders")
        else:
            options |= columns | {"answer": answer}
        if module in (text_folder, text_tables):
            options["on_bad"] = on_bad
        return module.read(origin, **options), origin


def text_examples(parts, tokenizer, max_length, targets=None, extras=None):
    """Returns examples of texts, or of pairs of texts, cut to a number of tokens.

    A batch is a dictionary of `ids` (batch, time) and, of pairs, `segments` (batch, time): 0 in the first text, 1 in
    the second. A text begins with the tokenizer's start, and each ends with its end. What is too long loses its last
    tokens, of a pair the longer text first.

    Args:
        parts: Texts; of pairs also the second texts, in a list.
        tokenizer: `kit.data.tokens.Tokenizer`.
        max_length: Most tokens of an example, start and ends included.
        targets: Name to values of what is to be answered, (examples, ...); or None.
        extras: Name to values of what only the evaluation looks at; or None.

    Returns:
        `Examples`, with the texts as extras `text` and `second_text`; and how many were cut.
    """
    rows = [tokenizer.encode(part) for part in parts]
    kept, room = [list(row) for row in zip(*rows, strict=True)], max_length - 1 - len(parts)
    cut = 0
    for texts in kept:
        over = sum(map(len, texts)) - room
        if over > 0:
            cut += 1
            _shorten(texts, room)
    ids = [[tokenizer.start_id, *(each for text in texts for each in (*text, tokenizer.end_id))] for texts in kept]
    inputs = {"ids": Ragged.of(ids, fill=tokenizer.pad_id)}
    if len(parts) > 1:
        inputs["segments"] = Ragged.of([0] * (2 + len(texts[0])) + [1] * (1 + len(texts[1])) for texts in kept)
    extras = {name: Dense(values) for name, values in (extras or {}).items()}
    for name, texts in zip(TEXTS, parts, strict=False):
        column = np.empty(len(texts), object)
        column[:] = texts
        extras[name] = Dense(column)
    targets = {name: Dense(values) for name, values in (targets or {}).items()}
    return Examples(inputs, targets, extras=extras, batching=ByLength("ids"), is_named=True), cut


def _shorten(texts, room):
    """Leaves so many tokens of one text, or of two: what a fair share leaves over is the other's."""
    if len(texts) == 1:
        texts[0] = texts[0][:room]
        return
    first, second = map(len, texts)
    second = min(second, max(room - first, room // 2))
    texts[0], texts[1] = texts[0][: room - second], texts[1][:second]
