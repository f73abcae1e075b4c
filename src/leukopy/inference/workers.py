"""Work on many images in one process per core.

Segmentation holds the interpreter, so two threads would be no faster than one: it needs processes.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from leukopy.core.errors import InputError

T = TypeVar("T")


class Pool(Protocol):
    """Workers for independent calls."""

    def __call__(self, work: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int) -> Iterator[T]:
        """Results of ``work(*task)`` for each of ``count`` tasks, in the order in which they finish."""


_BATCH = 32
"""Images of one task: half a second, so that Ctrl-C takes effect quickly and little work is lost."""
_FEW = 140
"""Number of images up to which starting processes (a second) costs more than it saves on two cores."""
_IDLE_SECONDS = 10
"""Idle time after which a worker exits and frees its memory."""


def in_batches(
    work: Callable[[Sequence[str]], list[T]], paths: Sequence[str], rows: Sequence[int]
) -> Iterator[tuple[Sequence[int], list[T]]]:
    """Rows of ``paths`` and their results, batch by batch, in the order in which batches finish.

    Args:
        work: a function of a module, given some paths; it must not raise.
        paths: N files.
        rows: the rows of the files to work on.

    Raises:
        InputError: a worker process was killed.
    """
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    tasks = ((work, batch, [paths[row] for row in batch]) for batch in batches)
    if len(rows) <= _FEW or cpu_count() == 1:
        yield from (_numbered(*task) for task in tasks)
    else:
        yield from in_processes(_numbered, tasks, len(batches))


def in_processes(work: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int) -> Iterator[T]:
    """Results of ``work(*task)`` for each task, in the order in which they finish.

    The worker processes end with this one in all cases: Ctrl-C, killed, or a closed iterator.

    Args:
        work: a function of a module.
        tasks: the arguments of each call.
        count: the number of tasks, and the largest number of processes.

    Raises:
        InputError: a worker process was killed.
    """
    # Joblib replaces a worker whose memory grew, and tells of it in words that no reader can act on.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    with parallel_config("loky", initializer=end_with, initargs=(os.getpid(),), idle_worker_timeout=_IDLE_SECONDS):
        pool = Parallel(max(1, min(cpu_count(), count)), return_as="generator_unordered", batch_size=1)
    here = Path.cwd()
    results = pool(delayed(work_in)(here, work, *task) for task in tasks)
    try:
        for result in results:  # noqa: UP028 (`yield from` would close them with a warning)
            yield result
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed, most often because memory ran out. Finished work is saved: close other "
            "programs and run the same command again."
        ) from error
    finally:
        with warnings.catch_warnings(action="ignore"):  # joblib warns of the tasks that Ctrl-C cancels
            results.close()


def work_in(folder: Path, work: Callable[..., T], *task: Any) -> T:
    """The result of ``work(*task)`` in a worker process, whose current folder becomes ``folder``.

    A worker that is used again stands in the folder of its first use, where relative paths name other files.
    """
    os.chdir(folder)
    return work(*task)


def _numbered(
    work: Callable[[Sequence[str]], list[T]], rows: Sequence[int], paths: Sequence[str]
) -> tuple[Sequence[int], list[T]]:
    return rows, work(paths)


def end_with(starter: int) -> None:
    """Let this worker end with the process that started it, and by it alone: Ctrl-C reaches every process of a
    terminal.

    A worker whose starter was killed would wait for ever, so it exits soon after.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def leave() -> None:
        while os.getppid() == starter:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
