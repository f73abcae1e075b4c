"""The house in numbers: no circle of files, small files and functions, no names that language has left behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from leukopy.taxonomy import COARSE, FINE

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "leukopy").rglob("*.py"))
TEXTS = [
    *SOURCES,
    *(path for path in sorted((ROOT / "src" / "leukopy").rglob("*")) if path.suffix in (".j2", ".js", ".html")),
]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
"""Lines of code: without blank lines, comments and docstrings."""

_GONE = {
    "class8", "class11", "set11", "confidence11", "accuracy8", "accuracy11", "right8", "right11", "f1_8", "f1_11",
    "strangeness", "OwnClasses", "find_classes", "SlideLook", "measure_looks", "Familiar", "found_again",
    "available_cores", "BagNet", "PictureBag", "said_from", "said_right", "Tongue",
}  # fmt: skip
"""Old names of columns, functions and classes."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, modules: set[str]) -> Iterator[str]:
    """The modules of leukopy that a file imports, wherever in it, for types too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from (name for name in (whole if whole in modules else node.module,) if name in modules)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules that import one another in a circle."""
    names = sorted(graph)
    number = {name: index for index, name in enumerate(names)}
    edges = np.array([(number[a], number[b]) for a in graph for b in graph[a] if a != b], dtype=int).reshape(-1, 2)
    matrix = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(names), len(names)))
    count, label = connected_components(matrix, directed=True, connection="strong")
    found = [[name for name, part in zip(names, label, strict=True) if part == one] for one in range(count)]
    return [part for part in found if len(part) > 1]


def code_lines(node: ast.AST, text: str) -> int:
    """Lines of a file or function that hold code."""
    if isinstance(node, ast.Module):
        first, last = 1, len(text.splitlines())
    else:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        first, last = node.lineno, node.end_lineno or node.lineno
    prose = {
        line
        for each in ast.walk(node)
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }
    lines = enumerate(text.splitlines()[first - 1 : last], start=first)
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") and row not in prose for row, line in lines)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "d"}, "e": set[str]()}
    assert circles(graph) == [["a", "b", "c"]]


def test_code_is_counted_without_prose() -> None:
    text = '"""A file."""\n\n# A remark.\ndef f() -> int:\n    """One.\n\n    More.\n    """\n    return 1  # one\n'
    parsed = ast.parse(text)
    assert code_lines(parsed, text) == code_lines(parsed.body[1], text) == 2


def test_no_files_import_one_another_in_a_circle() -> None:
    """A folder's ``__init__`` only re-exports: a file may import it and be re-exported by another folder's."""
    modules = {module(path) for path in SOURCES}
    assert circles({module(path): set(imported(path, modules)) for path in SOURCES}) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert code_lines(tree(path), text) <= MAX_FILE_LINES
    functions = [each for each in ast.walk(tree(path)) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {each.name: lines for each in functions if (lines := code_lines(each, text)) > MAX_FUNCTION_LINES}
    assert not long


def test_the_size_of_the_taxonomy_is_nowhere_a_literal() -> None:
    words = {8: "8|eight", 11: "11|eleven"}
    size = "|".join(words.get(len(level), str(len(level))) for level in (COARSE, FINE))
    shapes = rf"\([NM], ({size})\b|\(({size}), D\b"
    literal = re.compile(rf"\b({size}) (of the )?((fine|coarse) )?classes\b|\b({size}) (fine|coarse)\b|{shapes}")
    found = {
        f"{path.relative_to(ROOT)}:{row}: {line.strip()}"
        for path in TEXTS
        for row, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if literal.search(line)
    }
    assert not found


def test_no_file_is_named_after_nothing() -> None:
    assert not {path.stem for path in SOURCES} & {"utils", "util", "helpers", "helper", "common", "misc"}


def test_names_of_the_past_are_gone() -> None:
    found = {
        (str(path.relative_to(ROOT)), word)
        for path in TEXTS
        for word in set(re.findall(r"\w+", path.read_text("utf-8"))) & _GONE
        if "migrations" not in path.parts  # they name the columns of older databases
    }
    assert not found
