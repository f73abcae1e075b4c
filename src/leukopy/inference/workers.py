"""Work on many images in as many processes as there are cores.

Processes, not threads: segmenting holds the interpreter, so that two threads are no faster than one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from leukopy.core.errors import InputError
from leukopy.inference.cores import available_cores

T = TypeVar("T")

_BATCH = 32
"""Images of one task: half a second, so that Ctrl-C is answered and little is lost."""
_FEW = 140
"""Up to so many images, starting other processes (a second) takes longer than they save on two cores."""


def in_batches(
    work: Callable[[Sequence[str]], list[T]], paths: Sequence[str], rows: Sequence[int]
) -> Iterator[tuple[Sequence[int], list[T]]]:
    """Rows of ``paths`` and what became of them, some at a time, as they are finished.

    Args:
        work: a function of a module, given some paths; it must not raise.
        paths: N files.
        rows: those that are worked on.

    Raises:
        InputError: a worker process was killed.
    """
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    if len(rows) <= _FEW or available_cores() == 1:
        for batch in batches:
            yield batch, work([paths[row] for row in batch])
        return
    with _workers() as pool:
        running: dict[Future[list[T]], Sequence[int]] = {}
        for batch in batches:
            running[pool.submit(work, [paths[row] for row in batch])] = batch
            if len(running) > 3 * available_cores():
                yield from _finished(running)
        while running:
            yield from _finished(running)


def _finished(running: dict[Future[list[T]], Sequence[int]]) -> Iterator[tuple[Sequence[int], list[T]]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


@contextmanager
def _workers() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
    pool = ProcessPoolExecutor(available_cores(), mp_context=context, initializer=_serve)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise InputError(
            "a process that measures images ended before its time: out of memory, or called from a script without "
            "`if __name__ == '__main__':`. What was measured is kept; run again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _serve() -> None:
    """Begin a worker. Ctrl-C reaches every process of a terminal: the one that started the workers stops them.

    A worker whose starter was killed would wait for work for ever, so it leaves as soon as that one is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    starter = multiprocessing.parent_process()

    def leave() -> None:
        if starter is not None:
            starter.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
