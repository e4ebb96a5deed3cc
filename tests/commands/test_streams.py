"""What the command line prints: encodings that lack characters, closed and full streams, controls of the terminal."""

import io
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from kit import cli, files, terminal
from kit.errors import KitError, SettingError
from kit.files import atomic, write_text

# Runs a command of the kit whose verb is replaced, so that none of what makes it slow is needed.
_STUB = """
import sys, types
from kit import cli
module = types.ModuleType("kit.commands.doctor")
def run(options, overrides):
    print("caf\\u00e9 \\u2603 \\udce9")
    return {"text": "caf\\u00e9 \\u2603"}
module.run = run
sys.modules["kit.commands.doctor"] = module
cli._NEED_TENSORFLOW = ()
sys.exit(cli.main())
"""


def command(*words, stub=_STUB, **more):
    environment = os.environ | more.pop("env", {})
    return subprocess.run([sys.executable, "-c", stub, *words], env=environment, **more)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_spelled_out(encoding):
    done = command("doctor", "--json", env={"PYTHONIOENCODING": encoding}, capture_output=True)
    assert done.returncode == 0 and not done.stderr
    text, last = done.stdout.decode(encoding).splitlines()
    assert text.startswith("caf") and "\\udce9" in text
    assert json.loads(last) == {"text": "café ☃"}


def test_closed_streams():
    for words in (["doctor"], ["doctor", "--json"], ["no-such-verb"]):
        shell = f"{sys.executable} -c '{_STUB}' {' '.join(words)}"
        status = 2 if words == ["no-such-verb"] else 0
        assert subprocess.run(f"{shell} >&-", shell=True, stderr=subprocess.DEVNULL).returncode == status
        assert subprocess.run(f"{shell} 2>&-", shell=True, stdout=subprocess.DEVNULL).returncode == status
        assert subprocess.run(f"{shell} >&- 2>&-", shell=True).returncode == status


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full, a full disk that needs no disk")
@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"], ["list", "--json"]])
def test_a_full_or_abandoned_output_is_one_line(words):
    with open("/dev/full", "w") as full:
        done = command(*words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "kit: standard output: No space left on device\n"
    with open("/dev/full", "w") as full:
        assert command("no-such-verb", stdout=subprocess.DEVNULL, stderr=full).returncode == 2
    reading, writing = os.pipe()
    os.close(reading)
    done = command(*words, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_tensorflow_loads_with_standard_error_closed():
    script = "import os; os.close(2); from kit import terminal\nwith terminal.native_noise_hidden(): print('inside')"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "inside\n"


def test_controls_are_spelled_out(capsys, monkeypatch):
    hostile = "\x1b]0;x\x07 \u202egnp \x9b1m \r\ttab"
    assert terminal.printable(hostile) == "\\x1b]0;x\\x07 \\u202egnp \\x9b1m \\r\ttab"
    assert terminal.printable("Düsseldorf\n☃") == "Düsseldorf\n☃"
    frame = terminal.printable_frame(pd.DataFrame({"class": [hostile, "b"], "p(\x1b)": [0.5, 0.25], "n": [1, 2]}))
    assert list(frame.columns) == ["class", "p(\\x1b)", "n"]
    assert "\x1b" not in frame.to_string() and frame["n"].tolist() == [1, 2]

    def run(*_):
        raise SettingError("data.source", f"no file {hostile!s}\nsecond line")

    monkeypatch.setattr("kit.commands.catalogue.run_list", run)
    assert cli.main(["list"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "\x1b" not in error and "\\nsecond line" in error
    with terminal.log_shown():
        terminal.log.info("name %s", hostile)
    assert "\x1b" not in capsys.readouterr().out


def test_colours_of_libraries_are_left_out_of_mistakes():
    assert str(SettingError("backbone", "a layer says \x1b[1mInput 0\x1b[0m")) == "backbone: a layer says Input 0"
    assert str(KitError("\x1b[38;5;196mred")) == "red"


def test_messages_name_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "page.html"):
        with pytest.raises(OSError) as raised:
            write_text(path, "text")
        assert raised.value.filename == str(path) and files._TEMPORARY not in str(raised.value)
    with pytest.raises(OSError) as raised, atomic(tmp_path / "page.html") as temporary:
        raise PermissionError(30, "Read-only file system", str(temporary))
    assert raised.value.filename == str(tmp_path / "page.html")
    assert not list(tmp_path.glob(f"{files._TEMPORARY}*")) and not (tmp_path / "page.html").exists()


def test_names_that_are_not_utf_8(tmp_path):
    with pytest.raises(KitError, match=r"splits.csv: cannot be written as UTF-8.*caf\\udce9"):
        write_text(tmp_path / "splits.csv", "caf\udce9")
    write_text(tmp_path / "report.html", "caf\udce9", errors="backslashreplace")
    assert (tmp_path / "report.html").read_text() == "caf\\udce9"
    assert not list(tmp_path.glob(".*"))


def test_a_log_that_lacks_characters_goes_on(tmp_path, monkeypatch):
    from kit.runs import folder

    with folder.logged(tmp_path):
        folder.log.info("caf\udce9 \x1b[1m")
    assert "caf\\udce9 \\x1b[1m" in (tmp_path / "run.log").read_text()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    terminal.make_streams_safe()
    with terminal.log_shown():
        terminal.log.info("☃")
    assert sys.stdout.buffer.getvalue() == b"\\u2603\n"


def test_own_process_leaves_out_what_keras_imports_for_others():
    script = (
        "import sys; from kit import terminal; terminal.own_process(); terminal.load_tensorflow(); import keras;"
        "print([name for name in ('sklearn', 'matplotlib', 'jax') if name in sys.modules]);"
        "import sklearn.base, matplotlib.pyplot; print(sys.meta_path[0].__class__.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "[]" and "_NotFound" not in done.stdout, done.stderr
