"""Many slides in one run: each in a folder of its own, in parallel; one table and one page of all."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import InputError, LeukopyError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, check_same, finish, record
from leukopy.workflows.choose_slide import with_choice
from leukopy.workflows.slide_run import FREE_SETTINGS, SlideJob, SlideResult, forget_failed, run_slide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from leukopy.bundle import Bundle
    from leukopy.core.devices import Device
    from leukopy.fields.field import FieldInput
    from leukopy.fields.slide_inputs import SlideFile
    from leukopy.inference.rows import CellInput
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.slides_table import SlideRow

    Slides = Mapping[str, Sequence[CellInput]] | Mapping[str, Sequence[FieldInput]] | Mapping[str, SlideFile]

    _Work = tuple[SlideJob, SlideFile | None, Path]
    """A slide, its file where it is a whole slide, and the folder of its results."""

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
        slides: the cells or fields of each slide by its name, or its file, whose fields are chosen in its turn.
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
    from leukopy.fields.slide_inputs import SlideFile
    from leukopy.slides.slides_table import SlideRow

    jobs = split_jobs(job, slides)
    files = [own if isinstance(own, SlideFile) else None for own in slides.values()]
    run = _begin(job, classifier, out, files, resume=resume or retry_failed, overwrite=overwrite)
    folders = [out / SLIDES_FOLDER / name for name in folder_names([one.title for one in jobs])]
    if retry_failed:
        forget_failed(folders)
    results: dict[int, SlideResult | str] = {}
    progress("analysing slides", 0, len(jobs))
    try:
        for place, result in _in_parallel(list(zip(jobs, files, folders, strict=True)), classifier, processes):
            results[place] = result
            progress("analysing slides", len(results), len(jobs))
    except KeyboardInterrupt as interrupt:
        kept = f"{len(results)} of {len(jobs)} slides are done and saved. Run the same command with --resume."
        raise KeyboardInterrupt(kept) from interrupt
    rows = [
        SlideRow(one.title, folder.relative_to(out).as_posix(), _pictures(one, results[place]), results[place])
        for place, (one, folder) in enumerate(zip(jobs, folders, strict=True))
    ]
    table = write_slides(out, rows, job.title, job.notes, run)
    finish(out, run, slides=len(table), failed=table.filter(status="failed").height)
    return SlidesResult(out, out / PAGE_FILE, table)


def split_jobs(job: SlideJob, slides: Slides) -> list[SlideJob]:
    """One job per slide."""
    from leukopy.fields.slide_inputs import SlideFile

    jobs = []
    for name, own in slides.items():
        one = replace(job, title=name, notes=(), facts={})
        given: Any = () if isinstance(own, SlideFile) else own
        inputs: dict[str, Any] = {"fields": replace(job.fields, inputs=given)} if job.fields else {"cells": given}
        jobs.append(replace(one, **inputs))
    return jobs


def _pictures(job: SlideJob, result: SlideResult | str) -> int:
    """Pictures of a slide; of a whole slide, the fields that were searched."""
    if job.count or isinstance(result, str) or result.counts is None:
        return job.count
    return result.counts.fields + sum(result.counts.left_out.values())


def folder_names(slides: Sequence[str]) -> list[str]:
    """A folder name for each slide: its own as far as every file system takes it, else with a digest of it."""
    found = []
    alike = Counter(map(str.casefold, slides))
    for slide in slides:
        plain = re.sub(r"[^\w.-]+", "_", slide, flags=re.ASCII).strip("._")[:80]
        unique = plain and alike[slide.casefold()] == 1
        digest = hashlib.sha256(slide.encode("utf-8", "surrogateescape")).hexdigest()[:10]
        found.append(plain if unique and plain == slide else f"{plain or 'slide'}-{digest}")
    return found


def _begin(
    job: SlideJob,
    classifier: Classifier,
    out: Path,
    files: Sequence[SlideFile | None],
    *,
    resume: bool,
    overwrite: bool,
) -> Record:
    from leukopy.fields.slide_inputs import slides_digest

    whole = [file for file in files if file is not None]
    card = classifier.card
    run = record(
        "analyze",
        job.settings,
        model={"name": card.name, "sha256": card.model.sha256},
        inputs={
            "count": len(whole) or job.count,
            "slides": len(files),
            "digest": slides_digest(whole) if whole else job.digest(),
            **job.facts,
        },
        **({"detector": job.fields.facts} if job.fields else {}),
    )
    earlier = begin(out, run, resume=resume, overwrite=overwrite)
    if earlier is not None:
        check_same(out, earlier, run, free=FREE_SETTINGS)
    return run


def _in_parallel(
    work: Sequence[_Work], classifier: Classifier, processes: int | None
) -> Iterator[tuple[int, SlideResult | str]]:
    """Each slide's position and result, or the reason of its failure, in the order of completion."""
    from joblib import Parallel, cpu_count, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    from leukopy.inference.workers import work_in

    workers = min(processes or cpu_count(), len(work))
    if workers == 1:
        for place, one in enumerate(work):
            yield place, _attempt(one, classifier)
        return
    pool = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2 * n_jobs")
    here, in_worker = Path.cwd(), delayed(work_in)
    try:
        yield from pool(
            in_worker(here, _in_worker, place, one, classifier.bundle, classifier.asked_device)
            for place, one in enumerate(work)
        )
    except TerminatedWorkerError as error:
        raise InputError(
            "a process that analysed slides was killed (out of memory?). Finished slides are saved: run the same "
            "command with --resume, with fewer --processes."
        ) from error


def _in_worker(place: int, work: _Work, bundle: Bundle, device: Device) -> tuple[int, SlideResult | str]:
    """Run `_attempt` in a process that uses one core."""
    from leukopy.slides.classifier import Classifier

    return place, _attempt(work, Classifier(bundle, threads=1, device=device))


def _attempt(work: _Work, classifier: Classifier) -> SlideResult | str:
    """The result of a slide, or the reason of its failure: a failed slide does not end the run."""
    job, file, folder = work
    if file is None and not job.count:
        return f"{job.title}: holds no readable image. Check its folder."
    resume = folder.exists()
    try:
        if file is not None:
            job = with_choice(job, file, folder, silent, resume=resume)
        return run_slide(job, classifier, folder, resume=resume)
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
    from leukopy.slides.slides_table import slide_digests, slides_table, with_shared_pictures

    table = slides_table(rows)
    table = with_shared_pictures(table, slide_digests(table, out))
    write_text(out / "slides.csv", table.write_csv(float_precision=4))
    stream = BytesIO()
    table.write_parquet(stream)
    with atomic_path(out / TABLE_FILE) as temporary:
        temporary.write_bytes(stream.getvalue())
    write_slides_page(out / PAGE_FILE, table, title=title, notes=notes, run=run)
    return table
