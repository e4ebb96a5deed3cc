"""Files of questions, passages and answers: SQuAD's JSON, versions 1.1 and 2.0, and JSONL as Hugging Face writes it.

A source is one file, or a folder with a file for each split, named after it: `train`, `dev` or `val`, and `test`.
"""

import json

import numpy as np

from kit.data.sources import questions as records
from kit.data.sources.questions import Questions
from kit.data.sources.text_files import BadRows, json_rows, lines, plain_name, scalars
from kit.data.split_names import splits_in
from kit.errors import KitError, shown

LAYOUT = records.LAYOUT
ENDINGS = (".json", ".jsonl", ".ndjson")
_KEYS = ("question", "context", "answers", "is_impossible", "id")
_SQUAD = "{'data': [{'title', 'paragraphs': [{'context', 'qas': [{'id', 'question', 'answers'}]}]}]}"
_ROW = "{'question': '...', 'context': '...', 'answers': {'text': [...], 'answer_start': [...]}}"


def accepts(path):
    """Tells whether a path is such a file, or a folder with one for training."""
    if path.is_dir():
        return bool(_files_of(path).get("train"))
    return plain_name(path).endswith(ENDINGS)


def read(source, *, on_bad="error"):
    """Returns the questions of a file, or of those in a folder.

    Args:
        source: Path.
        on_bad: "skip" lists questions that cannot be used and leaves them out; "error" names the first.

    Raises:
        KitError: a file that cannot be used; the message names it, the question and what was expected.
    """
    bad, found, split = BadRows(on_bad), Questions(), []
    parts = {None: [source]}
    if source.is_dir():
        parts = _files_of(source)
        for part, files in parts.items():
            if len(files) > 1:
                both = " and ".join(path.name for path in files[:2])
                raise KitError(f"{source}: {both} both look like the {part} split; expected one")
    for part, (path,) in parts.items():
        before = len(found.questions)
        for name, row in _rows(path, bad):
            _add(found, path, name, row, bad)
        if len(found.questions) == before:
            first = f"; of {len(bad.messages):,} bad ones the first: {bad.messages[0]}" if bad.messages else ""
            raise KitError(f"{path}: no questions; expected {LAYOUT}{first}")
        split += [part] * (len(found.questions) - before)
    found.split = None if None in parts else np.array(split, dtype=object)
    found.skipped = bad.told()
    return found.checked(source)


def asked_in(path):
    """Yields place, question and passage of each question of a file, whatever its answers are."""
    for name, row in _rows(path, BadRows()):
        yield name, row.get("question"), row.get("context")


def _files_of(folder):
    """Returns the files of each split in a folder that has any."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and plain_name(path).endswith(ENDINGS) and not path.name.startswith("."):
            parts = splits_in(path.name)
            if len(parts) == 1:
                found.setdefault(parts[0], []).append(path)
    return {part: found[part] for part in ("train", "validation", "test") if part in found}


def _add(found, path, name, row, bad):
    answers, wrong = records.pairs_of(row.get("answers")), None
    is_impossible = row.get("is_impossible", False)
    if "answers" not in row:
        wrong = "no 'answers'; expected some, or an empty list where the passage has none"
    elif answers is None:
        wrong = f"answers {shown(row['answers'])[:80]}; expected a list of {{'text', 'answer_start'}}"
    elif not isinstance(is_impossible, bool):
        wrong = f"is_impossible {shown(is_impossible)[:40]}; expected true or false"
    elif is_impossible and answers:
        wrong = "has answers, and is_impossible is true; expected one or the other"
    wrong = wrong or records.problem(row.get("question"), row.get("context"), answers)
    if wrong:
        bad.add(path, name, wrong)
        return
    id = row.get("id")
    found.add(
        row["question"],
        row["context"],
        answers,
        f"{path.name}:{name}",
        id=id if isinstance(id, str | int) else None,
        columns=scalars(row, _KEYS),
    )


def _rows(path, bad):
    """Yields the name of each question of a file in messages, and the question as a row of JSONL has it."""
    if not plain_name(path).endswith(".json"):
        for number, row in json_rows(path, bad):
            if isinstance(row, dict):
                yield str(number), row
            else:
                bad.add(path, number, f"expected an object such as {_ROW}")
        return
    text = "\n".join(line for _, line in lines(path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KitError(f"{path}: not valid JSON ({error})") from None
    if isinstance(content, list) and content and all(isinstance(row, dict) and "question" in row for row in content):
        yield from ((f"row {number}", row) for number, row in enumerate(content, 1))
        return
    yield from _of_articles(path, content.get("data") if isinstance(content, dict) else content)


def _of_articles(path, articles):
    """Yields the questions of SQuAD's nested layout."""
    for article, at in _listed(path, articles, "data", "article"):
        title = article.get("title")
        for paragraph, inside in _listed(path, article.get("paragraphs"), f"{at}: paragraphs", "paragraph"):
            for asked, place in _listed(path, paragraph.get("qas"), f"{inside}: qas", "question"):
                id = asked.get("id")
                row = {"title": title} if isinstance(title, str) and title else {}
                row |= {key: value for key, value in asked.items() if key != "plausible_answers"}
                name = f"question {id}" if isinstance(id, str | int) else place
                yield name, row | {"context": paragraph.get("context")}


def _listed(path, rows, place, what):
    """Yields the objects of a list of SQuAD's layout, and where each stands."""
    if not isinstance(rows, list):
        raise KitError(f"{path}: {place}: expected a list, got {shown(rows)[:60]}; SQuAD's layout is {_SQUAD}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise KitError(f"{path}: {place}: {what} {number} is {shown(row)[:60]}; SQuAD's layout is {_SQUAD}")
        outer = "" if place == "data" else f"{place.rpartition(': ')[0]} "
        yield row, f"{outer}{what} {number}"
