"""What is installed: the wheel carries the settings, and the metadata name what is imported."""

import ast
import configparser
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kit
from kit.runs import schema_table

ROOT = Path(kit.__file__).parents[1]


def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def bare(requirement):
    """Returns the name of a requirement, without its extras, versions and markers."""
    return re.split(r"[\[<>=;]", requirement)[0]


def extras():
    """Returns the requirements that are imported where they are used."""
    optional = setup()["options.extras_require"]
    return [
        word
        for name in ("export", "serve", "mlflow", "wandb", "excel", "cluster", "remote", "jax")
        for word in optional[name].split()
    ]


def test_extras_are_tested():
    assert set(extras()) <= set(setup()["options.extras_require"]["dev"].split("\n"))


def test_every_package_is_declared():
    declared = set(setup()["options"]["packages"].split()) - {"kit.settings"}
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "kit").rglob("__init__.py")}
    assert declared == found


def test_every_import_is_a_declared_dependency():
    words = [*setup()["options"]["install_requires"].split(), *extras()]
    declared = {bare(word).lower().replace("_", "-") for word in words}
    owners = importlib.metadata.packages_distributions()
    for path in (ROOT / "kit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                # NumPy comes with every one of the others.
                if top not in sys.stdlib_module_names and top not in ("kit", "numpy"):
                    assert {owner.lower().replace("_", "-") for owner in owners[top]} & declared, f"{path}: {top}"


def test_every_dependency_is_justified():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for word in [*setup()["options"]["install_requires"].split(), *extras()]:
        assert f"`{bare(word)}`" in text


def test_constraints_pin_every_dependency():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for word in [*setup()["options"]["install_requires"].split(), *extras()]:
        assert f"\n{bare(word).lower().replace('_', '-')}==" in pinned


@pytest.mark.slow
def test_wheel_trains_in_an_empty_folder(tmp_path):
    """Needs the network once: the build backend is fetched."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "-o", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("kit-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    assert (tmp_path / "installed" / "kit" / "schema.json").read_bytes() == schema_table.PATH.read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    words = ["-P", "-m", "kit", "train", "image_classification", "--train.epochs=1", "--json"]
    code = "import kit; print(kit.__file__)"
    where = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert str(tmp_path / "installed") in where.stdout
    result = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "test" in json.loads(result.stdout.splitlines()[-1])["metrics"]
