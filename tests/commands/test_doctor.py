"""`kit doctor` sees what is there, and says what to do about what is not."""

import importlib.metadata
import json
import shutil
import socket

import pytest

from kit.cli import main
from kit.commands import doctor


@pytest.fixture
def offline(monkeypatch):
    def refused(*arguments, **keywords):
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refused)


@pytest.mark.slow
def test_a_healthy_machine(offline, capsys):
    assert main(["doctor", "--json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]}
    assert set(found) == {"Python", "packages", "devices", "disk", "write access", "network", "training"}
    assert found["network"]["state"] == "note"
    assert all(entry["state"] == "ok" for name, entry in found.items() if name != "network"), found


def test_problems_are_named_with_a_remedy(offline, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "training", lambda: doctor.Finding("training", "problem", "broken", "mend it"))
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert "PROBLEM  training: broken\n          mend it" in out
    assert "doctor: mend first: training" in err


def test_packages_that_do_not_belong_together(monkeypatch):
    version = importlib.metadata.version
    other = {"keras": "2.15.0", "tensorflow-cpu": "2.21.0"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: other.get(name) or version(name))
    finding = doctor.packages()
    assert finding.state == "problem"
    assert "keras 2.15.0, expected" in finding.found
    assert "overwrite each other" in finding.found


def test_no_room_and_no_right_to_write(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    assert doctor.disk(tmp_path).state == "problem"
    assert doctor.writing(tmp_path / "absent").state == "problem"
    assert doctor.writing(tmp_path).state == "ok"


def test_training_that_fails_is_a_finding(monkeypatch):
    from kit.runs import run

    def broken(*arguments, **keywords):
        raise RuntimeError("no such\ndevice")

    monkeypatch.setattr(run, "train_with", broken)
    assert doctor.training().found == "no such device"
