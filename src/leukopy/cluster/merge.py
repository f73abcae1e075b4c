"""From the parts of a plan to results for people: a file per slide, one table of all slides, one of all failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from leukopy.cluster.plan import to_parquet
from leukopy.cluster.receipts import read_part
from leukopy.cluster.rounds import Round, open_rounds, settled
from leukopy.cluster.storage import scratch_folder
from leukopy.cluster.work import FAILED_SCHEMA
from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.inference.rows import DUPLICATE, has_flag
from leukopy.reports.slides_page import write_slides_page
from leukopy.slides.slides_table import SLIDE_SCHEMA, with_shared_pictures
from leukopy.workflows.slides_run import PAGE_FILE, folder_names

ON_PAGE = 2000
"""Most slides that the page lists."""

_PER_SLIDE = ("cells", "fields", "objects")


@dataclass(frozen=True)
class MergeResult:
    """Results of a plan."""

    folder: Path
    slides: pl.DataFrame
    """One row per slide, as ``slides.parquet``."""
    cells: int
    failures: int

    @property
    def failed(self) -> int:
        """Slides that could not be analysed."""
        return self.slides.filter(status="failed").height


def merge(uri: str, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> MergeResult:
    """Write the results of a finished plan into ``out``; the digest of every part is compared with its receipt.

    ``out`` receives ``cells/SLIDE.parquet``, with fields also ``fields/`` and ``objects/``; ``slides.parquet``,
    ``slides.csv``, ``slides.html``, ``failures.parquet``, ``failures.csv`` and ``run.json``. Of a slide that was
    repeated, the last results count. Memory holds one shard, and the rows of slides and failures.

    Args:
        uri: where the plan lies.
        out: a folder of this machine.
        overwrite: overwrite the results in ``out``.
        progress: reports the shards read.

    Raises:
        InputError: shards are not done, or a part is damaged; the message says what to run.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    with scratch_folder("merge") as scratch:
        rounds = open_rounds(uri, scratch)
        _refuse_unfinished(uri, rounds)
        plan = rounds[0].plan
        names = pl.scan_parquet(plan.path).select("slide").unique(maintain_order=True).collect()["slide"].to_list()
        files = dict(zip(names, folder_names(names), strict=True))
        facts = {
            "model": dict(plan.model),
            "inputs": {"plan": plan.id, "count": plan.rows, "slides": len(names), "kind": plan.kind, "note": plan.note},
        }
        run = record("cluster merge", plan.settings, **facts)
        begin(out, run, overwrite=overwrite)
        tables = _Merged(out, scratch, files)
        total = sum(len(one.plan.shards) for one in rounds)
        for number, (one, receipt, repeated) in enumerate(settled(rounds), start=1):
            for table, part in receipt.parts.items():
                try:
                    rows = pl.read_parquet(BytesIO(read_part(one.store, part)))
                except InputError as error:
                    raise InputError(
                        f"{one.store.uri}/{error}. Run 'leukopy cluster run {uri} --verify' to make it again, then "
                        "merge with --overwrite."
                    ) from error
                if len(rows):
                    tables.add(table, rows.filter(~pl.col("slide").is_in(list(repeated))) if repeated else rows)
            progress("merging", number, total)
        result = tables.finish(out, names)
        notes = (plan.note,) if plan.note else ()
        if len(names) > ON_PAGE:
            notes = (*notes, f"The {ON_PAGE:,} slides that stand out most are listed; slides.csv lists all.")
        title = Path(plan.settings.input).name
        write_slides_page(out / PAGE_FILE, result.slides, title=title, notes=notes, run=run, most=ON_PAGE)
        finish(out, run, slides=len(names), failed=result.failed, cells=result.cells, failures=result.failures)
    return result


def _refuse_unfinished(uri: str, rounds: list[Round]) -> None:
    for one in rounds:
        if one.done.damaged or one.open:
            first = next(iter(one.done.damaged.values()), "")
            raise InputError(
                f"{one.store.uri}: {len(one.open):,} of {len(one.plan.shards):,} shards are not done"
                f"{f' ({first})' if first else ''}. Run 'leukopy cluster run {uri}' first."
            )


class _Merged:
    """The tables of all shards, as they arrive."""

    def __init__(self, out: Path, scratch: Path, files: Mapping[str, str]) -> None:
        self._out, self._files = out, files
        self._slides: list[pl.DataFrame] = []
        self._failures: list[pl.DataFrame] = [pl.DataFrame(schema=FAILED_SCHEMA)]
        self._digests = scratch / "digests"
        self._digests.mkdir()
        self._cells = self._spooled = 0

    def add(self, table: str, rows: pl.DataFrame) -> None:
        """Add the rows of a shard."""
        if table == "slides":
            self._slides.append(rows)
        elif table == "failures":
            self._failures.append(rows)
        elif table in _PER_SLIDE:
            for (slide,), own in rows.group_by("slide", maintain_order=True):
                with atomic_path(self._out / table / f"{self._files[str(slide)]}.parquet") as temporary:
                    temporary.write_bytes(to_parquet(own))
        if table == "cells":
            self._cells += len(rows)
            own = rows.filter(~has_flag(DUPLICATE)).select("slide", "digest")
            own.write_parquet(self._digests / f"{self._spooled:06d}.parquet")
            self._spooled += 1

    def finish(self, out: Path, names: list[str]) -> MergeResult:
        """Write the tables of all slides and all failures."""
        order = pl.DataFrame({"slide": names}, schema={"slide": pl.String}).with_row_index("place")
        slides = pl.concat(self._slides).join(order, on="slide").sort("place").drop("place")
        slides = slides.with_columns(folder=pl.lit(None, pl.String), shared=pl.lit(0, pl.Int64)).select(*SLIDE_SCHEMA)
        if len(slides) != len(names) or slides["slide"].n_unique() != len(names):
            raise InputError(
                f"{len(slides)} rows of {len(names)} slides: the parts are not of this plan. Run it again."
            )
        if self._spooled:
            slides = with_shared_pictures(slides, pl.scan_parquet(sorted(self._digests.glob("*.parquet"))))
        failures = pl.concat(self._failures).join(order, on="slide", maintain_order="left").sort(
            "place", maintain_order=True
        ).drop("place")  # fmt: skip
        for name, table in (("slides", slides), ("failures", failures)):
            with atomic_path(out / f"{name}.parquet") as temporary:
                temporary.write_bytes(to_parquet(table))
            write_text(out / f"{name}.csv", table.write_csv(float_precision=4))
        return MergeResult(out, slides, self._cells, len(failures))
