"""Tagged sentences as objects, one a line: what Hugging Face, doccano, Prodigy and others write.

`{"tokens": [...], "tags": [...]}`, the tags as texts or numbers; `{"text": "...", "entities": [[start, end, type],
...]}` with characters counted from 0; and both together, where the tokens have places in the text.
"""

import logging

from kit.data.sources.tag_columns import TAGS, WORDS, TagColumns, shown
from kit.data.sources.text_files import json_rows, scalars
from kit.data.text import is_text, tokenize

log = logging.getLogger("kit")

_SPANS = ("entities", "label", "labels", "spans")
_START, _END, _TYPE = ("start", "start_offset"), ("end", "end_offset"), ("label", "type", "tag")


def sentences(path, columns, bad):
    """Yields line, words, tags, lines of the words, and the other keys, of each sentence of a JSONL file.

    Args:
        path: The file.
        columns: `TagColumns`; its columns are keys.
        bad: `BadRows`.
    """
    rejected, used, others = 0, None, set()
    for number, row in json_rows(path, bad):
        if isinstance(row, dict) and row.get("answer", "accept") != "accept":  # Prodigy keeps what was rejected
            rejected += 1
            continue
        try:
            words, tags, key = _sentence(row, columns)
            if not is_text("".join([*words, *tags])):
                raise ValueError("holds characters that are none (lone surrogates); expected text")
        except ValueError as error:
            bad.add(path, number, error)
            continue
        if columns.tags is None and key:
            used = key
            others |= {each for each in TAGS if each != key and isinstance(row.get(each), list)}
        if words:
            own = scalars(row, ("text",))
            yield number, words, tags, [number] * len(words), own
    if rejected:
        log.info("%s: %s rows whose answer is not 'accept' are left out", path.name, f"{rejected:,}")
    if others:
        log.info("%s: tags are those of %r; data.column=%s is there too", path.name, used, sorted(others)[0])


def words_of(row, columns, cut=tokenize):
    """Returns the words of an object, whether it has tags or not, and their places in its text, or None.

    Args:
        row: The object.
        columns: `TagColumns`; its columns are keys.
        cut: Function from a text to its words and their places.

    Raises:
        ValueError: it has no words and no text.
    """
    words, text = _words(row, columns), _text(row, columns)
    if words is None and text is None and columns.words is not None:
        return words_of(row, TagColumns(), cut)  # new texts need not be as those that were learned from
    if words is None and text is None:
        raise ValueError("expected {'tokens': [...]} or {'text': '...'}")
    words, spans = cut(text) if words is None else ([each for each, _ in words], None)
    if not is_text("".join(words)):
        raise ValueError("holds characters that are none (lone surrogates); expected text")
    return words, spans


def _sentence(row, columns):
    """Returns words, tags and the key of the tags of an object; of entities the key is None."""
    words, text = _words(row, columns), _text(row, columns)
    if words is not None:
        keys = TAGS if columns.tags is None else (columns.tags,)
        key = next((key for key in keys if _is_tags(row.get(key))), None)
        if key is not None:
            if len(words) != len(row[key]):
                raise ValueError(f"{len(words)} tokens, but {len(row[key])} {key}; expected as many")
            return [word for word, _ in words], columns.named(row[key]), key
    spans = _spans(row, columns)
    if words is not None and spans is not None and all(place for _, place in words):
        return *_at_tokens(words, spans), None
    if text is not None and spans is not None:
        return *_from_text(text, spans), None
    key = columns.tags or "tags"
    raise ValueError(
        f"expected {{'tokens': [...], {key!r}: [...]}} or {{'text': '...', 'entities': [[start, end, type], ...]}}"
    )


def _is_tags(value):
    return isinstance(value, list) and not any(isinstance(each, list | dict) for each in value)


def _words(row, columns):
    """Returns (word, place in the text or None) of the tokens of an object, or None where it has none."""
    keys = WORDS if columns.words is None else (columns.words,)
    found = next((row[key] for key in keys if isinstance(row, dict) and isinstance(row.get(key), list)), None)
    if found is None:
        return None
    words = []
    for each in found:
        text, place = each, None
        if isinstance(each, dict):
            text, start, end = each.get("text"), each.get("start"), each.get("end")
            place = (start, end) if type(start) is type(end) is int else None
            if isinstance(text, str) and text and not text.strip():
                continue  # Prodigy's tokens, which are spaCy's, may be spaces
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"the token {shown(each)}; expected texts, none of them empty")
        words.append((text, place))
    return words


def _text(row, columns):
    keys = ("text",) if columns.words is None else (columns.words,)
    return next((row[key] for key in keys if isinstance(row, dict) and isinstance(row.get(key), str)), None)


def _spans(row, columns):
    """Returns the entities of an object as sorted (start, end, type), or None where it has no list of them."""
    keys = _SPANS if columns.tags is None else (columns.tags, *_SPANS)
    found = next((row[key] for key in keys if isinstance(row, dict) and isinstance(row.get(key), list)), None)
    return None if found is None else sorted(map(_span, found))


def _span(entity):
    try:
        if isinstance(entity, dict):
            parts = [next(entity[key] for key in keys if key in entity) for keys in (_START, _END, _TYPE)]
        else:
            parts = list(entity)
        start, end, kind = parts
        is_sound = type(start) is type(end) is int and isinstance(kind, str) and kind.strip() and 0 <= start < end
    except (StopIteration, TypeError, ValueError):
        is_sound = False
    if not is_sound:
        raise ValueError(f"expected [start, end, type] within the text in 'entities', got {shown(entity)}")
    return start, end, kind


def _from_text(text, spans):
    """Returns words and BIO tags of a text; it is cut at the entities, so that they begin and end with words."""
    words, tags, position = [], [], 0
    for start, end, kind in spans:
        if end > len(text):
            raise ValueError(f"expected [start, end, type] within the text in 'entities', got {[start, end, kind]!r}")
        inside = tokenize(text[start:end])[0]
        if start < position or not inside:
            raise ValueError(
                f"the entity {[start, end, kind]!r} ({text[start:end]!r}) overlaps another or holds no word; expected "
                "words of its own"
            )
        between = tokenize(text[position:start])[0]
        words += [*between, *inside]
        tags += ["O"] * len(between) + _tags_of(len(inside), kind)
        position = end
    rest = tokenize(text[position:])[0]
    return words + rest, tags + ["O"] * len(rest)


def _at_tokens(words, spans):
    """Returns words and BIO tags of tokens that have places in a text."""
    tags, position = ["O"] * len(words), 0
    for start, end, kind in spans:
        inside = [row for row, (_, place) in enumerate(words) if place[0] < end and place[1] > start]
        is_whole = inside and (words[inside[0]][1][0], words[inside[-1]][1][1]) == (start, end)
        if not is_whole or inside[0] < position:
            raise ValueError(
                f"the entity {[start, end, kind]!r} overlaps another, or begins or ends inside a token; expected whole "
                "tokens of its own"
            )
        position = inside[-1] + 1
        tags[inside[0] : position] = _tags_of(len(inside), kind)
    return [word for word, _ in words], tags


def _tags_of(count, kind):
    return [f"B-{kind}"] + [f"I-{kind}"] * (count - 1)
