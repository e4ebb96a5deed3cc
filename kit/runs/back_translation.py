"""Back-translation: training texts translated there and back by two finished runs, kept in a file below the first."""

import hashlib
import json
import logging
import time

from kit.data.labelled_texts import TEXTS
from kit.errors import KitError, SettingError
from kit.files import as_path, read_json, write_json, write_text
from kit.runs.finished import load_one

log = logging.getLogger("kit")

_AT_ONCE = 256  # texts between two writings of the file
_LOCALES = ("source_locale", "target_locale")
_KEPT = "back_translation.json"


def prepare(splits, data, is_rehearsal=False):
    """Gives the training examples the translations of their texts' translations, where `[data]` asks for them.

    What is translated stands in `back_translations/` below the folder of the first run, by the text and the weights of
    both runs, for the next run and for one that is carried on.

    Args:
        splits: The `Splits`.
        data: Settings of `[data]`.
        is_rehearsal: Look at the runs, and translate nothing.

    Returns:
        Whether models were loaded.

    Raises:
        SettingError: the folders hold no finished runs of translation, or ones that do not fit each other.
        KitError: other weights than those with which the run began.
    """
    folders = data.get("back_translation")
    if not folders:
        return False
    there, back = _runs(folders)
    key = hashlib.sha256(b"".join(map(_sum, (there, back)))).hexdigest()[:16]
    splits.keep = _kept(key, splits.keep)
    if is_rehearsal:
        return True
    path = there.folder / "back_translations" / f"{key}.jsonl"
    known, examples = _read(path), splits.train
    given = [text for name in TEXTS if name in examples.extras for text in examples.extra(name)]
    texts = dict.fromkeys(map(_line, given))
    missing = [text for text in texts if text not in known]
    began = time.perf_counter()
    for start in range(0, len(missing), _AT_ONCE):
        part = missing[start : start + _AT_ONCE]
        known |= dict(zip(part, _back_translated(there, back, part), strict=True))
        _write(path, known)
        done = start + len(part)
        if start == 0 and done < len(missing):
            expected = (time.perf_counter() - began) * (len(missing) - done) / done
            log.info("back-translation: %s texts, about %.0f seconds", f"{len(missing):,}", expected)
    failed = sum(known[text] is None for text in texts)
    log.info(
        "back-translation: %s texts in %.0f seconds, %s were there already, %s stay as they are",
        *(f"{len(missing):,}", time.perf_counter() - began, f"{len(texts) - len(missing):,}", f"{failed:,}"),
    )
    of_lines = {text: translation for text, translation in known.items() if translation is not None}
    examples.changed.translations |= {text: of_lines[_line(text)] for text in given if _line(text) in of_lines}
    return True


def _runs(folders):
    """Returns the two runs, which translate from one language to another and back."""
    runs = []
    for folder in folders:
        try:
            run = load_one(as_path(folder, "back_translation"))
        except KitError as error:
            raise SettingError("back_translation", str(error)) from None
        if not set(_LOCALES) <= run.settings["data"].keys():
            said = f"{run.folder} is a run of {run.recipe.name}; expected one of a recipe that translates"
            raise SettingError("back_translation", said)
        runs.append(run)
    (source, target), (second, last) = ([run.settings["data"][key] for key in _LOCALES] for run in runs)
    if (source, target) != (last, second):
        raise SettingError(
            "back_translation",
            f"the first run translates from {source} to {target}, the second from {second} to {last}; expected one "
            f"from {target} to {source}",
        )
    return runs


def _back_translated(there, back, texts):
    """Returns the translation of each text's translation, None where there is none."""
    middle = _translated(there, texts)
    rows = [row for row, text in enumerate(middle) if text]
    found = dict(zip(rows, _translated(back, [middle[row] for row in rows]), strict=True)) if rows else {}
    return [found.get(row) or None for row in range(len(texts))]


def _translated(run, texts):
    """Returns the translation of each text in a line, None for one that the run cannot take."""
    try:
        table = run.predict(texts, n_best=1)
        return [text.strip() or None for text in table.translation]
    except KitError:
        if len(texts) == 1:
            return [None]
        half = len(texts) // 2
        return [*_translated(run, texts[:half]), *_translated(run, texts[half:])]


def _line(text):
    return " ".join(text.split())


def _sum(run):
    return hashlib.sha256((run.folder / "best.keras").read_bytes()).digest()


def _read(path):
    """Returns what was translated before, text to translation."""
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found[row["text"]] = row["back"]
        except (ValueError, KeyError, TypeError):
            raise KitError(f"{path}:{number}: damaged; expected a text and its translation: remove the file") from None
    return found


def _write(path, known):
    try:
        path.parent.mkdir(exist_ok=True)
        rows = (json.dumps({"text": text, "back": back}, ensure_ascii=False) for text, back in known.items())
        write_text(path, "".join(f"{row}\n" for row in rows))
    except OSError as error:
        log.warning("back-translation: %s cannot be written (%s); it is translated again next time", path, error)


def _kept(key, keep):
    """Returns the function `keep` of `Splits` that looks whether a run goes on with the translations it began with."""

    def checked(assets):
        path = assets / _KEPT
        if path.exists() and read_json(path) != {"weights": key}:
            raise KitError(f"{path}: data.back_translation has other weights now; expected those the run began with")
        write_json(path, {"weights": key})
        if keep is not None:
            keep(assets)

    return checked
