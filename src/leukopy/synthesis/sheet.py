"""Cells side by side, one row per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leukopy.taxonomy import DISPLAY_ORDER, find

_LABEL_WIDTH = 190
_GAP = 4
_MARGIN = 0.14


def contact_sheet(images: Mapping[str, Sequence[NDArray[np.uint8]]], *, tile: int = 104) -> NDArray[np.uint8]:
    """Lay crops out as a sheet.

    Args:
        images: fine class code -> crops, uint8 (H, W, 3), whose middle is shown; classes in the order of a
            differential.
        tile: pixels of each crop on the sheet.

    Returns:
        uint8 (rows, columns, 3), RGB.
    """
    codes = [code for code in DISPLAY_ORDER if images.get(code)]
    columns = max((len(images[code]) for code in codes), default=0)
    step = tile + _GAP
    sheet = Image.new("RGB", (_LABEL_WIDTH + columns * step, len(codes) * step + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    for row, code in enumerate(codes):
        top = _GAP + row * step
        pen.text((12, top + tile // 2), f"{code}\n{find(code).name}", fill="#333333", font=font, anchor="lm")
        for column, crop in enumerate(images[code]):
            height, width = crop.shape[:2]
            middle = (width * _MARGIN, height * _MARGIN, width * (1 - _MARGIN), height * (1 - _MARGIN))
            small = Image.fromarray(crop).resize((tile, tile), Image.Resampling.BICUBIC, box=middle)
            sheet.paste(small, (_LABEL_WIDTH + column * step, top))
    return np.asarray(sheet)
