"""Accessibility as axe-core sees it, for the tests of pages; axe is no part of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

VERSION = "4.14.1"
#: Impacts that a page may not have.
BAD = ("serious", "critical")


def axe() -> Path:
    """Return the script of axe-core: the one that ``AXE_PATH`` names, or the one of npm."""
    named = os.environ.get("AXE_PATH")
    if named:
        return Path(named)
    folder = Path(tempfile.gettempdir()) / f"bayescausal-axe-{os.getuid()}"
    script = folder / f"axe-{VERSION}.min.js"
    if script.exists():
        return script
    if not shutil.which("npm"):
        pytest.skip("no axe-core: set AXE_PATH, or install npm")
    folder.mkdir(exist_ok=True)
    command = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip("axe-core could not be fetched: set AXE_PATH")
    with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as tar:
        member = tar.extractfile("package/axe.min.js")
        assert member is not None
        script.write_bytes(member.read())
    return script


def faults(tab, within: str = "html") -> list[str]:
    """Return what axe finds serious in a part of the page that a tab shows."""
    tab.evaluate(axe().read_text(encoding="utf-8"))
    found = tab.evaluate(f"axe.run(document.querySelector({within!r}))")
    return [
        f"{rule['id']} ({rule['impact']}): {rule['nodes'][0]['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in BAD
    ]
