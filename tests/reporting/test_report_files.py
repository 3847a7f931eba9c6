"""A file is whole or not there."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest

from bayescausal.reporting import files
from bayescausal.reporting.files import write_json, write_text


def test_text_is_written_and_replaced(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "one µ")
    write_text(target, "two µ")
    assert target.read_text(encoding="utf-8") == "two µ"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_are_those_of_a_plain_file(tmp_path):
    plain, target = tmp_path / "plain", tmp_path / "target"
    plain.write_text("")
    write_text(target, "")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail(*_args):
        raise OSError("disk gone")

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OSError, match="disk gone"):
        write_text(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_has_plain_values(tmp_path):
    target = tmp_path / "a.json"
    value = {
        "array": np.arange(3),
        "number": np.float64(0.5),
        "whole": np.int64(3),
        "none": None,
        "nan": float("nan"),
        "inf": np.inf,
        "deep": [{"x": (1, True)}],
        1: "key",
    }
    write_json(target, value)
    assert json.loads(target.read_text()) == {
        "array": [0, 1, 2],
        "number": 0.5,
        "whole": 3,
        "none": None,
        "nan": None,
        "inf": None,
        "deep": [{"x": [1, True]}],
        "1": "key",
    }
