"""Folders of drawn cells."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from leukopy.synthesis import Appearance, draw_cell


def draw_classes(root: Path, counts: dict[str, int], *, size: int = 96, appearance: Appearance | None = None) -> Path:
    """Class folders of so many drawn cells below ``root``; NEU: cells that are labelled only neutrophil."""
    for code, count in counts.items():
        (root / code).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            cell = draw_cell("SNE" if code == "NEU" else code, seed=number, size=size, appearance=appearance)
            Image.fromarray(cell.image).save(root / code / f"{number}.png")
    return root
