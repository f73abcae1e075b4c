"""Main workflow: folders of cell images to differential counts and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from leukopy.core.devices import Device
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings, Shown
from leukopy.workflows.exports import export
from leukopy.workflows.slide_run import SlideJob, SlideResult, forget_failed, run_slide
from leukopy.workflows.slides_run import SlidesResult, run_slides

if TYPE_CHECKING:
    from leukopy.inference.inputs import Inputs
    from leukopy.slides.differential import ReferenceRanges


class AnalyzeSettings(Settings):
    """Settings of `analyze`."""

    input: Path
    """A folder of cell images, a list (.txt), a manifest (.csv, .parquet), or one image."""
    slides: bool = False
    """Each sub-folder is one slide. A manifest with a column `slide` holds several slides by itself."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    threads: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Worker threads. The results do not depend on them."""
    device: Device = "auto"
    """Device that runs the network. Without the accelerator, the CPU runs it, and a note tells so."""
    processes: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Slides that are analysed at the same time. The results do not depend on it."""
    title: Annotated[str | None, Shown("name of the input")] = None
    """Name of the slide in the report."""
    per_class: int = Field(default=24, ge=0, le=500)
    """Cells of each class shown in the report."""
    xlsx: bool = False
    """Write `results.xlsx` too: all tables in one workbook."""
    zip: bool = False
    """Write `results.zip` too: all files of OUT."""
    reference: Annotated[dict[str, Any], Shown("adults")] = Field(default_factory=dict)
    """The laboratory's reference ranges, in % of the leukocytes."""

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

    One slide: ``out`` receives ``cells.parquet``, ``cells.csv``, ``failures.csv``, ``differential.csv``,
    ``differential.json``, ``report.html`` and ``run.json``. Several slides: each receives these in a folder of its own
    below ``out/slides``, and ``out`` receives ``slides.csv``, ``slides.parquet``, ``slides.html`` and ``run.json``.
    Where asked for, each folder receives ``results.xlsx``, and ``out`` receives ``results.zip``.

    Args:
        settings: the settings.
        out: the folder of the results.
        resume: resume the interrupted run in ``out``.
        retry_failed: analyse again the slides of the run in ``out`` that failed or have unreadable images.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells classified, or of the slides analysed.

    Raises:
        InputError: nothing to read at ``settings.input``, or a manifest that is wrong.
        BundleError: the model is absent, broken or foreign.
        SettingsError: invalid reference ranges.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.inference.inputs import list_inputs
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.differential import ReferenceRanges

    # Check every input before the first file is written, and before --overwrite deletes one.
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    inputs = list_inputs(settings.input, slides=settings.slides)
    classifier = Classifier.open(settings.model, settings.threads, settings.device)
    job = _job(settings, inputs, ranges, classifier.device.note)
    how = {"resume": resume, "retry_failed": retry_failed, "overwrite": overwrite}
    result: SlideResult | SlidesResult
    if inputs.slides:
        result = run_slides(job, inputs.by_slide(), classifier, out, settings.processes, **how, progress=progress)
    else:
        if retry_failed:
            forget_failed([out])
        again = resume or retry_failed
        result = run_slide(job, classifier, out, resume=again, overwrite=overwrite, progress=progress)
    export(out, workbook=settings.xlsx, archive=settings.zip)
    return result


def _job(settings: AnalyzeSettings, inputs: Inputs, ranges: ReferenceRanges, device: str) -> SlideJob:
    one = "" if inputs.slides or len(inputs.cells) == 1 else f"{len(inputs.cells):,} pictures are taken as one slide."
    return SlideJob(
        cells=inputs.cells,
        title=settings.title or settings.input.name,
        settings=settings,
        per_class=settings.per_class,
        ranges=ranges,
        notes=tuple(filter(None, (one, inputs.others.note, device))),
        facts={"note": inputs.others.note} if inputs.others.note else {},
    )
