"""The package as a whole: its rooms, its imports, its public names, its declared dependencies."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import bayescausal

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bayescausal"


# ------------------------------------------------------------------------------- rooms


def rooms() -> dict[str, tuple[int, set[str]]]:
    """Read the first table of ARCHITECTURE.md: room -> level, what it may import."""
    found = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| (\d+) \| .+ \|(.*)\|", line)
        if row:
            allowed = {name.strip() for name in row[3].split(",") if name.strip()}
            found[row[1]] = (int(row[2]), allowed)
    return found


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def imports_of(path: Path) -> set[str]:
    """Return the dotted names a file imports anywhere, in functions and for type checkers too."""
    names = set()
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], base]).rstrip(".")
            if base == "bayescausal":
                names |= {f"{base}.{alias.name}" for alias in node.names}
            else:
                names.add(base)
    return names


def in_tree() -> set[str]:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    return folders | {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("_")}


def test_architecture_lists_the_rooms_that_exist():
    assert set(rooms()) == in_tree()


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_only_rooms_with_a_smaller_number(room):
    levels = {name: level for name, (level, _) in rooms().items()}
    for path in files_of(room):
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] != "bayescausal" or len(parts) == 1:
                continue
            other = parts[1]
            if other in levels and other != room:
                where = f"{path.relative_to(ROOT)} imports {name}"
                assert levels[other] < levels[room], where


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_from_outside_only_what_it_may(room):
    allowed = rooms()[room][1]
    for path in files_of(room):
        outside = {name.split(".")[0] for name in imports_of(path)} - sys.stdlib_module_names
        outside = {"arviz" if name.startswith("arviz_") else name for name in outside}
        extra = outside - allowed - {"bayescausal", ""}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}"


def test_the_import_reader_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "bayescausal" / "graph" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import os.path\nfrom ..model import structure\nfrom . import b\n"
        "from bayescausal import effects\ndef f():\n    import pymc as pm\n"
    )
    assert imports_of(path) == {
        "os.path",
        "bayescausal.model",
        "bayescausal.graph",
        "bayescausal.effects",
        "pymc",
    }


# ---------------------------------------------------------------------- cost of imports


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after running code."""
    script = (
        f"{code}\nimport sys\nprint(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split("\n")[-2].split())


HEAVY = {"pymc", "pytensor", "numba", "arviz", "arviz_stats", "matplotlib", "scipy"}


@pytest.mark.parametrize(
    "code",
    [
        "import bayescausal",
        "import bayescausal as bc; bc.Set(1), bc.Policy(lambda x: x), bc.BayesCausalError",
        "import bayescausal.graph",
        "from bayescausal.graph import parse_graph; parse_graph('Z -> X -> Y; X <-> Y')",
        "import bayescausal.draws",
        "from bayescausal.effects.estimands import ATE; ATE('x', 'y').describe()",
    ],
)
def test_light_names_cost_no_heavy_import(code):
    numeric = "draws" in code or "effects" in code  # these need numpy's wider family
    heavy = {"pymc", "pytensor"} if numeric else HEAVY
    assert not heavy & modules_after(code)


def test_intervals_load_no_arviz():
    """An interval takes NumPy alone: ArviZ takes a second to load."""
    heavy = {"matplotlib", "arviz", "arviz_plots", "arviz_stats", "pymc"}
    used = modules_after("from bayescausal.draws.intervals import hdi; hdi([1.0, 2.0, 4.0])")
    assert not heavy & used


@pytest.mark.slow
def test_a_first_answer_loads_no_compiler():
    used = modules_after(
        """
import numpy as np, pymc as pm, bayescausal as bc
with pm.Model(coords={"unit": [0]}) as model:
    x = pm.Normal("x", 0, 1, dims="unit")
    t = pm.Bernoulli("t", logit_p=pm.Normal("a") * x, dims="unit")
    y = pm.Normal("y", pm.Normal("b") * t + pm.Normal("c") * x, pm.HalfNormal("s"), dims="unit")
rng = np.random.default_rng(1)
x = rng.normal(size=80)
data = {"x": x, "t": rng.integers(0, 2, 80), "y": x + rng.normal(size=80)}
fit = bc.fit(model, data, seed=1, progressbar=False)
print(bc.estimate(fit, bc.ATE("t", "y")))
"""
    )
    assert not {"matplotlib", "arviz_stats", "nutpie"} & used
    if "dask" not in used:  # where it is installed xarray loads it, and it loads numba
        assert "numba" not in used


def test_the_import_probe_sees_pymc():
    assert "pymc" in modules_after("import pymc")


# ------------------------------------------------------------------------- public names


def test_public_names_exist_and_dir_lists_them():
    assert len(set(bayescausal.__all__)) == len(bayescausal.__all__)
    for name in bayescausal.__all__:
        assert getattr(bayescausal, name) is not None
        assert name in dir(bayescausal)


def test_no_room_hides_a_public_name():
    """A module that is imported becomes an attribute of the package: no verb may have its name."""
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir()} | {
        p.stem for p in PACKAGE.glob("*.py")
    }
    verbs = {n for n in bayescausal.__all__ if not inspect.ismodule(getattr(bayescausal, n))}
    assert not rooms & verbs


@pytest.mark.parametrize("name", sorted(bayescausal.__all__))
def test_public_names_have_docstrings_with_an_example(name):
    value = getattr(bayescausal, name)
    if inspect.ismodule(value):
        assert value.__doc__
        return
    text = inspect.getdoc(value) or ""
    assert text.split("\n")[0].endswith((".", "?")), f"{name}: the first line is not a sentence"
    if inspect.isfunction(value):
        assert ">>>" in text, f"{name} has no example"
        parameters = [p for p in inspect.signature(value).parameters if not p.startswith("_")]
        section = text.partition("Parameters\n")[2]
        for parameter in parameters:
            assert re.search(rf"^\W*(\w+, )*{parameter}\b", section, re.MULTILINE), (
                f"{name}: parameter {parameter} is not described"
            )
        assert not parameters or "Returns\n" in text or "Yields\n" in text, f"{name}: no Returns"


@pytest.mark.parametrize("room", ["designs", "estimators"])
def test_no_file_of_a_room_hides_one_of_its_names(room):
    """A submodule that is imported, by whomever, becomes an attribute of its package."""
    held = getattr(bayescausal, room)
    files = {p.stem for p in (PACKAGE / room).iterdir() if p.name != "__pycache__"}
    assert not files & set(held.__all__)
    assert all(callable(getattr(held, name)) for name in held.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        bayescausal.no_such_name  # noqa: B018


# ------------------------------------------------------------------------- packaging


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_environment_yml_equals_pyproject():
    declared = pyproject()
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    [pip] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    project = declared["project"]
    wanted = [*project["dependencies"], *declared["dependency-groups"]["test"], "-e ."]
    assert sorted(pip) == sorted(wanted)
    assert conda == [f"python{project['requires-python']}", "pip"]
    assert environment["name"] == project["name"]


def test_versions_agree():
    version = pyproject()["project"]["version"]
    assert bayescausal.__version__ == version
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    assert citation["license"] == pyproject()["project"]["license"]
    assert re.search(rf"^## {re.escape(version)} ", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_licence_is_the_one_declared():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_target_of_the_makefile_is_in_its_help():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", text, re.M))
    helped = set(re.findall(r"^([a-z]+):.*## ", text, re.M))
    phony = set(text.partition(".PHONY:")[2].split("\n")[0].split())
    assert targets == helped == phony


def test_ci_runs_the_test_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    for part in ("run ruff check .", "run ruff format --check .", "run mypy", "run pytest\n"):
        assert part in text
    assert "uv run pytest" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_recipe_and_the_pages_of_the_index_follow_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == project["project"]["version"]
    renamed = {"matplotlib": "matplotlib-base"}

    def bare(text: str) -> str:
        return re.match(r"[\w-]+", text)[0]

    wanted = {renamed.get(bare(d), bare(d)) for d in project["project"]["dependencies"]}
    run = [text for text in recipe["requirements"]["run"] if bare(text) != "python"]
    assert {bare(text) for text in run} - {"nutpie", "h5netcdf"} == wanted
    for text in run:  # the same bounds, but for what pip writes as an extra
        name = bare(text)
        for given in project["project"]["dependencies"]:
            if renamed.get(bare(given), bare(given)) == name:
                assert (
                    re.sub(r"\[.*\]", "", given).removeprefix(bare(given))
                    == text[len(name) :].strip()
                )


def test_pictures_and_links_of_the_readme_survive_on_an_index_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    relative = r"\]\((?!https://)([^)#]+)\)"
    assert all((ROOT / path).exists() for path in re.findall(relative, text))
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert not re.findall(relative, text)
    assert "](https://raw.githubusercontent.com/" in text
