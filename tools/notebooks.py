"""Write each script of ``examples/`` as a notebook beside it: ``make notebooks``. Cells begin with ``# %%``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def notebook(script: str) -> str:
    """The notebook of a script, without outputs."""
    content = {
        "cells": [_cell(number, *part) for number, part in enumerate(_parts(script))],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _parts(script: str) -> list[tuple[bool, str]]:
    """Whether each part is prose, and its text."""
    found = re.split(r"^# %%( \[markdown\])?\n", script, flags=re.M)[1:]
    return [(bool(prose), text.strip("\n")) for prose, text in zip(found[::2], found[1::2], strict=True)]


def _cell(number: int, prose: bool, text: str) -> dict[str, Any]:
    lines = re.sub(r"^# ?", "", text, flags=re.M) if prose else text
    cell: dict[str, Any] = {"cell_type": "markdown" if prose else "code", "id": f"cell-{number}", "metadata": {}}
    if not prose:
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": lines.splitlines(keepends=True)}


if __name__ == "__main__":
    for path in sorted(EXAMPLES.glob("*.py")):
        path.with_suffix(".ipynb").write_text(notebook(path.read_text("utf-8")), "utf-8")
