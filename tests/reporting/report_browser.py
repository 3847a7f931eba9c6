"""A real browser for the tests of a page, where there is one."""

from __future__ import annotations

import os
import shutil

import pytest


def chromium() -> str:
    """Return the path of a browser, or skip the test with the reason."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("CHROMIUM_PATH") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not found:
        pytest.skip("no chromium: set CHROMIUM_PATH, or install it")
    return found
