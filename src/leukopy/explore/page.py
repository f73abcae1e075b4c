"""``report.html``: the whole exploration in one file that opens offline.

It holds plotly.js, its data and its pictures. Its content security policy lets only the two scripts run whose digests
it names, and forbids every request, so that no name of a file or class can make the page do anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from leukopy.core.errors import MissingExtraError
from leukopy.core.files import write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.explore.figures import Figure, class_colour
from leukopy.explore.means import unpack
from leukopy.explore.projections import NEIGHBOURS, Score
from leukopy.explore.summaries import class_name

FAILURES_SHOWN = 200
"""Failed images listed on the page; ``failures.csv`` holds them all."""
TILE = 40
"""Pixels of a cell shown beside the projections."""

_DATA_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Tile:
    """One cell shown as a picture."""

    cell_id: str
    picture: bytes
    """JPEG."""
    words: str = ""
    """Caption lines below it."""


@dataclass(frozen=True)
class Shelf:
    """Pictures that belong together."""

    code: str
    source: str
    total: int
    """Cells of this kind; those shown are some of them."""
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class PageContent:
    """Content of the page."""

    title: str
    facts: Mapping[str, str]
    """The figures at the top."""
    notes: Sequence[str]
    """Notes on omitted, thinned or unreadable data, one sentence each."""
    sources: Mapping[str, str]
    """Colour of each source."""
    figures: Mapping[str, Figure]
    counts: pl.DataFrame
    means: Mapping[tuple[str, str], Shelf]
    """The mean cell by class and source."""
    colours: Mapping[tuple[str, str], tuple[int, int, int]]
    """Mean RGB by class and source."""
    outliers: Sequence[Shelf]
    cells: Sequence[Shelf]
    sample: Sequence[Tile]
    """The cell of each point of the projections."""
    scores: Sequence[Score]
    failures: pl.DataFrame
    provenance: Mapping[str, Any]


def write_page(path: Path, content: PageContent) -> None:
    """Write the page as one HTML file.

    Raises:
        OutputError: it cannot be written.
        MissingExtraError: plotly is not installed.
    """
    plotly, own = plotly_script(), (files("leukopy.explore") / "templates" / "explore.js").read_text("utf-8")
    environment = Environment(
        loader=PackageLoader("leukopy.explore"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(jpeg=_jpeg, share=_share)
    data = [{"name": each.name, "data": each.data, "layout": each.layout} for each in content.figures.values()]
    side, sheet = contact_sheet([tile.picture for tile in content.sample])
    page = environment.get_template("explore.html.j2").render(
        content=content,
        notice=RESEARCH_USE_ONLY,
        policy=_policy(plotly, own),
        plotly=Markup(plotly),
        own=Markup(own),
        data=_as_data(data),
        sheet={"side": side, "picture": sheet, "tile": TILE},
        neighbours=NEIGHBOURS,
        failures=_failures(content.failures),
        provenance=tuple(_flat(content.provenance)),
        class_name=class_name,
        class_colour=class_colour,
    )
    write_text(path, page)


def plotly_script() -> str:
    """The source of plotly.js.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise MissingExtraError("leukopy study explore", "study") from error
    script: str = get_plotlyjs()
    return script


def contact_sheet(pictures: Sequence[bytes]) -> tuple[int, str]:
    """All pictures in one, ``TILE`` pixels each, row by row in a square grid.

    Returns:
        Pictures in a row, and the grid as WebP in base64.
    """
    side = max(1, math.ceil(math.sqrt(len(pictures))))
    sheet = np.zeros((side * TILE, side * TILE, 3), np.uint8)
    for at, picture in enumerate(pictures):
        top, left = at // side * TILE, at % side * TILE
        small = Image.fromarray(unpack(picture)).resize((TILE, TILE), Image.Resampling.BILINEAR)
        sheet[top : top + TILE, left : left + TILE] = np.array(small)
    stream = BytesIO()
    Image.fromarray(sheet).save(stream, "WEBP", quality=55, method=3)
    return side, base64.b64encode(stream.getvalue()).decode()


def _policy(*scripts: str) -> str:
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _as_data(value: Any) -> Markup:
    """JSON that cannot end the element that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in _DATA_ESCAPES.items():
        text = text.replace(character, escaped)
    return Markup(text)


def _jpeg(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _failures(failures: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Cell, reason, message; without the path, which may hold a name."""
    rows = failures.head(FAILURES_SHOWN).select("cell_id", "path", "reason", "message").iter_rows()
    return [(cell_id, reason, message.removeprefix(f"{path}: ")) for cell_id, path, reason, message in rows]


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names and their values."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return found
