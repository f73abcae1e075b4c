"""Exploration of a collection of cells before any model: light, colour, stains, shape, projections, on one page."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leukopy.core.errors import InputError, MissingExtraError
from leukopy.core.files import read_json, write_json, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.provenance import provenance
from leukopy.core.runs import RUN_FILE, UNFINISHED, begin, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from leukopy.bundle import Bundle
    from leukopy.explore.projections import Score

REPORT_FILE = "report.html"


class ExploreSettings(Settings):
    """Settings of an exploration."""

    inputs: tuple[str, ...] = Field(min_length=1)
    """One or several of: a manifest (.csv, .parquet); a data set and its folder (NAME=PATH, names from `leukopy study
    datasets`); a folder of images, labelled where its folders are named by class."""
    level: Literal["fine", "coarse"] = "fine"
    """Classes as labelled, or the coarse ones."""
    model: str = "default"
    """A bundled model, or a bundle folder: its embeddings are projected."""
    points: int = Field(default=6000, ge=100, le=50_000)
    """Most cells in the projections, sampled by class and source."""
    per_group: int = Field(default=8, ge=1, le=100)
    """Cells shown of each class and source, drawn at random."""
    seed: int = Field(default=0, ge=0)
    """Seed of samples, draws and projections."""


@dataclass(frozen=True)
class ExploreResult:
    """Findings of an exploration, and their folder."""

    out: Path
    report: Path
    cells: int
    """Images that were read."""
    failures: int
    """Images that could not be read; ``failures.csv`` lists them."""
    counts: pl.DataFrame
    """Cells by source and class, as in ``classes.csv``."""
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    """Notes on omissions with the reason, as on the page."""


def explore(
    settings: ExploreSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> ExploreResult:
    """Measure every image, project a sample, and write a page and its tables.

    Measures and embeddings are cached by the digest of each file: the same command resumes an interrupted run, and a
    second run measures nothing.

    Args:
        settings: the settings.
        out: receives ``report.html``; ``features.parquet`` and ``.csv``, one row per cell; ``classes.csv``,
            ``sizes.csv``, ``luminance.csv``, ``colours.csv``, ``stains.csv``, ``morphology.csv`` and ``profiles.csv``
            by class and source; ``outliers.csv``, ``projections.parquet``, ``scores.csv``, ``failures.csv``,
            ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the images and projections that are done.

    Raises:
        MissingExtraError: the extra ``study`` is not installed.
        InputError: nothing to read, or nothing that can be read.
        BundleError: no such model.
        OutputError: ``out`` or the cache cannot be written, or ``out`` holds something else.
    """
    if find_spec("plotly") is None or find_spec("umap") is None:
        raise MissingExtraError("leukopy study explore", "study")
    from leukopy.bundle import open_bundle
    from leukopy.explore.inputs import open_inputs

    listed = open_inputs(settings.inputs)
    bundle = open_bundle(settings.model)
    run = record("explore", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    if begin(out, run, resume=None if overwrite else _interrupted(out), overwrite=overwrite):
        write_json(out / RUN_FILE, run)  # the tables are all written again: nothing of other settings is mixed in
    try:
        result = _explore(settings, listed, bundle, out, progress)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("finished measures are cached; the same command resumes.") from interrupt
    finish(out, run, cells=result.cells, failures=result.failures, notes=result.notes)
    return result


def _interrupted(out: Path) -> bool | None:
    """True where ``out`` holds an unfinished run; None where it holds no run."""
    if not (out / RUN_FILE).is_file():
        return None
    earlier = read_json(out / RUN_FILE)
    return (isinstance(earlier, dict) and earlier.get("status") == UNFINISHED) or None


def _explore(
    settings: ExploreSettings, listed: pl.DataFrame, bundle: Bundle, out: Path, progress: Progress
) -> ExploreResult:
    from leukopy.explore.collection import collect
    from leukopy.explore.content import page_content
    from leukopy.explore.findings import explore_collection
    from leukopy.explore.page import write_page
    from leukopy.explore.summaries import count_classes
    from leukopy.explore.tables import write_tables

    with closing(collect(listed, settings.level, progress)) as collection:
        write_text(out / "failures.csv", collection.failures.write_csv())
        if collection.cells.is_empty():
            raise InputError(f"none of the {len(listed):,} images can be read; see {out / 'failures.csv'}.")
        findings = explore_collection(collection, bundle, points=settings.points, seed=settings.seed, progress=progress)
        write_tables(out, findings)
        content = page_content(
            findings,
            title=", ".join(collection.sources),
            per_group=settings.per_group,
            seed=settings.seed,
            provenance=_made_by(settings, bundle),
        )
        write_page(out / REPORT_FILE, content)
    return ExploreResult(
        out=out,
        report=out / REPORT_FILE,
        cells=len(collection.cells),
        failures=len(collection.failures),
        counts=count_classes(collection.cells),
        scores=tuple(findings.scores),
        notes=tuple(findings.notes),
    )


def _made_by(settings: ExploreSettings, bundle: Bundle) -> dict[str, Any]:
    """Provenance on the page; without paths, which may hold a name."""
    chosen = settings.model_dump(mode="json", exclude={"inputs", "model"})
    return {**chosen, "embeddings of": bundle.card.title, **provenance()}
