"""A shard as a task for any machine: text in, a receipt out."""

from __future__ import annotations

import atexit
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from leukopy.cluster.plan import Plan
from leukopy.cluster.receipts import Receipt
from leukopy.cluster.storage import Store, open_store
from leukopy.cluster.work import open_classifier, receipt_of, work_shard
from leukopy.core.errors import InputError, LeukopyError


class Task(NamedTuple):
    """A shard for a worker: text, so that it travels to any machine."""

    uri: str
    """Store of its plan."""
    plan: str
    """Id of the plan."""
    number: int


class Outcome(NamedTuple):
    """What a worker answers."""

    task: Task
    receipt: Receipt | None
    error: str
    """Why there is no receipt."""


def work(uri: str, plan_id: str, number: int) -> Outcome:
    """Analyse one shard in a worker, unless another run has; the plan and the model are opened once."""
    task = Task(uri, plan_id, number)
    try:
        store, plan = _plan(uri, plan_id)
        shard = plan.shards[number]
        return Outcome(task, receipt_of(store, shard.id) or work_shard(store, plan, shard, open_classifier(plan)), "")
    except LeukopyError as error:
        return Outcome(task, None, str(error))
    except OSError as error:
        return Outcome(task, None, f"shard {number}: {type(error).__name__} ({error.strerror or error})")


@lru_cache(maxsize=4)
def _plan(uri: str, plan_id: str) -> tuple[Store, Plan]:
    store = open_store(uri)
    scratch = Path(mkdtemp(prefix="leukopy-plan-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    plan = Plan.load(store, scratch)
    if plan.id != plan_id:
        raise InputError(f"{uri}: holds another plan than at the start of this run. Start the run again.")
    return store, plan
