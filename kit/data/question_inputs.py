"""Questions and passages that a finished model is given: pairs, lines with a tab between, JSONL, SQuAD's JSON."""

from pathlib import Path

from kit.data.sources import question_files, text_files
from kit.data.text import is_text
from kit.data.text_inputs import read_lines
from kit.errors import KitError, shown
from kit.files import as_path

_EXPECTED = "a question and its passage, with a tab between them"


def read_questions(inputs):
    """Returns the questions and the passages that a user gave.

    Args:
        inputs: Pairs (question, passage), dictionaries with `question` and `context`, texts and files
            (`pathlib.Path`) with a question and its passage in each line, a tab between them, .jsonl files of such
            dictionaries, or SQuAD's JSON; or a list of these. Empty lines are passed over.

    Raises:
        KitError: something else, an empty question or passage, or a file that cannot be read.
    """
    if isinstance(inputs, str | Path | dict) or _is_pair(inputs):
        inputs = [inputs]
    if not isinstance(inputs, list | tuple):
        raise KitError("inputs: expected pairs (question, passage), texts or files, or a list of these")
    rows = []
    for number, each in enumerate(inputs, 1):
        place = f"inputs: {number}"
        if isinstance(each, dict):
            rows.append((place, each.get("question"), each.get("context", each.get("passage"))))
        elif isinstance(each, tuple | list) and len(each) == 2:
            rows.append((place, *each))
        elif isinstance(each, Path) and text_files.plain_name(each).endswith(question_files.ENDINGS):
            path = as_path(each, "inputs")
            rows += [(f"{path}: {name}", asked, passage) for name, asked, passage in question_files.asked_in(path)]
        elif isinstance(each, str | Path):
            rows += [
                (where, *_pair(line, where))
                for line, where in zip(*read_lines(each, tabs=True), strict=True)
                if line.strip()
            ]
        else:
            raise KitError(f"{place}: got {shown(each)[:60]}; expected {_EXPECTED}, or a file")
    for place, *texts in rows:
        for name, text in zip(("question", "passage"), texts, strict=True):
            if not isinstance(text, str) or not text.strip() or not is_text(text):
                raise KitError(f"{place}: an empty {name}; expected {_EXPECTED}")
    if not rows:
        raise KitError(f"inputs: no questions; expected {_EXPECTED}")
    _, questions, passages = map(list, zip(*rows, strict=True))
    return [question.strip() for question in questions], passages


def _is_pair(inputs):
    return isinstance(inputs, tuple) and len(inputs) == 2 and all(isinstance(each, str) for each in inputs)


def _pair(line, place):
    question, tab, passage = line.partition("\t")
    if not tab:
        raise KitError(f"{place}: no passage; expected {_EXPECTED}")
    return question, passage
