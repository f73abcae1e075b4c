"""The shards of a plan on Ray Data: actors with one engine each, text in the object store, never a pixel.

A worker answers with its receipt, which is text. Ray restarts actors and repeats their tasks; a shard that is done
twice gives one result (`work.work_shard`). Results are read as they come (``iter_rows``): nothing is gathered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from leukopy.cluster.receipts import Receipt
from leukopy.cluster.tasks import Outcome, Task, work
from leukopy.core.errors import InputError, MissingExtraError

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
"""Environment of the actors: one core each."""


class ShardWorker:
    """An actor: it opens the model with its first shard and keeps it."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Analyse the shard of each row; answer a receipt or an error."""
        tasks = zip(batch["uri"], batch["plan"], batch["number"], strict=True)
        outcomes = [work(str(uri), str(plan), int(number)) for uri, plan, number in tasks]
        return {
            "uri": [outcome.task.uri for outcome in outcomes],
            "plan": [outcome.task.plan for outcome in outcomes],
            "number": [str(outcome.task.number) for outcome in outcomes],
            "receipt": [outcome.receipt.to_json().decode() if outcome.receipt else "" for outcome in outcomes],
            "error": [outcome.error for outcome in outcomes],
        }


def run_on_ray(tasks: Sequence[Task], address: str, actors: int | None) -> Iterator[Outcome]:
    """Outcomes of tasks on a Ray cluster, in the order in which they finish.

    Args:
        tasks: shards; the store of their plan must be one that every node reads.
        address: ``auto`` for the cluster of this machine, or ``ray://host:port`` for another.
        actors: most actors; by default one per core of the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it is lost.
    """
    if not tasks:
        return
    try:
        import ray
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError as error:
        raise MissingExtraError("Ray", "cluster") from error
    begun = not ray.is_initialized()
    try:
        if begun:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": THREADS})
        context = DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # progress is shown by the caller
        cores = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        rows = [task._asdict() for task in tasks]
        outcomes = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            ShardWorker,
            batch_size=1,
            num_cpus=1,
            compute=ActorPoolStrategy(min_size=1, max_size=max(1, min(actors or cores, cores, len(rows)))),
        )
        for row in outcomes.iter_rows():
            receipt = Receipt.from_json(row["receipt"].encode()) if row["receipt"] else None
            yield Outcome(Task(row["uri"], row["plan"], int(row["number"])), receipt, row["error"])
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise InputError(
            f"{address}: the Ray cluster does not answer ({type(error).__name__}). Finished shards are saved: start "
            "the cluster ('ray start --head'), and run the same command again."
        ) from error
    finally:
        if begun and ray.is_initialized():
            ray.shutdown()
