"""Overview of a whole slide: the squares that were analysed, and the reason for each that was left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from leukopy.fields.choose import VERDICTS, SlideChoice, Verdict


class _Colour(NamedTuple):
    name: str
    rgb: tuple[int, int, int]


_COLOURS: dict[Verdict, _Colour] = {
    "chosen": _Colour("light green", (120, 190, 120)),
    "edge": _Colour("yellow", (230, 210, 40)),
    "thin": _Colour("blue", (60, 120, 220)),
    "thick": _Colour("orange", (230, 120, 20)),
    "out_of_focus": _Colour("violet", (150, 60, 190)),
    "damaged": _Colour("red", (210, 20, 40)),
    "not_looked_at": _Colour("grey", (120, 120, 120)),
}
"""Squares without cells have no colour."""
_ANALYSED = _Colour("framed in dark green", (0, 130, 60))
_TINT = 70
"""Opacity of a square, 0 to 255."""


class Key(NamedTuple):
    """One colour of the overview."""

    verdict: str
    """``analysed`` or a key of `choose.VERDICTS`."""
    text: str
    colour: str
    """Its name."""
    squares: int


class Overview(NamedTuple):
    """A whole slide at low power with its squares, and the legend of their colours."""

    pixels: NDArray[np.uint8]
    """Shape (height, width, 3), RGB."""
    legend: list[Key]
    """The colours in use, with their number of squares."""

    @property
    def words(self) -> str:
        """The legend in words."""
        keys = (f"{key.colour}: {key.text} ({key.squares:,})" for key in self.legend)
        return f"Squares of the slide, {'; '.join(keys)}."


def draw_overview(choice: SlideChoice, analysed: int) -> Overview:
    """Draw the squares of a slide, of which the first ``analysed`` fields were analysed."""
    cores = {field.core for field in choice.fields[:analysed]}
    picture = Image.fromarray(choice.thumbnail.pixels).convert("RGBA")
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    scale = picture.width / choice.size[0]
    for square in choice.squares:
        left, top, width, height = (side * scale for side in square.region)
        box = (
            round(left),
            round(top),
            max(round(left), round(left + width) - 1),
            max(round(top), round(top + height) - 1),
        )
        if square.region in cores:
            pen.rectangle(box, fill=(*_ANALYSED.rgb, _TINT), outline=(*_ANALYSED.rgb, 255))
        elif colour := _COLOURS.get(square.verdict):
            pen.rectangle(box, fill=(*colour.rgb, _TINT))
    keys = [Key("analysed", "analysed", _ANALYSED.name, len(cores))]
    for verdict, text in VERDICTS.items():
        count = choice.count(verdict) - (len(cores) if verdict == "chosen" else 0)
        words = "monolayer, not needed" if verdict == "chosen" else text
        name = _COLOURS[verdict].name if verdict in _COLOURS else "without colour"
        keys.append(Key(verdict, words, name, count))
    pixels = np.asarray(Image.alpha_composite(picture, layer).convert("RGB"))
    return Overview(pixels, [key for key in keys if key.squares])
