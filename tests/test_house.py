"""The house in numbers: budgets that only shrink (``budgets.toml``).

Every import counts, those inside functions too; imports for type checkers alone do not make a
circle. A budget may be no larger than needed by more than its slack, so that it follows the code
down.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bayescausal"
BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text(encoding="utf-8"))
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def imports(tree: ast.Module, names: set[str]) -> list[tuple[str, bool]]:
    """Return the modules of the package that a file imports, and whether inside a function."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.ImportFrom) and not child.level:
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    found.append((full if full in names else str(child.module), inside))
            elif isinstance(child, ast.Import):
                found.extend((alias.name, inside) for alias in child.names)
            visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    visit(tree, False)
    return [(name, inside) for name, inside in found if name in names]


def circles(edges: list[tuple[str, str]]) -> list[list[str]]:
    graph = nx.DiGraph(edges)
    return sorted(sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1)


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of code of a function, its docstring and signature left out."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return int(body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def files_in_circles() -> int:
    names = set(MODULES) - {"bayescausal"}
    edges = [
        (module, name)
        for module, path in MODULES.items()
        for name, _ in imports(tree_of(path), names)
        if module != name
    ]
    return sum(map(len, circles(edges)))


def test_a_circle_is_seen_inside_functions_too(tmp_path):
    one = ast.parse("from bayescausal.b import x\n")
    two = ast.parse("def f():\n    from bayescausal.a import y\n")
    three = ast.parse(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bayescausal.a\n"
    )
    names = {"bayescausal.a", "bayescausal.b", "bayescausal.c"}
    edges = [
        (module, name)
        for module, tree in zip(sorted(names), (one, two, three), strict=True)
        for name, _ in imports(tree, names)
    ]
    assert circles(edges) == [["bayescausal.a", "bayescausal.b"]]


@pytest.mark.parametrize("name", sorted(BUDGETS["total"]))
def test_totals_are_within_their_budget(name):
    budget = BUDGETS["total"][name]
    spent = {
        "lines": lambda: sum(map(lines_of, FILES)),
        "imports_inside_functions": lambda: sum(
            inside
            for path in FILES
            for _, inside in imports(tree_of(path), set(MODULES) - {"bayescausal"})
        ),
        "files_in_circles": files_in_circles,
        "bare_any": lambda: sum(bare for path in FILES for bare in annotations(tree_of(path))),
    }[name]()
    assert spent <= budget, f"{name}: {spent:,} of {budget:,}"
    slack = BUDGETS["slack"][name]
    assert spent >= budget - slack, f"{name}: {spent:,}: lower the budget of {budget:,}"


def annotations(tree: ast.Module) -> list[bool]:
    """Return, for every annotation of a signature, whether it is `Any` alone."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            given = [*(a.annotation for a in arguments), node.returns]
            found += [isinstance(a, ast.Name) and a.id == "Any" for a in given if a is not None]
    return found


def test_files_are_short():
    limit, known = BUDGETS["file"]["lines"], BUDGETS["file"]["longer"]
    over = {
        str(path.relative_to(PACKAGE)): lines_of(path) for path in FILES if lines_of(path) > limit
    }
    assert {k: v for k, v in over.items() if v > known.get(k, limit)} == {}
    assert set(known) <= set(over), "a file got shorter: take it off the list"


def test_functions_are_short():
    limit, known = BUDGETS["function"]["lines"], BUDGETS["function"]["longer"]
    over = {
        f"{path.relative_to(PACKAGE)}:{node.name}": function_lines(node)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > limit
    }
    assert {k: v for k, v in over.items() if v > known.get(k, limit)} == {}
    assert set(known) <= set(over), "a function got shorter: take it off the list"


def test_folders_are_small():
    limit, known = BUDGETS["folder"]["files"], BUDGETS["folder"]["larger"]
    counted = Counter(str(p.parent.relative_to(PACKAGE)) for p in FILES if p.stem != "__init__")
    over = {folder: count for folder, count in counted.items() if count > limit}
    assert {k: v for k, v in over.items() if v > known.get(k, limit)} == {}
    assert set(known) <= set(over), "a folder got smaller: take it off the list"


def test_file_names_stand_once_in_a_room():
    for room in (p for p in PACKAGE.iterdir() if p.is_dir()):
        names = Counter(p.stem for p in room.rglob("*.py") if p.stem != "__init__")
        twice = sorted(name for name, count in names.items() if count > 1)
        assert twice == BUDGETS["names"]["twice"].get(room.name, []), room.name


def test_nobody_asks_what_class_a_question_is():
    """A question says what it means: outside its own files its class is not asked for."""
    room = PACKAGE / "effects" / "estimands"
    questions = {
        node.name
        for path in room.glob("*.py")
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
        and any("kind: ClassVar" in ast.unparse(n) for n in node.body)
    } - {"Estimand"}
    assert {"ATE", "CDE", "PN", "ATO"} <= questions
    asked = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        if path.parent != room
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "issubclass")
        and questions & {getattr(n, "attr", getattr(n, "id", "")) for n in ast.walk(node.args[1])}
    ]
    assert asked == []
