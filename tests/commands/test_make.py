"""The Makefile hands every variable over as it was typed, whatever it holds."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit import cli

ROOT = Path(__file__).parents[2]

HOSTILE = [
    "my photo.png",
    "it's",
    'say "hello"',
    "a;touch pwned",
    "a && touch pwned",
    "a | touch pwned",
    "a\ntouch pwned",
    "$(shell touch pwned)",
    "$(error stop)",
    "$(touch pwned)",
    "`touch pwned`",
    "$HOME",
    "$$HOME",
    "${RUN}",
    "$(RUN)",
    "#comment",
    "50 %",
    "back\\slash",
    "\\",
    "'",
    '"',
    "'; touch pwned; '",
    '"; touch pwned; "',
    "*",
    "~",
    "{a,b}",
    "(a)",
    "<a>",
    "a > pwned",
    "--json",
    "-x",
    "--",
    "!!",
    "a\tb",
    "café ☃",
    "trailing  ",
]
assert len(HOSTILE) == 36


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the Makefile and a `.venv` whose `kit` prints its arguments and does nothing else."""
    folder = tmp_path_factory.mktemp("make")
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    kit = binaries / "kit"
    kit.write_text(
        f"#!{sys.executable} -S\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], [name for name in os.environ if name.startswith('GIVEN_')]]))\n"
    )
    kit.chmod(0o755)
    (folder / ".venv" / ".ready").touch()
    return folder


def make(folder, *words):
    """A `make` as a user types it: one that runs these tests hands its own flags and its level on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, env=kept)


def made(folder, *words):
    done = make(folder, *words)
    assert done.returncode == 0, done.stderr
    words, kept = json.loads(done.stdout)
    assert not kept
    return words


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values(folder, value):
    quoted = "'" + value.replace("'", "'\\''") + "'"
    given = [f"{name}={value}" for name in ("RUN", "INPUT", "TEXT")]
    words = made(folder, "predict", *given, f"SET=output={quoted} n_best=3", f"INPUTS={quoted}")
    expected = [f"--text={value}", f"--output={value}", "--n_best=3", "--", value, value, value]
    assert words == ["predict", *expected]

    named = {"CONFIG": "config", "FOLDER": "folder", "SEED": "seed", "RESUME": "resume", "OUTPUT": "output"}
    named |= {"DATA": "data.source"}
    given = [f"{name}={value}" for name in ("RECIPE", *named)]
    words = made(folder, "train", *given)
    assert words == ["train", value, *(f"--{flag}={value}" for flag in named.values())]
    tuned = made(folder, "tune", *given, f"TRIALS={value}", f"MINUTES={value}")
    assert tuned[:4] == ["tune", value, f"--tune.trials={value}", f"--tune.minutes={value}"]
    assert made(folder, "train", *given, f"MINUTES={value}")[:3] == ["train", value, f"--train.minutes={value}"]
    assert made(folder, "report", f"RUNS=a {quoted}") == ["report", "--", "a", value]
    given = [f"{name}={value}" for name in ("PORT", "HOST")]
    words = made(folder, "serve", *given, f"RUNS=a {quoted}")
    assert words == ["serve", f"--port={value}", f"--host={value}", "--", "a", value]
    assert not (folder / "pwned").exists()
    if value == HOSTILE[0]:
        assert made(folder, "evaluate", f"RUN={value}", "JSON=1", "SET=top_k=3")[1:] == [
            "--json",
            "--top_k=3",
            "--",
            value,
        ]
        done = make(folder, "export", f"RUN={value}", "FORMAT=$(x)")
        assert json.loads(done.stdout)[0] == ["export", "--", value, "$(x)"]
        done = make(folder, "show", f"RECIPE={value}")
        assert json.loads(done.stdout)[0] == ["show", "--", value]


def test_defaults_and_several(folder):
    assert made(folder, "train") == ["train", "image_classification"]
    assert made(folder, "train", "DRY=1", "JSON=1", "SET=a.b=1 c.d=[2,3]") == [
        *("train", "image_classification", "--json", "--dry-run", "--a.b=1", "--c.d=[2,3]")
    ]
    assert made(folder, "predict", "RUN=r", "INPUTS=a.png 'b c.png'") == ["predict", "--", "r", "a.png", "b c.png"]
    assert made(folder, "report", "RUN=r") == ["report", "--", "r"]
    assert made(folder, "serve", "RUN=r") == ["serve", "--", "r"]
    assert made(folder, "serve", "RUNS=a 'b c'", "PORT=0", "SET=timeout=5") == [
        *("serve", "--port=0", "--timeout=5", "--", "a", "b c")
    ]
    assert made(folder, "inspect", "DATA=my photos", "SET=data.test_fraction=0.1") == [
        *("inspect", "--data.source=my photos", "--data.test_fraction=0.1")
    ]
    assert made(folder, "inspect", "DATA=x", "RECIPE=gan", "OUTPUT=o", "JSON=1") == [
        *("inspect", "--recipe=gan", "--output=o", "--json", "--data.source=x")
    ]
    words = made(folder, "explain", "RUN=r", "INPUTS=a.png 'b c.png'", "OUTPUT=$(x)", "SET=steps=8", "JSON=1")
    assert words == ["explain", "--output=$(x)", "--json", "--steps=8", "--", "r", "a.png", "b c.png"]
    assert made(folder, "explain", "RUN=r", "TEXT=a b; c") == ["explain", "--text=a b; c", "--", "r"]
    done = make(folder, "learning-curve", "RUN=$(x)")
    assert json.loads(done.stdout)[0] == ["learning-curve", "--", "$(x)"]


def test_every_verb_has_its_target():
    text = (ROOT / "Makefile").read_text()
    assert set(cli._VERBS) <= set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    assert set(cli._VERBS) <= set(phony)


def test_quotes_without_an_end_are_one_line(folder):
    done = make(folder, "train", "SET=data.source='my photos")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("make: SET: No closing quotation; expected words")
