"""Inspection of tagged sentences: divides them as training would, and looks for what is wrong with words and tags."""

import contextlib
import logging
from collections import Counter, defaultdict

import pandas as pd

from kit.data import label_checks, sources, tags
from kit.data.findings import Finding, of_total, some
from kit.data.split_lists import parts_of
from kit.data.split_names import SPLITS
from kit.errors import KitError
from kit.inspection import text_checks
from kit.inspection.dividing import divided
from kit.inspection.inspection import Inspection
from kit.reporting import plots

log = logging.getLogger("kit")

# A word has the same tag so many times between the same two words before another one there is told.
_SAME_CONTEXT = 4
_FEW = 5


def inspected(recipe, source, data, division):
    """Returns the `Inspection` of tagged sentences.

    Args:
        recipe: Name of the recipe whose data they are.
        source: What `data.source` may be.
        data: Settings of `[data]`.
        division: `Division`.

    Raises:
        KitError: there is nothing that could be inspected.
    """
    found, origin = sources.read(source, "sentences", data | {"on_bad": "skip", "seed": division.split_seed})
    log.info("sentences: %s of %s are read", f"{len(found.words):,}", origin)
    scheme, findings = _scheme(found, data["scheme"])
    assignment, undivided = divided(found, division, "add sentences: training refuses so few")
    if found.split is None or division.fold is not None:
        with contextlib.suppress(KitError):  # training refuses them, which `class_missing_in_split` tells
            tags.move_unknown(assignment, found.tags, parts_of(division.split_files))
    split = assignment["split"].to_numpy(object)
    texts = text_checks.Texts(found.words, found.places, split)
    findings += [
        *undivided,
        *text_checks.of_skipped(found.skipped),
        *text_checks.of_copies(texts, list(map(tuple, found.tags)), apart=_apart(found)),
        *text_checks.of_characters(texts),
        *text_checks.of_lengths(texts, data["max_length"]),
        *_of_words(texts),
        *_of_tags(found, split, scheme),
        *_odd_tags(found, texts),
    ]
    return Inspection(
        recipe=recipe,
        source=str(origin),
        findings=findings,
        numbers=_numbers(found, split, scheme),
        tables={
            "tags": _tags_table(found, split),
            "lengths": text_checks.lengths_table(found.words, split),
            "scripts and languages": text_checks.languages_table(texts),
        },
        figures={"words of a sentence": lambda: plots.histograms({"words": [len(each) for each in found.words]})},
    )


def _apart(found):
    """Returns a function that shows the tags of a sentence at the words where those of equal ones differ."""

    def apart(row, group):
        places = [
            place
            for place, each in enumerate(zip(*(found.tags[other] for other in group), strict=True))
            if len(set(each)) > 1
        ]
        return {"tags": " ".join(f"{found.words[row][place]}/{found.tags[row][place]}" for place in places[:8])}

    return apart


def _scheme(found, scheme):
    """Returns the scheme of the tags, and a finding where no scheme allows them: then they are counted as BIO."""
    try:
        return tags.scheme_of(found, scheme), []
    except KitError as error:
        advice = "mend the tag; data.scheme=none learns every tag as it is"
        return "BIO", [Finding("broken_tags", "problem", f"tags that no scheme allows: {error}", advice, 1)]


def _of_words(texts):
    """Returns a finding on words with spaces in them or without a letter, which a slip of columns makes."""
    rows = [row for row, words in enumerate(texts.words) if any(word != word.strip() or not word for word in words)]
    return texts.finding(
        "spaces_in_words",
        "warning",
        rows,
        "{of} have words that begin or end with a space",
        "strip them: with the space they are other words",
    )


def _of_tags(found, split, scheme):
    """Returns findings on tags: alike, rare, missing in a split, almost all the same."""
    kinds = [[tags.split(tag)[1] or tag for tag in each] if scheme != "none" else each for each in found.tags]
    counts = {name: Counter() for name in SPLITS}
    for part, each in zip(split, kinds, strict=True):
        if part in counts:
            counts[part].update(each)
    total = sum(counts.values(), Counter())
    names = sorted(total)
    findings = label_checks.alike_names(names, [total[name] for name in names], "tags")
    rare = [name for name in names if 0 < counts["train"][name] < _FEW]
    if rare:
        findings.append(
            Finding(
                "rare_tags",
                "note",
                f"{of_total(len(rare), len(names), 'tags')} stand at fewer than {_FEW} training words: {some(rare)}",
                "they are hardly learned: add examples, or join them with others",
                len(rare),
                [{"label": name, "training words": counts["train"][name]} for name in rare[:20]],
            )
        )
    for part in SPLITS[1:]:
        unknown = [name for name in names if counts[part][name] and not counts["train"][name]]
        if unknown:
            findings.append(
                Finding(
                    "class_missing_in_training",
                    "problem",
                    f"{len(unknown):,} tags are in the {part} split but not in training: {some(unknown)}",
                    "training refuses them: mend them, or move a sentence with each into training",
                    len(unknown),
                    [{"label": name, "split": part, "words": counts[part][name]} for name in unknown[:20]],
                )
            )
        lacking = [name for name in names if counts["train"][name] >= _FEW and not counts[part][name]]
        if lacking and counts[part]:
            findings.append(
                Finding(
                    "class_missing_in_split",
                    "note",
                    f"{of_total(len(lacking), len(names), 'tags')} are not in the {part} split: {some(lacking)}",
                    f"its scores say nothing of them; a larger data.{part}_fraction where the split is drawn",
                    len(lacking),
                    [{"label": name, "split": part} for name in lacking[:20]],
                )
            )
    return findings + _uneven(counts["train"], scheme)


def _uneven(counts, scheme):
    """Returns a finding where almost all words have one tag; of entities, where one kind is far rarer than another."""
    kinds = Counter({name: count for name, count in counts.items() if name != "O" or scheme == "none"})
    if len(kinds) < 2:
        return []
    (common, most), (rare, least) = kinds.most_common(1)[0], kinds.most_common()[-1]
    share = most / kinds.total()
    is_one = share > 0.9
    if not is_one and (scheme == "none" or most < 50 * least):
        return []
    return [
        Finding(
            "imbalance",
            "warning" if is_one else "note",
            f"{common!r} has {most:,} of {kinds.total():,} tagged training words ({share:.0%}), {rare!r} {least:,}",
            "look at F1 of each tag, not at accuracy; add sentences with the rare ones",
            least,
            [{"label": name, "training words": count} for name, count in kinds.most_common()[:-11:-1]],
        )
    ]


def _odd_tags(found, texts):
    """Returns a finding on words whose tag differs from that of the same word between the same words elsewhere.

    Dickinson and Meurers, "Detecting Errors in Part-of-Speech Annotation", 2003.
    """
    seen = defaultdict(list)
    for row, (words, own) in enumerate(zip(found.words, found.tags, strict=True)):
        padded = ["", *words, ""]
        for place, tag in enumerate(own):
            context = tuple(padded[place : place + 3])
            if all(context):
                seen[context].append((row, place, tag))
    odd = []
    for context, places in seen.items():
        if len(places) <= _SAME_CONTEXT:
            continue
        (usual, count), *others = Counter(tag for _, _, tag in places).most_common()
        if others and count >= max(_SAME_CONTEXT, 0.9 * (len(places) - 1)):
            odd += [(count, context, row, place, tag, usual) for row, place, tag in places if tag != usual]
    odd.sort(key=lambda each: -each[0])
    if not odd:
        return []
    return [
        Finding(
            "odd_tags",
            "note",
            f"{len(odd):,} words have another tag than the same word between the same words elsewhere",
            "look at them: some are slips of whoever tagged them",
            len(odd),
            [
                {
                    "example": found.place(row, place),
                    "split": texts.split[row],
                    "words": " ".join(context),
                    "label": tag,
                    "elsewhere": f"{usual} ({count} times)",
                }
                for count, context, row, place, tag, usual in odd[:20]
            ],
        )
    ]


def _numbers(found, split, scheme):
    words = {name: Counter() for name in SPLITS}
    for part, each in zip(split, found.words, strict=True):
        if part in words:
            words[part].update(word.lower() for word in each)
    known, test = words["train"], words["test"]
    unseen = sum(count for word, count in test.items() if word not in known)
    return {
        "sentences": len(found.words),
        **{f"{name} sentences": int((split == name).sum()) for name in SPLITS},
        "words": sum(map(len, found.words)),
        "different words": len(sum(words.values(), Counter())),
        "tags": len({tag for each in found.tags for tag in each}),
        "scheme": scheme,
        **({"test words not in training": f"{unseen / test.total():.1%}"} if test else {}),
    }


def _tags_table(found, split):
    counts = {name: Counter() for name in SPLITS}
    for part, each in zip(split, found.tags, strict=True):
        if part in counts:
            counts[part].update(each)
    total = sum(counts.values(), Counter())
    rows = [(tag, *(counts[name][tag] for name in SPLITS), count) for tag, count in total.most_common(60)]
    return pd.DataFrame(rows, columns=["tag", *SPLITS, "total"])
