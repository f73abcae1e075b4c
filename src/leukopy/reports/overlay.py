"""A cell beside the same cell under its heat map."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leukopy.imaging.segmentation import Masks

VIEW = 288
"""Side of each of the two pictures, pixels: the network's own pictures are too small to inspect."""

_GAP = 12
_LINE = 20
_WIDTH = 2 * VIEW // 6
"""Characters of a line: a mean one takes 6 pixels."""
_PAPER, _INK, _QUIET = "#fcfbf9", "#1d1b22", "#5f5b68"


@dataclass(frozen=True, eq=False)
class View:
    """A cell enlarged for inspection."""

    picture: NDArray[np.uint8]
    """(V, V, 3): the part that the network sees."""
    masks: Masks
    """(V, V)."""


def heated(view: View, heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture under a heat map (S, S): the hotter the yellower, cold is left as it is; (V, V, 3).

    The outlines of the nucleus and of the cell are white.
    """
    colours, cover = _coloured(heat, len(view.picture))
    mixed: NDArray[np.uint8] = np.rint((1 - cover) * view.picture + cover * colours).astype(np.uint8)
    mixed[_outlines(view.masks)] = 255
    return mixed


def layer(masks: Masks, heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A heat map (S, S) to be laid over a picture: (V, V, 4), RGBA, as `heated` shows it; masks (V, V)."""
    colours, cover = _coloured(heat, len(masks.cell))
    laid: NDArray[np.uint8] = np.dstack([colours, np.rint(255 * cover).astype(np.uint8)])
    laid[_outlines(masks)] = 255
    return laid


@cache
def _colours() -> NDArray[np.uint8]:
    """The 256 colours of heat, from cold to hot, (256, 3)."""
    import matplotlib  # noqa: PLC0415 - not before a map is drawn: a review station starts faster

    colours: NDArray[np.uint8] = (255 * matplotlib.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    return colours


def _coloured(heat: NDArray[np.float32], side: int) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """Colours (V, V, 3) of a heat map, and how much each covers what lies under it, (V, V, 1) in [0, 1]."""
    levels = np.asarray(Image.fromarray(heat).resize((side, side), Image.Resampling.BILINEAR)).clip(0, 1)
    return _colours()[np.rint(255 * levels).astype(np.intp)], (0.7 * levels**0.8)[..., None]


def _outlines(masks: Masks) -> NDArray[np.bool_]:
    """The pixels of the edges of cell and nucleus."""
    edges = np.zeros_like(masks.cell)
    for mask in (masks.cell, masks.nucleus):
        edges |= mask & ~scipy.ndimage.binary_erosion(mask, border_value=1)
    return edges


def side_by_side(view: View, heat: NDArray[np.float32], lines: Sequence[str]) -> bytes:
    """PNG of the picture, the picture under its heat map, and some lines of text below; the first one is heavier."""
    side = len(view.picture)
    lines = [part for line in lines for part in textwrap.wrap(line, _WIDTH)]
    sheet = Image.new("RGB", (2 * side + 3 * _GAP, side + 2 * _GAP + _LINE * len(lines) + _GAP), _PAPER)
    sheet.paste(Image.fromarray(view.picture), (_GAP, _GAP))
    sheet.paste(Image.fromarray(heated(view, heat)), (2 * _GAP + side, _GAP))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        font = ImageFont.load_default(14 if number == 0 else 12)
        height = side + 2 * _GAP + number * _LINE
        pen.text((_GAP, height), line, fill=_INK if number == 0 else _QUIET, font=font)
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def jpeg(picture: NDArray[np.uint8], side: int) -> bytes:
    """A small JPEG for a page."""
    stream = BytesIO()
    Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=82)
    return stream.getvalue()
