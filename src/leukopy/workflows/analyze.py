"""From a folder of cell images to a differential count and a report: the main job."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from leukopy.core.errors import OutputError
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import FINISHED, Record, begin, check_same, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leukopy.bundle import Card
    from leukopy.inference.rows import CellInput
    from leukopy.slides.differential import Differential, ReferenceRanges
    from leukopy.slides.laboratory_check import SlideDistance
    from leukopy.slides.reader import Classifier
    from leukopy.slides.result_parts import Parts
    from leukopy.slides.survey import SlideSurvey

CELLS_FILE = "cells.parquet"
FAILURES_FILE = "failures.csv"
REPORT_FILE = "report.html"


class AnalyzeSettings(Settings):
    """All that decides what `analyze` writes."""

    input: Path
    """A folder, a list (.txt), a manifest (.csv, .parquet) or one image."""
    model: str = "default"
    """Name of a bundled model, or a bundle folder."""
    threads: int | None = Field(default=None, ge=1)
    """None: one for each core that the process may use. The results do not depend on it."""
    title: str | None = None
    """Name of the slide in the report; None: the name of ``input``."""
    per_class: int = Field(default=24, ge=0, le=500)
    """Cells of each class that the report shows."""
    reference: dict[str, Any] = Field(default_factory=dict)
    """The laboratory's reference ranges (`ReferenceRanges`); empty: adults."""

    @field_validator("input")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        """So that a saved run is repeated from any folder."""
        return path.absolute()


@dataclass(frozen=True)
class AnalyzeResult:
    """What a run found, and where it lies."""

    folder: Path
    report: Path
    inputs: int
    cells: int
    failures: int
    differential: Differential
    slide: SlideDistance | None
    """How far the slide is from the laboratories of the training; None where nothing can be said."""


def analyze(
    settings: AnalyzeSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> AnalyzeResult:
    """Classify every cell of ``settings.input``; write rows, differential count and report into ``out``.

    Rows are kept in ``out/parts`` as the run goes on. Interrupted, it raises what interrupted it (`KeyboardInterrupt`
    too) after writing the rows it has; ``resume`` goes on there and ends with the same files.

    Args:
        settings: what to do.
        out: receives ``cells.parquet``, ``cells.csv``, ``failures.csv``, ``differential.csv``, ``differential.json``,
            ``report.html`` and ``run.json``.
        resume: go on with the run that ``out`` holds.
        overwrite: replace the run that ``out`` holds.
        progress: told of the cells classified.

    Raises:
        InputError: nothing to read at ``settings.input``, or a manifest that is wrong.
        BundleError: the model is absent, broken or foreign.
        SettingsError: reference ranges that are none.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.inference.inputs import list_inputs
    from leukopy.slides.differential import ReferenceRanges
    from leukopy.slides.laboratory_check import SlideDistance, nearest_laboratory
    from leukopy.slides.reader import Classifier
    from leukopy.slides.result_parts import Parts

    # All that can be wrong is found before the first file is written, and before --overwrite deletes one.
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    inputs = list_inputs(settings.input).cells
    classifier = Classifier.open(settings.model, settings.threads)
    run = _begin(settings, out, inputs, classifier, resume=resume, overwrite=overwrite)
    if run["status"] == FINISHED:
        known = run.get("slide")
        noted = run.get("survey", {}).get("note", "")
        return _result(out, len(inputs), ranges, SlideDistance(**known) if known else None, noted)
    parts = Parts(out / "parts")
    survey = _classify(parts, inputs, classifier, progress)
    parts.write_cells(out / CELLS_FILE)
    parts.write_cells(out / "cells.csv")
    parts.write_failures(out / FAILURES_FILE)
    result = _result(
        out, len(inputs), ranges, nearest_laboratory(parts.appearance(), classifier.card.slide_check), survey.note
    )
    _report(settings, run, result, classifier.card)
    counts = {"cells": result.cells, "failures": result.failures}
    slide = asdict(result.slide) if result.slide else None
    finish(out, run, counts=counts, slide=slide, survey=survey.facts())
    parts.remove()
    return result


def _begin(
    settings: AnalyzeSettings,
    out: Path,
    inputs: Sequence[CellInput],
    classifier: Classifier,
    *,
    resume: bool,
    overwrite: bool,
) -> Record:
    """Prepare ``out`` and return the content of its ``run.json``, new or of the run that is resumed."""
    from leukopy.inference.inputs import inputs_digest
    from leukopy.inference.openvino import runtime

    run = record(
        "analyze",
        settings,
        model={
            "name": classifier.card.name,
            "sha256": classifier.card.model.sha256,
            "card": _card_digest(classifier.card),
        },
        runtime=runtime(),
        inputs={"count": len(inputs), "digest": inputs_digest(inputs)},
    )
    earlier = begin(out, run, resume=resume, overwrite=overwrite)
    if earlier is None:
        return run
    if earlier["settings"].get("model") == settings.model and earlier.get("model") != run["model"]:
        raise OutputError(
            f"{out}: cannot be resumed, since the bundle {settings.model} is not, or not known to be, what it was when "
            "the run there began: its network or its card is another. Put back the bundle of that time, add "
            "--overwrite to begin anew with this one, or choose another output folder."
        )
    check_same(out, earlier, run, free=frozenset({"threads"}))
    return earlier


def _card_digest(card: Card) -> str:
    """Of all that a card says but its figures, which `evaluate` adds to without changing an answer."""
    content = card.model_dump(mode="json", exclude={"metrics"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _classify(parts: Parts, inputs: Sequence[CellInput], classifier: Classifier, progress: Progress) -> SlideSurvey:
    try:
        progress("classifying", parts.rows, len(inputs))
        survey = classifier.survey(inputs)
        with closing(classifier.stream(inputs[parts.rows :], survey)) as stream:
            for predictions in stream:
                parts.add(predictions)
                progress("classifying", parts.rows, len(inputs))
        return survey
    except KeyboardInterrupt as interrupt:
        parts.flush()
        kept = f"{parts.rows} of {len(inputs)} cells are done and kept. Run the same command with --resume to continue."
        raise KeyboardInterrupt(kept) from interrupt
    finally:
        parts.flush()


def _result(out: Path, inputs: int, ranges: ReferenceRanges, slide: SlideDistance | None, noted: str) -> AnalyzeResult:
    """What the rows in ``out`` say; ``noted`` of the survey stands with the figures."""
    import polars as pl

    from leukopy.slides.differential_files import count_cells

    cells = pl.scan_parquet(out / CELLS_FILE)
    classified = int(cells.select(pl.len()).collect().item())
    count = count_cells(cells, ranges)
    count = replace(count, notes=(*filter(None, (slide.note if slide else "", noted)), *count.notes))
    return AnalyzeResult(out, out / REPORT_FILE, inputs, classified, inputs - classified, count, slide)


def _report(settings: AnalyzeSettings, run: Record, result: AnalyzeResult, card: Card) -> None:
    import polars as pl

    from leukopy.inference.rows import FAILURE_SCHEMA
    from leukopy.reports.gallery import choose, thumbnails, totals
    from leukopy.reports.page import FAILURES_SHOWN, ReportContent, write_report
    from leukopy.slides.differential_files import write_differential

    cells = pl.scan_parquet(result.folder / CELLS_FILE)
    shown = choose(cells, settings.per_class)
    content = ReportContent(
        title=settings.title or settings.input.name,
        cells=shown,
        thumbnails=thumbnails(shown),
        totals=totals(cells),
        differential=result.differential,
        failures=pl.read_csv(result.folder / FAILURES_FILE, schema=FAILURE_SCHEMA, n_rows=FAILURES_SHOWN),
        failures_total=result.failures,
        card=card,
        provenance={**run["provenance"], **{name: run[name] for name in ("model", "runtime", "inputs")}},
    )
    write_differential(result.folder, result.differential)
    write_report(result.report, content)
