"""Where the files of the repository lie, and the real images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "configs"

DOCUMENTS = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
"""The pages that people read; the changelog names what is gone, and is no such page."""


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; the test is skipped where it is absent."""
    root = Path(os.environ.get("LEUKOPY_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "cells").is_dir():
        pytest.skip(f"the real images are not at {root}; set LEUKOPY_DATA to where they lie")
    return root
