"""The table of the station's faults names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_each_fault_names_tests_that_there_are() -> None:
    text = (REPOSITORY / "docs" / "station-faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*(\d)\..*?\| (.*) \|$", text, re.MULTILINE)
    assert [number for number, _ in rows] == list("12345678")
    for _, tests in rows:
        for path, names in re.findall(r"`(tests/[\w/]+\.py)`: ([^;]+)", tests):
            tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
            known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            named = set(re.findall(r"`(test_\w+)`", names))
            assert named
            assert named <= known, path
