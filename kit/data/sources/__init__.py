"""Sources of data: each module offers `read(source, ...)`, and `NAMES`, `PREFIX` or `accepts(path)` to say of what.

A source gives `Images`, `Sentences` and the like; splitting and batching are the same for all of a kind.
"""

import dataclasses
import importlib
import inspect
import os
import zlib

import numpy as np

from kit.data import remote
from kit.data.packed import Pack, is_pack
from kit.data.split_names import SPLITS, split_named
from kit.errors import KitError, SettingError, closest, guess

# Modules of a kind, in the order in which they are asked whether they accept a path.
_KINDS = {
    "images": ("packed_images", "digits", "image_tfds", "image_csv", "idx", "image_npz", "image_folder"),
    "sentences": ("phrases", "tagged_tfds", "tagged_files"),
    "pairs": ("phrase_pairs", "pair_tfds", "pair_files"),
    "prefixed": ("prefixed_phrases", "prefixed_files"),
    "texts": ("packed_texts", "phrase_languages", "text_tfds", "text_tables", "text_folder"),
    "documents": ("packed_documents", "python_manual", "document_tfds", "document_tables", "text_documents"),
    "questions": ("phrase_questions", "question_tfds", "question_files"),
    "tables": ("bundled_tables", "tables"),
    "series": ("seasons", "tables"),
    "interactions": ("generated_tastes", "interaction_tables"),
}


def by_split(parts):
    """Returns a dictionary with the splits' own names as keys, given one with any of those that the field has for them.

    Raises:
        SettingError: a name that is none, or two for one split.
    """
    found = {}
    for name in parts:
        split = split_named(name)
        if split is None:
            raise SettingError("source", f"unknown split {name!r}{closest(name, SPLITS)}")
        if split in found:
            raise SettingError("source", f"{found[split]!r} and {name!r} both mean the {split} split; expected one")
        found[split] = name
    return {split: parts[name] for split, name in found.items()}


class GivenData:
    """Data that were given in Python.

    Args:
        content: What was given.
    """

    def __init__(self, content):
        self.content = content

    def __str__(self):
        return "given"

    def parts(self, layout):
        """Returns each split's list of sentences; under None what is no dictionary of splits.

        A dictionary may call the splits `val`, `dev`, `Train` and so on.

        Args:
            layout: What is expected, for a message.

        Raises:
            SettingError: an unknown split, none for training, or something that is no list.
        """
        parts = by_split(self.content) if isinstance(self.content, dict) else {None: self.content}
        for part in parts.values():
            if isinstance(part, str) or not hasattr(part, "__iter__"):
                raise SettingError("source", f"got {type(part).__name__}; expected {layout}")
        if not parts.keys() & {None, "train"}:
            raise SettingError("source", f"no training sentences; expected {layout}")
        return parts


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image file in memory.

    Args:
        data: Content of the file.
        name: What stands for its path in a message.
    """

    data: bytes
    name: str

    def __str__(self):
        return str(self.name)


@dataclasses.dataclass
class Images:
    """Labelled images as a source delivers them.

    Args:
        pixels: uint8 array (examples, height, width, channels), or None where the images stay on disk.
        paths: Files of the images, paths or `EncodedImage`, or None where there are none.
        labels: Class of each image, (examples,).
        class_names: Name of each class.
        names: Name of each example, unique and stable.
        split: Split that the source prescribes for each example, or None.
        pixel_kind: What the numbers of the training images were: "integers" from 0 to 255, "floats" or "fractions".
        files: Files that the pixels were read from, where there are such; `paths` need not be told again.
        columns: Name of each other column of the source to its values, (examples,).
        passed_over: `kit.data.image_files.PassedOver`, what was there and is not read; or None.
        left_out: Names of the images that `take` has left out, which lists of names may have all the same.
        checks: `kit.data.pixel_checks.PixelChecks` of images that are packed, which were looked through by then; or
            None.
        skipped: A message on each image that was left out while packing, since it cannot be read.
    """

    labels: np.ndarray
    class_names: list
    names: list
    pixels: np.ndarray | None = None
    paths: list | None = None
    split: np.ndarray | None = None
    pixel_kind: str = "integers"
    files: list | None = None
    columns: dict = dataclasses.field(default_factory=dict)
    passed_over: object = None
    left_out: tuple = ()
    checks: object = None
    skipped: list = dataclasses.field(default_factory=list)

    @property
    def ids(self):
        """Name of each example that patterns and lists know."""
        return self.names

    def take(self, rows):
        """Returns the images in the given rows, of those that stay on disk."""
        is_taken = np.isin(np.arange(len(self.names)), rows)
        return dataclasses.replace(
            self,
            paths=[self.paths[row] for row in rows],
            names=[self.names[row] for row in rows],
            labels=self.labels[rows],
            split=None if self.split is None else self.split[rows],
            columns={name: [values[row] for row in rows] for name, values in self.columns.items()},
            left_out=(*self.left_out, *(name for name, taken in zip(self.names, is_taken, strict=True) if not taken)),
        )


@dataclasses.dataclass
class Sentences:
    """Tagged sentences as a source delivers them.

    Args:
        words: Words of each sentence.
        tags: Tag of each word of each sentence.
        places: Where each sentence stands, such as `train.conll:12`, unique and stable.
        split: Split that the source prescribes for each sentence, or None.
        lines: Line of each word of each sentence in its file, or None where there is none.
        texts: Of each sentence the text that it is written as and the (start, end) of each word in it, the same for
            words that one token stands for; or None. None for all where no text is known.
        field: Name of the field of CoNLL-U that the tags are, or None.
        skipped: A message on each row that was left out, since it cannot be read.
        columns: Name of each other column, key or comment of the source to its values, (sentences,).
    """

    words: list
    tags: list
    places: list
    split: np.ndarray | None = None
    lines: list | None = None
    texts: list | None = None
    field: str | None = None
    skipped: list = dataclasses.field(default_factory=list)
    columns: dict = dataclasses.field(default_factory=dict)

    @property
    def ids(self):
        """Name of each sentence that patterns and lists know."""
        return ids_of(self)

    @property
    def names(self):
        """Name of each sentence, with a check sum of its words and tags."""
        rows = zip(self.places, self.words, self.tags, strict=True)
        return [f"{place} {zlib.crc32(chr(9).join([*words, *tags]).encode()):08x}" for place, words, tags in rows]

    def check_lengths(self, max_length):
        """Raises KitError for the first sentence of more words."""
        for row, words in enumerate(self.words):
            if len(words) > max_length:
                raise KitError(
                    f"{self.place(row, 0)}: a sentence of {len(words):,} words, expected at most {max_length:,} "
                    "(data.max_length)"
                )

    def place(self, sentence, word):
        """Returns where a word stands, for a message."""
        if self.lines is None:
            return f"{self.places[sentence]}, word {word + 1}"
        file = self.places[sentence].rpartition(":")[0]
        return f"{file}:{self.lines[sentence][word]}"


@dataclasses.dataclass
class Pairs:
    """Sentences and their translations as a source delivers them.

    Args:
        sources: Text of each sentence.
        targets: Text of its translation.
        places: Where each pair stands, such as `train.tsv:12`, unique and stable.
        split: Split that the source prescribes for each pair, or None.
        skipped: A message on each row that was left out, since it cannot be read.
        columns: Name of each other column or key of the source to its values, (pairs,).
    """

    sources: list
    targets: list
    places: list
    split: np.ndarray | None = None
    skipped: list = dataclasses.field(default_factory=list)
    columns: dict = dataclasses.field(default_factory=dict)

    @property
    def ids(self):
        """Name of each pair that patterns and lists know."""
        return ids_of(self)

    @property
    def names(self):
        """Name of each pair, with a check sum of its texts."""
        rows = zip(self.places, self.sources, self.targets, strict=True)
        return [f"{place} {zlib.crc32(chr(9).join(pair).encode()):08x}" for place, *pair in rows]


@dataclasses.dataclass
class Texts:
    """Texts, or pairs of them, each with what is to be answered, as a source delivers them.

    Args:
        texts: The texts.
        second: Second text of each pair, or None.
        targets: What is to be answered of each, as it stands in the source: a label, labels between separators or a
            number as text, or a list of labels.
        places: Where each text stands, such as `train.csv:12`, unique and stable.
        split: Split that the source prescribes for each text, or None.
        skipped: A message on each row that was left out, since it cannot be read.
        columns: Name of each other column or key of the source to its values, (texts,).
        label_names: All labels in their order where each was a column of its own, or None.
    """

    texts: list
    targets: list
    places: list
    second: list | None = None
    split: np.ndarray | None = None
    skipped: list = dataclasses.field(default_factory=list)
    columns: dict = dataclasses.field(default_factory=dict)
    label_names: list | None = None

    @property
    def ids(self):
        """Name of each text that patterns and lists know."""
        return ids_of(self)

    @property
    def names(self):
        """Name of each text, with a check sum of it and of its target."""
        rows = zip(self.places, *self.parts, self.targets, strict=True)
        return [f"{place} {zlib.crc32(chr(9).join(map(str, row)).encode()):08x}" for place, *row in rows]

    @property
    def parts(self):
        """The texts and, of pairs, the second ones."""
        return [self.texts] if self.second is None else [self.texts, self.second]


@dataclasses.dataclass
class Documents:
    """Plain texts as a source delivers them.

    Args:
        texts: The texts.
        places: Where each stands, such as a file's name, unique and stable.
        split: Split that the source prescribes for each, or None.
        columns: Name of each other column of the source to its values, (texts,); none.
    """

    texts: list
    places: list
    split: np.ndarray | None = None
    columns: dict = dataclasses.field(default_factory=dict)

    @property
    def ids(self):
        """Name of each text that patterns and lists know."""
        return self.places

    @property
    def names(self):
        """Name of each text, with a check sum of it."""
        return [f"{place} {zlib.crc32(text.encode()):08x}" for place, text in zip(self.places, self.texts, strict=True)]


def ids_of(found):
    """Returns the ids of sentences that the source tells (`sent_id`, `id`), and the places of others."""
    told = next((found.columns[name] for name in ("sent_id", "id") if name in found.columns), found.places)
    return [place if name is None else str(name) for name, place in zip(told, found.places, strict=True)]


def as_columns(rows):
    """Returns each column's values, None where a row has none, given a dictionary for each row."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def read(source, kind, options):
    """Reads a source with those options that its reader takes, such as settings of `[data]`.

    Args:
        source: As for `find`.
        kind: "images", "sentences", "pairs", "prefixed" (texts with a task in front), "texts", "documents",
            "questions", "tables" or "series".
        options: Dictionary of options by name. Those that are None or an empty tuple are left to the reader, those that
            it lacks are passed over.

    Returns:
        `Images`, `Sentences`, `Pairs`, `Texts` or `Documents`, and the source as its reader wants it.

    Raises:
        KitError: a source that cannot be used; the message names it.
    """
    module, origin = find(source, kind)
    offered = inspect.signature(module.read).parameters.keys() - {"source"}
    asked = {key: options[key] for key in offered & options.keys() if options[key] not in (None, ())}
    return module.read(origin, **asked), origin


def documents(source):
    """Returns the `Documents` of a source of plain texts, and the source as its reader wants it.

    Raises:
        KitError: a file that cannot be used, or fewer documents than there are splits; the message names it.
        SettingError: there is no such source.
    """
    module, origin = find(source, "documents")
    found = module.read(origin)
    if len(found.texts) < 3:
        raise KitError(f"{origin}: {len(found.texts)} documents; expected at least 3, with empty lines between them")
    return found, origin


def find(source, kind):
    """Returns the module that reads a source, and the source as that module wants it.

    Args:
        source: Name, or path or address (`s3://...`) of a file or folder; anything else is taken as data given in
            Python.
        kind: "images", "sentences", "pairs", "prefixed" (texts with a task in front), "texts", "documents",
            "questions", "tables" or "series".

    Raises:
        SettingError: there is no such name or path, or nothing in it that a module reads.
    """
    if not isinstance(source, str | os.PathLike):
        return importlib.import_module(f"kit.data.sources.given_{kind}"), GivenData(source)
    source = os.fspath(source)
    if source == "given":
        raise SettingError(
            "source", "the data of this run were given in Python; give them again there, as data=..., with the folder"
        )
    modules = [importlib.import_module(f"kit.data.sources.{name}") for name in _KINDS[kind]]
    names = [name for module in modules for name in getattr(module, "NAMES", ())]
    for module in modules:
        prefix = getattr(module, "PREFIX", None)
        if source in getattr(module, "NAMES", ()) or (prefix and source.startswith(prefix)):
            return module, source
    path = remote.local(source)
    if not source or not path.exists():
        raise SettingError(
            "source",
            f"no file or folder {source!r}; expected a path, or a name: {', '.join(names)}{guess(source, names)}",
        )
    if not path.is_file() and not path.is_dir():
        raise SettingError("source", f"{source!r} is neither a file nor a folder (a pipe or a device?)")
    readers = [module for module in modules if hasattr(module, "accepts")]
    if is_pack(path) and not _KINDS[kind][0].startswith("packed_"):
        raise SettingError("source", f"{source!r} is a pack of {Pack(path).kind}; expected {kind} that are not packed")
    for module in readers:
        if module.accepts(path):
            return module, path.resolve()
    layouts = ", or ".join(module.LAYOUT for module in reversed(readers))
    raise SettingError("source", f"nothing to read in {source!r}; expected {layouts}")
