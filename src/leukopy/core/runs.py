"""Folder of a run and its ``run.json``. Results are never mixed or overwritten by accident.

A run holds its folder by a lock of the operating system, which ends with the process: no other run writes there, and
one that was killed leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where an open folder could not be replaced either
    fcntl = None  # type: ignore[assignment]

from leukopy.core.errors import OutputError
from leukopy.core.files import output_error, read_json, write_json
from leukopy.core.provenance import RESEARCH_USE_ONLY, provenance
from leukopy.core.settings import Settings

RUN_FILE = "run.json"
UNFINISHED, FINISHED = "unfinished", "finished"

Record = dict[str, Any]
"""The content of ``run.json``."""

_ELSEWHERE = "or choose another output folder."

_held: dict[Path, int] = {}
"""Folders of runs that this process holds -> their open descriptors."""
_MOST_HELD = 64
"""The oldest is let go beyond this number: runs that failed hold theirs as long as the process lives."""


def record(command: str, settings: Settings, **facts: Any) -> Record:
    """Content of ``run.json`` when a run begins.

    Args:
        command: the verb.
        settings: saved whole, so that ``--config run.json`` repeats the run.
        facts: further inputs that a resumed run requires unchanged (model, images); differing text is shown.
    """
    return {
        "command": command,
        "status": UNFINISHED,
        "notice": RESEARCH_USE_ONLY,
        "settings": settings.model_dump(mode="json"),
        **facts,
        "provenance": provenance(),
    }


def begin(out: Path, run: Record, *, resume: bool | None = None, overwrite: bool = False) -> Record | None:
    """Make ``out`` ready for a run, and write its ``run.json``.

    Args:
        out: the folder of the results; created if absent.
        run: the run that begins.
        resume: keep the results of an interrupted run of the same command; None: the command has no ``--resume``.
        overwrite: empty the folder first, if it holds only a run of the same command.

    Returns:
        The record of the resumed run, whose ``run.json`` stays; None where a new run begins.

    Raises:
        OutputError: the folder holds other files, holds results and neither flag is given, another process is writing
            there, or it cannot be created.
    """
    try:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out}: is a file; --out needs a folder.")
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            earlier = _earlier(out, str(run["command"]))
            if resume:
                _hold(out)
                return earlier
            if not overwrite:
                ways = "--resume to continue that run, --overwrite" if resume is not None else "--overwrite"
                raise OutputError(f"{out}: already holds results. Add {ways} to replace it, {_ELSEWHERE}")
            _hold(out)
            shutil.rmtree(out)
            out.mkdir(parents=True)
        _hold(out)
    except OSError as error:
        raise output_error(out, error) from error
    write_json(out / RUN_FILE, run)
    return None


def finish(out: Path, run: Record, **facts: Any) -> None:
    """Write in ``run.json`` that the run is finished, with ``facts`` about what it found."""
    write_json(out / RUN_FILE, {**run, "status": FINISHED, **facts})
    _let_go(out.resolve())


def check_same(out: Path, earlier: Record, run: Record, *, free: frozenset[str] = frozenset()) -> None:
    """Refuse to resume a run with other inputs or settings.

    Args:
        out: the folder of the run, for the message.
        earlier: the record of the interrupted run.
        run: the record of the run that resumes it.
        free: settings that may differ.

    Raises:
        OutputError: settings or inputs differ; the message names each difference.
    """
    before, now = earlier["settings"], run["settings"]
    differing = [
        f"{name} {before.get(name)!r} (now {now[name]!r})"
        for name in now
        if name not in free and before.get(name) != now[name]
    ]
    for name in sorted(run.keys() - {"settings", "provenance", "status"}):
        there, here = earlier.get(name), run[name]
        if there != here:  # digests are meaningless to a reader
            differing.append(f"{name} {there!r} (now {here!r})" if isinstance(here, str) else f"other {name}")
    if differing:
        raise OutputError(
            f"{out}: cannot be resumed: the run there has {', '.join(differing)}. "
            f"Repeat its command, add --overwrite to start again, {_ELSEWHERE}"
        )


def _hold(out: Path) -> None:
    """Hold a folder for this process, unless the run of a folder around it does already."""
    place = out.resolve()
    if fcntl is None or any(parent in _held for parent in place.parents):
        return
    _let_go(place)
    held = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise OutputError(
            f"{out}: another process is writing there. Wait until it ends, or stop it; {_ELSEWHERE}"
        ) from error
    except OSError:  # a network drive without locks
        os.close(held)
        return
    _held[place] = held
    while len(_held) > _MOST_HELD:
        _let_go(next(iter(_held)))


def _let_go(place: Path) -> None:
    with suppress(KeyError):
        os.close(_held.pop(place))


def _earlier(out: Path, command: str) -> Record:
    """The record of the run in ``out``, which must be a run of ``command``."""
    if not (out / RUN_FILE).exists():
        raise OutputError(f"{out}: is not empty and holds no leukopy results. Choose another output folder.")
    earlier = read_json(out / RUN_FILE)
    if not isinstance(earlier, dict) or earlier.get("command") != command:
        raise OutputError(f"{out}: holds the results of another command. Choose another output folder.")
    return earlier
