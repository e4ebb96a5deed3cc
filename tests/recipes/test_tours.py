"""Notebooks: each runs from its first cell to its last, and shows what it says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TOURS = sorted((ROOT / "recipes").glob("*/tour.ipynb"))
# One for each family of recipes: images, sentences, pairs of sentences, tasks by their prefix, texts that are gone on
# with, out of noise, through a narrow place, agents, time series, users and items, tables.
FAMILIES = {"actor_critic", "autoencoder", "forecasting", "gan", "image_classification", "recommendation"}
FAMILIES |= {"language_modelling", "sequence_tagging", "tabular_prediction", "text_to_text", "translation"}


def test_each_family_has_a_tour():
    assert {path.parent.name for path in TOURS} == FAMILIES


@pytest.mark.parametrize("path", TOURS, ids=lambda path: path.parent.name)
def test_a_tour_is_kept_without_what_it_showed(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 5
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", TOURS, ids=lambda path: path.parent.name)
def test_a_tour_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in shown if "data" in output for kind in output["data"]}
    assert "text/html" in kinds  # the summary of a run's page
    texts = "".join(output["text"] for output in shown if output["output_type"] == "stream")
    assert "Traceback" not in texts and "Warning" not in texts
    assert (tmp_path / "runs").is_dir()
