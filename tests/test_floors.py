"""The plan of the house, read from the imports: they go down the floors, and each SDK comes in by its own doors."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {"core": 0, "retrieval": 1, "generation": 1, "ingest": 1, "tuning": 2, "evals": 2, "api": 3}
DOORS = {
    "llama_index": ("ingest/parse.py", "ingest/chunk.py", "retrieval/llama.py"),
    "qdrant_edge": ("retrieval/index/edge.py", "retrieval/sparse.py"),
    "qdrant_client": ("retrieval/index/server.py",),
    "anthropic": ("generation/tiers/anthropic.py",),
    "sentence_transformers": ("retrieval/embedder.py", "retrieval/export.py", "tuning/"),
    "fastapi": ("api/",),
}
FILES = sorted(path.relative_to(ROOT) for package in FLOORS for path in (ROOT / package).rglob("*.py"))
each_file = pytest.mark.parametrize("file", FILES, ids=str)


@each_file
def test_imports_go_down(file: Path) -> None:
    own = file.parts[0]
    for package in imported_packages(file):
        if package in FLOORS and package != own:
            assert FLOORS[package] < FLOORS[own], f"{file} imports {package}, which is not below {own}"


@each_file
def test_sdk_comes_in_by_its_door(file: Path) -> None:
    for package in imported_packages(file) & set(DOORS):
        assert file.as_posix().startswith(DOORS[package]), f"{file} imports {package}; its doors are {DOORS[package]}"


@each_file
def test_scope_is_made_by_authentication_alone(file: Path) -> None:
    assert file == Path("api/auth.py") or "Scope" not in called(ast.walk(parsed(file))), f"{file} makes a Scope"


@each_file
def test_nothing_happens_at_import(file: Path) -> None:
    """No statement stands alone at the top of a module: there are definitions, imports, guards and docstrings only."""
    statements = (node.value for node in parsed(file).body if isinstance(node, ast.Expr))
    assert set(called(statements)) <= set(declared_at_import(file)), f"{file} acts when it is imported"


def declared_at_import(file: Path) -> tuple[str, ...]:
    """Calls that declare: a table's index belongs to its schema, a face's routes and commands to its app."""
    return {"core": ("Index",), "api": ("include_router", "add_typer", "mount", "command")}.get(file.parts[0], ())


def imported_packages(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(file.parts[0] if node.level else node.module.partition(".")[0])
    return found


def parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def called(nodes: Iterable[ast.AST]) -> list[str]:
    """`f` for every node that is `f(...)` or `a.f(...)`."""
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    return [str(getattr(function, "attr", None) or getattr(function, "id", "")) for function in functions]
