"""Settings by signature."""

import dataclasses
from typing import Literal

import numpy as np
import pytest
from jsonargparse.typing import NonNegativeInt

from kit import config
from kit.config import Text, describe, resolve, settings_of
from kit.errors import KitError, SettingError, check, choose, shown, table


def example(
    fact,
    *,
    count: int = 3,
    rate: float = 0.5,
    kind: Literal["soft", "hard"] = "soft",
    widths: tuple[int, ...] = (1, 2),
    size: int | tuple[int, int] | None = None,
    flag: bool = False,
    plain=0.25,
):
    """An example.

    Args:
        fact: What the data knows.
        count: How many
            there are.
        rate: How fast.
    """


SETTINGS = settings_of(example, "table")


def test_signature_is_the_schema():
    assert [setting.key for setting in SETTINGS] == [
        f"table.{name}" for name in ("count", "rate", "kind", "widths", "size", "flag", "plain")
    ]
    assert SETTINGS[0].default == 3
    assert SETTINGS[0].meaning == "How many there are."
    assert SETTINGS[-1].type is float


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("count", 4, 4),
        ("count", Text("4"), 4),
        ("rate", 1, 1.0),
        ("rate", Text("1e-4"), 1e-4),
        ("kind", Text("hard"), "hard"),
        ("widths", [4, 5], (4, 5)),
        ("widths", Text("[4, 5]"), (4, 5)),
        ("widths", Text("4,5"), (4, 5)),
        ("widths", Text("4"), (4,)),
        ("size", 3, 3),
        ("size", Text("3,4"), (3, 4)),
        ("size", None, None),
        ("flag", Text("true"), True),
        ("flag", True, True),
        ("widths", np.array([4, 8]), (4, 8)),
        ("count", np.int64(4), 4),
        ("rate", np.float32(0.5), 0.5),
    ],
)
def test_converts(name, value, result):
    converted = resolve(SETTINGS, {f"table.{name}": value})["table"][name]
    assert converted == result
    assert type(converted) is type(result)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", "4", "table.count: expected a whole number, got '4'"),
        ("count", Text("x"), "table.count: expected a whole number, got 'x'"),
        ("count", 4.5, "table.count: expected a whole number, got 4.5"),
        ("count", True, "table.count: expected a whole number, got True"),
        ("rate", None, "table.rate: expected a number, got None"),
        ("rate", "fast", "table.rate: expected a number, got 'fast'"),
        ("rate", Text("nan"), "table.rate: expected a number, got 'nan'"),
        ("kind", Text("sofd"), "table.kind: expected one of 'soft', 'hard', got 'sofd'; did you mean 'soft'?"),
        ("widths", ["a"], "table.widths: expected a list, each a whole number, got ['a']"),
        ("flag", 1, "table.flag: expected true or false, got 1"),
        ("widths", {1, 2}, "table.widths: expected a list, each a whole number, got {1, 2}"),
        ("widths", np.array([[1]]), "table.widths: expected a list, each a whole number, got [[1]]"),
        ("widths", [1, 10**30], f"table.widths: expected a whole number of at most 2147483647, got {10**30}"),
        ("count", Text("1" + 30 * "0"), f"table.count: expected a whole number of at most 2147483647, got {10**30}"),
        ("rate", 10**400, f"table.rate: expected a whole number of at most 2147483647, got 1{299 * '0'}..."),
        ("count", Text("9" * 5000), f"table.count: expected a whole number, got '{299 * '9'}..."),
        ("rate", float("inf"), "table.rate: expected a finite number, got inf"),
        ("rate", Text(".inf"), "table.rate: expected a finite number, got inf"),
        ("rate", float("nan"), "table.rate: expected a finite number, got nan"),
        ("cuont", 1, "table.cuont: unknown setting; did you mean 'count'?"),
    ],
)
def test_refuses_in_one_line(name, value, message):
    with pytest.raises(SettingError) as error:
        resolve(SETTINGS, {f"table.{name}": value})
    assert str(error.value) == message


def test_a_number_of_thousands_of_digits_is_refused_in_one_line():
    said = "table.count: expected a whole number of at most 2147483647, got a number of thousands of digits"
    with pytest.raises(SettingError, match=f"^{said}$"):
        resolve(SETTINGS, {"table.count": 10**5000})


def test_names_unknown_tables():
    with pytest.raises(SettingError, match=r"unknown table \[tabel\]; did you mean 'table'\?"):
        resolve(SETTINGS, {"tabel.count": 1})
    with pytest.raises(SettingError, match="count: unknown setting"):
        resolve(SETTINGS, {"count": 1})


def test_toml_there_and_back(tmp_path):
    path = tmp_path / "settings.toml"
    tables = {"seed": 1, "table": {"count": 3, "widths": (1, 2), "size": None, "rate": 1e-4, "name": 'a "b" ü'}}
    config.write_toml(path, tables)
    assert config.read_toml(path) == {
        "seed": 1,
        "table.count": 3,
        "table.widths": [1, 2],
        "table.rate": 1e-4,
        "table.name": 'a "b" ü',
    }


def test_toml_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("[table]\ncount = 3\n", encoding="utf-8-sig")
    assert config.read_toml(path) == {"table.count": 3}


@pytest.mark.parametrize("content", [b"[table\n", b"a = 1\na = 2\n", b"\xff\xfe", b"a = 1" + 5000 * b"0"])
def test_damaged_toml_names_the_file(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(KitError, match=str(path)):
        config.read_toml(path)
    with pytest.raises(KitError, match="absent"):
        config.read_toml(tmp_path / "absent.toml")


def test_types_in_words():
    assert describe(int | Literal["auto"]) == "a whole number or 'auto'"
    assert describe(float | None) == "a number"
    assert describe(tuple[int, int]) == "a list of 2, each a whole number"
    assert describe(NonNegativeInt) == "a whole number of at least 0"


def test_a_message_is_one_line_of_a_bearable_length():
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
    assert len(shown("x" * 10_000)) == 303 and shown("a\n b") == repr("a\n b")


def test_errors_name_table_key_and_closest():
    with pytest.raises(SettingError, match=r"model\.rate: expected 0 to 1, got 5"), table("model"):
        check(False, "rate", 5, "0 to 1")
    with pytest.raises(SettingError, match=r"^optimizer\.rate: "), table("model"):
        check(False, "optimizer.rate", 5, "0 to 1")
    with pytest.raises(SettingError, match="unknown name 'resnet17'; did you mean 'resnet18'"):
        choose({"resnet18": 1, "vit": 2}, "resnet17", "backbone")


@dataclasses.dataclass(frozen=True)
class Fruit:
    """Which fruit.

    Args:
        name: Kind of fruit.
        count: Number of them.
    """

    name: str = "apple"
    count: int = 1

    def __post_init__(self):
        check(self.count >= 0, "count", self.count, "at least 0")


def basket(seed, *, fruit: Fruit = Fruit("pear"), size: float = 1.0):
    """Fills a basket.

    Args:
        seed: Seed.
        size: Width in metres.
    """
    return seed, fruit, size


def test_an_option_record_contributes_its_fields():
    found = config.settings_of(basket, "data", defaults={"count": 3})
    assert [(each.key, each.type, each.default, each.meaning) for each in found] == [
        ("data.name", str, "pear", "Kind of fruit."),
        ("data.count", int, 3, "Number of them."),
        ("data.size", float, 1.0, "Width in metres."),
    ]
    assert config.names_of(basket) == {"name", "count", "size"}
    assert config.call(basket, 7, count=2, size=0.5) == (7, Fruit("pear", 2), 0.5)
    assert config.call(basket, 7) == (7, Fruit("pear"), 1.0)
    assert config.call(basket, 7, fruit=Fruit("fig")) == (7, Fruit("fig"), 1.0)
    with pytest.raises(SettingError, match="count: expected at least 0"):
        config.bind(basket, {"count": -1})


def test_fields_of_a_record_are_keywords():
    flat = config.renamed(width="size")(config.flat(basket))
    assert flat(7, count=2, width=0.5) == (7, Fruit("pear", 2), 0.5)
    assert flat(7, fruit=Fruit("fig")) == (7, Fruit("fig"), 1.0)
    assert config.settings_of(flat, "data") == config.settings_of(basket, "data")
    with pytest.raises(SettingError, match="count: expected at least 0"):
        flat(7, count=-1)
    with pytest.raises(TypeError, match="cuont"):
        flat(7, cuont=2)


def test_old_names_of_parameters_are_read():
    @config.renamed(shade="colour")
    def paint(*, colour: str = "red"):
        """Paints."""
        return colour

    assert paint(shade="blue") == paint(colour="blue") == "blue"
    assert config.aliases_of(paint) == {"shade": "colour"}
    assert [each.key for each in config.settings_of(paint, "model")] == ["model.colour"]
    with pytest.raises(SettingError, match="shade: is called 'colour' now"):
        paint(shade="blue", colour="red")


def test_a_text_among_numbers_is_refused_in_one_line():
    from kit.errors import closest

    assert closest("", [2, 3]) == "; choose from 2, 3"
