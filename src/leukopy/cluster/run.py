"""Run a plan: all its shards or every N-th, in processes of this machine or on Ray."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from leukopy.cluster.plan import Plan, Shard
from leukopy.cluster.rounds import Round, add_retry, open_rounds
from leukopy.cluster.storage import scratch_folder
from leukopy.cluster.tasks import Outcome, Task, work
from leukopy.cluster.work import open_classifier
from leukopy.core.errors import InputError, SettingsError
from leukopy.core.progress import Progress, silent

_KILLED = 3
"""Killed workers in succession, without a finished shard between them, after which a run ends."""


Runner = Callable[[Sequence[Task]], Iterator[Outcome]]
"""Outcomes of tasks, in the order in which they finish."""


@dataclass(frozen=True)
class RunOptions:
    """How a plan is run. Nothing of it changes a result."""

    processes: int | None = None
    """Processes; by default one per core."""
    part: tuple[int, int] = (1, 1)
    """``(K, N)``: the K-th of N runs that share the shards."""
    on: str = "local"
    """``local``, ``auto`` or the address of a Ray cluster."""
    retry_failed: bool = False
    verify: bool = False
    """Compare the digest of every part first."""


@dataclass(frozen=True)
class RunResult:
    """State of a plan after a run."""

    shards: int
    """Shards of this run's share."""
    done: int
    images: int
    """Pictures of finished shards."""
    cells: int
    failures: int
    failed_slides: int
    damaged: tuple[str, ...] = ()
    """Damaged parts that were made again."""
    errors: tuple[str, ...] = ()
    """Why shards are not done."""
    retries: int = 0
    """Repeated calls to object stores."""

    @property
    def complete(self) -> bool:
        """True where every shard is done, and nothing failed."""
        return self.done == self.shards and not self.failures and not self.failed_slides


def run_plan(uri: str, options: RunOptions, *, progress: Progress = silent) -> RunResult:
    """Analyse every shard of a plan that has no receipt.

    Args:
        uri: where the plan lies.
        options: how it is run.
        progress: reports the pictures classified.

    Raises:
        InputError: no plan, a store that refuses, or workers that are killed again and again.
        BundleError: the model here is not the one of the plan.
        SettingsError: a share that does not exist.
        OutputError: the results cannot be written.
    """
    share, shares = options.part
    if not 1 <= share <= shares:
        raise SettingsError(f"--shard {share}/{shares}: the first number runs from 1 to the second.")
    with scratch_folder("run") as scratch:
        rounds = open_rounds(uri, scratch)
        open_classifier(rounds[0].plan)  # an unfit model ends the run here, not in every worker
        damaged = [text for one in rounds for text in one.reopen_damaged(all_parts=options.verify)]
        if options.retry_failed and (further := add_retry(rounds, scratch)):
            rounds.append(further)
        errors = []
        for one in rounds:
            errors += _run(one, options, progress)
        return replace(_result(rounds, options.part), damaged=tuple(damaged), errors=tuple(errors))


def own_shards(plan: Plan, part: tuple[int, int]) -> list[Shard]:
    """The shards of the K-th of N runs."""
    share, shares = part
    return [shard for shard in plan.shards if shard.number % shares == share - 1]


def _run(one: Round, options: RunOptions, progress: Progress) -> list[str]:
    """Run the open shards of a round; returns why some are not done."""
    own = own_shards(one.plan, options.part)
    receipts = one.receipts
    total, done = sum(shard.rows for shard in own), sum(shard.rows for shard in own if shard.id in receipts)
    tasks = [Task(one.store.uri, one.plan.id, shard.number) for shard in own if shard.id not in receipts]
    random.shuffle(tasks)  # two runs on one plan seldom meet on a shard
    progress("classifying", done, total)
    errors = []
    try:
        for outcome in _runner(options)(tasks):
            if outcome.receipt is None:
                errors.append(outcome.error)
                continue
            done += one.plan.shards[outcome.task.number].rows
            progress("classifying", done, total)
    except KeyboardInterrupt as interrupt:
        kept = f"{done:,} of {total:,} pictures are done and saved. Run the same command to continue."
        raise KeyboardInterrupt(kept) from interrupt
    one.refresh()
    return errors


def _runner(options: RunOptions) -> Runner:
    if options.on != "local":
        from leukopy.cluster.on_ray import run_on_ray

        return lambda tasks: run_on_ray(tasks, options.on, options.processes)
    return lambda tasks: _in_processes(tasks, options.processes)


def _in_processes(tasks: Sequence[Task], processes: int | None) -> Iterator[Outcome]:
    """Outcomes of tasks in processes of this machine. The tasks of a killed worker are given out again."""
    from joblib import cpu_count

    from leukopy.inference.workers import in_processes

    workers = min(processes or cpu_count(), len(tasks))
    if workers <= 1:
        yield from (work(*task) for task in tasks)
        return
    waiting, killed = list(tasks), 0
    while waiting:
        try:
            for outcome in in_processes(work, tuple(waiting), workers):
                waiting.remove(outcome.task)
                killed = 0
                yield outcome
            return
        except InputError:
            killed += 1
            if killed == _KILLED:
                raise


def _result(rounds: Sequence[Round], part: tuple[int, int]) -> RunResult:
    own = [(one, shard) for one in rounds for shard in own_shards(one.plan, part)]
    receipts = [one.receipts[shard.id] for one, shard in own if shard.id in one.receipts]
    last = [rounds[-1].receipts[shard.id] for one, shard in own if one is rounds[-1] and shard.id in one.receipts]
    return RunResult(
        shards=len(own),
        done=len(receipts),
        images=sum(one.inputs for one in receipts),
        cells=sum(one.cells for one in receipts),
        failures=sum(one.failures for one in last),
        failed_slides=sum(len(one.failed_slides) for one in last),
        retries=sum(one.retries for one in receipts),
    )
