"""Settings as flags: what of a command's words is `--table.key value`, and what is left over."""

import re

from kit.config import Text
from kit.errors import KitError, SettingError, guess, shown


def settings(words):
    """Takes `--table.key value` and `--table.key=value` out of the words of a command.

    What follows `--text` is a text, and what follows `--` an input, however it looks.

    Returns:
        A flat dictionary of text, and the other words.
    """
    found, others, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            others += [word, *words]
            break
        if word == "--text" and words:
            others.append(f"{word}={words.pop(0)}")  # apart, argparse would take a text with dashes for a flag
            continue
        if not re.match(r"--\w+(\.\w+)+(=|$)", word):
            others.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not words:
                raise SettingError(name, "expected a value after it")
            value = words.pop(0)
        found[name] = Text(value)
    return found, others


def without_table(words, known):
    """Takes flags such as `--n-best 3` out of the words of a verb, as settings of the verb's own table.

    Args:
        words: Words of the command, the verb first; what is taken is removed.
        known: Flags that are none of these.

    Returns:
        A flat dictionary of text.
    """
    found, others, verb = {}, [], words[0]
    while words:
        word = words.pop(0)
        if word == "--":
            others += [word, *words]
            break
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or f"--{name}" in known:
            others.append(word)
            continue
        key = f"{verb}.{name.replace('-', '_')}"
        if not equals and not words:
            raise SettingError(key, "expected a value after it")
        found[key] = Text(value if equals else words.pop(0))
    words[:] = others
    return found


def refuse(words, verb):
    """Refuses words that no argument takes, naming the nearest flag."""
    for word in words:
        flags = (
            *(
                "--json",
                "--config",
                "--folder",
                "--resume",
                "--seed",
                "--split",
                "--text",
                "--passage",
                "--output",
                "--allow",
            ),
            *(
                "--recipe",
                "--dry-run",
                "--find-learning-rate",
                "--overwrite",
                "--check",
                "--port",
                "--host",
                "--timeout",
                "--batch-size",
            ),
        )
        hint = guess(word, flags) if word.startswith("--") else ""
        hint = hint or "; settings look like --train.epochs 5"
        raise KitError(f"{word}: `kit {verb}` has no such argument{hint}")


def refuse_settings(overrides):
    """Refuses settings on a verb that has none."""
    for key in overrides:
        raise SettingError(key, "this verb has no settings")


def seed_of(options):
    """Returns the seed of a command line as a number, or None."""
    text = options.seed
    if text is not None and not (text.isdecimal() and len(text) <= 20):
        raise SettingError("seed", f"expected a whole number from 0 to 2147483647, got {shown(text)}")
    return None if text is None else int(text)
