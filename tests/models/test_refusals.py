"""Every number of every registered builder: what cannot be is refused by a line that names it."""

import functools
import inspect
import typing

import pytest

from kit.blocks.policy import head
from kit.blocks.table_columns import TableShape
from kit.errors import SettingError
from kit.models import (
    autoencoding,
    control,
    generative,
    image_to_image,
    recommendation,
    series,
    tabular,
    text,
    vision,
)
from kit.models.text import seq2seq, text_to_text
from tests.models.test_vision import SMALL

# Each registry with what the data gives to its builders.
REGISTRIES = {
    "vision": (vision.VARIANTS, {"input_shape": (28, 28, 1)}),
    "text": (text.VARIANTS, {"input_dim": 6}),
    "series": (series.VARIANTS, {"input_dim": 3}),
    "tokens": (text.OF_TOKENS, {"vocabulary_size": 12, "pad_id": 0}),
    "causal": (text.CAUSAL, {"vocabulary_size": 12, "separator": None, "length": 9}),
    "text_to_text": (text_to_text.VARIANTS, {"vocabulary_size": 12, "pad_id": 0}),
    "seq2seq": (seq2seq.VARIANTS, {"input_dim": 6, "max_length": 9}),
    "tabular": (tabular.VARIANTS, {"columns": TableShape(2, (3,), (5,), 9, ((0.0, 1.0), (0.0, 1.0)), 2)}),
    "generative": (generative.VARIANTS, {"latent_dim": 4, "num_conditions": 3, "image_shape": (8, 8, 1)}),
    "image_to_image": (image_to_image.VARIANTS, {"direction": "a_to_b", "image_shape": (8, 8, 1)}),
    "autoencoding": (autoencoding.VARIANTS, {"code_dim": 4, "latent_dim": 4, "image_shape": (8, 8, 1)}),
    "recommendation": (
        recommendation.VARIANTS,
        {"num_users": 4, "num_items": 6, "user_features": None, "item_features": None, "max_length": 5},
    ),
    "values": (control.VALUES, {"dueling": False, "observation_shape": (10, 10, 4), "num_actions": 3}),
    "policies": (
        control.POLICIES,
        {"head": head(3, False), "normalizes": False, "observation_shape": (10, 10, 4)},
    ),
}


# Those that are built many times in a long while.
SLOW = {"swin", "vit", "mobilenet", "mixnet", "googlenet", "stylegan"}

# Those of a family whose small one is not small.
_TINY = {"t5_tiny", "switch_t5_tiny", "gpt2_tiny", "llama_tiny"}


def _builders(slow=()):
    """Yields each builder once, with the arguments of a small variant, those of some names marked as slow."""
    for kind, (variants, facts) in REGISTRIES.items():
        small = {}
        for name in sorted(variants, key=lambda name: (name not in _TINY, name not in SMALL and "small" not in name)):
            small.setdefault(*variants[name])
        for build, arguments in small.items():
            known = [fact for name, fact in facts.items() if name in inspect.signature(build).parameters]
            marks = pytest.mark.slow if build.__name__ in slow else ()
            name = f"{kind}-{build.__name__}"
            yield pytest.param(functools.partial(build, *known, **arguments), id=name, marks=marks)


def _numbers(build):
    """Yields the name, the annotation and the value of each argument of numbers."""
    for name, parameter in inspect.signature(build).parameters.items():
        kinds = {parameter.annotation, *typing.get_args(parameter.annotation)}
        if parameter.kind is parameter.KEYWORD_ONLY and kinds & {int, float}:
            yield name, parameter.annotation, parameter.default


def _alike(annotation, value, number):
    """Returns a value whose numbers are all the one given."""
    return (number,) * len(value or (1,)) if typing.get_origin(annotation) is tuple else number


@pytest.mark.parametrize("build", _builders())
def test_no_number_below_zero(build):
    found = list(_numbers(build))
    assert found
    for name, annotation, value in found:
        with pytest.raises(SettingError) as error:
            build(**{name: _alike(annotation, value, -1)})
        assert error.value.key == name


@pytest.mark.parametrize("build", _builders(SLOW))
def test_zeros_and_lists_of_another_length_are_built_or_refused(build):
    settings, refused = inspect.signature(build).parameters, 0
    for name, annotation, value in _numbers(build):
        values = [_alike(annotation, value, 0)]
        if typing.get_origin(annotation) is tuple:
            values += [(), (*value, 1)]
        if annotation is float:
            values += [1.5]
        for tried in values:
            try:
                build(**{name: tried})
            except SettingError as error:
                assert error.key in {*settings, "data.image_size"}
                refused += 1
    assert refused


def _of_images(build):
    """Says whether a builder is given the height, width and channels of images."""
    return any(isinstance(fact, tuple) for fact in build.args)


@pytest.mark.parametrize("build", [each for each in _builders() if _of_images(each.values[0])])
def test_images_of_any_size_are_built_or_refused(build):
    for size in ((1, 1), (3, 3), (1, 36), (36, 5), (9, 9)):
        facts = [(*size, fact[-1]) if isinstance(fact, tuple) else fact for fact in build.args]
        try:
            build.func(*facts, **build.keywords)
        except SettingError as error:
            assert error.key in {*inspect.signature(build).parameters, "data.image_size"}
