"""Content of a picture before any network: one cell, no cell, or several cells of a field of view.

Measured on an overview of the whole picture, 64 pixels a side. A crop of one cell has one mass of nuclear dye in its
middle, and structures as large as a red cell. Dye absorbs green more than blue: azure B does; haemoglobin and the grey
of vignetting do not. A picture without a stained cell therefore has no dye above a smooth gradient. In a field of
view, nuclei lie anywhere, and red cells cover a few pixels of the overview.

The limits were set on cells of PBC Barcelona (training), Hopkins and Chula and on fields of BCCD and RBC-12. Of 13,453
lymphocytosis pictures, all of cells, .19 % are classified as several cells and none as no cell. Every group of 50
fields is detected, and none of 383 slides of cells (``benchmarks/content.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Planes = NDArray[np.float32]

Kind = Literal["cell", "no_cell", "several_cells"]
NO_CELL: Kind = "no_cell"
SEVERAL_CELLS: Kind = "several_cells"

DARK = "dark: the lamp was off, or the exposure far too short"
BLACK = "black for the most part: cut off or padded"
OVEREXPOSED = "overexposed: nothing but white"
NOISE = "noise: nothing in it is larger than a pixel or two"
COLOURLESS = "without colour: no stain can be told"
BLANK = "empty: nothing but background"
UNSTAINED = "no stained cell: red cells or background alone"
FIELD = "a field of view: its cells are small"
OFF_CENTRE = "a field of view: several nuclei, or none in the middle"
_KINDS: dict[str, Kind] = {"": "cell", FIELD: SEVERAL_CELLS, OFF_CENTRE: SEVERAL_CELLS}

_DARK = 60.0
"""Level that the brightest of 256 patches must reach. The darkest of all cells measured reaches 117."""
_WHITE = 250.0
"""Level from which a patch is white."""
_BAR = 24
"""Level below which all of a row or column of the overview is padding."""
_GREY = 3
"""Levels between the channels of a pixel, at most, in a picture without colour."""
_DYE = 0.045
"""Least contrast in optical density of dye between the most and the least dyed patches; the faintest cell has .053."""
_RELIEF = 0.06
"""The same for the optical density of green; a picture below it holds no red cell either."""
_TEXTURE = 0.02
"""Optical density: deviation of the detail of 1 to 4 pixels of the overview in a picture with content."""
_NOISE, _FINE = 0.6, 1.5
"""Mean octave of the detail (0: single pixels, 4: 16 pixels). White noise has .33, a field's red cells .8 to 1.6."""
_UNDYED, _MIDDLE = 0.4, 0.65
"""Dye in the middle of the picture, in units of the most dyed place. Below the first limit there is no centred cell;
below the second is rare in crops of cells and usual in fields."""
_SPOT = 0.12
"""Optical density of dye of the most dyed place in the middle above which a platelet is possible."""
_NUCLEI = 4
"""Separate nuclei, each a quarter of the largest or more, from which a picture is a field."""
_NUCLEUS = 12
"""Least size of a nucleus, in pixels of half the overview's side."""
_WIDE = 1.2
"""Ratio of long to short side from which a picture is a camera's: its one nucleus must lie in the middle."""
_OFF = 0.2
"""Largest distance of the nuclei from the middle of a wide picture, in half sides."""

_FIELDS, _ENOUGH = 0.35, 20
"""Share of such pictures from which a slide holds fields. Of 50 cells it was .14 at most, of 50 fields .60 at least."""
_FIELDS_OF_FEW, _FEW = 0.6, 5
"""The same share for few pictures, and the least number of pictures."""


class Content(NamedTuple):
    """Content of one picture."""

    kind: Kind
    """``cell``: one cell, or no evidence of anything else."""
    cause: str
    """The cause in words; empty for a cell."""
    centred: bool
    """True where the middle is dyed: usual in crops of cells, rare in fields."""


CELL = Content("cell", "", centred=True)
"""Content of a picture of one cell."""

_LOG = np.log10((np.arange(256, dtype=np.float32) + 1) / 256)  # plus one: black has a finite density
_AT_ONCE = 64
"""Overviews measured together: their planes stay in the cache of a core."""


def contents(overviews: Picture, sizes: NDArray[np.integer]) -> list[Content]:
    """Content of each of N pictures.

    Args:
        overviews: uint8 (N, S, S, 3), RGB, as `overview` gives them (S: `leukopy.imaging.overview.SIDE`).
        sizes: (N, 2), width and height of the pictures as stored, in pixels.
    """
    starts = range(0, len(overviews), _AT_ONCE)
    return [one for at in starts for one in _contents(overviews[at : at + _AT_ONCE], sizes[at : at + _AT_ONCE])]


@dataclass(frozen=True)
class SlideContent:
    """Content of the pictures of a slide, all of them or a sample."""

    pictures: int
    cells: int
    """Pictures of one cell, as far as detectable."""
    several_cells: int
    uncentred: int
    """Pictures with stained cells: none in the middle, or several."""
    causes: dict[str, int]
    """Pictures without a single cell by cause, the most frequent first."""

    @property
    def fields(self) -> bool:
        """True where the pictures of the slide are fields of view."""
        stained = self.cells + self.several_cells
        least = _FIELDS if stained >= _ENOUGH else _FIELDS_OF_FEW
        return stained >= _FEW and self.uncentred >= least * stained

    @property
    def note(self) -> str:
        """Warning for the reader, with the remedy; empty where the pictures are cells."""
        if self.fields:
            return (
                f"These pictures are fields of view, not cells: of {self.cells + self.several_cells} with stained "
                f"cells, {self.uncentred} show several or none in the middle. Cut each cell out, centred in a square "
                "of three to four red cells' width, and give the folder of these crops."
            )
        if not self.causes:
            return ""
        listed = "; ".join(f"{count} {cause}" for cause, count in self.causes.items())
        return f"No single cell in {self.pictures - self.cells} of {self.pictures} pictures: {listed}."


def slide_content(found: Iterable[Content]) -> SlideContent:
    """Sum up the pictures of one slide."""
    everything = Counter(found)
    kinds: Counter[Kind] = Counter()
    causes: Counter[str] = Counter()
    uncentred = 0
    for content, count in everything.items():
        kinds[content.kind] += count
        causes[content.cause] += count
        uncentred += count * (content.kind == SEVERAL_CELLS or (content.kind == "cell" and not content.centred))
    del causes[""]
    return SlideContent(kinds.total(), kinds["cell"], kinds[SEVERAL_CELLS], uncentred, dict(causes.most_common()))


def _contents(overviews: Picture, sizes: NDArray[np.integer]) -> list[Content]:
    """Implementation of `contents`: the first cause that applies."""
    shown, padded = _without_bars(overviews)
    levels = _halved_levels(shown)  # (N, 3, S / 2, S / 2)
    small = _LOG[levels.astype(np.uint8)]
    dye = small[:, 2] - small[:, 1]
    brightest = _halved(levels[:, 0] + levels[:, 1] + levels[:, 2]).reshape(len(levels), -1).max(axis=1) / 3
    relief, contrast = _range_above_gradient(small[:, 1]), _range_above_gradient(dye)
    octave, texture = _detail(_LOG[shown[..., 1]])
    nuclei = _nuclei(dye, small)
    wide = sizes.max(axis=1) >= _WIDE * sizes.min(axis=1)
    undyed, fine = contrast < _DYE, (octave < _FINE) & (texture > _TEXTURE)
    flat, unstained = undyed & (relief < _RELIEF) & ~fine, undyed | _red(nuclei)
    causes = {
        DARK: brightest < _DARK,
        BLACK: padded > 0.5,
        OVEREXPOSED: flat & (brightest > _WHITE),
        BLANK: flat,
        NOISE: octave < _NOISE,
        COLOURLESS: undyed & _colourless(levels),
        FIELD: fine | (wide & unstained),
        UNSTAINED: unstained,
        OFF_CENTRE: ((nuclei.middle < _UNDYED) & (nuclei.spot < _SPOT))
        | (nuclei.parts >= _NUCLEI)
        | (wide & ((nuclei.middle < _MIDDLE) | (nuclei.off > _OFF) | (nuclei.parts > 1))),
    }
    words = [*causes, ""]
    first = np.argmax([*causes.values(), np.ones(len(overviews), bool)], axis=0)
    return [
        Content(_KINDS.get(words[index], NO_CELL), words[index], bool(centred))
        for index, centred in zip(first, nuclei.middle >= _MIDDLE, strict=True)
    ]


def _halved(planes: Planes) -> Planes:
    """(…, 2H, 2W) to (…, H, W): means of four pixels."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return np.asarray((rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25))


def _halved_levels(overviews: Picture) -> Planes:
    """(N, S, S, 3) to (N, 3, S / 2, S / 2): means of four pixels, summed as integers."""
    rows = overviews[:, ::2].astype(np.uint16)
    rows += overviews[:, 1::2]
    sums = rows[:, :, ::2] + rows[:, :, 1::2]
    return np.ascontiguousarray(sums.transpose(0, 3, 1, 2)).astype(np.float32) * np.float32(0.25)


def _without_bars(overviews: Picture) -> tuple[Picture, NDArray[np.floating]]:
    """Overviews with padding (black rows and columns) in their mean colour, and the padded share (N,)."""
    dark = overviews[..., 1] < _BAR
    rows, columns = np.asarray(dark.all(axis=2)), np.asarray(dark.all(axis=1))
    padded = 1 - (1 - rows.mean(axis=1)) * (1 - columns.mean(axis=1))
    if not padded.any():
        return overviews, padded
    shown = overviews.copy()
    for index in np.flatnonzero(padded):
        bars = _widened(rows[index])[:, None] | _widened(columns[index])
        if not bars.all():
            shown[index][bars] = overviews[index][~bars].mean(axis=0)
    return shown, padded


def _widened(side: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The sides with the neighbours of padding (N,): its edge is a mixture."""
    wide = side.copy()
    wide[1:] |= side[:-1]
    wide[:-1] |= side[1:]
    return wide


def _colourless(levels: Planes) -> NDArray[np.bool_]:
    """True where red, green and blue (N, 3, H, W) are equal everywhere."""
    red, green, blue = (levels[:, channel, ::2, ::2].reshape(len(levels), -1) for channel in range(3))
    return np.asarray(np.maximum(np.abs(red - green), np.abs(green - blue)).max(axis=1) <= _GREY)


def _gradients() -> Planes:
    """Orthonormal surfaces of second degree over the 16 x 16 patches, (256, 6)."""
    y, x = np.mgrid[-1:1:16j, -1:1:16j].reshape(2, -1)
    return np.asarray(np.linalg.qr(np.stack([x**0, x, y, x * y, x**2, y**2], axis=1))[0], np.float32)


_GRADIENTS = _gradients()


def _range_above_gradient(planes: Planes) -> NDArray[np.float32]:
    """Fourth highest less fourth lowest of 256 patches (N,), after removal of a smooth gradient (vignetting)."""
    patches = _halved(planes).reshape(len(planes), -1)
    left = patches - (patches @ _GRADIENTS) @ _GRADIENTS.T
    ordered = np.partition(left, (3, 252), axis=1)
    return np.asarray(ordered[:, 252] - ordered[:, 3])


def _detail(planes: Planes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean octave of the detail (N,), by the variance that each of five halvings removes; deviation of its first
    three octaves (N,)."""
    variances = [_variance(planes)]
    for _ in range(5):
        planes = _halved(planes)
        variances.append(_variance(planes))
    taken = np.maximum(-np.diff(variances, axis=0), 1e-9)
    return np.arange(5, dtype=np.float32) @ taken / taken.sum(axis=0), np.sqrt(taken[:3].sum(axis=0))


def _variance(planes: Planes) -> NDArray[np.float32]:
    """Variance of each plane, (N,)."""
    rows = planes.reshape(len(planes), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(np.einsum("np,np->n", rows, rows) / rows.shape[1])


def _disc() -> NDArray[np.intp]:
    """The middle of a plane of half the side: pixels within a quarter of the way to its edge."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    return np.flatnonzero(np.hypot(x, y) < 0.25)


_MIDDLE_PIXELS = _disc()
_WITHIN = np.zeros((3, 3, 3), bool)
_WITHIN[1] = [[False, True, False], [True, True, True], [False, True, False]]
"""Neighbours in the same plane."""


class _Nuclei(NamedTuple):
    """The most dyed parts of N pictures; each is (N,)."""

    off: NDArray[np.floating]
    """Distance of their middle from the picture's middle, in half sides."""
    middle: NDArray[np.floating]
    """Upper quartile of the dye in the middle of the picture, in units of the most dyed place."""
    spot: NDArray[np.floating]
    """Optical density of dye, above the ground, of the third most dyed pixel in the middle."""
    parts: NDArray[np.intp]
    """Separate parts of the size of nuclei, each a quarter of the largest or more."""
    contrast: NDArray[np.floating]
    """Optical density of their dye above the ground."""
    red: NDArray[np.floating]
    """Optical density of red, in units of that of green, both above the ground."""
    blue: NDArray[np.floating]


def _nuclei(dye: Planes, logarithms: Planes) -> _Nuclei:
    """Measure the most dyed parts.

    Args:
        dye: (N, S, S).
        logarithms: (N, 3, S, S), minus the optical density of red, green and blue.
    """
    from scipy import ndimage  # noqa: PLC0415 (takes a fifth of a second to import)

    count, side, _ = dye.shape
    soft = ndimage.uniform_filter(dye, (0, 3, 3), mode="nearest")
    pixels = soft.reshape(count, -1)
    low, high = side * side // 8, side * side - 8
    ordered = np.partition(pixels, (low, high), axis=1)
    ground, top = ordered[:, low], ordered[:, high]
    span = np.maximum(top - ground, 1e-6)
    central = np.sort(pixels[:, _MIDDLE_PIXELS], axis=1)
    dyed = soft > (ground + span / 2)[:, None, None]
    area = np.maximum(dyed.sum(axis=(1, 2)), 1)
    place = np.linspace(-1, 1, side)
    colours = logarithms.reshape(count, 3, -1)
    some = colours[..., ::4]  # enough for a quantile
    glass = np.partition(some, 7 * some.shape[2] // 8, axis=2)[..., 7 * some.shape[2] // 8]
    density = glass - np.einsum("ncp,np->nc", colours, dyed.reshape(count, -1).astype(np.float32)) / area[:, None]
    green = np.maximum(density[:, 1], 0.02)
    return _Nuclei(
        off=np.hypot(dyed.sum(axis=1) @ place, dyed.sum(axis=2) @ place) / area,
        middle=(central[:, 3 * len(_MIDDLE_PIXELS) // 4] - ground) / span,
        spot=central[:, -3] - ground,
        parts=_parts(dyed),
        contrast=span,
        red=density[:, 0] / green,
        blue=density[:, 2] / green,
    )


def _parts(dyed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number of parts of each plane (N, S, S) as large as nuclei and as a quarter of the largest part, (N,)."""
    from scipy import ndimage  # noqa: PLC0415

    labels, parts = ndimage.label(dyed, _WITHIN)
    area = np.bincount(labels.ravel(), minlength=parts + 1)[1:]
    owner = np.zeros(parts, np.intp)
    owner[labels[dyed] - 1] = np.nonzero(dyed)[0]
    largest = np.zeros(len(dyed), np.intp)
    np.maximum.at(largest, owner, area)
    return np.bincount(owner[(4 * area >= largest[owner]) & (area >= _NUCLEUS)], minlength=len(dyed))


def _red(nuclei: _Nuclei) -> NDArray[np.bool_]:
    """True where the most dyed parts are red cells: haemoglobin absorbs blue as well, eosin no red.

    Nuclei absorb more red than blue, also where a yellow light or much eosin makes them absorb much blue.
    """
    blue = (nuclei.blue > 0.53) & (nuclei.red < nuclei.blue + 0.05)
    return blue | (nuclei.red < nuclei.blue - 0.25) | ((nuclei.contrast < 0.08) & (nuclei.blue > 0.4))
