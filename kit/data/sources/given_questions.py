"""Questions given in Python: lists of dictionaries with question, context and answers, or such for each split."""

import numpy as np

from kit.data.sources import questions as records
from kit.data.sources.questions import Questions
from kit.data.sources.text_files import scalars
from kit.errors import KitError, SettingError, shown

LAYOUT = (
    "a list of {'question', 'context', 'answers': {'text': [...], 'answer_start': [...]}}, or a dictionary of such "
    "lists for train, validation and test"
)


def read(source):
    """Returns the questions of what was given.

    Args:
        source: `GivenData`; a part may also be a table of pandas or Arrow with these columns, or a data set of Hugging
            Face.

    Raises:
        KitError: a question that cannot be used; the message names it.
        SettingError: something else was given.
    """
    found, split = Questions(), []
    for name, part in source.parts(LAYOUT).items():
        for row, each in enumerate(_rows(part)):
            place = f"{name or 'question'}:{row}"
            if not isinstance(each, dict):
                raise KitError(f"data: {place}: {shown(each)[:60]}; expected a dictionary such as in {LAYOUT}")
            answers = records.pairs_of(each.get("answers"))
            wrong = "no 'answers'; expected {'text', 'answer_start'}" if "answers" not in each else None
            if answers is None:
                wrong = f"answers {shown(each['answers'])[:60]}; expected {{'text', 'answer_start'}}"
            wrong = wrong or records.problem(each.get("question"), each.get("context"), answers)
            if wrong:
                raise KitError(f"data: {place}: {wrong}")
            columns = scalars(each, ("question", "context", "answers", "id"))
            found.add(each["question"], each["context"], answers, place, id=each.get("id"), columns=columns)
            split.append(name)
    found.split = None if None in split else np.array(split, dtype=object)
    return found.checked("data")


def _rows(part):
    if hasattr(part, "to_pandas"):
        part = part.to_pandas()
    if hasattr(part, "iterrows"):
        return part.to_dict("records")
    if isinstance(part, str) or not hasattr(part, "__iter__"):
        raise SettingError("source", f"got {type(part).__name__}; expected {LAYOUT}")
    return part
