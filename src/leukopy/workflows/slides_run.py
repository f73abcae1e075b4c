"""Many slides in one run: each in a folder of its own, in parallel; one table and one page of all."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import InputError, LeukopyError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, check_same, finish, record
from leukopy.workflows.slide_run import FREE_SETTINGS, SlideJob, SlideResult, forget_failed, run_slide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from leukopy.bundle import Bundle
    from leukopy.core.devices import Device
    from leukopy.fields.field import FieldInput
    from leukopy.inference.rows import CellInput
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.slides_table import SlideRow

    Slides = Mapping[str, Sequence[CellInput]] | Mapping[str, Sequence[FieldInput]]

SLIDES_FOLDER = "slides"
TABLE_FILE = "slides.parquet"
PAGE_FILE = "slides.html"


@dataclass(frozen=True)
class SlidesResult:
    """Results of a run on several slides, and their folder."""

    folder: Path
    page: Path
    slides: pl.DataFrame
    """One row per slide, as ``slides.parquet``."""

    @property
    def failed(self) -> int:
        """Slides that could not be analysed."""
        return self.slides.filter(status="failed").height

    @property
    def failures(self) -> int:
        """Images that could not be read."""
        return int(self.slides["failures"].sum())

    @property
    def complete(self) -> bool:
        """True where every image was read and every slide has a differential."""
        return not self.failures and self.slides.filter(status="analysed").height == len(self.slides)


def run_slides(  # noqa: PLR0913 (as run_slide)
    job: SlideJob,
    slides: Slides,
    classifier: Classifier,
    out: Path,
    processes: int | None = None,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> SlidesResult:
    """Analyse each slide into ``out/slides/<name>``; write one table and one page of all.

    A slide that fails is a row with its reason. Finished slides are skipped on resume; a resumed run gives the same
    tables.

    Args:
        job: the cells or fields of all slides, with the settings of each.
        slides: the cells or fields of each slide by its name.
        classifier: the model.
        out: the folder of the results.
        processes: slides analysed at the same time; by default one per core.
        resume: resume the interrupted run in ``out``.
        retry_failed: analyse again the slides that failed or have unreadable images.
        overwrite: overwrite the results in ``out``.
        progress: reports the slides analysed.

    Raises:
        InputError: a worker process was killed.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.slides.slides_table import SlideRow

    jobs = split_jobs(job, slides)
    run = _begin(job, classifier, out, len(jobs), resume=resume or retry_failed, overwrite=overwrite)
    folders = [out / SLIDES_FOLDER / name for name in folder_names([one.title for one in jobs])]
    if retry_failed:
        forget_failed(folders)
    results: dict[int, SlideResult | str] = {}
    progress("analysing slides", 0, len(jobs))
    try:
        for place, result in _in_parallel(jobs, folders, classifier, processes):
            results[place] = result
            progress("analysing slides", len(results), len(jobs))
    except KeyboardInterrupt as interrupt:
        kept = f"{len(results)} of {len(jobs)} slides are done and saved. Run the same command with --resume."
        raise KeyboardInterrupt(kept) from interrupt
    rows = [
        SlideRow(one.title, folder.relative_to(out).as_posix(), one.count, results[place])
        for place, (one, folder) in enumerate(zip(jobs, folders, strict=True))
    ]
    table = write_slides(out, rows, job.title, job.notes, run)
    finish(out, run, slides=len(table), failed=table.filter(status="failed").height)
    return SlidesResult(out, out / PAGE_FILE, table)


def split_jobs(job: SlideJob, slides: Slides) -> list[SlideJob]:
    """One job per slide."""
    jobs = []
    for name, own in slides.items():
        one = replace(job, title=name, notes=(), facts={})
        given: Any = own
        inputs: dict[str, Any] = {"fields": replace(job.fields, inputs=given)} if job.fields else {"cells": given}
        jobs.append(replace(one, **inputs))
    return jobs


def folder_names(slides: Sequence[str]) -> list[str]:
    """A folder name for each slide: its own as far as every file system takes it, else with a digest of it."""
    found = []
    for slide in slides:
        plain = re.sub(r"[^\w.-]+", "_", slide, flags=re.ASCII).strip("._")[:80]
        unique = plain and sum(other.casefold() == slide.casefold() for other in slides) == 1
        digest = hashlib.sha256(slide.encode("utf-8", "surrogateescape")).hexdigest()[:10]
        found.append(plain if unique and plain == slide else f"{plain or 'slide'}-{digest}")
    return found


def _begin(job: SlideJob, classifier: Classifier, out: Path, slides: int, *, resume: bool, overwrite: bool) -> Record:
    card = classifier.card
    run = record(
        "analyze",
        job.settings,
        model={"name": card.name, "sha256": card.model.sha256},
        inputs={"count": job.count, "slides": slides, "digest": job.digest(), **job.facts},
        **({"detector": job.fields.facts} if job.fields else {}),
    )
    earlier = begin(out, run, resume=resume, overwrite=overwrite)
    if earlier is not None:
        check_same(out, earlier, run, free=FREE_SETTINGS)
    return run


def _in_parallel(
    jobs: Sequence[SlideJob], folders: Sequence[Path], classifier: Classifier, processes: int | None
) -> Iterator[tuple[int, SlideResult | str]]:
    """Each slide's position and result, or the reason of its failure, in the order of completion."""
    from joblib import Parallel, cpu_count, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    workers = min(processes or cpu_count(), len(jobs))
    tasks = enumerate(zip(jobs, folders, strict=True))
    if workers == 1:
        for place, (job, folder) in tasks:
            yield place, _attempt(job, folder, classifier)
        return
    pool = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2 * n_jobs")
    work = delayed(_in_worker)
    try:
        yield from pool(
            work(place, job, folder, classifier.bundle, classifier.asked_device) for place, (job, folder) in tasks
        )
    except TerminatedWorkerError as error:
        raise InputError(
            "a process that analysed slides was killed (out of memory?). Finished slides are saved: run the same "
            "command with --resume, with fewer --processes."
        ) from error


def _in_worker(
    place: int, job: SlideJob, folder: Path, bundle: Bundle, device: Device
) -> tuple[int, SlideResult | str]:
    """Run `_attempt` in a process that uses one core."""
    from leukopy.slides.classifier import Classifier

    return place, _attempt(job, folder, Classifier(bundle, threads=1, device=device))


def _attempt(job: SlideJob, folder: Path, classifier: Classifier) -> SlideResult | str:
    """The result of a slide, or the reason of its failure: a failed slide does not end the run."""
    if not job.count:
        return f"{job.title}: holds no readable image. Check its folder."
    try:
        return run_slide(job, classifier, folder, resume=folder.exists())
    except LeukopyError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (whatever it is, the other slides are analysed)
        return f"unexpected {type(error).__name__}: {error}"


def write_slides(out: Path, rows: Sequence[SlideRow], title: str, notes: Sequence[str], run: Record) -> pl.DataFrame:
    """Write ``slides.csv``, ``slides.parquet`` and ``slides.html`` of a run into ``out``; returns the table.

    Raises:
        OutputError: the disk is full, or not permitted.
    """
    from leukopy.reports.slides_page import write_slides_page
    from leukopy.slides.slides_table import slides_table, with_shared_pictures

    table = with_shared_pictures(slides_table(rows), out)
    write_text(out / "slides.csv", table.write_csv(float_precision=4))
    stream = BytesIO()
    table.write_parquet(stream)
    with atomic_path(out / TABLE_FILE) as temporary:
        temporary.write_bytes(stream.getvalue())
    write_slides_page(out / PAGE_FILE, table, title=title, notes=notes, run=run)
    return table
