"""Consensus of several annotators' labels, their agreement, and the cells to adjudicate."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from leukopy.core.errors import InputError, ManifestError
from leukopy.core.files import write_json, write_text
from leukopy.core.runs import Record, begin, finish, record
from leukopy.core.settings import Settings, Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.evaluation.agreement import Agreement
    from leukopy.evaluation.consensus import Consensus
    from leukopy.reports.consensus import ConsensusReport
    from leukopy.taxonomy import CellClass

CONSENSUS_FILE, ADJUDICATE_FILE, REPORT_FILE, PAGE_FILE = (
    "consensus.csv", "adjudicate.csv", "consensus.json", "consensus.html",
)  # fmt: skip


class ConsensusSettings(Settings):
    """Settings of `consensus`."""

    table: Path
    """One row per cell: a column path, a column for each annotator, and group (slide, patient) where known."""
    annotators: Annotated[tuple[str, ...], Shown("all columns that no manifest has")] = ()
    """Names of the annotators' columns."""
    label_map: str | None = None
    """Data set whose class names the labels are, or a table with columns label and code (docs/studies.md)."""
    level: Literal["fine", "coarse"] = "fine"
    """Classes of the consensus. A label without a fine class, as `neutrophil`, counts at the coarse classes alone."""
    predictions: Path | None = None
    """Predictions (predictions.parquet, cells.parquet) of a model that did not learn these cells: the consensus is then
    CROWDLAB's, which weighs them too; without, it is Dawid and Skene's."""
    adjudicate_below: float = Field(default=0.9, gt=0, le=1)
    """Cells whose consensus is less probable are listed for adjudication."""
    seed: int = 0
    """Seed of the order of that list, and of the intervals."""


def consensus(settings: ConsensusSettings, out: Path, *, overwrite: bool = False) -> ConsensusReport:
    """Measure how several annotators agree, and estimate the class of each cell.

    Args:
        settings: the settings.
        out: receives ``consensus.csv`` (a manifest with the consensus, its probability and all labels),
            ``adjudicate.csv`` (a manifest of the doubtful cells in random order, without a label, to be classified and
            read blind), ``consensus.json``, ``consensus.html`` and ``run.json``.
        overwrite: overwrite the results in ``out``.

    Raises:
        ManifestError: no table, no such column, or a cell twice.
        UnknownLabelError: a label that the label map does not hold; names the line.
        InputError: fewer than two annotators with labels, one class only, or predictions of other cells.
        MissingExtraError: CROWDLAB's library is not installed.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.evaluation.consensus import fleiss_kappa
    from leukopy.reports.consensus import AnnotatorRow, ConsensusReport, write_consensus_page

    cells, codes = _read(settings)
    classes = _used(codes, settings)
    labels = _indices(codes, classes)
    groups = cells["group"].to_numpy() if cells["group"].null_count() == 0 else None
    run = record("study consensus", settings)
    begin(out, run, overwrite=overwrite)
    found = _consensus(cells, labels, classes, settings)
    table = _with_consensus(cells, codes, labels, classes, found, settings)
    result = ConsensusReport(
        method="Dawid and Skene" if settings.predictions is None else "CROWDLAB",
        level=settings.level,
        annotators=tuple(
            AnnotatorRow(name, int((labels[:, place] >= 0).sum()), float(found.accuracy[place]))
            for place, name in enumerate(codes.columns)
        ),
        fleiss=fleiss_kappa(labels, len(classes), groups=groups, seed=settings.seed),
        pairs=tuple(_pairs(codes, settings, groups)),
        cells=table,
        notes=_notes(cells, codes, table, settings),
    )
    _write(out, result, run, settings)
    write_consensus_page(out / PAGE_FILE, result, run["provenance"])
    finish(out, run, cells=len(table), adjudicate=result.adjudicate)
    return result


def _read(settings: ConsensusSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cells as a manifest, and a column of class codes at the level for each annotator."""
    import polars as pl

    from leukopy.core.tables import column_name, read_header
    from leukopy.datasets import MANIFEST_SCHEMA, read_annotators, read_manifest
    from leukopy.evaluation.agreement import at_level
    from leukopy.taxonomy import COARSE, FINE, label_map, open_label_map

    base = label_map("leukopy")
    known = open_label_map(settings.label_map, base) if settings.label_map else base
    header = [name for name in read_header(settings.table) if name]
    others = {*MANIFEST_SCHEMA, "label_map"} - {"label", "code"}
    names = [column_name(name) for name in settings.annotators] or [name for name in header if name not in others]
    if missing := [name for name in names if name not in header]:
        raise ManifestError(f"{settings.table}: has no column {', '.join(missing)}; it has {', '.join(header)}.")
    if len(set(names)) < 2:
        raise InputError(f"{settings.table}: a consensus needs the columns of two annotators, not {len(set(names))}.")
    cells = read_manifest(settings.table, labels=known)
    level = FINE if settings.level == "fine" else COARSE
    codes = read_annotators(settings.table, names, known).with_columns(
        pl.all().map_elements(lambda code: at_level(code, level), return_dtype=pl.String)
    )
    return cells, codes


def _used(codes: pl.DataFrame, settings: ConsensusSettings) -> tuple[CellClass, ...]:
    """The classes that an annotator named, in display order."""
    from leukopy.taxonomy import display_order, find

    used = {code for name in codes.columns for code in codes[name].drop_nulls()}
    if len(used) < 2:
        raise InputError(
            f"{settings.table}: the annotators name {', '.join(used) or 'no class'} at the {settings.level} classes; a "
            "consensus needs two classes."
        )
    places = {code: place for place, code in enumerate(display_order())}
    return tuple(find(code) for code in sorted(used, key=lambda code: (places.get(code, -1), code)))


def _indices(codes: pl.DataFrame, classes: Sequence[CellClass]) -> NDArray[np.intp]:
    """(N, M): class indices of the labels; -1 where there is none."""
    import numpy as np

    from leukopy.evaluation.consensus import NONE

    place = {cell.code: index for index, cell in enumerate(classes)} | {None: NONE}
    return np.array([[place[code] for code in row] for row in codes.iter_rows()], np.intp)


def _consensus(
    cells: pl.DataFrame, labels: NDArray[np.intp], classes: Sequence[CellClass], settings: ConsensusSettings
) -> Consensus:
    import numpy as np

    from leukopy.evaluation.consensus import Consensus, crowdlab, dawid_skene

    if settings.predictions is None:
        return dawid_skene(labels, len(classes))
    shares = _predicted(cells, classes, settings.predictions)
    labelled = (labels >= 0).any(axis=1)
    if empty := [place for place in range(labels.shape[1]) if not (labels[:, place] >= 0).any()]:
        raise InputError(f"{settings.table}: annotator {empty[0] + 1} has labelled no cell. Take the column out.")
    found = crowdlab(labels[labelled], shares[labelled])
    probabilities = np.full(shares.shape, np.nan)
    probabilities[labelled] = found.probabilities
    return Consensus(probabilities, found.accuracy)


def _predicted(cells: pl.DataFrame, classes: Sequence[CellClass], path: Path) -> NDArray[np.float64]:
    """(N, C): probabilities of the classes by a model, of each cell."""
    import numpy as np
    import polars as pl

    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: cannot be read. Give predictions.parquet of leukopy evaluate.") from error
    names = [f"p_{cell.code}" for cell in classes]
    if not {"path", "digest"} <= set(table.columns):
        raise InputError(f"{path}: holds no predictions of cells. Give predictions.parquet of leukopy evaluate.")
    given = table.unique("path").select(
        pl.col("path"), *(pl.col(name) if name in table.columns else pl.lit(0.0).alias(name) for name in names)
    )
    joined = cells.select("path").join(given, on="path", how="left", maintain_order="left")
    missing = joined[names[0]].null_count()
    if missing:
        raise InputError(
            f"{path}: has no prediction of {missing:,} of the {len(cells):,} cells. Classify the same images, by the "
            "same paths, or leave those out of the table."
        )
    return np.asarray(np.maximum(joined.select(names).to_numpy().astype(np.float64), 1e-6))


def _with_consensus(
    cells: pl.DataFrame,
    codes: pl.DataFrame,
    labels: NDArray[np.intp],
    classes: Sequence[CellClass],
    found: Consensus,
    settings: ConsensusSettings,
) -> pl.DataFrame:
    """Rows of ``consensus.csv``: the most doubtful cell first."""
    import numpy as np
    import polars as pl

    from leukopy.evaluation.consensus import majority

    names = np.array([*(cell.code for cell in classes), None], dtype=object)
    chosen = found.classes
    given = (labels >= 0).sum(axis=1)
    agree = (labels == chosen[:, None]).sum(axis=1) / np.maximum(given, 1)
    best = np.nan_to_num(found.probabilities, nan=0.0).max(axis=1)
    known = chosen >= 0
    return (
        cells.select("cell_id", "path", "source", "group", "slide", "split")
        .with_columns(
            pl.Series("code", names[chosen], pl.String),
            pl.Series("probability", np.where(known, best, np.nan)).fill_nan(None),
            pl.Series("majority", names[majority(labels, len(classes))], pl.String),
            pl.Series("annotators", given),
            pl.Series("agree", np.where(known, agree, np.nan)).fill_nan(None),
            pl.Series("adjudicate", known & (best < settings.adjudicate_below)),
            *(codes[name].alias(f"by_{name}") for name in codes.columns),
        )
        .sort("probability", "cell_id", nulls_last=True)
    )


def _pairs(codes: pl.DataFrame, settings: ConsensusSettings, groups: NDArray[np.str_] | None) -> list[Agreement]:
    """Agreement of each pair of annotators on the cells that both labelled."""
    import polars as pl

    from leukopy.evaluation.agreement import agreement
    from leukopy.taxonomy import COARSE, FINE

    found = []
    level = FINE if settings.level == "fine" else COARSE
    table = codes if groups is None else codes.with_columns(pl.Series("\0group", groups))
    for pair in combinations(codes.columns, 2):
        both = table.drop_nulls(pair)
        if not both.is_empty():
            drawn = None if groups is None else both["\0group"].to_numpy()
            readings = both.select(pair).rows()
            found.append(agreement(readings, level, pair, groups=drawn, seed=settings.seed))
    return found


def _notes(
    cells: pl.DataFrame, codes: pl.DataFrame, table: pl.DataFrame, settings: ConsensusSettings
) -> tuple[str, ...]:
    notes = []
    if unlabelled := table["code"].null_count():
        notes.append(
            f"{unlabelled:,} of {len(cells):,} cells have no label at the {settings.level} classes: no consensus."
        )
    if single := table.filter(annotators=1).height:
        notes.append(f"{single:,} cells have one label alone: their consensus is that label, weighed by its annotator.")
    if len(codes.columns) == 2 and settings.predictions is None:
        notes.append(
            "Two annotators alone cannot show which of them is right: the consensus of a disagreement is a guess from "
            "their habits. Adjudicate it, or give predictions of a model."
        )
    return tuple(notes)


def _write(out: Path, result: ConsensusReport, run: Record, settings: ConsensusSettings) -> None:
    from dataclasses import asdict

    import polars as pl

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    write_text(out / CONSENSUS_FILE, result.cells.write_csv(float_precision=4))
    doubtful = result.cells.filter(pl.col("adjudicate")).sort("cell_id")
    doubtful = doubtful.sample(fraction=1, shuffle=True, seed=settings.seed)
    write_text(out / ADJUDICATE_FILE, doubtful.select("cell_id", "path", "source", "group", "slide").write_csv())
    pairs = [
        {"annotators": [pair.first, pair.second], "cells": pair.images, "kappa": asdict(pair.kappa),
         "agreement": asdict(pair.raw)}
        for pair in result.pairs
    ]  # fmt: skip
    write_json(out / REPORT_FILE, {
        "use": RESEARCH_USE_ONLY,
        "method": result.method,
        "level": result.level,
        "cells": len(result.cells),
        "adjudicate": result.adjudicate,
        "fleiss_kappa": asdict(result.fleiss),
        "pairs": pairs,
        "annotators": [asdict(one) for one in result.annotators],
        "notes": list(result.notes),
        "provenance": run["provenance"],
    })  # fmt: skip
