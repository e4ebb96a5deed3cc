"""Recipes: one module a task. Builders are reached as `kit.recipes.image_classifier(...)` and load on first use."""

import importlib
import pkgutil

from kit import backend
from kit.errors import check, choose

_BUILDERS = {
    "image_classifier": "image_classification",
    "text_classifier": "text_classification",
    "tabular_predictor": "tabular_prediction",
    "question_answerer": "question_answering",
    "language_model": "language_modelling",
    "masked_language_model": "masked_language_modelling",
    "word_embedder": "word_vectors",
    "recommender": "recommendation",
    "sequence_tagger": "sequence_tagging",
    "translator": "translation",
    "text_to_text_model": "text_to_text",
    "forecaster": "forecasting",
    "image_generator": "gan",
    "image_translator": "image_to_image",
    "image_autoencoder": "autoencoder",
    "dqn_agent": "dqn",
    "policy_agent": "policy_gradient",
    "actor_critic_agent": "actor_critic",
}


def names():
    """Returns the names of all recipes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name):
    """Returns the `Recipe` of a name.

    Raises:
        SettingError: there is none of that name, or it does not run on the Keras backend of this process.
    """
    choose(dict.fromkeys(names()), name, "recipe")
    recipe = importlib.import_module(f"kit.recipes.{name}").RECIPE
    used = backend.name()
    check(used in recipe.backends, "KERAS_BACKEND", used, f"{' or '.join(recipe.backends)} for {name}")
    return recipe


def __getattr__(name):
    if name in _BUILDERS:
        return getattr(importlib.import_module(f"kit.recipes.{_BUILDERS[name]}"), name)
    raise AttributeError(f"module 'kit.recipes' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_BUILDERS])
