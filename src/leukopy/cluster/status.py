"""State of a plan from the plan and its receipts alone: while it runs, and after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from leukopy.cluster.receipts import Receipt
from leukopy.cluster.rounds import Round, open_rounds
from leukopy.cluster.storage import scratch_folder

_RECENT = timedelta(hours=1)


@dataclass(frozen=True)
class RoundStatus:
    """State of one round: the plan, or a repetition of what failed."""

    where: str
    shards: int
    done: int
    images: int
    """Pictures of the plan."""
    images_done: int
    slides: int
    cells: int
    failures: int
    failed_slides: int
    damaged: tuple[str, ...]
    retries: int
    core_hours: float
    images_per_hour: float | None
    """Over the last hour with receipts; None before the second receipt."""
    remaining_hours: float | None
    """At that rate; None where it is unknown."""
    last_receipt: str | None
    """Time of the last receipt, UTC."""


@dataclass(frozen=True)
class ClusterStatus:
    """State of a plan and of its repetitions."""

    kind: str
    model: str
    note: str
    rounds: tuple[RoundStatus, ...]

    @property
    def finished(self) -> bool:
        """True where every shard of every round has a receipt."""
        return all(one.done == one.shards for one in self.rounds)

    def facts(self) -> dict[str, Any]:
        """The state as JSON values."""
        return asdict(self) | {"finished": self.finished}


def read_status(uri: str) -> ClusterStatus:
    """The state of the plan in ``uri``.

    Raises:
        InputError: there is no plan, or the store refuses.
    """
    with scratch_folder("status") as scratch:
        rounds = open_rounds(uri, scratch)
        plan = rounds[0].plan
        return ClusterStatus(plan.kind, str(plan.model["name"]), plan.note, tuple(map(_status, rounds)))


def _status(one: Round) -> RoundStatus:
    receipts = list(one.receipts.values())
    done = sum(receipt.inputs for receipt in receipts)
    rate = hourly_rate(receipts)
    left = one.plan.rows - done
    return RoundStatus(
        where=one.store.uri,
        shards=len(one.plan.shards),
        done=len(receipts),
        images=one.plan.rows,
        images_done=done,
        slides=sum(shard.slides for shard in one.plan.shards),
        cells=sum(receipt.cells for receipt in receipts),
        failures=sum(receipt.failures for receipt in receipts),
        failed_slides=sum(len(receipt.failed_slides) for receipt in receipts),
        damaged=tuple(one.done.damaged.values()),
        retries=sum(receipt.retries for receipt in receipts),
        core_hours=round(sum(receipt.seconds for receipt in receipts) / 3600, 3),
        images_per_hour=rate,
        remaining_hours=left / rate if rate else (0.0 if not left else None),
        last_receipt=max((receipt.finished for receipt in receipts), default=None),
    )


def hourly_rate(receipts: Sequence[Receipt]) -> float | None:
    """Pictures per hour between the receipts of the last hour that has some; None with fewer than two times."""
    times = sorted((datetime.fromisoformat(receipt.finished).astimezone(UTC), receipt.inputs) for receipt in receipts)
    recent = [(time, count) for time, count in times if time >= times[-1][0] - _RECENT]
    if len(recent) < 2 or recent[-1][0] == recent[0][0]:
        return None
    hours = (recent[-1][0] - recent[0][0]) / timedelta(hours=1)
    return sum(count for _, count in recent[1:]) / hours
