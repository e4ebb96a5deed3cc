"""The floors of the house: who may import whom, held by reading every module's imports."""

import ast
from pathlib import Path

import pytest

import kit
from kit import recipes

ROOT = Path(kit.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
GROUND = {"kit.config", "kit.errors", "kit.files", "kit.terminal"}
FIRST = {"blocks", "data", "training", "reporting"}
BELOW_RUN = GROUND | {f"kit.{room}" for room in (*FIRST, "decoding", "models", "scoring", "recipes")}
MAY_IMPORT = {
    **{name.removeprefix("kit."): GROUND for name in GROUND},
    **{room: GROUND | {f"kit.{room}"} for room in FIRST},
    "decoding": GROUND,
    "models": GROUND | {"kit.blocks", "kit.models"},
    "scoring": GROUND | {"kit.data", "kit.training", "kit.models", "kit.scoring"},
    "acting": GROUND | {f"kit.{room}" for room in FIRST} | {"kit.recipes.base"},
    "recipes": GROUND
    | {f"kit.{room}" for room in (*FIRST, "decoding", "scoring")}
    | {"kit.models", "kit.recipes.base", "kit.acting"},
    "folder": GROUND,
    "flags": GROUND,
    "schema": BELOW_RUN,
    "finished": BELOW_RUN | {"kit.folder", "kit.schema"},
    "assembly": BELOW_RUN | {"kit.finished"},
    "run": BELOW_RUN | {"kit.folder", "kit.schema", "kit.finished", "kit.assembly"},
    "seeds": BELOW_RUN | {"kit.folder", "kit.schema", "kit.finished", "kit.run"},
    "rehearsal": BELOW_RUN | {"kit.schema", "kit.assembly", "kit.run"},
    "tuning": BELOW_RUN | {"kit.folder", "kit.schema", "kit.run", "kit.rehearsal", "kit.tuning"},
    "doctor": BELOW_RUN | {"kit.run", "kit.finished"},
    "export": BELOW_RUN | {"kit.finished"},
    "catalogue": BELOW_RUN | {"kit.schema", "kit.tuning"},
    "cli": GROUND
    | {"kit", "kit.recipes"}
    | {
        f"kit.{room}"
        for room in (
            "flags",
            "folder",
            "schema",
            "run",
            "seeds",
            "finished",
            "rehearsal",
            "doctor",
            "export",
            "tuning",
            "catalogue",
        )
    },
    "__main__": {"kit.cli"},
    "__init__": set(),
}


def imports(path):
    """Returns every module that a file imports, wherever the import stands in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                inside = ROOT.parent / whole.replace(".", "/")
                is_module = inside.is_dir() or inside.with_suffix(".py").exists()
                found.add(whole if is_module else node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_downward(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT[room]
    for name in imports(path):
        if name.split(".")[0] == "kit":
            assert any(name == other or (name.startswith(f"{other}.") and other != "kit") for other in allowed), (
                f"{room} imports {name}"
            )
    if room in ("blocks", "models"):
        assert not any(name.split(".")[0] == "tensorflow" for name in imports(path))


def test_recipes_do_not_import_each_other():
    names = {f"kit.recipes.{name}" for name in recipes.names()}
    for path in (ROOT / "recipes").glob("*.py"):
        assert not imports(path) & names


def test_no_python_beside_the_numbers():
    assert not list((ROOT.parent / "recipes").rglob("*.py"))


def test_builders_blocks_and_data_functions_take_no_anonymous_keywords():
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] not in ("blocks", "models", "data", "recipes"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                assert node.args.kwarg is None, f"{path}: {node.name}"
