"""``report.html`` of an evaluation: its figures and the cells behind them, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle.card import Card
from leukopy.core.files import write_text
from leukopy.evaluation.agreement import ANNOTATORS, Agreement
from leukopy.evaluation.classification import Confusion, confusions
from leukopy.evaluation.levels import Evaluation, Level
from leukopy.reports.confusion import percent, row_shares
from leukopy.reports.evaluation import averages
from leukopy.reports.examples import confused, level_rows
from leukopy.reports.gallery import Thumbnails
from leukopy.reports.page import failure_lines
from leukopy.reports.rendering import chance, embedded, flat, render
from leukopy.taxonomy import find

PAIRS_SHOWN = 10
"""Confusions shown at each level, the most frequent."""
DOUBTS_PER_EXAMPLE = 4
"""Doubtful labels shown at each level, for each example of a confusion."""


@dataclass(frozen=True)
class EvaluationContent:
    """Content of the page."""

    evaluation: Evaluation
    rows: pl.DataFrame
    """Every scored cell: ``CELL_SCHEMA`` with ``truth`` and ``source``."""
    labels: pl.DataFrame
    """Rows of ``LABEL_SCHEMA``, of all levels."""
    labels_note: str | None
    """Reason why no label could be judged; empty where labels were judged."""
    relation: str
    """Relation of the images to the training images, one sentence."""
    in_sample: bool
    """The model was trained on some of these images."""
    examples: int
    """Pictures of each confusion."""
    reliability: bytes | None
    """PNG."""
    curves: bytes | None
    """PNG of the training that made the model, where it is known."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""
    card: Card
    provenance: Mapping[str, Any]

    @property
    def failures_total(self) -> int:
        """Images that could not be read."""
        return self.failures.height


@dataclass(frozen=True)
class Cell:
    """One field of a matrix."""

    images: int
    text: str
    """Per cent of the row; empty where there is no image."""
    shade: int
    """Per cent of colour behind it."""
    deep: bool
    """So dark that the text is light."""


@dataclass(frozen=True)
class Row:
    """One row of a matrix."""

    code: str
    images: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    """A row-normalised matrix, without empty rows."""

    codes: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Tile:
    """One picture and its caption."""

    cell_id: str
    picture: str | None
    """Base64 of the JPEG; None where the picture can no longer be read."""
    said: tuple[str, ...]


@dataclass(frozen=True)
class Shelf:
    """One confusion."""

    pair: Confusion
    vanishes: bool
    """Both classes sum into the same coarse one."""
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class View:
    """One level."""

    level: Level
    matrix: Matrix
    pairs: int
    errors: int
    shelves: tuple[Shelf, ...]
    labels: pl.DataFrame
    doubts: tuple[Tile, ...]
    copies: list[dict[str, Any]]
    """Rows of ``LABEL_SCHEMA`` that identical files contradict."""


def write_evaluation_page(path: Path, content: EvaluationContent) -> None:
    """Write the page.

    Raises:
        OutputError: it cannot be written.
    """
    found = content.evaluation
    page = render(
        "evaluation.html.j2",
        content=content,
        title=f"{found.model} on {found.data}, {found.split}",
        date=str(content.provenance.get("created", ""))[:10],
        views=[_view(level, content) for level in found.levels],
        readers=[(pair, readers_matrix(pair)) for pair in found.agreement if pair.second in ANNOTATORS],
        averages=averages,
        embedded=embedded,
        failures=failure_lines(content.failures),
        provenance=tuple(flat(content.provenance)),
        find=find,
    )
    write_text(path, page)


def _view(level: Level, content: EvaluationContent) -> View:
    rows = level_rows(content.rows, level.classes)
    codes = [cell.code for cell in level.classes]
    pairs = confusions(level.classification.confusion, level.classes)
    shown = [(pair, confused(rows, pair, content.examples)) for pair in pairs[:PAIRS_SHOWN]]
    labels = content.labels.filter(level=level.key)
    doubts = labels.head(DOUBTS_PER_EXAMPLE * content.examples).join(
        rows.select("cell_id", "path"), on="cell_id", maintain_order="left"
    )
    needed = [doubts.select("cell_id", "path"), *(cells.select("cell_id", "path") for _, cells in shown)]
    pictures = Thumbnails().of(pl.concat(needed).unique("cell_id", maintain_order=True))
    return View(
        level,
        matrix(level.classification.confusion, codes),
        len(pairs),
        sum(pair.images for pair in pairs),
        tuple(
            Shelf(pair, _coarse(pair.truth) == _coarse(pair.predicted), tuple(_confused(cells, pictures)))
            for pair, cells in shown
        ),
        labels,
        tuple(_doubted(doubts, pictures)),
        labels.filter(pl.col("contradicted_by").str.contains("copy")).to_dicts(),
    )


def _coarse(code: str) -> str:
    """Coarse code of a class; its own where it is in no coarse class."""
    return find(code).coarse or code


def _confused(cells: pl.DataFrame, pictures: Mapping[str, bytes]) -> Iterator[Tile]:
    for row in cells.iter_rows(named=True):
        label = f"label {row['given']} {chance(row['p_' + row['given']])}"
        yield _tile(row["cell_id"], pictures, f"{row['predicted']} {chance(row['confidence'])}", label)


def _doubted(cells: pl.DataFrame, pictures: Mapping[str, bytes]) -> Iterator[Tile]:
    for row in cells.iter_rows(named=True):
        said = [f"label {row['given']}", f"model {row['predicted']} {chance(row['confidence'])}"]
        if row["quality"] is not None:
            said.append(f"quality {row['quality']:.3f}")
        if row["copies"]:
            said.append(f"identical file: label {row['copies_given'].replace(';', ', ')}")
        yield _tile(row["cell_id"], pictures, *said)


def _tile(cell_id: str, pictures: Mapping[str, bytes], *said: str) -> Tile:
    jpeg = pictures.get(cell_id)
    return Tile(cell_id, embedded(jpeg) if jpeg else None, said)


def matrix(counts: NDArray[np.integer], codes: Sequence[str]) -> Matrix:
    """A matrix of counts, shape (C, C), with each row in per cent of itself."""
    shares = row_shares(counts)
    return Matrix(
        tuple(codes),
        tuple(
            Row(code, int(line.sum()), tuple(_cell(int(n), float(s)) for n, s in zip(line, part, strict=True)))
            for code, line, part in zip(codes, counts, shares, strict=True)
            if line.any()
        ),
    )


def readers_matrix(pair: Agreement) -> Matrix:
    """Second reader's classes of the images of each class of the first."""
    return matrix(pair.table, [row.code for row in pair.classes])


def _cell(images: int, share: float) -> Cell:
    """Square-root colour scale, so that errors of a few per cent are visible; text stays legible on every shade."""
    deep = share > 0.5
    shade = 80 + 40 * (share - 0.5) if deep else 50 * (2 * share) ** 0.5
    return Cell(images, percent(100 * share) if images else "", round(shade), deep)
