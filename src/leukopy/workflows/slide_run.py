"""One slide, from its cells or fields to a folder of results; an interrupted run is resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import LeukopyError, OutputError
from leukopy.core.files import read_json
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import FINISHED, RUN_FILE, Record, begin, check_same, finish, record
from leukopy.workflows import fields_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leukopy.bundle import Card
    from leukopy.core.settings import Settings
    from leukopy.fields.counts import FieldCounts
    from leukopy.inference.rows import CellInput
    from leukopy.reports.gallery import Thumbnails
    from leukopy.slides.alarm import AlarmSettings
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.differential import Differential, ReferenceRanges
    from leukopy.slides.record import SlideRecord
    from leukopy.slides.result_parts import ResultParts

CELLS_FILE = "cells.parquet"
FAILURES_FILE = "failures.csv"
REPORT_FILE = "report.html"

FREE_SETTINGS = frozenset({"threads", "processes", "device", "xlsx", "zip"})
"""Settings that change no result: a resumed run may have others."""


@dataclass(frozen=True)
class SlideJob:
    """One slide to analyse."""

    cells: Sequence[CellInput]
    title: str
    settings: Settings
    """Saved in ``run.json``."""
    per_class: int
    """Cells of each class that the report shows."""
    ranges: ReferenceRanges
    alarm: AlarmSettings
    """Thresholds of the alarm for blasts."""
    notes: tuple[str, ...] = ()
    """Warnings about the inputs."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Facts on the inputs for ``run.json``."""
    fields: fields_run.FieldsJob | None = None
    """Its fields; None where the inputs are cells."""
    for_people: bool = True
    """Write the files that people open too: ``cells.csv``, the differential and the report."""

    @property
    def count(self) -> int:
        """Number of inputs: cells, or fields."""
        return self.fields.count if self.fields else len(self.cells)

    def digest(self) -> str:
        """Digest of the inputs in their order; a resumed run must match it."""
        from leukopy.fields.inputs import fields_digest
        from leukopy.inference.inputs import inputs_digest

        if self.fields:
            return self.fields.slide or fields_digest(self.fields.inputs)
        return inputs_digest(self.cells)


@dataclass(frozen=True)
class SlideResult:
    """Results of a run on one slide, and their folder."""

    folder: Path
    report: Path
    record: SlideRecord
    differential: Differential
    """Its ``refused`` says why there is none, where so few cells can be trusted."""
    counts: FieldCounts | None = None
    """Red cells, platelets and leukocytes of its fields; None where the inputs were cells."""

    @property
    def failures(self) -> int:
        """Images, of cells or fields, that could not be read."""
        return self.record.failures

    @property
    def cells(self) -> int:
        """Images that were read, or cells that were located on fields."""
        return self.record.classified

    @property
    def complete(self) -> bool:
        """True where every image was read and the slide has a differential."""
        return not self.record.failures and not self.differential.refused


def run_slide(
    job: SlideJob,
    classifier: Classifier,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> SlideResult:
    """Classify the cells of a slide; write rows, differential count and report into ``out``.

    Finished rows lie in ``out/parts`` during the run. An interrupted run writes its finished rows and raises the
    interruption (`KeyboardInterrupt` too). A resumed run ends with the same files.

    Raises:
        BundleError: the network fails.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.reports.gallery import Thumbnails
    from leukopy.slides.laboratory_check import nearest_laboratory
    from leukopy.slides.record import SlideRecord
    from leukopy.slides.result_parts import ResultParts
    from leukopy.slides.review_order import review_ranks

    run = _begin(job, classifier, out, resume=resume, overwrite=overwrite)
    if run["status"] == FINISHED:
        return _result(job, out, SlideRecord.load(run["slide"]), classifier.card)
    parts, thumbnails = ResultParts(out / "parts"), Thumbnails(job.per_class)
    pictures: fields_run.Pictures | None = None
    if job.fields:
        survey, pictures = fields_run.classify_fields(job.fields, classifier, parts, thumbnails, progress)
        fields_run.write_tables(parts, out)
    else:
        survey = _classify(job, classifier, parts, thumbnails, progress)
    ranks = review_ranks(parts.cells())
    parts.write_cells(out / CELLS_FILE, ranks)
    parts.write_failures(out / FAILURES_FILE)
    distance = nearest_laboratory(parts.appearance(), classifier.card.slide_check)
    found = SlideRecord.of(_cells(out), parts.rows, distance, survey)
    result = _result(job, out, found, classifier.card)
    if job.for_people:
        parts.write_cells(out / "cells.csv", ranks)
        _report(job, result, classifier.card, thumbnails, pictures, run)
    finish(out, run, slide=found.facts())
    parts.remove()
    return result


def forget_failed(folders: Sequence[Path]) -> None:
    """Remove the results of slides that failed or have unreadable images: a slide is analysed whole."""
    for folder in folders:
        try:
            run = read_json(folder / RUN_FILE)
            done = run["status"] == FINISHED and not run["slide"]["failures"]
        except (LeukopyError, KeyError, TypeError):
            done = False
        if not done:
            shutil.rmtree(folder, ignore_errors=True)


def _begin(job: SlideJob, classifier: Classifier, out: Path, *, resume: bool, overwrite: bool) -> Record:
    """Prepare ``out`` and return the content of its ``run.json``, new or of the run that is resumed."""
    from leukopy.inference.openvino import runtime

    card = classifier.card
    run = record(
        "analyze",
        job.settings,
        model={"name": card.name, "sha256": card.model.sha256, "card": card_digest(card), **_own_classes(card)},
        runtime=runtime(classifier.device.name),
        inputs={"count": job.count, "digest": job.digest(), **job.facts},
        **({"detector": job.fields.facts} if job.fields else {}),
    )
    earlier = begin(out, run, resume=resume, overwrite=overwrite)
    if earlier is None:
        return run
    model = run["settings"].get("model")
    if earlier["settings"].get("model") == model and earlier.get("model") != run["model"]:
        raise OutputError(
            f"{out}: cannot be resumed: the interrupted run used another version of the bundle {model}, or one that "
            "cannot be verified. Put back the earlier bundle, start again with --overwrite, or choose another output "
            "folder."
        )
    check_same(out, earlier, run, free=FREE_SETTINGS)
    return earlier


def _own_classes(card: Card) -> dict[str, Any]:
    """The model's own classes, for the station that imports the run; nothing without any."""
    own = card.outside.own if card.outside else ()
    return {"own_classes": [asdict(cell) for cell in own]} if own else {}


def card_digest(card: Card) -> str:
    """Digest of a card without its figures, which `evaluate` adds without changing an answer."""
    content = card.model_dump(mode="json", exclude={"metrics"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _classify(
    job: SlideJob, classifier: Classifier, parts: ResultParts, thumbnails: Thumbnails, progress: Progress
) -> Mapping[str, Any]:
    """Classify the cells that are not done; returns the facts of the survey."""
    cells = job.cells
    try:
        progress("classifying", parts.rows, len(cells))
        slide = classifier.slide(cells)
        with closing(slide.rows(cells[parts.rows :], parts.digests())) as stream:
            for predictions in stream:
                parts.add(predictions)
                thumbnails.add(predictions)
                progress("classifying", parts.rows, len(cells))
        return slide.survey.facts()
    except KeyboardInterrupt as interrupt:
        parts.flush()
        kept = f"{parts.rows} of {len(cells)} cells are done and saved. Run the same command with --resume to continue."
        raise KeyboardInterrupt(kept) from interrupt
    finally:
        parts.flush()


def _cells(out: Path) -> Any:
    import polars as pl

    return pl.scan_parquet(out / CELLS_FILE)


def _result(job: SlideJob, out: Path, found: SlideRecord, card: Card) -> SlideResult:
    from leukopy.slides import notes
    from leukopy.slides.count_error import error_of_slide
    from leukopy.slides.differential_files import count_cells

    fields = notes.FIELDS if found.survey.get("fields") else ""
    error = error_of_slide(card.count_error, found.survey)
    count = count_cells(_cells(out), job.ranges, fields=fields, alarm=job.alarm, error=error)
    urgent = count.refused or (count.alarm and count.alarm.raised)
    first, others = (count.notes[:1], count.notes[1:]) if urgent else ((), count.notes)
    if job.fields is None:
        count = replace(count, notes=(*first, *found.notes, *job.notes, *others))
        return SlideResult(out, out / REPORT_FILE, found, count)
    own = fields_run.field_notes(job.fields, out)
    count = replace(count, notes=(*first, *found.notes, *job.notes, *own, *others))
    return SlideResult(out, out / REPORT_FILE, found, count, fields_run.count_fields(job.fields, out, _cells(out)))


def _report(
    job: SlideJob,
    result: SlideResult,
    card: Card,
    thumbnails: Thumbnails,
    pictures: fields_run.Pictures | None,
    run: Record,
) -> None:
    import polars as pl

    from leukopy.inference.rows import FAILURE_SCHEMA
    from leukopy.reports.gallery import choose, choose_first, choose_left_out, totals
    from leukopy.reports.page import FAILURES_SHOWN, ReportContent, write_report
    from leukopy.slides.differential_files import write_differential

    cells = _cells(result.folder)
    shown, left_out = choose(cells, job.per_class), choose_left_out(cells, job.per_class)
    first = choose_first(cells, job.per_class)
    fields, read = None, None
    if job.fields and result.counts and pictures:
        fields = fields_run.fields_content(job.fields, result.folder, cells, result.counts, pictures)
        read = fields_run.read_cell(job.fields, cells)
    content = ReportContent(
        title=job.title,
        cells=shown,
        first=first,
        thumbnails=thumbnails.of(pl.concat([one.select("cell_id", "path") for one in (shown, first, left_out)]), read),
        totals=totals(cells),
        differential=result.differential,
        failures=pl.read_csv(result.folder / FAILURES_FILE, schema=FAILURE_SCHEMA, n_rows=FAILURES_SHOWN),
        failures_total=result.failures,
        left_out=left_out,
        left_out_total=result.record.no_cell + result.record.several_cells,
        card=card,
        provenance={
            **run["provenance"],
            **{name: run[name] for name in ("model", "detector", "runtime", "inputs") if name in run},
        },
        fields=fields,
    )
    write_differential(result.folder, result.differential)
    write_report(result.report, content)
