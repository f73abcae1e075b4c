"""A conversation with Ray in a process of its own: Ray ends a process that loses its cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from leukopy.core.errors import InputError, LeukopyError
from leukopy.inference.workers import end_with

T = TypeVar("T")

_ASKED = 0.5
"""Seconds between two questions whether the results are over."""


def apart(
    address: str, work: Callable[..., Iterator[T]], *given: Any, over: Callable[[], bool] = lambda: False
) -> Iterator[T]:
    """Results of ``work(*given)``, a generator, as they are made in another process.

    Args:
        address: of the Ray cluster, for messages.
        work: a function of a module; what it is given and what it yields must be picklable.
        given: its arguments.
        over: asked while no result comes; True ends the results.

    Raises:
        InputError: the process was lost with its cluster, or ended with an error of leukopy or of Ray.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_tell, args=(there, os.getpid(), address, work, given), daemon=True)
    process.start()
    there.close()
    try:
        while True:
            while not here.poll(_ASKED):
                if over():
                    return
            told = here.recv()
            if told is None:
                return
            if isinstance(told, _Failure):
                raise InputError(told.message)
            yield told
    except EOFError as error:
        raise InputError(
            f"{address}: the Ray cluster is lost. Finished work is saved: start the cluster ('ray start --head'), and "
            "run the same command again."
        ) from error
    finally:
        process.terminate()
        process.join()
        here.close()


class _Failure(NamedTuple):
    """End of the results."""

    message: str


def _tell(there: Connection, starter: int, address: str, work: Callable[..., Iterator[T]], given: Any) -> None:
    """Send each result as it comes, and at the end None or a failure."""
    end_with(starter)
    with closing(there):
        try:
            for result in work(*given):
                there.send(result)
            there.send(None)
        except LeukopyError as error:
            there.send(_Failure(str(error)))
        except Exception as error:  # noqa: BLE001  (of Ray: another version, no memory …)
            there.send(_Failure(f"{address}: {type(error).__name__} ({str(error).partition(chr(10))[0]})."))
