"""A whole field of view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import SettingsError
from leukopy.synthesis.appearance import PBC_LIKE, Appearance, random_appearance
from leukopy.synthesis.artefacts import lay_artefacts
from leukopy.synthesis.camera import photograph
from leukopy.synthesis.canvas import DISTRACTOR, Canvas, ObjectTruth
from leukopy.synthesis.layout import FreePlaces, place_red_cells, scatter
from leukopy.synthesis.paint import Painted, paint_cell
from leukopy.synthesis.platelets import PLATELET_CODE, paint_clump, paint_platelet
from leukopy.synthesis.redshapes import RedStyle, paint_shape
from leukopy.synthesis.scene import Scene, random_scene
from leukopy.synthesis.slide import Truth
from leukopy.taxonomy import FINE
from leukopy.taxonomy.objects import LEUKOCYTE, PLATELET, PLATELET_CLUMP, RED_CELL, RED_CELL_UM

_SHOWN = 0.5
"""Share of an object that must be seen, for it to be found with certainty."""
_NUCLEI = ("smudge_cell", "bare_nucleus")


@dataclass(frozen=True)
class DrawnField:
    """A field and its truth."""

    image: NDArray[np.uint8]
    """(height, width, 3), RGB."""
    cells: list[Truth]
    """Every leukocyte, erythroblast and platelet outside a clump, with masks."""
    objects: list[ObjectTruth]
    """Every leukocyte, red cell, platelet and platelet clump of which a pixel lies on the field."""
    distractors: list[ObjectTruth]
    """Stained matter that is none of these: smudge cells, bare nuclei, precipitate, fibres, drops."""
    um_per_px: float

    def marks(self) -> Iterator[tuple[str, tuple[int, int, int, int], bool]]:
        """Kind and box of every object, as in `ObjectTruth`, and whether it may be missed as well as found: it is half
        hidden, a platelet of a clump, or a smudge cell or bare nucleus, which resembles a leukocyte."""
        for each in self.objects:
            box = (each.left, each.top, each.width, each.height)
            yield each.kind, box, each.visible < _SHOWN
            if each.kind == PLATELET_CLUMP:
                yield PLATELET, box, True
        for each in self.distractors:
            if each.code in _NUCLEI:
                yield LEUKOCYTE, (each.left, each.top, each.width, each.height), True


def draw_field(
    counts: Mapping[str, int],
    *,
    seed: int,
    appearance: Appearance | None = None,
    size: tuple[int, int] = (1200, 1600),
    scene: Scene | None = None,
) -> DrawnField:
    """Draw a field at the camera's own scale.

    Args:
        counts: fine class code -> number of cells; the scene's platelets come in addition.
        seed: the same seed, counts, appearance, size and scene give the same pixels.
        appearance: the laboratory; PBC Barcelona's by default.
        size: height and width in pixels.
        scene: the place on the smear, and how it was photographed. By default a clean monolayer in good focus, in
            which leukocytes and platelets lie apart and wholly inside, and no platelets beside those of ``counts``.

    Raises:
        SettingsError: a code is not a fine class, or the field has no room for all cells.
    """
    field = _draw(counts, seed, appearance or PBC_LIKE, size, scene or Scene(cut=False, platelets=0))
    if len(field.cells) < sum(counts.values()):
        raise SettingsError(
            f"a field of {size[0]} x {size[1]} pixels has no room for {sum(counts.values())} cells: "
            "ask for fewer cells, or for a larger field."
        )
    return field


def draw_filled_field(
    counts: Mapping[str, int], *, seed: int, appearance: Appearance, size: tuple[int, int], scene: Scene
) -> DrawnField:
    """Draw a field as `draw_field` does, and leave out the cells for which there is no room."""
    return _draw(counts, seed, appearance, size, scene)


def draw_random_field(
    seed: int,
    *,
    size: tuple[int, int] = (480, 640),
    um_per_px: float | None = None,
    appearance: Appearance | None = None,
    scene: Scene | None = None,
) -> DrawnField:
    """Draw a field of any laboratory, magnification and condition, to train a detector.

    Args:
        seed: it determines all that is not given; the same arguments give the same pixels.
        size: height and width in pixels.
        um_per_px: micrometres per pixel; 0.08 to 0.35 by default.
        appearance: the laboratory; a random one by default.
        scene: the place on the smear, and how it was photographed; at random by default.
    """
    rng = np.random.default_rng([seed, 15485863])
    scale = um_per_px or float(np.exp(rng.uniform(np.log(0.08), np.log(0.35))))
    look = (appearance or random_appearance(seed)).model_copy(update={"um_per_px": scale})
    area = size[0] * size[1] * scale**2
    number = min(int(rng.poisson(area / 900 * rng.beta(1, 2))), 40)
    codes = [cell.code for cell in FINE if cell.code != PLATELET_CODE]
    drawn = rng.multinomial(number, np.full(len(codes), 1 / len(codes)))
    counts = {code: int(count) for code, count in zip(codes, drawn, strict=True)}
    return _draw(counts, seed, look, size, scene or random_scene(seed))


def _draw(counts: Mapping[str, int], seed: int, look: Appearance, size: tuple[int, int], scene: Scene) -> DrawnField:
    """Draw what there is room for."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(*size, look.um_per_px)
    cells = paint_cells(counts, size, look.um_per_px, scene, rng)
    _lay_red_cells(canvas, cells, scene, look.pallor, rng)
    lay_artefacts(canvas, scene, rng)
    lay_cells(canvas, cells)
    image = photograph(canvas.amounts, look, scene, look.um_per_px, rng)
    truth = canvas.truth()
    objects = [each for each in truth if each.kind != DISTRACTOR]
    distractors = [each for each in truth if each.kind == DISTRACTOR]
    return DrawnField(image, _masks(canvas, cells), objects, distractors, look.um_per_px)


PlacedCell = tuple[str, str, Painted, int, int]
"""Kind, code, cell, row and column."""


def paint_cells(
    counts: Mapping[str, int], size: tuple[int, int], um_per_px: float, scene: Scene, rng: np.random.Generator
) -> list[PlacedCell]:
    """Leukocytes, platelets and clumps at their places, the first on top; those without room are left out."""
    area_um2 = size[0] * size[1] * um_per_px**2
    platelets = int(rng.poisson(scene.platelets * 0.5 * area_um2 / (np.pi / 4 * RED_CELL_UM**2)))
    codes = [code for code, count in counts.items() for _ in range(count)] + [PLATELET_CODE] * platelets
    cells = [
        (PLATELET, code, paint_platelet(um_per_px, rng))
        if code == PLATELET_CODE
        else (LEUKOCYTE, code, paint_cell(code, um_per_px, rng))
        for code in codes
    ]
    cells += [(PLATELET_CLUMP, "", paint_clump(um_per_px, rng)) for _ in range(scene.clumps)]
    cells.sort(key=lambda cell: -cell[2].reach_px)  # large ones first, while there is room
    reaches = np.array([painted.reach_px for _, _, painted in cells])
    places = scatter(reaches, size, rng, cut=scene.cut, touching=scene.touching)
    return [(*cell, int(row), int(column)) for cell, (row, column) in zip(cells, places, strict=True) if row >= 0]


def lay_cells(canvas: Canvas, cells: list[PlacedCell]) -> None:
    """Lay cells, the first on top."""
    for kind, code, painted, row, column in reversed(cells):
        canvas.lay(kind, code, painted, row, column)


def red_cell_style(scene: Scene, pallor: float, rng: np.random.Generator) -> RedStyle:
    """Common properties of the red cells of a scene; ``pallor`` is the laboratory's."""
    return RedStyle(
        amount=rng.uniform(0.82, 1.15),
        pallor=pallor * rng.uniform(0.1, 1.3),
        pale_width=scene.pale_width,
        waviness=scene.waviness,
        size=scene.red_size,
        spread=scene.red_spread,
        rim=scene.rim,
    )


def _lay_red_cells(
    canvas: Canvas, cells: list[PlacedCell], scene: Scene, pallor: float, rng: np.random.Generator
) -> None:
    scale = canvas.um_per_px
    size_um = (canvas.height * scale, canvas.width * scale)
    margin = RED_CELL_UM / 2
    style = red_cell_style(scene, pallor, rng)
    places = FreePlaces(size_um, margin)
    places.thin_out(scene.gaps, rng)
    for kind, _, painted, row, column in cells:
        if kind == LEUKOCYTE:
            places.take(row * scale, column * scale, painted.mean_radius_px * scale + 0.9 * margin * scene.red_size)
    area = (size_um[0] + 2 * margin) * (size_um[1] + 2 * margin)
    wanted = round(scene.coverage * area / (np.pi * (margin * scene.red_size) ** 2))
    apart = scene.apart * RED_CELL_UM * scene.red_size
    centres = place_red_cells(places, wanted, apart_um=apart, rouleaux=scene.rouleaux, rng=rng)
    names = list(scene.shapes)
    weights = np.array([scene.shapes[name] for name in names])
    for (row_um, column_um), shape in zip(
        centres, rng.choice(names, len(centres), p=weights / weights.sum()), strict=True
    ):
        patch = paint_shape(str(shape), style, scale, rng)
        canvas.lay_red_cell(str(shape), patch, round(row_um / scale), round(column_um / scale), RED_CELL)


def _masks(canvas: Canvas, cells: list[PlacedCell]) -> list[Truth]:
    """Leukocytes and platelets with the masks of their parts on the picture."""
    found = []
    for kind, code, painted, row, column in cells:
        if kind == PLATELET_CLUMP:
            continue
        half = len(painted.cell) // 2
        (rows, columns), part = canvas.windows(row - half, column - half, painted.cell.shape)
        cell = painted.cell[part] > 0.5
        if not cell.any():
            continue
        high, wide = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
        inner = (slice(high[0], high[-1] + 1), slice(wide[0], wide[-1] + 1))
        left, top = columns.start + int(wide[0]), rows.start + int(high[0])
        box = (left, top, left + cell[inner].shape[1], top + cell[inner].shape[0])
        nucleus = (painted.nucleus[part] > 0.5)[inner] & cell[inner]
        found.append(Truth(code, box, cell[inner], nucleus, canvas.um_per_px))
    return found
