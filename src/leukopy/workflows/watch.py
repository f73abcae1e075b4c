"""A folder that a microscope program saves into: new pictures are analysed as they arrive."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field, field_validator

from leukopy.core.errors import InputError, LeukopyError
from leukopy.core.files import output_error, read_json
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import RUN_FILE, Record, begin, check_same, finish, record
from leukopy.core.settings import Shown
from leukopy.workflows.analyze import AnalyzeSettings, Given, slide_job, tell_kind
from leukopy.workflows.exports import export
from leukopy.workflows.slide_run import FREE_SETTINGS, REPORT_FILE, SlideJob, SlideResult, run_slide
from leukopy.workflows.slides_run import SLIDES_FOLDER, folder_names, write_slides

if TYPE_CHECKING:
    from leukopy.inference.listing import ListedFile
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.differential import ReferenceRanges

_FREE = FREE_SETTINGS | {"every_s", "settle_s", "quiet_s"}


class WatchSettings(AnalyzeSettings):
    """Settings of `watch`: those of `analyze`, and when to look."""

    input: Path
    """Folder into which the microscope program saves its pictures."""
    every_s: float = Field(default=2, gt=0)
    """Seconds between two checks of the folder."""
    settle_s: float = Field(default=2, ge=0)
    """Seconds for which size and time of a file stay the same before it is read."""
    quiet_s: Annotated[float | None, Shown("never")] = Field(default=None, gt=0)
    """Stop after so many seconds without a new picture. Ctrl-C stops at any time."""

    @field_validator("input_kind")
    @classmethod
    def _pictures(cls, kind: str | None) -> str | None:
        if kind == "slide":
            raise ValueError("a watched folder holds cells or fields; analyse a whole slide with 'leukopy analyze'")
        return kind


class _State(NamedTuple):
    """A picture on disk."""

    size: int
    changed_ns: int


@dataclass(frozen=True)
class WatchResult:
    """Results of the slides when the watch ends."""

    folder: Path
    slides: dict[str, SlideResult | str]
    """Result of each slide by its name, or the reason of its failure."""


@dataclass
class _Folder:
    """The watched folder: which of its pictures are written to their end."""

    top: Path
    settle_s: float
    seen: dict[str, tuple[_State, float]] = field(default_factory=dict)
    """Path -> state, and the time since when it is the same."""

    def look(self, now: float) -> dict[str, list[tuple[ListedFile, _State]]]:
        """The settled pictures of each slide: a sub-folder, or the folder itself.

        Raises:
            InputError: the folder cannot be read.
        """
        from leukopy.inference.listing import list_folder, slide_of

        try:
            files, _ = list_folder(self.top)
        except OSError as error:
            raise InputError(f"{self.top}: cannot be read ({error.strerror}). Give the folder to watch.") from error
        seen: dict[str, tuple[_State, float]] = {}
        found: dict[str, list[tuple[ListedFile, _State]]] = {}
        for file in files:
            try:
                status = Path(file.path).stat()
            except OSError:  # removed or renamed since it was listed
                continue
            state = _State(status.st_size, status.st_mtime_ns)
            known = self.seen.get(file.path)
            since = known[1] if known and known[0] == state else now
            seen[file.path] = state, since
            if now - since >= self.settle_s:
                name = slide_of(file)
                slide = self.top.name if name == file.name else name
                found.setdefault(slide, []).append((file, state))
        self.seen = seen
        return found


def watch(
    settings: WatchSettings,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    said: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> WatchResult:
    """Analyse the pictures of a folder as they arrive, until Ctrl-C or until the folder is quiet.

    Each sub-folder is a slide; pictures beside the sub-folders are a slide with the name of the folder. ``out/slides``
    receives the results of each slide as `analyze` writes them, always whole: new results replace earlier ones once
    they are complete. ``out`` receives ``slides.csv``, ``slides.parquet``, ``slides.html`` and ``run.json``. Started
    again, it takes up what has arrived since.

    Args:
        settings: the settings.
        out: the folder of the results.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells or fields of the slide at work.
        said: called with a line for people on each result.
        wait: waits for some seconds.

    Raises:
        InputError: the folder cannot be read, or holds ``out``.
        BundleError: the model or the detector is absent, broken or foreign.
        OutputError: ``out`` holds something else or a watch with other settings, or cannot be written.
    """
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.differential import ReferenceRanges

    if not settings.input.is_dir():
        raise InputError(f"{settings.input}: is no folder. Give the folder into which pictures are saved.")
    if out.absolute().is_relative_to(settings.input):
        raise InputError(f"{out}: lies in the watched folder. Choose an output folder outside of it.")
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    classifier = Classifier.open(settings.model, settings.threads, settings.device, classes=settings.classes)
    card = classifier.card
    run = record("watch", settings, model={"name": card.name, "sha256": card.model.sha256})
    if earlier := begin(out, run, resume=True, overwrite=overwrite):
        check_same(out, earlier, run, free=_FREE)
    at_work = _Watch(settings, out, ranges, classifier, run, progress, said)
    try:
        at_work.until_quiet(wait)
    except KeyboardInterrupt:
        said("Stopped. Results are saved; start again to take up what arrives later.")
    finish(out, run, inputs=at_work.inputs)
    return WatchResult(out, at_work.results)


@dataclass
class _Watch:
    """A watch at work."""

    settings: WatchSettings
    out: Path
    ranges: ReferenceRanges
    classifier: Classifier
    run: Record
    progress: Progress
    said: Callable[[str], None]
    results: dict[str, SlideResult | str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    """Slide -> digest of the pictures that its results hold."""
    counts: dict[str, int] = field(default_factory=dict)
    """Slide -> pictures."""

    @property
    def inputs(self) -> dict[str, int]:
        """Number of analysed pictures and slides."""
        return {"count": sum(self.counts.values()), "slides": len(self.counts)}

    def until_quiet(self, wait: Callable[[float], None]) -> None:
        """Look and analyse until nothing has arrived for the time of the settings."""
        folder = _Folder(self.settings.input, self.settings.settle_s)
        now = quiet = 0.0  # the time spent waiting; that of the analyses counts as none
        while True:
            if self.take_up(folder.look(now)):
                quiet = 0
            elif self.settings.quiet_s is not None and quiet >= self.settings.quiet_s:
                return
            wait(self.settings.every_s)
            now, quiet = now + self.settings.every_s, quiet + self.settings.every_s

    def take_up(self, slides: dict[str, list[tuple[ListedFile, _State]]]) -> bool:
        """Analyse the slides that have changed; true where there is one."""
        changed = False
        for name, pictures in slides.items():
            digest = hashlib.sha256(repr(pictures).encode("utf-8", "surrogateescape")).hexdigest()
            if self.done.get(name) == digest:
                continue
            changed = True
            self.results[name] = self._analyse(name, [file for file, _ in pictures], digest)
            self.done[name], self.counts[name] = digest, len(pictures)
            self._write()
            self.said(_line(name, self.results[name], self.counts[name]))
        return changed

    def _analyse(self, name: str, files: Sequence[ListedFile], digest: str) -> SlideResult | str:
        """The result of a slide, or the reason of its failure: the others are analysed."""
        try:
            job = self._job(name, files, digest)
            return self._place(job, self.out / SLIDES_FOLDER / folder_names([name])[0])
        except LeukopyError as error:
            return str(error)

    def _job(self, name: str, files: Sequence[ListedFile], digest: str) -> SlideJob:
        from leukopy.fields.inputs import FieldInputs, fields_of_files
        from leukopy.inference.inputs import Inputs
        from leukopy.inference.rows import CellInput

        top = self.settings.input
        of_slide = top / name if (top / name).is_dir() else top
        known = {key: getattr(self.settings, key) for key in AnalyzeSettings.model_fields}
        settings = AnalyzeSettings(**{**known, "input": of_slide, "title": name})
        cells = [CellInput(file.name, file.path, name) for file in files]
        told = settings.input_kind is None
        if tell_kind(settings, cells, of_slide) == "cells":
            given = Given(Inputs(cells), None, told)
        else:
            fields = fields_of_files(files, settings.pages, settings.focus, name)
            given = Given(None, FieldInputs(fields), told)
        job = slide_job(settings, given, self.ranges, self.classifier.device.note)
        return replace(job, facts={**job.facts, "files": digest})

    def _place(self, job: SlideJob, folder: Path) -> SlideResult:
        """Analyse beside the earlier results of the slide, and replace these."""
        if _holds(folder, job):
            return run_slide(job, self.classifier, folder, resume=True)
        fresh = folder.with_name(f".{folder.name}.next")
        resume = _holds(fresh, job)
        try:
            if not resume:
                shutil.rmtree(fresh, ignore_errors=True)
            result = run_slide(job, self.classifier, fresh, resume=resume, progress=self.progress)
            export(fresh, workbook=self.settings.xlsx, archive=self.settings.zip)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.replace(folder)
        except OSError as error:
            raise output_error(folder, error) from error
        return replace(result, folder=folder, report=folder / REPORT_FILE)

    def _write(self) -> None:
        """The table and the page of all slides."""
        from leukopy.slides.slides_table import SlideRow

        rows = [
            SlideRow(name, f"{SLIDES_FOLDER}/{folder_names([name])[0]}", self.counts[name], result)
            for name, result in self.results.items()
        ]
        write_slides(self.out, rows, self.settings.input.name, (), {**self.run, "inputs": self.inputs})


def _holds(folder: Path, job: SlideJob) -> bool:
    """True where a folder holds a run, finished or not, on just these pictures."""
    try:
        return bool(read_json(folder / RUN_FILE)["inputs"] == {"count": job.count, "digest": job.digest(), **job.facts})
    except (LeukopyError, KeyError, TypeError):
        return False


def _line(name: str, result: SlideResult | str, pictures: int) -> str:
    if isinstance(result, str):
        return f"{name}: {result}"
    failed = f", {result.failures:,} not read" if result.failures else ""
    count = result.differential
    alarm = f" {count.alarm.message}" if count.alarm and count.alarm.raised else ""
    found = f"leukocytes {count.leukocytes:,} of {result.cells:,} cells"
    return f"{name}: pictures {pictures:,}{failed}; {found}.{alarm} {result.report}"
