"""Main workflow: pictures of cells or fields to differential counts and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from leukopy.core.devices import Device
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings, Shown
from leukopy.fields.count_settings import CountSettings
from leukopy.workflows.choose_slide import with_choice
from leukopy.workflows.exports import export
from leukopy.workflows.slide_run import SlideJob, SlideResult, forget_failed, run_slide
from leukopy.workflows.slides_run import SlidesResult, run_slides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leukopy.fields.inputs import FieldInputs
    from leukopy.fields.kind import InputKind
    from leukopy.fields.slide_inputs import SlideInputs
    from leukopy.inference.inputs import Inputs
    from leukopy.inference.rows import CellInput
    from leukopy.slides.differential import ReferenceRanges


class AnalyzeSettings(Settings):
    """Settings of `analyze`."""

    input: Path
    """A folder of cell images, photographs of fields or whole slides, a list (.txt), a manifest (.csv, .parquet), one
    image, or the file of a whole slide."""
    input_kind: Annotated[Literal["cells", "fields", "slide"] | None, Shown("recognised by content")] = None
    """Kind of picture: one cell, a field of view, or a whole slide."""
    leukocytes: int = Field(default=200, ge=1, le=100_000)
    """Leukocytes after which the search of a whole slide ends."""
    um_per_px: Annotated[float | None, Shown("measured on the red cells")] = Field(default=None, ge=0.02, le=5)
    """Micrometres per pixel of a whole slide, if its file does not state them."""
    slides: bool = False
    """Each sub-folder is one slide. A manifest with a column `slide` holds several slides by itself."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    detector: str = "default"
    """Detector of cells on fields: a bundled one, or a bundle folder."""
    red_cell_shapes: str = "default"
    """Network for the shapes of red cells on fields: a bundled one, a bundle folder, or `none`."""
    pages: Literal["fields", "planes"] = "fields"
    """Pages of a file: fields of their own, or focus planes of one field."""
    focus: Literal["sharpest", "fused"] = "sharpest"
    """Picture of a field with several focus planes: the sharpest plane, or all planes fused."""
    classes: Literal["all", "healthy"] = "all"
    """all: with blasts and smudge cells; healthy: only the classes of healthy blood."""
    threads: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Worker threads. The results do not depend on them."""
    device: Device = "auto"
    """Device that runs the network. If it is missing, the CPU runs the network and a note says so."""
    processes: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Slides that are analysed at the same time. The results do not depend on it."""
    title: Annotated[str | None, Shown("name of the input")] = None
    """Name of the slide in the report."""
    per_class: int = Field(default=24, ge=0, le=500)
    """Cells of each class shown in the report."""
    fields_shown: int = Field(default=24, ge=0, le=200)
    """Fields shown in the report."""
    counts: CountSettings = CountSettings()
    """The laboratory's own platelet estimate."""
    xlsx: bool = False
    """Write `results.xlsx` too: all tables in one workbook."""
    zip: bool = False
    """Write `results.zip` too: all files of OUT."""
    reference: Annotated[dict[str, Any], Shown("adults")] = Field(default_factory=dict)
    """The laboratory's reference ranges, in % of the leukocytes."""
    blast_probability: float = Field(default=0.9, gt=0, le=1)
    """Minimum probability at which a single blast raises the alarm."""
    blast_share: float = Field(default=1.0, ge=0, lt=100)
    """Share of blasts, in %, that the lower 95 % limit must exceed to raise the alarm."""

    @field_validator("input")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        """Make the paths absolute, so that a saved run can be repeated from any folder."""
        return path.absolute()


def analyze(
    settings: AnalyzeSettings,
    out: Path,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> SlideResult | SlidesResult:
    """Classify every cell of ``settings.input``; write rows, differential count and report into ``out``.

    Pictures are cells, or fields whose leukocytes are located first. On a whole slide, fields of the monolayer are
    chosen and searched until enough leukocytes are found; a folder of whole slides is several slides. One slide:
    ``out`` receives ``cells.parquet``, ``cells.csv``, ``failures.csv``, ``differential.csv``, ``differential.json``,
    ``report.html`` and ``run.json``; with fields also ``fields.parquet``, ``objects.parquet``, the files of
    `reports.field_files.write_field_results` and ``results.xlsx``; with a whole slide also ``overview.png`` and
    ``squares.csv``. Several slides: each receives these in a folder of its own below ``out/slides``, and ``out``
    receives ``slides.csv``, ``slides.parquet``, ``slides.html`` and ``run.json``. Where asked for, each folder receives
    ``results.xlsx``, and ``out`` receives ``results.zip``.

    Args:
        settings: the settings.
        out: the folder of the results.
        resume: resume the interrupted run in ``out``.
        retry_failed: analyse again the slides of the run in ``out`` that failed or have unreadable images.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells classified, the fields or the slides analysed.

    Raises:
        InputError: nothing to read at ``settings.input``, cells beside fields, or a manifest that is wrong.
        BundleError: the model or the detector is absent, broken or foreign.
        SettingsError: invalid reference ranges.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.differential import ReferenceRanges

    # Check every input before the first file is written, and before --overwrite deletes one.
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    given = _list(settings)
    classifier = Classifier.open(settings.model, settings.threads, settings.device, classes=settings.classes)
    job = slide_job(settings, given, ranges, classifier.device.note)
    how = {"resume": resume, "retry_failed": retry_failed, "overwrite": overwrite}
    result: SlideResult | SlidesResult
    if given.inputs.slides:
        result = run_slides(job, given.inputs.by_slide(), classifier, out, settings.processes, **how, progress=progress)
    else:
        if retry_failed:
            forget_failed([out])
        again = resume or retry_failed
        if given.whole:
            job = with_choice(job, given.whole.files[0], out, progress, resume=again)
        result = run_slide(job, classifier, out, resume=again, overwrite=overwrite, progress=progress)
    export(out, workbook=settings.xlsx, archive=settings.zip)
    return result


class Given(NamedTuple):
    """The user's input: cells, fields, or whole slides."""

    cells: Inputs | None
    fields: FieldInputs | None
    told: bool
    """True where the pictures told what they are."""
    whole: SlideInputs | None = None

    @property
    def kind(self) -> str:
        """``cells``, ``fields`` or ``slide``."""
        return "slide" if self.whole else "fields" if self.fields else "cells"

    @property
    def inputs(self) -> Inputs | FieldInputs | SlideInputs:
        """One of the three."""
        found = self.cells or self.fields or self.whole
        if found is None:
            raise TypeError("cells, fields or whole slides")
        return found


def _list(settings: AnalyzeSettings) -> Given:
    """The inputs as cells, as fields, or as whole slides."""
    from leukopy.fields.inputs import list_fields
    from leukopy.fields.slide_inputs import list_slides
    from leukopy.inference.inputs import list_inputs

    kind, path = settings.input_kind, settings.input
    if kind in ("slide", None):
        whole = list_slides(path, asked=kind == "slide", um_per_px=settings.um_per_px)
        if whole is not None:
            return Given(None, None, kind is None, whole)
    if kind != "fields":
        cells = list_inputs(path, slides=settings.slides)
        if tell_kind(settings, cells.cells, path) == "cells":
            return Given(cells, None, told=kind is None)
    found = list_fields(path, slides=settings.slides, pages=settings.pages, focus=settings.focus)
    return Given(None, found, told=kind is None)


def tell_kind(settings: AnalyzeSettings, cells: Sequence[CellInput], where: Path) -> InputKind:
    """The kind of some inputs, as asked for or as their pictures tell.

    Without a detector, pictures are cells unless the user says otherwise.

    Raises:
        InputError: the pictures are cells and fields.
    """
    from leukopy.bundle.detector import bundled_detectors
    from leukopy.fields.kind import guess_kind

    if settings.input_kind is not None:
        return "cells" if settings.input_kind == "cells" else "fields"
    if settings.detector == "default" and not bundled_detectors():
        return "cells"
    return guess_kind(cells, str(where)).kind


def slide_job(settings: AnalyzeSettings, given: Given, ranges: ReferenceRanges, device: str) -> SlideJob:
    """The job of all inputs, as one slide.

    Raises:
        BundleError: the detector is absent or broken.
    """
    from leukopy.bundle.detector import open_detector
    from leukopy.slides.alarm import AlarmSettings
    from leukopy.workflows.fields_run import FieldsJob, detector_facts, shape_facts

    inputs, fields = given.inputs, None
    if given.cells is None:
        detector = detector_facts(open_detector(settings.detector).card) | shape_facts(settings.red_cell_shapes)
        fields = FieldsJob(
            given.fields.fields if given.fields else (),
            settings.detector,
            settings.counts,
            settings.fields_shown,
            detector,
            settings.leukocytes if given.whole else None,
            shapes=settings.red_cell_shapes,
        )
    facts: dict[str, Any] = {"kind": given.kind, "told_from": "pictures" if given.told else "settings"}
    if inputs.others.note:
        facts["note"] = inputs.others.note
    return SlideJob(
        cells=given.cells.cells if given.cells else (),
        title=settings.title or settings.input.name,
        settings=settings,
        per_class=settings.per_class,
        ranges=ranges,
        alarm=AlarmSettings(probability=settings.blast_probability, share=settings.blast_share),
        notes=tuple(filter(None, (_what(given, settings.leukocytes), inputs.others.note, device))),
        facts=facts,
        fields=fields,
    )


def _what(given: Given, leukocytes: int) -> str:
    """What the pictures are taken for."""
    several = given.inputs.slides
    if given.whole:
        count = len(given.whole.files)
        slides = "1 whole slide" if count == 1 else f"{count:,} whole slides, each"
        return f"{slides} searched until {leukocytes:,} leukocytes are found." if several else ""
    if given.fields is None:
        count = len(given.cells.cells) if given.cells else 0
        return "" if several or count == 1 else f"{count:,} pictures of cells are taken as one slide."
    count = len(given.fields.fields)
    one = "1 photograph is taken as a field" if count == 1 else f"{count:,} photographs are taken as fields"
    words = f"{one} of view{'' if several else ' of one slide'}"
    return f"{words}, as the pictures show; decide with --as." if given.told else f"{words}."
