"""The job of a whole slide: its fields are chosen once, before it is analysed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import LeukopyError
from leukopy.core.files import read_json
from leukopy.core.progress import Progress
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.workflows.whole_slide_run import choice_facts, choice_note, choose_on

if TYPE_CHECKING:
    from leukopy.fields.slide_inputs import SlideFile
    from leukopy.workflows.slide_run import SlideJob


def with_choice(job: SlideJob, file: SlideFile, out: Path, progress: Progress, *, resume: bool) -> SlideJob:
    """The job of a whole slide with its fields; a finished run that is resumed searches none, and chooses none.

    Raises:
        InputError: as `choose_on`, or the slide cannot be read.
    """
    if job.fields is None:
        raise TypeError("a job of fields")
    digest = file.digest
    facts, choice = _finished(out, digest) if resume else None, None
    if facts is None:
        choice = choose_on(file.path, file.um_per_px, progress)
        facts = choice_facts(choice)
    fields = replace(
        job.fields,
        inputs=choice.fields if choice else (),
        choice=choice,
        total=facts["squares"].get("chosen", 0),
        slide=digest,
    )
    note = choice_note(facts, job.fields.wanted or 0)
    return replace(job, fields=fields, facts={**job.facts, **facts}, notes=(note, *job.notes))


def _finished(out: Path, digest: str) -> dict[str, Any] | None:
    """The facts of the choice in a finished run on this slide; None without one."""
    try:
        run = read_json(out / RUN_FILE)
        if run["status"] == FINISHED and run["inputs"]["digest"] == digest:
            return {name: run["inputs"][name] for name in ("squares", "um_per_px", "scale_source")}
    except (LeukopyError, KeyError, TypeError):
        pass
    return None
