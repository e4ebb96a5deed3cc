"""Data sets with planted faults, and clean ones to compare with: photographs of coloured shapes, sentences, pairs."""

import shutil

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

CLASSES = ("barn", "church", "tower")
_PER_CLASS = {"train": 40, "val": 14, "test": 14}


def scene(number, size=(96, 128)):
    """Returns a picture of its own: a landscape of soft colour blobs and shapes, as different as photographs are."""
    random = np.random.default_rng(number)
    coarse = random.integers(30, 226, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    pixels = np.asarray(image).astype(int)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for _ in range(6):
        y, x, r = random.integers(0, size[0]), random.integers(0, size[1]), random.integers(6, 26)
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = random.integers(0, 256, 3)
    noise = random.integers(-6, 7, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def photographs(folder):
    """Writes a clean folder of images: three classes in three splits, JPEG, all of one size."""
    number = 0
    for split, count in _PER_CLASS.items():
        for label in CLASSES:
            (folder / split / label).mkdir(parents=True)
            for _ in range(count):
                scene(number).save(folder / split / label / f"{number:05}x.jpg", quality=92)
                number += 1
    return folder


def first(folder, split, label, place=0):
    return sorted((folder / split / label).glob("*x.jpg"))[place]


def _copy(folder, place, split, label, name, change=None):
    source = first(folder, "train", "barn", place)
    target = folder / split / label / name
    if change is None:
        shutil.copy(source, target)
    else:
        with Image.open(source) as image:
            change(image).save(target, quality=60)


def _copies_across(folder):
    _copy(folder, 0, "test", "barn", "again.jpg")


def _other_label(folder):
    _copy(folder, 1, "train", "tower", "again.jpg")


def _copies_inside(folder):
    _copy(folder, 2, "train", "barn", "again.jpg")


def _resized(folder):
    _copy(folder, 3, "test", "barn", "again.jpg", lambda image: image.resize((80, 60)).resize((160, 120)))


def _recompressed(folder):
    _copy(folder, 4, "val", "barn", "again.jpg", lambda image: image)


def _brighter(folder):
    _copy(folder, 5, "test", "barn", "again.jpg", lambda image: ImageEnhance.Brightness(image).enhance(1.25))


def _near_with_other_label(folder):
    _copy(folder, 6, "train", "church", "again.jpg", lambda image: image.resize((64, 48)))


def _near_inside(folder):
    _copy(folder, 7, "train", "barn", "again.jpg", lambda image: ImageEnhance.Contrast(image).enhance(0.8))


def _constant(folder):
    Image.new("RGB", (128, 96), (12, 140, 60)).save(folder / "train/barn/flat.jpg")


def _almost_constant(folder):
    pixels = 100 + np.random.default_rng(0).integers(0, 8, (96, 128, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "train/barn/faint.png")


def _wrong_ending(folder):
    with Image.open(first(folder, "train", "church")) as image:
        image.save(folder / "train/church/odd.jpg", format="PNG")
    first(folder, "train", "church").unlink()


def _mixed_modes(folder):
    path = first(folder, "train", "church", 3)
    with Image.open(path) as image:
        image.convert("L").save(path)


def _torn_groups(folder):
    """The images of a patient are in two splits; names tell of whom they are."""
    for split in _PER_CLASS:
        for label in CLASSES:
            for number, path in enumerate(sorted((folder / split / label).glob("*x.jpg"))):
                path.rename(path.with_name(f"patient{number % 7 + 10 * CLASSES.index(label):02}_scan{path.stem}.jpg"))


def _spelled_twice(folder):
    (folder / "train" / "Barns").mkdir()
    for _ in range(12):
        path = first(folder, "train", "barn")
        path.rename(folder / "train" / "Barns" / path.name)


def _damaged(folder):
    path = first(folder, "train", "tower", 5)
    path.write_bytes(path.read_bytes()[:900])


def _empty_class(folder):
    (folder / "train" / "castle").mkdir()


def _small(folder):
    scene(9001).resize((9, 7)).save(folder / "train/barn/tiny.jpg")


def _long(folder):
    scene(9002).resize((900, 90)).save(folder / "train/barn/wide.jpg")


def _large(folder):
    scene(9003).resize((1280, 960)).save(folder / "train/barn/huge.jpg")


def _uneven(folder):
    for path in sorted((folder / "train/tower").glob("*x.jpg"))[3:]:
        path.unlink()


def _passed_over(folder):
    (folder / "train/barn/photo.heic").write_bytes(b"something")
    (folder / "train/barn/notes.txt").write_text("no image")


def _dark(folder):
    image = ImageEnhance.Brightness(scene(9004)).enhance(0.07)
    image.save(folder / "train/barn/night.jpg", quality=95)


def _shortcut(folder):
    for split in _PER_CLASS:
        for path in sorted((folder / split / "tower").glob("*x.jpg")):
            with Image.open(path) as image:
                image.save(path.with_suffix(".png"))
            path.unlink()


def _transparent(folder):
    image = scene(9005).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(folder / "train/barn/glass.png")


def _several_frames(folder):
    scene(9006).save(folder / "train/barn/film.gif", save_all=True, append_images=[scene(9007)])


def _missing_in_test(folder):
    shutil.rmtree(folder / "test/tower")


# Kind of the finding that a fault is to have, whichever else it brings along: how it is planted.
IMAGES = {
    "equal_across_splits": (_copies_across, {"equal_across_splits"}),
    "equal_with_other_label": (_other_label, {"equal_with_other_label", "equal_inside_training"}),
    "equal_inside_training": (_copies_inside, {"equal_inside_training"}),
    "near, resized": (_resized, {"near_across_splits"}),
    "near, compressed once more": (_recompressed, {"near_across_splits"}),
    "near, brighter": (_brighter, {"near_across_splits"}),
    "near, with another label": (_near_with_other_label, {"near_with_other_label", "near_inside_training"}),
    "near, inside of training": (_near_inside, {"near_inside_training"}),
    "constant": (_constant, {"constant"}),
    "almost constant": (_almost_constant, {"almost_constant"}),
    "wrong ending": (_wrong_ending, {"wrong_ending"}),
    "mixed modes": (_mixed_modes, {"mixed_modes"}),
    "torn groups": (_torn_groups, {"torn_groups"}),
    "label spelled twice": (_spelled_twice, {"labels_alike", "class_missing_in_split"}),
    "damaged file": (_damaged, {"damaged"}),
    "empty class": (_empty_class, {"empty_class"}),
    "tiny image": (_small, {"small"}),
    "odd shape": (_long, {"odd_shape"}),
    "huge image": (_large, {"large"}),
    "imbalance": (_uneven, {"imbalance", "few_examples"}),
    "files passed over": (_passed_over, {"passed_over"}),
    "dark image": (_dark, {"brightness"}),
    "format tells the class": (_shortcut, {"shortcut"}),
    "transparency": (_transparent, {"transparent"}),
    "several frames": (_several_frames, {"several_frames"}),
    "class missing in test": (_missing_in_test, {"class_missing_in_split"}),
}

_NOUNS = [
    "river",
    "garden",
    "teacher",
    "window",
    "captain",
    "engine",
    "valley",
    "letter",
    "market",
    "doctor",
    "bridge",
    "forest",
    "singer",
    "planet",
]
_VERBS = [
    "crosses",
    "follows",
    "paints",
    "remembers",
    "visits",
    "repairs",
    "ignores",
    "watches",
    "describes",
    "protects",
]
_PLACES = ["Oslo", "Lima", "Cairo", "Perth", "Quito", "Turin", "Hanoi", "Dakar", "Lagos", "Osaka"]
_ADJECTIVES = ["old", "quiet", "green", "strange", "famous", "narrow", "broken", "silver", "distant", "patient"]


def sentence(number):
    """Returns words and tags of a sentence of its own."""
    random = np.random.default_rng(number)
    a, b = random.choice(_NOUNS, 2, replace=False)
    p, q, r = random.choice(_ADJECTIVES, 3, replace=False)
    words = ["The", p, a, "and", "the", q, b, random.choice(_VERBS), random.choice(_PLACES), "in", "a", r, "way", "."]
    if number % 2:
        words = [*words[:-1], "while", "it", "has", str(random.integers(10, 99)), "visitors", "."]
    tags = ["B-LOC" if word in _PLACES else "B-NUM" if word.isdigit() else "O" for word in words]
    return [str(word) for word in words], tags


def conll(folder, more=(), count=(400, 80, 80)):
    """Writes CoNLL files of clean sentences, and more of them: (split, words, tags)."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, size in zip(("train", "dev", "test"), count, strict=True):
        rows = [sentence(number + place) for place in range(size)]
        number += size
        rows += [(words, tags) for part, words, tags in more if part == split]
        text = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in zip(*row, strict=True)) for row in rows)
        (folder / f"{split}.conll").write_text(text + "\n", encoding="utf-8")
    return folder


def _o(text):
    words = text.split(" ")
    return words, ["O"] * len(words)


_FOREIGN = [
    "Der Arzt und die Frau gehen mit dem Kind auf die Brücke .",
    "Das Haus ist nicht für den Lehrer und auch nicht für dich .",
]
TAGGED = {
    "equal across splits": ([("test", *sentence(5))], {"equal_across_splits"}),
    "near across splits": (
        [("test", [word.upper() if place == 2 else word for place, word in enumerate(sentence(7)[0])], sentence(7)[1])],
        {"near_across_splits"},
    ),
    "equal inside of training": ([("train", *sentence(9))], {"equal_inside_training"}),
    "same text, other tags": (
        [("train", sentence(11)[0], ["O"] * len(sentence(11)[0]))],
        {"equal_with_other_label", "equal_inside_training", "odd_tags"},
    ),
    "overlong": ([("train", *_o(" ".join(sentence(10_000 + n)[0][2] for n in range(300))))], {"overlong"}),
    "control characters": ([("train", *_o("The old bridge\x07 crosses a quiet valley ."))], {"odd_characters"}),
    "misread UTF-8": ([("train", *_o("The cafÃ© near a famous market is narrow ."))], {"odd_characters"}),
    "another script": ([("train", *_o("Старый мост пересекает тихую долину ."))], {"other_script"}),
    "another language": ([("train", *_o(text)) for text in _FOREIGN], {"other_language"}),
    "tag spelled twice": (
        [("train", ["Oslo", "is", "far", str(n), "days"], ["B-Loc", "O", "O", "O", "O"]) for n in range(10)],
        {"labels_alike", "class_missing_in_split"},
    ),
    "tag that no scheme allows": ([("train", ["in", "New", "York"], ["O", "O", "I-LOC"])], {"broken_tags"}),
    "tag missing in training": (
        [("test", ["Acme", "sells", "silver", "ladders"], ["B-ORG", "O", "O", "O"])],
        {"class_missing_in_training"},
    ),
}


def pairs(folder, more=()):
    """Writes parallel files of clean pairs, and more of them: (split, source, target)."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, size in (("train", 300), ("val", 60), ("test", 60)):
        rows = [pair(number + place) for place in range(size)]
        number += size
        rows += [each[1:] for each in more if each[0] == split]
        for side, ending in enumerate(("en", "de")):
            text = "".join(f"{row[side]}\n" for row in rows)
            (folder / f"{split}.{ending}").write_text(text, encoding="utf-8")
    return folder


def pair(number):
    """Returns a sentence and what stands for its translation: one of its own, of about the same length."""
    words = sentence(number)[0]
    german = {"The": "Der", "the": "der", "and": "und", "in": "auf", "a": "eine", "while": "während", "it": "es"}
    return " ".join(words), " ".join(german.get(word, f"{word[:-1]}en" if word.isalpha() else word) for word in words)


_PLACEHOLDER = "Keine Übersetzung für diesen langen Satz vorhanden ."
PAIRS = {
    "equal across splits": ([("test", *pair(5))], {"equal_across_splits"}),
    "untranslated": ([("train", *2 * ["A strange engine follows the captain home ."])], {"untranslated"}),
    "one side far longer": ([("train", "A broken window in the narrow valley near Oslo .", "@@")], {"uneven"}),
    "one target for many": (
        [
            ("train", " ".join(sentence(500 + n)[0]), "Keine Übersetzung für diesen langen Satz vorhanden .")
            for n in range(6)
        ],
        {"same_target"},
    ),
    "control characters": (
        [("train", "The\u200b old bridge is far away .", "Die alte Brücke ist weit weg .")],
        {"odd_characters"},
    ),
    "source in another language": ([("train", text, text[::-1]) for text in _FOREIGN], {"other_language"}),
    "another script": ([("train", "A man waits near the bridge .", "Мужчина ждёт возле моста .")], {"other_script"}),
}
