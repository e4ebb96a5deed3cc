"""Questions about passages, each with the answers that stand in its passage, as a source delivers them; and checks."""

import dataclasses
import zlib

import numpy as np

from kit.data.text import is_text
from kit.errors import KitError, shown

LAYOUT = (
    "SQuAD's JSON, a .jsonl file of {'question', 'context', 'answers': {'text', 'answer_start'}}, or a folder of such "
    "files with train, dev and test in their names"
)


@dataclasses.dataclass
class Questions:
    """Questions about passages as a source delivers them.

    Args:
        questions: The questions.
        passages: Passage that each is asked of; several questions may have one.
        answers: Right answers to each: pairs of a text and the character of the passage at which it begins. None at all
            says that the passage does not answer the question.
        ids: Id of each question, where the source tells it, or where it stands; unique.
        places: Where each question stands, such as `train.json:57`, unique and stable.
        split: Split that the source prescribes for each question, or None.
        skipped: A message on each question that was left out, since it cannot be used.
        columns: Name of each other column or key of the source to its values, (questions,), such as `title`.
    """

    questions: list = dataclasses.field(default_factory=list)
    passages: list = dataclasses.field(default_factory=list)
    answers: list = dataclasses.field(default_factory=list)
    ids: list = dataclasses.field(default_factory=list)
    places: list = dataclasses.field(default_factory=list)
    split: np.ndarray | None = None
    skipped: list = dataclasses.field(default_factory=list)
    columns: dict = dataclasses.field(default_factory=dict)

    @property
    def names(self):
        """Name of each question, with a check sum of it, its passage and its answers."""
        sums = {}

        def checked(passage):
            return sums.setdefault(passage, zlib.crc32(passage.encode()))

        return [
            f"{place} {zlib.crc32(f'{question}{answers}'.encode(), checked(passage)):08x}"
            for place, question, passage, answers in zip(
                self.places, self.questions, self.passages, self.answers, strict=True
            )
        ]

    def add(self, question, passage, answers, place, id=None, columns=None):
        """Adds a question that `problem` finds nothing wrong with."""
        self.questions.append(question.strip())
        self.passages.append(passage)
        self.answers.append([(text, int(start)) for text, start in answers])
        self.places.append(place)
        self.ids.append(place if id is None else str(id))
        for name in {**self.columns, **(columns or {})}:
            values = self.columns.setdefault(name, [None] * (len(self.questions) - 1))
            values.append((columns or {}).get(name))

    def checked(self, source):
        """Returns these questions if they have ids of their own.

        Raises:
            KitError: there are none, or two have one id.
        """
        if not self.questions:
            first = f"; of {len(self.skipped):,} that cannot be used the first: {self.skipped[0]}" * bool(self.skipped)
            raise KitError(f"{source}: no questions; expected {LAYOUT}{first}")
        seen = {}
        for id, place in zip(self.ids, self.places, strict=True):
            if id in seen:
                raise KitError(f"{source}: {seen[id]} and {place} have the id {shown(id)}; expected one for each")
            seen[id] = place
        return self


def problem(question, passage, answers):
    """Returns what is wrong with a question, its passage and its answers, or None.

    Args:
        question: The question.
        passage: Its passage.
        answers: Pairs of text and first character, none for a question that the passage does not answer.
    """
    for name, text in (("question", question), ("passage", passage)):
        if not isinstance(text, str) or not text.strip():
            return f"an empty {name}; expected text"
        if not is_text(text):
            return f"its {name} holds characters that are none (lone surrogates); expected text"
    for text, start in answers:
        if not isinstance(text, str) or not text.strip():
            return "an empty answer; expected a text, or no answers at all where the passage does not say it"
        if not isinstance(start, int | np.integer) or isinstance(start, bool):
            return f"its answer {shown(text)[:80]} begins at {shown(start)[:40]}; expected a number of characters"
        there = passage[start : start + len(text)] if start >= 0 else ""
        if there != text:
            return (
                f"its answer {shown(text)[:80]} is not at character {start} of its passage, where "
                f"{shown(there)[:80] if there else 'nothing'} stands"
            )
    return None


def pairs_of(answers):
    """Returns answers as pairs of text and first character, given them in either of the field's layouts, or None.

    Args:
        answers: A list of {"text", "answer_start"} (SQuAD), {"text": [...], "answer_start": [...]} (Hugging Face), or
            None.
    """
    if isinstance(answers, dict):
        texts, starts = (answers.get(key) for key in ("text", "answer_start"))
        texts, starts = (each.tolist() if hasattr(each, "tolist") else each for each in (texts, starts))
        if isinstance(texts, list | tuple) and isinstance(starts, list | tuple) and len(texts) == len(starts):
            return list(zip(texts, starts, strict=True))
        return None
    if answers is None:
        return []
    if isinstance(answers, list | tuple) and all(isinstance(each, dict) for each in answers):
        return [(each.get("text"), each.get("answer_start")) for each in answers]
    return None
