"""Class folders of drawn cells, and where trainings find them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.drawn import draw_classes


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of drawn cells: 10 each of three classes and of one known only at the coarse level."""
    root = tmp_path_factory.mktemp("data")
    draw_classes(root / "lab", dict.fromkeys(("LY", "EO", "PLT", "NEU"), 10), size=80)
    return root


@pytest.fixture
def places(laboratory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data and cache of a training."""
    monkeypatch.setenv("LEUKOPY_DATA", str(laboratory))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
