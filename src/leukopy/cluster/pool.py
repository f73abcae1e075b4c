"""Independent calls as Ray tasks: the folds of a cross-validation, the arms of a study, the cells of a big case."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from leukopy.cluster.apart import apart
from leukopy.core.errors import InputError, MissingExtraError
from leukopy.core.paths import data_folder
from leukopy.inference.workers import Pool, work_in

T = TypeVar("T")

_REPEATS = 5
"""Lost workers of one task, after which it is an error."""

_CONNECTING = 10.0
"""Seconds to reach a cluster."""

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
"""Environment of a worker: one core each."""


def ray_pool(address: str) -> Pool:
    """A pool as `inference.workers.in_processes`, on a Ray cluster.

    A task whose worker or node is lost is done again elsewhere. Two tasks per core are under way: the arguments of the
    others wait here.

    Args:
        address: ``auto`` for the cluster of this machine, or ``ray://host:port`` for another.
    """
    return partial(_run, address)


def ray_pool_apart(address: str, over: Callable[[], bool]) -> Pool:
    """`ray_pool` for a server, in a process of its own (`apart`).

    Args:
        address: as `ray_pool`.
        over: asked while no result comes; True ends the results.
    """

    def run(work: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int) -> Iterator[T]:
        return apart(address, _run, address, work, list(tasks), count, over=over)

    return run


@contextmanager
def ray_cluster(address: str) -> Iterator[Any]:
    """The module ``ray``, connected to a cluster; disconnected afterwards.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it is lost.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Ray", "cluster") from error
    begun = not ray.is_initialized()
    try:
        if begun:
            _reach(address)
            environment = {"env_vars": {**THREADS, "LEUKOPY_DATA": str(data_folder().absolute())}}
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
        yield ray
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise InputError(
            f"{address}: the Ray cluster does not answer ({type(error).__name__}). Finished work is saved: start the "
            "cluster ('ray start --head'), and run the same command again."
        ) from error
    finally:
        if begun and ray.is_initialized():
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise ConnectionError where no cluster listens; Ray itself would wait for minutes."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname and place.port:
        try:
            socket.create_connection((place.hostname, place.port), _CONNECTING).close()
        except OSError as error:
            raise ConnectionError(str(error)) from error


def _run(address: str, work: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int) -> Iterator[T]:
    with ray_cluster(address) as ray:
        remote = ray.remote(num_cpus=1, max_retries=_REPEATS)(work_in)
        here, waiting = Path.cwd(), iter(tasks)
        cores = int(ray.cluster_resources().get("CPU", 1))

        def start(most: int) -> list[Any]:
            return [remote.remote(here, work, *task) for task in islice(waiting, most)]

        under_way = start(min(2 * cores, count))
        try:
            while under_way:
                (done, *_), under_way = ray.wait(under_way, num_returns=1)
                under_way += start(1)
                yield ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        finally:
            for task in under_way:
                ray.cancel(task, force=True)
