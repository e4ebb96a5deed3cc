"""Tagging schemes: how tags of single words mark entities of several words.

BIO (also called IOB2) begins every entity with B-. IOB1 does so only where the entity before it touches and has the
same type. BIOES marks the last word with E- and an entity of one word with S-; BILOU calls these L- and U-. Ramshaw and
Marcus, "Text Chunking using Transformation-Based Learning", 1995; Ratinov and Roth, "Design Challenges and
Misconceptions in Named Entity Recognition", 2009.
"""

import logging
import re

import numpy as np

from kit.data.split_names import SPLITS, UNUSED
from kit.errors import KitError, check

log = logging.getLogger("kit")

SCHEMES = ("BIO", "BIOES", "IOB1", "BILOU")
_PREFIXED = re.compile(r"([BIESLU])(?:-(.+))?", re.DOTALL)
_LETTERS = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES", "BILOU": "BILU"}
_WRITTEN = {"BILOU": {"E": "L", "S": "U"}}
_READ = {"L": "E", "U": "S"}
# Other spellings: b-PER, B_PER, and those of BMES, whose M is an I, and BMEWO, whose W is an S.
_SPELLED = re.compile(r"([bieslumw])[-_](.+)|([bieslumwo])", re.DOTALL | re.IGNORECASE)
_SAME = {"M": "I", "W": "S"}


class TagError(ValueError):
    """A tag that cannot stand where it stands.

    Args:
        sentence, word: Position of the tag, from 0.
        problem: What was expected and what was found.
    """

    def __init__(self, sentence, word, problem):
        super().__init__(problem)
        self.sentence = sentence
        self.word = word


def split(tag):
    """Returns prefix and type of a tag: ("B", "PER"), or ("O", "") outside of entities; L and U are read as E and S."""
    match = _PREFIXED.fullmatch(tag or "")
    if match is None:
        return "O", ""
    return _READ.get(match[1], match[1]), match[2] or ""


def follows(scheme, before, after):
    """Tells whether a tag may follow another one; None stands for the start and the end of a sentence."""
    before, before_type = split(before)
    prefix, kind = split(after)
    inside = before in "BI" and before_type == kind
    if scheme == "IOB1":
        return prefix != "B" or inside
    if scheme == "BIO":
        return prefix != "I" or inside
    if before in ("B", "I"):
        return prefix in ("I", "E") and inside
    return prefix in ("O", "B", "S")


def detect(sentences):
    """Finds out which scheme tags follow.

    Args:
        sentences: Tags of each sentence.

    Returns:
        One of `SCHEMES`, or "none" where tags mark no entities.

    Raises:
        TagError: no scheme fits all tags.
    """
    seen = {tag for tags in sentences for tag in tags}
    prefixed = {tag for tag in seen if _PREFIXED.fullmatch(tag)}
    letters = {tag[0] for tag in prefixed}
    if not prefixed or not prefixed | {"O"} >= seen:
        if letters & {"B", "I"} and "O" in seen:
            other = min(seen - prefixed - {"O"})
            sentence, word = next((i, tags.index(other)) for i, tags in enumerate(sentences) if other in tags)
            raise TagError(
                sentence,
                word,
                f"mixed tagging schemes: {other!r} has no prefix, but {min(prefixed)!r} has; expected one scheme",
            )
        return "none"
    if letters & {"L", "U"} and letters & {"E", "S"}:
        one, other = (next(tag for tag in sorted(prefixed) if tag[0] in pair) for pair in ("LU", "ES"))
        sentence, word = next((i, tags.index(one)) for i, tags in enumerate(sentences) if one in tags)
        raise TagError(
            sentence, word, f"mixed tagging schemes: {one!r} is of BILOU, {other!r} of BIOES; expected one scheme"
        )
    if letters & set("ESLU"):
        scheme = "BILOU" if letters & {"L", "U"} else "BIOES"
        mark = next(tag for tag in sorted(prefixed) if tag[0] in "ESLU")
        validate(sentences, scheme, f"since {mark!r} occurs")
        return scheme
    try:
        validate(sentences, "BIO")
    except TagError as error:
        try:
            validate(sentences, "IOB1")
        except TagError:
            raise error from None
        return "IOB1"
    return "BIO"


def spelled(sentences):
    """Returns tags in the spelling of the schemes above, where all mark entities in another one; else as they are.

    Args:
        sentences: Tags of each sentence.
    """
    seen = {tag for tags in sentences for tag in tags}
    matches = {tag: _SPELLED.fullmatch(tag) for tag in seen}
    usual = {tag for tag in seen if tag == "O" or _PREFIXED.fullmatch(tag)}
    begins = {(match[1] or match[3]).upper() for match in matches.values() if match}
    is_scheme = all(matches.values()) and (begins & set("BSUW") or {"I", "O"} <= begins)
    # Single letters may well be parts of speech: at least two of those of a scheme are needed.
    is_scheme = is_scheme and (any(match[1] for match in matches.values()) or {"B", "I", "O"} <= begins)
    if usual == seen or not is_scheme:
        return sentences

    def written(tag):
        letter, kind, alone = matches[tag].groups()
        letter = (letter or alone).upper()
        letter = _SAME.get(letter, letter) if begins & set("MW") else letter
        return f"{letter}-{kind}" if kind else letter

    names = {tag: written(tag) for tag in seen}
    other = min(seen - usual)
    log.info("tags such as %r are read, and predicted, as %r", other, names[other])
    return [[names[tag] for tag in tags] for tags in sentences]


def validate(sentences, scheme, reason=""):
    """Raises TagError at the first tag that a scheme does not allow."""
    letters = _LETTERS[scheme]
    named = f"{scheme} tagging{f' ({reason})' if reason else ''}"
    for sentence, tags in enumerate(sentences):
        before = None
        for word, tag in enumerate(tags):
            prefix = _PREFIXED.fullmatch(tag)
            if tag != "O" and (prefix is None or prefix[1] not in letters):
                raise TagError(sentence, word, f"the tag {tag!r} is unknown in {named}")
            if not follows(scheme, before, tag):
                place = f"after {before!r}" if before else "at the start of a sentence"
                raise TagError(sentence, word, f"{tag!r} {place} cannot be in {named}{_expected(before, tag)}")
            before = tag
        if tags and not follows(scheme, before, None):
            raise TagError(sentence, len(tags) - 1, f"{before!r} at the end of a sentence cannot be in {named}")


def _expected(before, tag):
    prefix, kind = split(tag)
    if prefix == "I":
        return f"; expected 'B-{kind}' where an entity begins"
    return ""


def spans(tags):
    """Returns the entities that tags mark, as (start, end, type), end exclusive; all schemes can be read alike.

    What none allows, as a network may well produce it, is read with good will: an entity begins where its type does.
    """
    found, start, kind = [], None, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, here = split(tag)
        begins = prefix in "BS" or (prefix in "IE" and (start is None or here != kind))
        if start is not None and (begins or prefix == "O"):
            found.append((start, position, kind))
            start = None
        if begins:
            start, kind = position, here
        if prefix in "ES" and start is not None:
            found.append((start, position + 1, kind))
            start = None
    return found


def write(entities, length, scheme):
    """Returns the tags that mark entities (start, end, type) in a sentence of so many words."""
    letters = _WRITTEN.get(scheme, {})
    tags = ["O"] * length
    for start, end, kind in sorted(entities):
        prefixes = ["B"] + ["I"] * (end - start - 1)
        if scheme in ("BIOES", "BILOU"):
            prefixes[-1] = "S" if end - start == 1 else "E"
        if scheme == "IOB1" and not (start and split(tags[start - 1])[1] == kind):
            prefixes[0] = "I"
        tags[start:end] = [letters.get(prefix, prefix) + f"-{kind}" * bool(kind) for prefix in prefixes]
    return tags


def convert(tags, scheme, target):
    """Returns tags of one scheme in another."""
    return list(tags) if scheme == target else write(spans(tags), len(tags), target)


def all_tags(kinds, scheme):
    """Returns every tag that a scheme has for entities of some types."""
    return [letter + f"-{kind}" * bool(kind) for kind in kinds for letter in _LETTERS[scheme]]


def allowed(names, scheme):
    """Returns which tag may follow which (from, to), which may be first and which may be last, as booleans."""
    transitions = np.array([[follows(scheme, before, after) for after in names] for before in names])
    starts = np.array([follows(scheme, None, name) for name in names])
    ends = np.array([follows(scheme, name, None) for name in names])
    return transitions, starts, ends


def scheme_of(found, scheme):
    """Returns the scheme of the tags that a source has found, after checking every one of them.

    Args:
        found: `Sentences`; its tags are put into the usual spelling, see `spelled`.
        scheme: A name of `SCHEMES`, "none", or "auto", which finds out.

    Raises:
        KitError: a tag that cannot stand where it stands; the message names the file and the line.
    """
    if scheme != "none":
        found.tags = spelled(found.tags)
    try:
        if scheme == "auto":
            scheme = detect(found.tags)
            _tell_of_plain(found.tags, scheme)
        elif scheme != "none":
            validate(found.tags, scheme)
    except TagError as error:
        raise KitError(f"{found.place(error.sentence, error.word)}: {str(error)[:300]} (data.scheme)") from None
    return scheme


def _tell_of_plain(sentences, scheme):
    """Says why tags are scored one by one, where they mark no entities."""
    seen = sorted({tag for tags in sentences for tag in tags})
    if scheme != "none" or not seen:
        return
    if all(tag.isdecimal() for tag in seen):
        reason = f"tags are numbers such as {seen[-1]}, which data.tag_names can name"
    else:
        other = next((tag for tag in seen if tag != "O"), "O")
        beside = "beside 'O' " if "O" in seen and other != "O" else ""
        reason = f"tags such as {other!r} {beside}mark no entities as B-, I- and the like do"
    log.info("%s: the tag of each word is scored by itself, by accuracy", reason)


def move_unknown(assignment, written, listed=()):
    """Puts sentences with a tag that no drawn training sentence has into the training split of an assignment.

    A group goes as a whole. Where the division is by time, nothing that is later may be learned from: such a sentence
    is not used at all.

    Args:
        assignment: Table of `kit.data.splits.assign`, which is changed.
        written: Tags of each sentence.
        listed: Splits that were not drawn, from which none is taken.

    Raises:
        KitError: a split would be left empty.
    """
    drawn = assignment["split"].to_numpy(dtype=object).copy()
    known = {tag for row in np.flatnonzero(drawn == "train") for tag in written[row]}
    groups = assignment["group"].to_numpy() if "group" in assignment else np.arange(len(drawn))
    is_by_time = "time" in assignment
    held_out = [name for name in ("test", "validation") if name not in listed]
    for row in np.flatnonzero(np.isin(drawn, held_out)):
        if drawn[row] in held_out and not known.issuperset(written[row]):
            moved = np.array([row]) if is_by_time else np.flatnonzero((groups == groups[row]) & (drawn == drawn[row]))
            drawn[moved] = UNUSED if is_by_time else "train"
            known.update(*(written[each] for each in moved if not is_by_time))
    changed = int((drawn != assignment["split"].to_numpy(dtype=object)).sum())
    if changed:
        log.info(
            "%s sentences with%s a tag that no training sentence has are %s",
            f"{changed:,}",
            ", or grouped with," if "group" in assignment else "",
            "not used" if is_by_time else "trained on, too",
        )
    for name in held_out:
        if (assignment["split"] == name).any() and not (drawn == name).any():
            raise KitError(
                f"every {name} sentence that was drawn has a tag that no training sentence has; expected tags that "
                "occur more often, or a source with splits of its own"
            )
    assignment["split"] = drawn


def numbered(found, tags, assignment, scheme, source):
    """Returns the names of the tags of the training sentences, "O" first, and the number of each tag of all sentences.

    Args:
        found: `Sentences`, for messages.
        tags: Tag of each word of each sentence, in the scheme that is learned.
        assignment: Table that says which sentence is in which split.
        scheme: The scheme that is learned, or "none".
        source: Name of the source, for messages.

    Raises:
        KitError: a tag that is in no training sentence; the message names the file and the line.
        SettingError: fewer than two tags.
    """
    is_training = (assignment["split"] == "train").to_numpy()
    names = {tag for row in np.flatnonzero(is_training) for tag in tags[row]}
    if scheme != "none":
        names |= set(all_tags({split(tag)[1] for tag in names - {"O"}}, scheme))
    names = sorted(names, key=lambda tag: (tag != "O", tag))
    check(len(names) >= 2, "source", source, "at least two different tags in the training sentences")
    numbers = {tag: number for number, tag in enumerate(names)}
    for row in np.flatnonzero(assignment["split"].isin(SPLITS[1:])):
        for word, tag in enumerate(tags[row]):
            if tag not in numbers:
                raise KitError(
                    f"{found.place(row, word)}: the tag {found.tags[row][word]!r} is not in the training sentences; "
                    "expected one that is"
                )
    return names, [[numbers.get(tag, 0) for tag in sentence] for sentence in tags]
