"""The table `kit/schema.json`: what the recipes' signatures say, in JSON, and whether they still say so.

It is out of date where what a signature may depend on has changed since `make schema` wrote it: the text of the modules
below without the bodies of their functions, or Keras, whose optimizers it holds. Then it is not used.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import operator
import types
import typing
from pathlib import Path

from kit.config import Setting
from kit.data import cache
from kit.errors import KitError
from kit.files import read_json, write_json, write_text

_KIT = Path(__file__).parents[1]
PATH = _KIT / "schema.json"
# All of these rooms; the table names the files elsewhere.
ROOMS = ("recipes", "models", "tasks")
_PLAIN = {kind.__name__: kind for kind in (int, float, bool, str, tuple, list, type(None))}


def read():
    """Returns the content of the table, encoded; None where there is none, or where it is out of date."""
    try:
        content = json.loads(PATH.read_text(encoding="utf-8"))
        return content if content["digest"] == digest(content["sources"]) else None
    except (OSError, ValueError, KeyError, TypeError, importlib.metadata.PackageNotFoundError):
        return None


def digest(sources):
    """Returns a hash of all that the table may depend on.

    Args:
        sources: Files outside of the rooms of recipes, models and tasks, below `kit/`.
    """
    of_rooms = [path for room in ROOMS for path in (_KIT / room).rglob("*.py")]
    texts = {
        path.relative_to(_KIT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted({*of_rooms, *(_KIT / source for source in sources)})
    }
    # To parse all that takes half a second, which every command would wait for.
    return _kept(_hash(texts), lambda: _hash({name: interface(text) for name, text in texts.items()}))


def _hash(texts):
    """Returns a hash of texts by name, and of Keras' version."""
    found = hashlib.sha256(importlib.metadata.version("keras").encode())
    for name, text in texts.items():
        found.update(f"\n{name}\n{text}".encode())
    return found.hexdigest()


def _kept(whole, make):
    """Returns what `make` returns of texts with a hash, as the cache may know it of the same."""
    nothing = contextlib.suppress(OSError, RuntimeError, ValueError, KeyError, TypeError, KitError)  # no cache, no harm
    with nothing:
        path = cache.folder() / "schema.json"
        known = read_json(path)
        if known["whole"] == whole:
            return str(known["digest"])
    found = make()
    with nothing:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"whole": whole, "digest": found})
    return found


def interface(source):
    """Returns the text of a module without comments, empty lines, and the bodies of functions.

    Of a body the documentation stays, and the signatures of functions inside it, since they may be a task's.
    """
    text = source.split("\n")  # as `ast` counts lines: not at a form feed
    kept = set(range(1, len(text) + 1))
    for node in ast.walk(ast.parse(source)):  # functions before those inside them
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            begin = max(node.body[0].lineno, node.lineno + 1)
            if ast.get_docstring(node, clean=False) is not None:
                begin = node.body[0].end_lineno + 1
            kept |= set(range(first, begin))
            kept -= set(range(begin, node.end_lineno + 1))
    lines = ((number, line.strip()) for number, line in enumerate(text, 1))
    return "\n".join(line for number, line in lines if number in kept and line and not line.startswith("#"))


def write(content, sources):
    """Writes the table.

    Args:
        content: Dictionary of what `encoded` returned.
        sources: As for `digest`.
    """
    content = {"digest": digest(sources), "sources": sources, **content}
    write_text(PATH, _lines(content) + "\n")


def _lines(value, indent=""):
    """Returns JSON with a setting, or a dictionary that holds none, on each line."""
    text = json.dumps(value, ensure_ascii=False)
    more = f"{indent} "
    if '"$setting"' not in text[1:] or not isinstance(value, dict | list) or "$setting" in value:
        return text
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"{more}{_lines(each, more)}" for each in value) + f"\n{indent}]"
    items = (f"{more}{json.dumps(key)}: {_lines(each, more)}" for key, each in value.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


def encoded(value, name):
    """Returns settings, and dictionaries, lists, tuples, numbers and texts around them, as JSON has them.

    Raises:
        TypeError: a type or a value that has no form in the table.
    """
    if isinstance(value, Setting):
        inside = f"{name}.{value.key}"
        return {"$setting": [value.key, _type(value.type, inside), encoded(value.default, inside), value.meaning]}
    if isinstance(value, dict):
        return {key: encoded(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        items = [encoded(each, name) for each in value]
        return items if isinstance(value, list) else {"$tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: {value!r} has no form in the table of settings")


def decoded(value):
    """Returns what `encoded` was given."""
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$setting" in value:
        key, kind, default, meaning = value["$setting"]
        return Setting(key, _annotation(json.dumps(kind)), decoded(default), meaning)
    if "$tuple" in value:
        return tuple(decoded(each) for each in value["$tuple"])
    return {key: decoded(each) for key, each in value.items()}


def _type(kind, name):
    """Returns an annotation as JSON: a name, or a dictionary from what it is made with to what it is made of."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"literal": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"union": [_type(each, name) for each in arguments]}
    if origin in (tuple, list):
        return {origin.__name__: ["..." if each is Ellipsis else _type(each, name) for each in arguments]}
    if kind in _PLAIN.values() or getattr(kind, "__module__", None) == "jsonargparse.typing":
        return kind.__name__
    raise TypeError(f"{name}: {kind!r} has no form in the table of settings")


@functools.cache
def _annotation(text):
    """Returns the annotation that `_type` was given, from its JSON as text."""
    kind = json.loads(text)
    if isinstance(kind, dict):
        ((origin, arguments),) = kind.items()
        if origin == "literal":
            return typing.Literal[tuple(arguments)]
        parts = [Ellipsis if each == "..." else _annotation(json.dumps(each)) for each in arguments]
        return functools.reduce(operator.or_, parts) if origin == "union" else _PLAIN[origin][tuple(parts)]
    if kind in _PLAIN:
        return _PLAIN[kind]
    from jsonargparse import typing as restricted

    return getattr(restricted, kind)
