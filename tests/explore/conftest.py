"""Drawn cells of two laboratories, measured once for all tests of the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from leukopy.synthesis import draw_cell, random_appearance


def _draw(folder: Path, counts: dict[str, int], look: int | None = None) -> list[str]:
    """Write ``counts`` cells of each class into class folders; returns their paths."""
    appearance = None if look is None else random_appearance(look)
    paths = []
    for code, count in counts.items():
        for number in range(count):
            path = folder / code / f"{code}_{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cell = draw_cell(code, seed=number, appearance=appearance, size=96)
            Image.fromarray(cell.image).save(path)
            paths.append(str(path))
    return paths


@pytest.fixture(scope="session")
def draw_cells() -> Callable[..., list[str]]:
    return _draw


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a cache of its own."""
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
