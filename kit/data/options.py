"""Option records: settings of `[data]` that several recipes share, each documented here and nowhere else.

A data function takes a record as a keyword parameter, and its fields are keys of the table; see `kit.config`.
"""

import dataclasses
import logging
from typing import Literal

from kit.errors import check

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """Where images come from and how they are read.

    Args:
        source: `digits`, `tfds:NAME`, a CSV file (path, label), an .npz file, or a folder: images in a folder for each
            class, the same inside train/, validation/ and test/, idx files as MNIST is published, or a pack that `kit
            pack` has written; where no classes are needed also images alone. In Python also an array of images,
            (images, labels), a `tf.data.Dataset` of them, or a dictionary of these for train, validation and test.
        image_size: Side, or height and width, in pixels, that images are resized to; by default their own, or where
            they differ the largest of 32, 48 and 64 not above the median of their shorter sides.
        color_mode: Channels of the images: "grayscale" (1), "rgb" (3), or "auto" if all are of one kind.
        crop_to_aspect_ratio: Cut margins instead of distorting images of another shape.
        background: What is seen where an image is transparent: "white" or "black".
        on_bad: Whether image files that cannot be read are an "error", or "skip": they are listed and left out.
        denoise: Filter against noise: "gaussian" blurs, "median" takes single wrong pixels away and keeps edges.
            Filters act on images at the size in which they are trained, and in the same way in prediction.
        denoise_radius: Pixels to each side that the filter looks at: the standard deviation of a Gaussian, half of the
            median's window.
        equalize: Spread the grey levels of each image evenly (histogram equalisation), of coloured ones the brightness.
        drop_duplicates: Leave training images out that are equal to an earlier one, or to one of the validation or test
            split, which both stay as they are.
        drop_constant: Leave training images of one colour out; validation and test split stay as they are.
        in_memory: Keep decoded images in memory; "auto" does while they need less than 30 % of what is free, and never
            those of a pack.

    Raises:
        SettingError: a size out of range.
    """

    source: str = "digits"
    image_size: int | tuple[int, int] | None = None
    color_mode: Literal["auto", "grayscale", "rgb"] = "auto"
    crop_to_aspect_ratio: bool = False
    background: Literal["white", "black"] = "white"
    on_bad: Literal["error", "skip"] = "error"
    denoise: Literal["none", "gaussian", "median"] = "none"
    denoise_radius: int = 1
    equalize: bool = False
    drop_duplicates: bool = False
    drop_constant: bool = False
    in_memory: bool | Literal["auto"] = "auto"

    def __post_init__(self):
        size = self.size
        is_possible = size is None or (min(size) >= 1 and max(size) <= 8192)
        check(is_possible, "image_size", size, "1 to 8192 pixels")
        check(1 <= self.denoise_radius <= 50, "denoise_radius", self.denoise_radius, "1 to 50 pixels")

    @property
    def size(self):
        """(height, width) that images are resized to, or None."""
        return (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size


@dataclasses.dataclass(frozen=True)
class Division:
    """How examples are divided into training, validation and test split, where the source does not say it.

    The seed of a run has no part in it: runs with several seeds are scored on one test split, and so is what was tuned.

    Args:
        validation_fraction: Share of the examples not in the test split that becomes the validation split.
        test_fraction: Share of the examples that becomes the test split, where the source has none.
        split_seed: Seed of the division, and of all that examples are before training, such as generated sentences;
            `--seed` and `train.seeds` leave it as it is.
        group: What is never torn apart, such as patient, speaker or document: a column of the source (of a table, keys
            of JSONL, comments of CoNLL-U such as `newdoc id`), or a regular expression that is found in every name
            (path, `sent_id`, file and line); its first group, or the whole match, is the example's group.
        time: When examples are of, in the same way: numbers, or ISO dates. The latest become the test split, those
            before them the validation split; equal times stay together. With `data.group` each group has one time.
        split_files: Text files that list the names of a split's examples, one a line, as some data sets publish them:
            a word of the file's name says which split it is of (`testing_list.txt`), or `test=` before its path. What
            is in no list is for training, or not used where a list is of training examples.
        fold: Number of a fold, from 0, and number of all folds: that fold is the test split, in place of
            `data.test_fraction`; `train.folds` sets it for each of its runs. Where the source has a test split of its
            own, that is not used at all. With `data.time` a fold trains on what is earlier alone.

    Raises:
        SettingError: a seed or a fold out of range.
    """

    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    split_seed: int = 0
    group: str | None = None
    time: str | None = None
    split_files: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None

    def __post_init__(self):
        seed = self.split_seed
        check(0 <= seed < 2**31, "split_seed", seed, "a whole number from 0 to 2147483647")
        if self.fold is not None:
            number, folds = self.fold
            check(
                folds >= 2 and 0 <= number < folds, "fold", list(self.fold), "such as [0, 5] to [4, 5], of five folds"
            )


@dataclasses.dataclass(frozen=True)
class Augmentations:
    """Random changes of training images (data augmentation).

    Args:
        flip: Mirror half of the training images left to right.
        translation: Largest shift of training images, as a share of the side; what comes in is black.
        rotation: Largest turn of training images, in degrees; what comes in is black.
        zoom: Largest share of the side that is cut away from training images.
        rand_augment: Number of RandAugment operations on each training batch (Cubuk et al., 2019).
        rand_augment_magnitude: Their strength, from 0 to 1.
        random_erasing: Share of the training images in which a rectangle is blanked out (Zhong et al., 2017).
        mixup: Parameter alpha of MixUp, which blends two training images and their labels (Zhang et al., 2017); 0 is
            off.
        cutmix: Parameter alpha of CutMix, which pastes a piece of another training image (Yun et al., 2019); 0 is off.

    Raises:
        SettingError: a value is out of range.
    """

    flip: bool = False
    translation: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    rand_augment: int = 0
    rand_augment_magnitude: float = 0.5
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        for key in ("translation", "zoom"):
            check(0 <= getattr(self, key) < 1, key, getattr(self, key), "a share from 0 to below 1")
        check(0 <= self.rotation <= 180, "rotation", self.rotation, "0 to 180 degrees")
        for key in ("rand_augment_magnitude", "random_erasing"):
            check(0 <= getattr(self, key) <= 1, key, getattr(self, key), "a number from 0 to 1")
        check(0 <= self.rand_augment <= 11, "rand_augment", self.rand_augment, "a number of operations from 0 to 11")
        check(self.mixup >= 0, "mixup", self.mixup, "at least 0")
        check(0 <= self.cutmix <= 1, "cutmix", self.cutmix, "a number from 0 to 1")
        check(not (self.mixup and self.cutmix), "cutmix", self.cutmix, "0 where mixup is on: choose one of the two")


@dataclasses.dataclass(frozen=True)
class TokenOptions:
    """How texts are cut into tokens.

    Args:
        token_kind: "bpe" cuts words into frequent pieces, "word" keeps them whole.
        vocabulary_size: Number of tokens; of each side where there are two with tokens of their own.
        min_count: Words, or of "bpe" pairs of pieces, that are rarer in the training sentences are no token.
        lowercase: Make all text lower-case.
    """

    token_kind: Literal["bpe", "word"] = "bpe"
    vocabulary_size: int = 4000
    min_count: int = 2
    lowercase: bool = False

    def learn(self, texts, at_most=False, mask=False):
        """Returns the `Tokenizer` that is learned from training texts; see `Tokenizer.learn`."""
        from kit.data.tokens import Tokenizer

        return Tokenizer.learn(
            texts,
            kind=self.token_kind,
            vocabulary_size=self.vocabulary_size,
            min_count=self.min_count,
            lowercase=self.lowercase,
            at_most=at_most,
            mask=mask,
        )


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """Unreadable rows of text files: refused, or skipped.

    Args:
        on_bad: Whether rows of text files that cannot be read are an "error", or "skip": they, and the sentences that
            they are of, are listed and left out.
    """

    on_bad: Literal["error", "skip"] = "error"


# What a tagger sees of a word. Generated sentences have names in the test split that training never showed: what knows
# their letters does worse there; words of any other source are better known by their characters, too.
_OF_GENERATED = ("word", "shape", "suffix2", "suffix3")
_OF_OTHERS = ("word", "characters", "shape", "prefix2", "prefix3", "suffix2", "suffix3")


@dataclasses.dataclass(frozen=True)
class VectorOptions:
    """Pretrained word vectors that an embedding begins with.

    Args:
        vectors: File of pretrained word vectors: text, plain or .gz, as word2vec and GloVe write it, or word2vec's
            binary .bin.
        max_vectors: Number of vectors that are read; 100000 by default.
    """

    vectors: str | None = None
    max_vectors: int | None = None

    def __post_init__(self):
        is_used = self.vectors is not None or self.max_vectors is None
        check(is_used, "max_vectors", self.max_vectors, "none without data.vectors")
        is_possible = self.max_vectors is None or self.max_vectors >= 1
        check(is_possible, "max_vectors", self.max_vectors, "at least 1")

    def read(self, lowercase):
        """Returns words and their vectors (words, dim), or no words and None where there is no file.

        Raises:
            SettingError: no file of vectors.
            KitError: one that cannot be read.
        """
        from kit.data import vectors

        if self.vectors is None:
            return [], None
        most = 100_000 if self.max_vectors is None else self.max_vectors
        return vectors.read_file(self.vectors, lowercase, most)

    @property
    def settings(self):
        """The path as it is kept with a run: absolute."""
        from pathlib import Path

        return {} if self.vectors is None else {"vectors": str(Path(self.vectors).expanduser().resolve())}


@dataclasses.dataclass(frozen=True)
class WordOptions:
    """Which features of words a model is given.

    Args:
        features: What the model sees of a word: word, characters, case, shape, prefix1 to prefix5, suffix1 to suffix5;
            "auto" is word, characters, shape and affixes of 2 and 3 letters, for generated sentences without characters
            and prefixes.
        min_count: What occurs less often in the training sentences is unknown.
        lowercase: Make words and affixes lower-case.
        max_characters: Characters of a word that are looked at; of longer ones the first and the last.
    """

    features: tuple[str, ...] | Literal["auto"] = "auto"
    min_count: int = 2
    lowercase: bool = True
    max_characters: int = 16

    def learn(self, words, pretrained, is_generated=False):
        """Returns the `Features` learned from training words, and the pretrained vectors that are known to them.

        Args:
            words: Training words, one after the other.
            pretrained: `VectorOptions`.
            is_generated: They are of generated sentences, which "auto" features depend on.

        Returns:
            `Features`; and ids with their vectors (words, dim), or None.

        Raises:
            SettingError: no file of vectors, or one that cannot be read.
        """
        from kit.data.text import Features

        if pretrained.vectors is not None and self.features != "auto":
            check("word" in self.features, "features", list(self.features), "'word' among them where there are vectors")
        names = self.features
        if names == "auto":
            names = _OF_GENERATED if is_generated else _OF_OTHERS
            log.info("data.features=auto: %s", ", ".join(names))
        known, matrix = pretrained.read(self.lowercase)
        features = Features.learn(
            words,
            names,
            min_count=self.min_count,
            lowercase=self.lowercase,
            max_characters=self.max_characters,
            known_words=known,
        )
        return features, None if matrix is None else (features.rows(known), matrix)
