"""The report of an explanation: ``summary.md``, and ``report.html`` with a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle.card import Card
from leukopy.core.errors import ImageError
from leukopy.core.files import write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.intervals import Estimate
from leukopy.explain.cards import CARDS
from leukopy.explain.neighbours import Neighbour
from leukopy.explain.scores import BASELINES, Figures, in_words, percent
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.reports.overlay import View, heated, jpeg
from leukopy.reports.page import failure_lines
from leukopy.reports.rendering import chance, embedded, flat, render
from leukopy.taxonomy import find

THUMBNAIL = 192
"""Side of a picture in the page, pixels."""

CELLS_SHOWN = 200
"""Cells in the page; the folder ``overlays`` holds them all."""

COLUMNS = ("deletion", "insertion", "inside_cell", "inside_nucleus")
"""The averages that are printed, by the names of `Figures`."""


@dataclass(frozen=True)
class Map:
    """One heat map of a shown cell."""

    method: str
    picture: str
    """Base64 of a JPEG."""
    words: str


@dataclass(frozen=True)
class Like:
    """A training cell that is near to a shown cell."""

    cell_id: str
    code: str
    similarity: float
    picture: str | None
    """Base64 of a JPEG; None where the data set is not at hand."""


@dataclass(frozen=True)
class ShownCell:
    """One cell of the gallery."""

    cell_id: str
    name: str
    """Probability of the explained class."""
    probability: float
    why: str | None
    """Attributes of the cell in words."""
    predicted: str | None
    """Name of the predicted class, where another class is explained."""
    flags: tuple[str, ...]
    picture: str
    """Base64 of a JPEG."""
    maps: Sequence[Map]
    neighbours: Sequence[Like]


@dataclass(frozen=True)
class ExplanationContent:
    """Content of the page."""

    title: str
    cells: Sequence[ShownCell]
    cells_total: int
    figures: Sequence[Figures]
    notes: Sequence[str]
    """Analyses that were not possible, with the reason."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""
    card: Card
    provenance: Mapping[str, Any]

    @property
    def failures_total(self) -> int:
        """Number of unreadable images."""
        return self.failures.height


def title_of(method: str) -> str:
    """The name of a method or baseline, for people."""
    return {"centre": "Middle of the picture", "random": "Chance"}.get(method) or CARDS[method].title


def show(estimate: Estimate | None) -> str:
    """``0.412 (0.398 to 0.427)``, or a dash where the data cannot tell."""
    if estimate is None or estimate.value is None:
        return "–"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def share_in_words(row: Mapping[str, Any]) -> str:
    """Location of one map's heat in words, from a row of `EXPLANATION_SCHEMA`."""
    if row["cell_area"] is None:
        return "No cell was found in this picture, so the location of the heat is unknown."
    if row["inside_cell"] is None:
        return "No place speaks for this class."
    cell = f"{percent(row['inside_cell'])} in the cell ({percent(row['cell_area'])} of the picture)"
    if not row["nucleus_area"]:
        return f"Of the heat, {cell}; no nucleus was found."
    nucleus = f"{percent(row['inside_nucleus'])} in the nucleus ({percent(row['nucleus_area'])} of the picture)"
    return f"Of the heat, {nucleus}, {cell}."


def lines_of(row: Mapping[str, Any]) -> list[str]:
    """Caption lines of an overlay, from a row of `EXPLANATION_SCHEMA`."""
    said = f"{find(row['target']).name} {chance(row['probability'])}"
    seen = [f"Seen: {row['why']}."] if row["why"] else []
    return [said, *seen, f"{title_of(row['method'])}: {row['cell_id']}", share_in_words(row)]


def show_map(row: Mapping[str, Any], view: View, heat: NDArray[np.float32]) -> Map:
    """One heat map (S, S), small enough for a page."""
    return Map(row["method"], embedded(jpeg(heated(view, heat), THUMBNAIL)), share_in_words(row))


def show_neighbour(neighbour: Neighbour, path: Path | None) -> Like:
    """A training cell, with its picture where it is at hand."""
    picture = None
    if path is not None:
        with suppress(ImageError):  # then its id is shown, as where the data set is not at hand
            picture = embedded(jpeg(read_cell(path, Preprocess(size=64)).pixels, 64))
    return Like(neighbour.cell_id, neighbour.code, neighbour.similarity, picture)


def show_cell(row: Mapping[str, Any], view: View, maps: Sequence[Map], neighbours: Sequence[Like]) -> ShownCell:
    """One cell of the gallery, from what all its rows of `EXPLANATION_SCHEMA` share."""
    other = row["target"] != row["fine"]
    return ShownCell(
        cell_id=row["cell_id"],
        name=find(row["target"]).name,
        probability=row["probability"],
        why=row["why"],
        predicted=find(row["fine"]).name if other else None,
        flags=tuple(flag for flag in row["flags"].split(";") if flag),
        picture=embedded(jpeg(view.picture, THUMBNAIL)),
        maps=maps,
        neighbours=neighbours,
    )


def write_explanation(folder: Path, content: ExplanationContent) -> None:
    """Write ``summary.md`` and ``report.html``.

    Raises:
        OutputError: they cannot be written.
    """
    write_text(folder / "summary.md", summary(content))
    page = render(
        "explanation.html.j2",
        content=content,
        cards={found.method: CARDS[found.method] for found in content.figures if found.method not in BASELINES},
        in_words=in_words,
        title_of=title_of,
        find=find,
        columns=COLUMNS,
        failures=failure_lines(content.failures),
        provenance=tuple(flat(content.provenance)),
        date=str(content.provenance.get("created", ""))[:10],
    )
    write_text(folder / "report.html", page)


def summary(content: ExplanationContent) -> str:
    """The averages as Markdown."""
    read = f"{content.cells_total:,} {'cell' if content.cells_total == 1 else 'cells'} explained"
    lines = [
        f"# {content.card.name} explained on {content.title}",
        "",
        f"{read}; {content.failures_total:,} images could not be read. In brackets: 95 % intervals, bootstrapped by "
        "image. Deletion: low is good; insertion: high is good; both between 0 and 1.",
        "",
        "| | images | deletion | insertion | heat in the cell | heat in the nucleus | random weights |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {title_of(found.method)} | {found.images:,} | "
        + " | ".join(show(getattr(found, column)) for column in COLUMNS)
        + f" | {show(found.sanity)} |"
        for found in content.figures
    ]
    for found in content.figures:
        if words := in_words(found):
            lines += ["", f"## {title_of(found.method)}", "", *(f"- {sentence}" for sentence in words)]
    if content.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in content.notes)]
    quoted = [f"- {name}: `{content.provenance[name]}`" for name in ("commit", "machine", "created")]
    return "\n".join([*lines, "", *quoted, f"- {RESEARCH_USE_ONLY}", ""])
