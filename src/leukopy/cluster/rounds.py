"""A plan in its store, and the rounds that repeat what failed: ``retry-1``, ``retry-2`` …, each a plan of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from leukopy.cluster.listing import Listed
from leukopy.cluster.plan import PLAN_FILE, Plan, Shard, write_plan
from leukopy.cluster.planning import put_plan
from leukopy.cluster.receipts import Done, Receipt, read_receipts, receipt_name, verify
from leukopy.cluster.storage import Store, open_store
from leukopy.core.errors import InputError
from leukopy.core.progress import silent


@dataclass
class Round:
    """A plan and its receipts."""

    store: Store
    plan: Plan

    @cached_property
    def done(self) -> Done:
        """The receipts, read once."""
        return read_receipts(self.store, self.plan)

    @property
    def receipts(self) -> Mapping[str, Receipt]:
        """The receipts that count, by shard."""
        return self.done.receipts

    @property
    def open(self) -> list[Shard]:
        """Shards without a receipt."""
        return [shard for shard in self.plan.shards if shard.id not in self.receipts]

    @property
    def failed_slides(self) -> set[str]:
        """Slides that failed or have unreadable pictures."""
        return {name for one in self.receipts.values() for name in (*one.failed_slides, *one.incomplete_slides)}

    def refresh(self) -> None:
        """Forget the receipts that were read."""
        self.__dict__.pop("done", None)

    def reopen_damaged(self, *, all_parts: bool) -> list[str]:
        """Remove the receipts of damaged shards, so that they are repeated; returns the damages.

        Args:
            all_parts: read every part and compare its digest; else only sizes.
        """
        damaged = dict(self.done.damaged)
        if all_parts:
            damaged |= verify(self.store, self.done.receipts.values())
        for shard in damaged:
            self.store.remove(receipt_name(shard))
        if damaged:
            self.refresh()
        return list(damaged.values())


def open_rounds(uri: str, scratch: Path) -> list[Round]:
    """The plan in ``uri``, then its rounds of repetition in their order.

    Args:
        uri: a folder or URI, or its ``plan.parquet``.
        scratch: a folder for copies of remote plans.

    Raises:
        InputError: there is no plan.
    """
    store = open_store(uri.removesuffix(PLAN_FILE).rstrip("/") or "/")
    rounds = [Round(store, Plan.load(store, _made(scratch / "round-0")))]
    while True:
        below = store.below(f"retry-{len(rounds)}")
        try:
            rounds.append(Round(below, Plan.load(below, _made(scratch / f"round-{len(rounds)}"))))
        except InputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return rounds
            raise


def add_retry(rounds: Sequence[Round], scratch: Path) -> Round | None:
    """A further round with the slides of the last one that failed; None where none failed, or it is not finished.

    Raises:
        InputError: the first round is not finished.
    """
    last = rounds[-1]
    if last.open and len(rounds) > 1:
        return None  # an interrupted repetition goes on
    if last.open:
        raise InputError(f"{last.store.uri}: {len(last.open)} shards are not done. Finish the run first.")
    failed = last.failed_slides
    if not failed:
        return None
    plan = last.plan
    wanted = pl.LazyFrame({"slide": sorted(failed)}, schema={"slide": pl.String})
    rows = pl.scan_parquet(plan.path).drop("shard").join(wanted, on="slide", how="semi", maintain_order="left")
    count = int(rows.select(pl.len()).collect(engine="streaming").item())
    folder = _made(scratch / f"retry-{len(rounds)}")
    # The number of the round enters the digests of its shards.
    model = {**plan.model, "round": len(rounds)}
    path = write_plan(Listed(rows, count, plan.note), plan.settings, plan.kind, model, folder, silent)
    store = rounds[0].store.below(f"retry-{len(rounds)}")
    made = Plan.load(open_store(str(path.parent)), folder)
    put_plan(store, made)
    return Round(store, made)


def settled(rounds: Sequence[Round]) -> Iterator[tuple[Round, Receipt, set[str]]]:
    """Every receipt of every round, with the slides of it that a later round has repeated."""
    later: list[set[str]] = [set()]
    for one in reversed(rounds[1:]):
        repeated = {
            slide
            for shard in one.plan.shards
            if shard.id in one.receipts
            for slide in one.plan.shard_rows(shard)["slide"].unique()
        }
        later.append(later[-1] | repeated)
    for one, repeated in zip(rounds, reversed(later), strict=True):
        for shard in one.plan.shards:
            if shard.id in one.receipts:
                yield one, one.receipts[shard.id], repeated


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
