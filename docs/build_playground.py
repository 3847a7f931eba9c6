"""The playground of the built site: the editor, the graph room of the package, and Pyodide.

Called when the pages have been built, and by the tests. What is large is not kept in git: Pyodide
is fetched by npm at the first build and kept in a folder for the next; networkx and lazy_loader are
those that are installed. Where Pyodide cannot be had the page says why, and the build goes on.

``PYODIDE`` names an archive (``pyodide-*.tgz``, as ``npm pack pyodide`` makes it) to be taken
instead, on a machine without a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

__all__ = ["write_playground"]

VERSION = "314.0.7"
#: What a page needs of the npm package.
NEEDED = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
#: The rooms that run in the page.
ROOMS = ("__init__.py", "__init__.pyi", "types.py", "annotations.py", "graph/**/*.py")
LIBRARIES = ("networkx", "lazy_loader")


def write_playground(target: Path, root: Path, cache: Path) -> str:
    """Write everything that the page loads; return why it will not run, or nothing.

    ``target``: the folder of the page in the site.
    ``root``: of the repository.
    ``cache``: where the archive of Pyodide is kept between builds.
    """
    target.mkdir(parents=True, exist_ok=True)
    write_editor(target, root)
    for name in ("page.js", "worker.js"):
        shutil.copyfile(root / "docs" / "playground" / name, target / name)
    write_packages(target / "packages.zip", root)
    reason = ""
    try:
        unpack(archive(cache), target / "pyodide")
    except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError) as error:
        reason = f"Pyodide was not to be had when these pages were built ({short(error)})"
    built = {"pyodide": None if reason else VERSION, "reason": reason}
    (target / "playground.json").write_text(json.dumps(built), encoding="utf-8")
    return reason


def write_editor(target: Path, root: Path) -> None:
    """Write the editor as one module, with its looks."""
    import sys

    sys.path.insert(0, str(root))
    try:
        from bayescausal.reporting.editor.sources import editor_css, editor_js
    finally:
        sys.path.pop(0)
    (target / "editor.js").write_text(editor_js(), encoding="utf-8")
    (target / "editor.css").write_text(editor_css(), encoding="utf-8")


def write_packages(path: Path, root: Path) -> None:
    """Write what Python imports in the page as one archive; the same bytes for the same files."""
    package = root / "bayescausal"
    files = {p: p.relative_to(root) for pattern in ROOMS for p in package.glob(pattern)}
    for name in LIBRARIES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent
        files |= {
            p: p.relative_to(folder.parent)
            for p in folder.rglob("*.py")
            if "tests" not in p.relative_to(folder).parts
        }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source, name in sorted(files.items(), key=lambda pair: pair[1].as_posix()):
            entry = zipfile.ZipInfo(name.as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, source.read_bytes())


def archive(cache: Path) -> Path:
    """Return the archive of Pyodide: the one that is named, the one that is kept, or a new one."""
    named = os.environ.get("PYODIDE")
    if named:
        return Path(named)
    kept = cache / f"pyodide-{VERSION}.tgz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "pack", "--silent", f"pyodide@{VERSION}"],
            cwd=cache,
            check=True,
            capture_output=True,
            timeout=300,
        )
    return kept


def unpack(archive: Path, target: Path) -> None:
    """Take what a page needs out of the npm package."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in NEEDED:
            member = tar.extractfile(f"package/{name}")
            if member is None:
                raise KeyError(name)
            (target / name).write_bytes(member.read())


def short(error: Exception) -> str:
    """Return the first line of what went wrong, without paths."""
    if isinstance(error, FileNotFoundError) and error.filename == "npm":
        return "there is no npm"
    return type(error).__name__
