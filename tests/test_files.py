"""Atomic writes."""

import pytest

from kit import files


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["value.json"]


def test_the_temporary_name_keeps_the_ending(tmp_path):
    with files.atomic(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.write_text("whole")
    assert (tmp_path / "model.keras").read_text() == "whole"
