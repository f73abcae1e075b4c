"""The shards of a plan on Ray Data: actors with one engine each, text in the object store, never a pixel.

A worker answers with its receipt, which is text. Ray restarts actors and repeats their tasks; a shard that is done
twice gives one result (`work.work_shard`). Results are read as they come (``iter_rows``): nothing is gathered.
A shard that fails on one machine (a full disk, a model that is absent there) is given out again.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator, Sequence
from typing import Any

from leukopy.cluster.apart import apart
from leukopy.cluster.pool import ray_cluster
from leukopy.cluster.receipts import Receipt
from leukopy.cluster.tasks import Outcome, Task, work

_PAUSE = 5.0
"""Seconds that a worker rests after a failed shard: a machine with a full disk fails fast, and would take them all."""


class ShardWorker:
    """An actor: it opens the model with its first shard and keeps it."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Analyse the shard of each row; answer a receipt or an error."""
        tasks = zip(batch["uri"], batch["plan"], batch["number"], strict=True)
        outcomes = [work(str(uri), str(plan), int(number)) for uri, plan, number in tasks]
        if any(outcome.error for outcome in outcomes):
            time.sleep(_PAUSE)
        return {
            "uri": [outcome.task.uri for outcome in outcomes],
            "plan": [outcome.task.plan for outcome in outcomes],
            "number": [str(outcome.task.number) for outcome in outcomes],
            "receipt": [outcome.receipt.to_json().decode() if outcome.receipt else "" for outcome in outcomes],
            "error": [outcome.error and f"{platform.node()}: {outcome.error}" for outcome in outcomes],
        }


def run_on_ray(tasks: Sequence[Task], address: str, actors: int | None) -> Iterator[Outcome]:
    """Outcomes of tasks on a Ray cluster, in the order in which they finish.

    Failed shards are given out again for as long as that gets some of them done.

    Args:
        tasks: shards; the store of their plan must be one that every node reads.
        address: ``auto`` for the cluster of this machine, or ``ray://host:port`` for another.
        actors: most actors; by default one per core of the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it is lost.
    """
    return apart(address, _outcomes, list(tasks), address, actors) if tasks else iter(())


def _outcomes(tasks: Sequence[Task], address: str, actors: int | None) -> Iterator[Outcome]:
    with ray_cluster(address) as ray:
        cores = int(ray.cluster_resources().get("CPU", 1))
        waiting, failed = tasks, list[Outcome]()
        while waiting:
            for outcome in _pass(waiting, max(1, min(actors or cores, cores, len(waiting)))):
                if outcome.receipt is None:
                    failed.append(outcome)
                else:
                    yield outcome
            if len(failed) == len(waiting):
                yield from failed
                return
            waiting, failed = [outcome.task for outcome in failed], []


def _pass(tasks: Sequence[Task], actors: int) -> Iterator[Outcome]:
    """Outcomes of tasks, each given out once."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # progress is shown by the caller
    rows = [task._asdict() for task in tasks]
    # One shard at an actor: those that wait go to whichever actor is free next.
    pool = ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=1)
    outcomes = from_items(rows, override_num_blocks=len(rows)).map_batches(
        ShardWorker, batch_size=1, num_cpus=1, compute=pool
    )
    for row in outcomes.iter_rows():
        receipt = Receipt.from_json(row["receipt"].encode()) if row["receipt"] else None
        yield Outcome(Task(row["uri"], row["plan"], int(row["number"])), receipt, row["error"])
