"""The table of all settings: it says what the signatures say, is never used when it is out of date, and is quick."""

import json
import subprocess
import sys
from typing import Literal

import pytest
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit import recipes
from kit.commands import schema as command
from kit.config import Setting
from kit.errors import SettingError
from kit.runs import schema, schema_table
from kit.runs.settings import resolve


def test_the_table_is_that_of_the_signatures():
    written = json.loads(schema_table.PATH.read_text(encoding="utf-8"))
    now = json.loads(json.dumps({"sources": command.sources(), **schema.table()}))
    stale = [key for key in now if written.get(key) != now[key]]
    assert not stale, "kit/schema.json is out of date: run `make schema`"
    assert written["digest"] == schema_table.digest(written["sources"]), "kit/schema.json is old: run `make schema`"


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_from_the_table_is_the_recipe(name):
    assert schema.stored(), "kit/schema.json is out of date: run `make schema`"
    assert schema.stored()[name] == schema.signed(name)


@pytest.mark.parametrize(
    "kind",
    [
        int,
        float | None,
        Literal["a", "b"],
        int | tuple[int, int] | None,
        tuple[Literal["x", "y"], ...],
        list[str] | None,
        PositiveInt,
        NonNegativeInt | Literal["auto"],
    ],
    ids=str,
)
def test_types_and_defaults_come_back(kind):
    setting = Setting("key", kind, (1, [2, None]), "meaning")
    assert schema_table.decoded(json.loads(json.dumps(schema_table.encoded(setting, "data")))) == setting


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError, match="data.key"):
        schema_table.encoded(Setting("key", object, None, None), "data")


def test_the_interface_of_a_module_is_all_but_the_bodies_of_functions():
    source = 'X = 1\n\n\ndef f(a, *, b=2):\n    """Meaning."""\n    c = a\n    return c\n'
    body = source.replace("c = a", "c = a + 1").replace("return c", "# why\n    return c")
    assert schema_table.interface(body) == schema_table.interface(source)
    for old, new in (("b=2", "b=3"), ("Meaning", "Another"), ("X = 1", "X = 2")):
        assert schema_table.interface(source.replace(old, new)) != schema_table.interface(source)
    fed = source.replace("    c = a\n", '    c = "\x0c"\n') + "Y = 1\n"
    assert schema_table.interface(fed) == schema_table.interface(source + "Y = 1\n")
    nested = "def task(read):\n    x = 1\n\n    def score(model, *, top_k=5):\n        pass\n\n    return score\n"
    assert schema_table.interface(nested.replace("top_k=5", "top_k=3")) != schema_table.interface(nested)
    assert schema_table.interface(nested.replace("x = 1", "x = 2")) == schema_table.interface(nested)


def test_modules_are_parsed_once(monkeypatch, tmp_path):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    sources = json.loads(schema_table.PATH.read_text(encoding="utf-8"))["sources"]
    found, path = schema_table.digest(sources), tmp_path / "cache" / "schema.json"
    monkeypatch.setattr(schema_table, "interface", lambda source: "another")
    assert schema_table.digest(sources) == found
    for damaged in ("{", "[]", json.dumps({"whole": "of others", "digest": found}), "{}"):
        path.write_text(damaged)
        assert schema_table.digest(sources) != found
    path.unlink()
    path.mkdir()
    assert schema_table.digest(sources) != found


def test_no_folder_for_a_cache_is_no_harm(monkeypatch, tmp_path):
    sources = json.loads(schema_table.PATH.read_text(encoding="utf-8"))["sources"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "file" / "cache"))
    assert schema_table.digest(sources) == json.loads(schema_table.PATH.read_text(encoding="utf-8"))["digest"]


def test_a_table_that_is_out_of_date_is_not_used(monkeypatch, tmp_path):
    content = json.loads(schema_table.PATH.read_text(encoding="utf-8"))
    other = tmp_path / "schema.json"
    other.write_text(json.dumps({**content, "digest": "another"}))
    monkeypatch.setattr(schema_table, "PATH", other)
    assert schema_table.read() is None
    other.write_text("{")
    assert schema_table.read() is None


def test_listing_showing_and_refusing_import_no_tensorflow():
    code = (
        "import sys\nfrom kit import cli\n"
        "assert cli.main(['list']) == 0 and cli.main(['show', 'gan']) == 0 and cli.main(['list', 'backbones']) == 0\n"
        "assert cli.main(['train', 'gan', '--model.latent_dimm', '3']) == 2\n"
        "assert cli.main(['train', 'translation', '--train.epochs', 'many']) == 2\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "model.latent_dimm: unknown setting; did you mean 'latent_dim'?" in done.stderr


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("sequence_tagging", {"backbone.convolutions": 1001}, "backbone.convolutions"),
        ("sequence_tagging", {"model.backbone": "transformer", "backbone.depth": 1001}, "backbone.depth"),
        ("image_classification", {"model.backbone": "resnet18", "backbone.depths": [2, 2, 1001, 2]}, "backbone.depths"),
        ("translation", {"model.backbone": "transformer", "backbone.decoder_depth": 1001}, "backbone.decoder_depth"),
    ],
)
def test_nobody_has_so_many_layers(name, settings, key):
    with pytest.raises(SettingError, match=f"^{key}: expected at most 1000 layers, got 1001"):
        resolve(schema.get(name), "smoke", settings, 0)
    few = {
        key: value if isinstance(value, str) else json.loads(json.dumps(value).replace("1001", "1000"))
        for key, value in settings.items()
    }
    resolve(schema.get(name), "smoke", few, 0)
