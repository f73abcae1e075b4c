"""Work on many images in as many processes as there are cores.

Processes, not threads: segmenting holds the interpreter, so that two threads are no faster than one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from leukopy.core.errors import InputError

T = TypeVar("T")

_BATCH = 32
"""Images of one task: half a second, so that Ctrl-C is answered and little is lost."""
_FEW = 140
"""Up to so many images, starting other processes (a second) takes longer than they save on two cores."""
_IDLE_SECONDS = 10
"""A worker without work leaves after this time and gives its memory back."""


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

    The worker processes end with this one, however it ends: by Ctrl-C, killed, or because the iterator is closed.

    Args:
        work: a function of a module.
        tasks: the arguments of each call.
        count: the number of tasks: no more processes than that are started.

    Raises:
        InputError: a worker process was killed.
    """
    with parallel_config("loky", initializer=_serve, initargs=(os.getpid(),), idle_worker_timeout=_IDLE_SECONDS):
        pool = Parallel(max(1, min(cpu_count(), count)), return_as="generator_unordered", batch_size=1)
    results = pool(delayed(work)(*task) for task in tasks)
    try:
        for result in results:  # noqa: UP028 (`yield from` would close them with a warning)
            yield result
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed, most often because memory ran out. Finished work is kept: close other "
            "programs and run the same command again."
        ) from error
    finally:
        with warnings.catch_warnings(action="ignore"):  # joblib warns of the tasks that Ctrl-C cancels
            results.close()


def _numbered(
    work: Callable[[Sequence[str]], list[T]], rows: Sequence[int], paths: Sequence[str]
) -> tuple[Sequence[int], list[T]]:
    return rows, work(paths)


def _serve(starter: int) -> None:
    """Begin a worker. Ctrl-C reaches every process of a terminal: the one that started the workers stops them.

    A worker whose starter was killed would wait for work, or for its result to be read, so it leaves soon after.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def leave() -> None:
        while os.getppid() == starter:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
