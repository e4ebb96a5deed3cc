"""The floors of the house: who may import whom, held by reading every module's imports."""

import ast
from pathlib import Path

import pytest

import kit
from kit import recipes

ROOT = Path(kit.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
# Rooms floor by floor, the lowest first: a room imports itself and the floors below; on the last, those before it.
FLOORS = (
    ("errors", "backend", "files", "terminal", "config"),
    ("blocks", "data", "training", "attribution", "reporting"),
    ("models", "weights", "decoding", "scoring", "agents", "inspection"),
    ("tasks",),
    ("recipes",),
    ("runs",),
    ("tuning", "serving", "commands", "cli"),
)
LINES, LINES_OF_A_RECIPE, FILES_AT_THE_TOP = 400, 249, 8


def floor(room):
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def module_of(path):
    """Returns the dotted name of a file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


IMPORTS = {module_of(path): imports(path) for path in MODULES}


def may_import(room, other):
    """Whether a room may import another one."""
    if room == other:
        return True
    here, there = floor(room), floor(other)
    if there == 0 and here == 0:
        return True  # the ground is one room; circles between its files are looked for below
    if here == there == len(FLOORS) - 1:
        return FLOORS[here].index(other) < FLOORS[here].index(room)
    return there < here


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_downward(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in IMPORTS[module_of(path)]:
        parts = name.split(".")
        if parts[0] == "kit" and room not in ("__init__", "__main__"):
            # The version and the builders are reached from the top.
            assert (len(parts) > 1 and may_import(room, parts[1])) or (room == "cli" and name == "kit"), (
                f"{room} imports {name}"
            )
    if room in ("blocks", "models"):
        assert not any(name.split(".")[0] == "tensorflow" for name in IMPORTS[module_of(path)])


def test_every_room_is_on_a_floor():
    names = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES} - {"__init__", "__main__"}
    assert names == {room for rooms in FLOORS for room in rooms}


def test_no_circles_between_files():
    state = {}

    def visit(name, path):
        assert state.get(name) != "open", f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in state or name not in IMPORTS:
            return
        state[name] = "open"
        for other in IMPORTS[name]:
            visit(other, [*path, name])
        state[name] = "done"

    for name in IMPORTS:
        if name not in ("kit", "kit.__main__"):
            visit(name, ["kit"])


def test_files_are_short_and_few_at_the_top():
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        most = LINES_OF_A_RECIPE if name.startswith("recipes/") else LINES
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= most, f"{name}: {lines} lines"
    assert len(list(ROOT.glob("*.py"))) <= FILES_AT_THE_TOP


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


def test_layers_that_no_policy_makes_coarser_are_of_floatx():
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] not in ("blocks", "models", "tasks", "recipes"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("layers."):
                stated = [word.arg for word in node.keywords if ast.unparse(word.value) == "'float32'"]
                assert not stated, f"{path}:{node.lineno}: {stated[0]}='float32'; expected floatx()"


def test_scores_see_each_row_once_on_several_devices():
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] not in ("tasks", "scoring", "reporting", "runs"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            rest = line.replace("backend.predict_on_batch", "")
            assert ".predict_on_batch" not in rest, f"{path}:{number}: expected kit.backend.predict_on_batch"


_MAY_NOT_NAME_RECIPES = ("runs/", "commands/", "tuning/", "serving/", "reporting/", "cli.py", "config.py")
# Examples in help, and the doctor, which trains one.
_MAY_NAME_RECIPES = {"cli.py", "commands/doctor.py"}


def test_no_recipe_is_named_outside_of_the_recipes():
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(_MAY_NOT_NAME_RECIPES) or name in _MAY_NAME_RECIPES:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in documented:
                assert node.value not in recipes.names(), f"{name}:{node.lineno} names the recipe {node.value}"
