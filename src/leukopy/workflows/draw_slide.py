"""Draw a whole slide as a pyramidal, tiled TIFF with its truth."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.draw import ADULT_MIX, class_weights, write_table

if TYPE_CHECKING:
    from leukopy.synthesis import WholeSlide

SLIDE_FILE, OBJECTS_FILE, ZONES_FILE = "slide.tif", "objects.csv", "zones.csv"

OBJECT_COLUMNS = (
    "kind", "class", "left", "top", "width", "height", "diameter_um", "cut", "overlapping", "visible",
)  # fmt: skip
ZONE_COLUMNS = ("zone", "left", "top", "width", "height")

Pixels = Annotated[int, Field(ge=1, le=100_000)]


class DrawSlideSettings(Settings):
    """Settings of `draw slide`."""

    width: Pixels = 12_288
    """Width in pixels, rounded up to whole blocks of 1,024; at least 5 of them."""
    height: Pixels = 8_192
    """Height in pixels, rounded up to whole blocks of 1,024; at least 3 of them."""
    um_per_px: float = Field(default=0.25, ge=0.08, le=0.5)
    """Micrometres per pixel."""
    leukocytes: float = Field(default=4, ge=0, le=50)
    """Leukocytes per 1,000 red cells."""
    mix: dict[str, float] = Field(default_factory=ADULT_MIX.copy)
    """Weight of each class among the leukocytes, by its code."""
    variants: int = Field(default=4, ge=1, le=64)
    """Different blocks of each zone; they repeat over the slide."""
    appearance: Literal["pbc", "random"] = "pbc"
    """Laboratory: PBC Barcelona, or one at random (by the seed)."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same slide."""


@dataclass(frozen=True)
class DrawSlideResult:
    """The drawn slide and its truth."""

    slide: Path
    truth: Path
    width: int
    """Pixels."""
    height: int
    objects: dict[str, int]
    """Kind of object -> number on the slide."""
    blocks: int
    """Different blocks drawn."""


def draw_slide(
    settings: DrawSlideSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> DrawSlideResult:
    """Draw a slide into ``out``.

    The slide has a thick zone, a monolayer and a thin zone from left to right, and empty glass around. Blocks of 1,024
    pixels are drawn and repeat over the slide; red cells cross the borders of blocks. Written: ``slide.tif``, a tiled,
    pyramidal TIFF with the micrometres per pixel in its resolution tags, lossless; ``objects.csv``, one row per
    leukocyte, red cell, platelet and clump with its box in pixels of the full resolution; ``zones.csv``; ``run.json``.
    Memory depends on the different blocks and not on the size of the slide.

    Args:
        settings: what to draw.
        out: the folder of the slide and its truth.
        overwrite: overwrite the results in ``out``.
        progress: reports the rows of blocks listed, then the tiles written.

    Raises:
        SettingsError: ``mix`` names no fine class or weighs nothing.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    class_weights(settings.mix | {"PLT": 0})
    run = record("draw slide", settings)
    begin(out, run, overwrite=overwrite)
    slide = _plan(settings)
    objects = _write_truth(slide, out / OBJECTS_FILE, progress)
    write_table(out / ZONES_FILE, ZONE_COLUMNS, [tuple(area) for area in slide.zones()])
    _write_tiff(slide, settings.um_per_px, out / SLIDE_FILE, progress)
    finish(out, run, objects=objects, blocks=len(slide.drawn), width=slide.width, height=slide.height)
    return DrawSlideResult(out / SLIDE_FILE, out / OBJECTS_FILE, slide.width, slide.height, objects, len(slide.drawn))


def _plan(settings: DrawSlideSettings) -> WholeSlide:
    from leukopy.synthesis import PBC_LIKE, BlockPainter, WholeSlide, random_appearance, slide_scenes
    from leukopy.synthesis.blocks import BLOCK_PX

    look = PBC_LIKE if settings.appearance == "pbc" else random_appearance(settings.seed)
    look = look.model_copy(update={"um_per_px": settings.um_per_px, "gradient": 0.0})  # a scanner evens the light
    painter = BlockPainter(slide_scenes(), look, settings.mix, settings.leukocytes, settings.seed)
    rows, columns = max(-(-settings.height // BLOCK_PX), 3), max(-(-settings.width // BLOCK_PX), 5)
    return WholeSlide(painter, rows, columns, settings.variants)


def _write_truth(slide: WholeSlide, path: Path, progress: Progress) -> dict[str, int]:
    """Write the table row of blocks by row of blocks; return the number of each kind of object."""
    import polars as pl

    from leukopy.taxonomy.objects import OBJECTS

    counts = dict.fromkeys(OBJECTS, 0)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(",".join(OBJECT_COLUMNS).encode() + b"\n")
        progress("drawing blocks", 0, slide.rows)
        for row in range(slide.rows):
            rows = [each for column in range(slide.columns) for each in slide.truth(row, column)]
            for each in rows:
                counts[each.kind] += 1
            if rows:
                table = pl.DataFrame([tuple(each) for each in rows], schema=OBJECT_COLUMNS, orient="row")
                table.write_csv(file, include_header=False, float_precision=4)
            progress("drawing blocks", row + 1, slide.rows)
    return counts


def _write_tiff(slide: WholeSlide, um_per_px: float, path: Path, progress: Progress) -> None:
    import tifffile

    from leukopy.synthesis.whole_slide import TILE_PX

    factors = slide.factors
    shapes = [(slide.height // factor, slide.width // factor, 3) for factor in factors]
    total = sum(-(-high // TILE_PX) * -(-wide // TILE_PX) for high, wide, _ in shapes)
    written = 0
    progress("writing tiles", 0, total)

    def tiles(factor: int) -> Iterator[bytes]:
        nonlocal written
        packed: dict[object, bytes] = {}
        for name, tile in slide.tiles(factor):
            data = packed.get(name) or zlib.compress(tile().tobytes(), 3)
            if factor == 1:  # the tiles of smaller levels do not repeat
                packed[name] = data
            written += 1
            progress("writing tiles", written, total)
            yield data

    big = slide.height * slide.width > 10**9  # a classic TIFF ends at 4 GB
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=big) as writer:
        for factor, shape in zip(factors, shapes, strict=True):
            writer.write(
                tiles(factor),
                shape=shape,
                dtype="uint8",
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="zlib",
                resolution=(1e4 / um_per_px / factor,) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(factor > 1),
                software="leukopy, drawn slide, research use only",
                metadata=None,
            )
