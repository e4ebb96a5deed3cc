"""Labelled texts as examples: ids of tokens, of pairs with segments, and what is to be answered of each."""

import dataclasses
import logging

import numpy as np

from kit.data import sources
from kit.data.batching import ByLength
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.data.sources import packed_texts, phrase_languages, text_folder, text_tables
from kit.errors import check

log = logging.getLogger("kit")

# Extras of examples that hold their texts.
TEXTS = ("text", "second_text")


@dataclasses.dataclass(frozen=True)
class TextSource:
    """Where labelled texts are, and in which columns.

    Args:
        source: `languages` (phrases in twelve languages, generated), `tfds:NAME`, a .csv, .tsv or .jsonl file with
            columns of texts and what is to be answered, a folder of such files with train, dev and test in their names,
            a folder with a folder of .txt files for each class, or a pack of these. In Python also a list of (text,
            answer) or (text, second text, answer), an answer being a label, a list of labels or a number, a table of
            pandas or Arrow, or a dictionary of these for train, validation and test.
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
        if module in (phrase_languages, text_folder, packed_texts):
            for key, value in columns.items():
                check(value is None, key, value, "none where texts are in no table")
        if module is packed_texts:
            return module.read(origin), origin
        if module in (phrase_languages, text_folder):
            check(answer in ("auto", "label"), "answer", answer, "'label' of texts that are generated, or in folders")
        else:
            options |= columns | {"answer": answer}
        if module in (text_folder, text_tables):
            options["on_bad"] = on_bad
        return module.read(origin, **options), origin


@dataclasses.dataclass(frozen=True)
class Lengths:
    """How long an example of text may be, and what becomes of a longer one.

    Args:
        max_length: Most tokens of an example; what is longer is cut, or read in windows.
        window_stride: Tokens from the beginning of one window of a long text to that of the next: each of its windows,
            of `max_length` tokens, is trained on with the answer of the text, and the text is answered with the mean of
            what its windows are (their logits, or numbers). Of a pair the longer text is read so. 0 cuts long texts.

    Raises:
        SettingError: a value out of range.
    """

    max_length: int = 128
    window_stride: int = 0

    def __post_init__(self):
        check(8 <= self.max_length <= 100_000, "max_length", self.max_length, "8 to 100000")
        fits = 0 <= self.window_stride <= self.max_length
        check(fits, "window_stride", self.window_stride, "0, or 1 to data.max_length")

    def tell(self, examples, texts, longer):
        """Says in the log how many texts are longer than an example, and what becomes of them."""
        if not longer:
            return
        fate = "cut (data.max_length); data.window_stride reads them in windows"
        if self.window_stride:
            fate = f"read in windows (data.window_stride): {examples:,} examples"
        log.info("%s of %s texts are longer than %d tokens and %s", f"{longer:,}", f"{texts:,}", self.max_length, fate)


def text_examples(parts, tokenizer, lengths, targets=None, extras=None):
    """Returns examples of texts, or of pairs of texts, cut to a number of tokens or read in windows.

    A batch is a dictionary of `ids` (batch, time) and, of pairs, `segments` (batch, time): 0 in the first text, 1 in
    the second. A text begins with the tokenizer's start, and each ends with its end. What is too long loses its last
    tokens, of a pair the longer text first; or it is several examples, see `Lengths`.

    Args:
        parts: Texts; of pairs also the second texts, in a list.
        tokenizer: `kit.data.tokens.Tokenizer`.
        lengths: `Lengths`, whose `max_length` counts start and ends, too.
        targets: Name to values of what is to be answered, (texts, ...); or None.
        extras: Name to values of what only the evaluation looks at, (texts, ...); or None.

    Returns:
        `Examples`, with the texts as extras `text` and `second_text`, and of windows the number of each one's text as
        `window_of`; the number of each example's text, rising, (examples,); and how many texts are longer.
    """
    rows = [tokenizer.encode(part) for part in parts]
    room, stride = lengths.max_length - 1 - len(parts), lengths.window_stride
    kept, numbers, longer = [], [], 0
    for number, texts in enumerate(list(row) for row in zip(*rows, strict=True)):
        longer += sum(map(len, texts)) > room
        found = _windows(texts, room, stride)
        kept += found
        numbers += [number] * len(found)
    numbers = np.array(numbers, int)
    ids = [[tokenizer.start_id, *(each for text in texts for each in (*text, tokenizer.end_id))] for texts in kept]
    inputs = {"ids": Ragged.of(ids, fill=tokenizer.pad_id)}
    if len(parts) > 1:
        inputs["segments"] = Ragged.of([0] * (2 + len(texts[0])) + [1] * (1 + len(texts[1])) for texts in kept)
    columns = dict(extras or {})
    for name, texts in zip(TEXTS, parts, strict=False):
        columns[name] = np.empty(len(texts), object)
        columns[name][:] = texts
    columns = {name: Dense(values[numbers]) for name, values in columns.items()}
    if stride:
        columns["window_of"] = Dense(numbers)
    targets = {name: Dense(values[numbers]) for name, values in (targets or {}).items()}
    examples = Examples(inputs, targets, extras=columns, batching=ByLength("ids"), is_named=True)
    return examples, numbers, longer


def whole_texts(examples, outputs=None):
    """Returns examples with one row for each text, and the mean of what its windows are answered; others as they are.

    Args:
        examples: `Examples` of `text_examples`, or of a split of them.
        outputs: What each is answered, (examples, ...); or None.
    """
    if "window_of" not in examples.extras:
        return examples, outputs
    numbers = examples.extra("window_of")
    _, first = np.unique(numbers, return_index=True)
    return examples.take(first), None if outputs is None else mean_of_windows(outputs, numbers)


def mean_of_windows(outputs, numbers):
    """Returns the mean of the outputs (windows, ...) of each text, in the order of the texts' numbers (windows,)."""
    _, rows, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), *outputs.shape[1:]))
    np.add.at(sums, rows, outputs)
    return sums / counts.reshape(-1, *[1] * (outputs.ndim - 1))


def _windows(texts, room, stride):
    """Returns a text's tokens, or those of a pair, as often as it has windows of so many tokens; once without stride.

    The last window ends where the text does. Of a pair the shorter text, or half of the room, is in every window.
    """
    short = list(texts)
    if sum(map(len, texts)) > room:
        shorten(short, room)
    if not stride or short == texts:
        return [short]
    longer = max(range(len(texts)), key=lambda part: len(texts[part]))
    size, total = len(short[longer]), len(texts[longer])
    starts = [*range(0, total - size, min(stride, size)), total - size]
    return [
        [text[start : start + size] if part == longer else short[part] for part, text in enumerate(texts)]
        for start in starts
    ]


def shorten(texts, room):
    """Leaves so many tokens of one text, or of two: what a fair share leaves over is the other's."""
    if len(texts) == 1:
        texts[0] = texts[0][:room]
        return
    first, second = map(len, texts)
    second = min(second, max(room - first, room // 2))
    texts[0], texts[1] = texts[0][: room - second], texts[1][:second]
