"""Every registered recipe does what every recipe must: `conformance.py` over all names, each trained once."""

import pytest

from kit import recipes
from kit.runs.settings import shipped_settings
from tests import conformance
from tests.conftest import plots_drawn

# Each recipe may be tested by a process of its own.
NAMES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in recipes.names()]


@pytest.fixture(scope="module", autouse=True)
def quick_classifier():
    """Images are scored by classifiers that are trained less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.tasks.image_features._STEPS", 40)
        yield


@pytest.fixture(scope="module", params=NAMES)
def smoke(request, tmp_path_factory):
    with plots_drawn():
        return conformance.smoke(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize("file", ["README.md", "default.toml", "smoke.toml"])
def test_a_recipe_has_its_files(name, file):
    assert (shipped_settings(name) / file).is_file(), f"recipes/{name}/{file} is missing"


@pytest.mark.parametrize("name", recipes.names())
def test_settings_are_documented(name, capsys):
    conformance.check_settings_are_documented(name, capsys)


@pytest.mark.parametrize("name", recipes.names())
def test_unknown_settings_are_refused(name, tmp_path):
    conformance.check_unknown_settings_are_refused(name, tmp_path / "run")


@pytest.mark.parametrize("name", recipes.names())
def test_no_split_depends_on_the_seed(name):
    conformance.check_no_split_depends_on_the_seed(name)


def test_two_epochs(smoke):
    conformance.check_two_epochs(smoke)


def test_run_folder(smoke):
    conformance.check_run_folder(smoke)


def test_no_epoch_keeps_what_it_began_with(smoke):
    conformance.check_no_epoch_keeps_what_it_began_with(smoke)


def test_assets_are_json(smoke):
    conformance.check_assets_are_json(smoke)


def test_page(smoke):
    conformance.check_page(smoke)


def test_plots(smoke):
    conformance.check_plots(smoke)


def test_same_predictions_in_a_new_process(smoke):
    conformance.check_same_predictions_in_a_new_process(smoke)


def test_same_scores_in_a_new_process(smoke):
    conformance.check_same_scores_in_a_new_process(smoke)


def test_facts_bind_to_the_builder(smoke):
    conformance.check_facts_bind_to_the_builder(smoke)


def test_interrupted_and_resumed(smoke):
    conformance.check_interrupted_and_resumed(smoke)


def test_exported_or_refused(smoke):
    conformance.check_exported_or_refused(smoke, "saved_model")


def test_served(smoke):
    conformance.check_served(smoke)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tuned(name, tmp_path, capsys):
    conformance.check_tuned(name, tmp_path / "study", capsys)
