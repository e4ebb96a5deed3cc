"""Questions and passages as examples: tokens of both in one sequence, long passages in windows that overlap.

Devlin et al., "BERT", 2019, and its code for SQuAD: a window begins every `stride` tokens, and an answer is looked for
in the window in which its first token has the most context on both sides.
"""

import dataclasses

import numpy as np

from kit.data.batching import ByLength
from kit.data.columns import Dense, Ragged
from kit.data.examples import Examples
from kit.errors import check

# Columns of the extra `window`: position of its first token of the passage; number of that token in the passage; how
# many there are; and from which to before which token of the passage an answer may begin in this window.
PLACE, FIRST, SIZE, OWN_START, OWN_STOP = range(5)
_LEAST_PASSAGE = 8  # tokens
_MARKS = 3  # start, and an end behind question and passage


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """Windows in which questions are asked of long passages.

    Args:
        max_length: Most tokens of a window: question, part of the passage, and the three marks around them.
        stride: Tokens of the passage from the beginning of one window to that of the next; fewer than a window holds,
            so that windows overlap.
        max_question_length: Most tokens of a question; what is longer is cut.

    Raises:
        SettingError: a value out of range, or no room for a passage beside a question.
    """

    max_length: int = 384
    stride: int = 128
    max_question_length: int = 64

    def __post_init__(self):
        check(1 <= self.max_question_length <= 10_000, "max_question_length", self.max_question_length, "1 to 10000")
        least = self.max_question_length + _MARKS + _LEAST_PASSAGE
        expected = f"{least} (data.max_question_length and room for a passage) to 100000"
        check(least <= self.max_length <= 100_000, "max_length", self.max_length, expected)
        check(1 <= self.stride <= self.max_length, "stride", self.stride, "1 to data.max_length")


def question_examples(questions, passages, tokenizer, options, answers=None, ids=None):
    """Returns examples of questions and passages, one a window, and what did not fit into them.

    A batch is a dictionary of `ids` and `segments` (batch, time): start, question, end, all of segment 0, then passage,
    end, of segment 1. The target `span` (batch, 2) is the position of the first and the last token of the answer, both
    that of the start where the window has none.

    Args:
        questions, passages: A text each.
        tokenizer: `kit.data.tokens.Tokenizer`.
        options: `WindowOptions`.
        answers: Pairs of text and first character, of each question; or None.
        ids: Id of each question; or None.

    Returns:
        `Examples`, with extras `number` (of the question), `window`, and, the same for all windows of a question,
        `question`, `passage`, `spans` (first and last character of each token of the passage), `answers`, `id`; the
        number of questions that were cut; and the number of those with answers of which no window has one whole.
    """
    known, inputs, segments, targets, windows, numbers = {}, [], [], [], [], []
    cut, lost = 0, 0
    start, end = tokenizer.start_id, tokenizer.end_id
    for number, (asked, passage) in enumerate(zip(tokenizer.encode(questions), passages, strict=True)):
        if passage not in known:
            known[passage] = tokenizer.encode_in_place(passage)
        tokens, spans = known[passage]
        cut += len(asked) > options.max_question_length
        asked = asked[: options.max_question_length]
        place = len(asked) + 2
        right = [] if answers is None else [_tokens_of(spans, *answer) for answer in answers[number]]
        found = False
        for first, stop, *own in _windows(len(tokens), options.max_length - place - 1, options.stride):
            inside = next((each for each in right if first <= each[0] <= each[1] < stop), None)
            found = found or inside is not None
            inputs.append(np.array([start, *asked, end, *tokens[first:stop], end], "int32"))
            segments.append(np.repeat(np.array([0, 1], "int32"), (place, stop - first + 1)))
            targets.append((0, 0) if inside is None else [place + token - first for token in inside])
            windows.append((place, first, stop - first, *own))
            numbers.append(number)
        lost += bool(right) and not found
    numbers = np.array(numbers, int)
    of_questions = {"question": questions, "passage": passages, "spans": [known[each][1] for each in passages]}
    of_questions |= {} if answers is None else {"answers": answers, "id": ids}
    extras = {"number": Dense(numbers), "window": Dense(np.array(windows, "int32"))}
    extras |= {name: Dense(_objects(values)[numbers]) for name, values in of_questions.items()}
    columns = {"ids": Ragged.of(inputs, fill=tokenizer.pad_id), "segments": Ragged.of(segments)}
    targets = {} if answers is None else {"span": Dense(np.array(targets, "int32"))}
    return Examples(columns, targets, extras=extras, batching=ByLength("ids"), is_named=True), cut, lost


def _objects(values):
    column = np.empty(len(values), object)
    for row, value in enumerate(values):
        column[row] = value
    return column


def _windows(count, room, stride):
    """Yields first token of a passage and that behind the last of each window, and from where to where it decides.

    A token is decided on where it has the most context: between two windows that is the middle of what they share.
    """
    starts = [0]
    while starts[-1] + room < count:
        starts.append(starts[-1] + min(stride, room))
    ends = [min(start + room, count) for start in starts]
    cuts = [0, *((end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)), count]
    yield from zip(starts, ends, cuts, cuts[1:], strict=False)


def _tokens_of(spans, text, start):
    """Returns the first and the last token of an answer; (0, -1) where it has none, such as one of unprintable signs.

    Args:
        spans: First and last character of each token, (tokens, 2).
        text, start: The answer, and its first character.
    """
    first = int(np.searchsorted(spans[:, 1], start, "right"))
    last = int(np.searchsorted(spans[:, 0], start + len(text), "left")) - 1
    return (first, last) if first <= last else (0, -1)
