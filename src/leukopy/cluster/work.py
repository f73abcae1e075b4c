"""One shard: its slides through the workflow of `analyze`, its tables, its receipt. Done twice, it gives one result."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from leukopy.cluster.plan import Plan, Shard, to_parquet
from leukopy.cluster.planning import model_facts
from leukopy.cluster.receipts import Part, Receipt, part_name, receipt_name
from leukopy.cluster.retries import Retries
from leukopy.cluster.staging import Staged, stage
from leukopy.cluster.storage import Store, scratch_folder
from leukopy.core.errors import BundleError, LeukopyError, OutputError
from leukopy.core.progress import silent
from leukopy.inference.listing import ListedFile
from leukopy.inference.rows import FAILURE_SCHEMA, CellInput
from leukopy.slides.slides_table import SlideRow, slides_table
from leukopy.workflows.analyze import AnalyzeSettings, Given, slide_job
from leukopy.workflows.choose_slide import with_choice
from leukopy.workflows.slide_run import CELLS_FILE, FAILURES_FILE, SlideJob, SlideResult, run_slide

if TYPE_CHECKING:
    from leukopy.cluster.settings import PlanSettings
    from leukopy.slides.classifier import Classifier

FAILED_SCHEMA: dict[str, pl.DataType] = {"slide": pl.String(), **FAILURE_SCHEMA}
"""Rows of failed pictures."""


@dataclass
class _Tables:
    """The tables of a shard, while its slides are analysed."""

    slides: list[SlideRow] = field(default_factory=list)
    frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)

    def add(self, name: str, frame: pl.DataFrame) -> None:
        self.frames.setdefault(name, []).append(frame)


def open_classifier(plan: Plan) -> Classifier:
    """The model of a plan, for one thread; a process keeps the last one.

    Raises:
        BundleError: the model or the detector here is not the one of the plan.
    """
    found = model_facts(plan.settings, plan.kind)
    if wrong := ", ".join(name for name, value in found.items() if plan.model.get(name) != value):
        raise BundleError(
            f"{plan.settings.model}: is not the model of the plan (other {wrong}). Install the version of leukopy and "
            "the bundle that made the plan on every machine, or make a new plan."
        )
    return _opened(plan.settings.model, plan.settings.classes)


@lru_cache(maxsize=1)
def _opened(model: str, classes: Any) -> Classifier:
    from leukopy.slides.classifier import Classifier

    return Classifier.open(model, 1, "cpu", classes=classes)


def work_shard(store: Store, plan: Plan, shard: Shard, classifier: Classifier) -> Receipt:
    """Analyse the slides of a shard, write its tables, and last its receipt.

    The tables have their digest in their names; of two results of one shard the first receipt counts.

    Args:
        store: of the plan.
        plan: the plan.
        shard: one of its shards.
        classifier: the model, as `open_classifier` gives it.

    Returns:
        The receipt that counts.

    Raises:
        InputError: an object store refuses to read.
        OutputError: the results or the copies cannot be written.
    """
    begun, retries = time.process_time(), Retries()
    before = store.retries.count
    with scratch_folder("shard") as scratch:
        tables = _Tables()
        for slide, rows, staged in _staged(plan, shard, scratch, retries):
            _analyse(plan, slide, rows, staged, classifier, tables)
            _forget(scratch)
    parts = {name: _write(store, name, shard, frame) for name, frame in _joined(tables).items()}
    results = [(row.slide, row.result) for row in tables.slides]
    receipt = Receipt(
        shard=shard.id,
        inputs=shard.rows,
        slides=shard.slides,
        cells=parts["cells"].rows,
        failures=parts["failures"].rows,
        failed_slides=tuple(name for name, result in results if isinstance(result, str)),
        incomplete_slides=tuple(name for name, one in results if isinstance(one, SlideResult) and one.failures),
        parts=parts,
        seconds=round(time.process_time() - begun, 3),
        retries=retries.count + store.retries.count - before,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return commit(store, receipt)


def commit(store: Store, receipt: Receipt) -> Receipt:
    """Write a receipt where there is none; returns the one that counts, and removes the parts that do not."""
    name = receipt_name(receipt.shard)
    if store.create(name, receipt.to_json()):
        return receipt
    first = receipt_of(store, receipt.shard)
    if first is None:  # damaged, or removed since
        store.write(name, receipt.to_json())
        return receipt
    kept = {part.name for part in first.parts.values()}
    for part in receipt.parts.values():
        if part.name not in kept:
            store.remove(part.name)
    return first


def receipt_of(store: Store, shard: str) -> Receipt | None:
    """The receipt of a shard; None where it is absent or damaged."""
    try:
        return Receipt.from_json(store.read(receipt_name(shard)))
    except (FileNotFoundError, ValueError):
        return None


def _staged(plan: Plan, shard: Shard, scratch: Path, retries: Retries) -> Iterator[tuple[str, pl.DataFrame, Staged]]:
    """The slides of a shard with their rows and their pictures on this machine."""
    slides = [(str(slide), rows) for (slide,), rows in plan.shard_rows(shard).group_by("slide", maintain_order=True)]
    paths = [rows["path"].drop_nulls().to_list() for _, rows in slides]
    for (slide, rows), staged in zip(slides, stage(paths, scratch, retries), strict=True):
        yield slide, rows.drop_nulls("path"), staged


def _analyse(
    plan: Plan, slide: str, rows: pl.DataFrame, staged: Staged, classifier: Classifier, tables: _Tables
) -> None:
    """Analyse one slide, and add its rows; a failed slide is a row with its reason."""
    out = staged.folder.parent / "slide"
    result: SlideResult | str
    pictures = len(rows)
    try:
        job = _job(plan, slide, rows, staged, out)
        pictures = job.count
        if not job.count:
            result = f"{slide}: holds no readable image. Check its folder."
        else:
            result = run_slide(job, classifier, out)
    except (OutputError, BundleError, OSError):  # of this machine, not of the slide
        raise
    except LeukopyError as error:
        result = str(error)
    except Exception as error:  # noqa: BLE001  (whatever it is, the other slides are analysed)
        result = f"unexpected {type(error).__name__}: {error}"
    places = _Places(staged)
    if isinstance(result, str):
        result = places.text(result)
    else:
        _collect(out, slide, places, tables)
        if plan.kind == "slide" and result.counts:  # fields that were searched
            pictures = result.counts.fields + sum(result.counts.left_out.values())
    tables.slides.append(SlideRow(slide, "", pictures, result))


def _job(plan: Plan, slide: str, rows: pl.DataFrame, staged: Staged, out: Path) -> SlideJob:
    """The job of a slide, as `analyze` makes it."""
    from leukopy.fields.inputs import FieldInputs, fields_of_files
    from leukopy.fields.slide_inputs import SlideFile, SlideInputs
    from leukopy.inference.inputs import Inputs
    from leukopy.slides.differential import ReferenceRanges

    settings = analyze_settings(plan.settings, plan.kind, slide)
    files = [(name, str(staged.paths[path]), scale) for name, path, scale in rows.drop("slide").iter_rows()]
    if plan.kind == "cells":
        given = Given(Inputs([CellInput(name, path, slide) for name, path, _ in files]), None, told=False)
    elif plan.kind == "fields":
        fields = [
            replace(one, um_per_px=scale)
            for name, path, scale in files
            for one in fields_of_files([ListedFile(name, path)], settings.pages, settings.focus, slide)
        ]
        given = Given(None, FieldInputs(fields), told=False)
    else:
        wholes = [SlideFile(slide, Path(path), scale or settings.um_per_px) for _, path, scale in files]
        given = Given(None, None, told=False, whole=SlideInputs(wholes))
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    job = replace(slide_job(settings, given, ranges, ""), notes=(), facts={}, for_people=False)
    if given.whole is None:
        return job
    job = with_choice(job, given.whole.files[0], out, silent, resume=False)
    assert job.fields is not None
    return replace(job, fields=replace(job.fields, inputs=[replace(one, slide=slide) for one in job.fields.inputs]))


def analyze_settings(settings: PlanSettings, kind: str, slide: str) -> AnalyzeSettings:
    """The settings of `analyze` for one slide of a plan."""
    names = AnalyzeSettings.model_fields.keys() & type(settings).model_fields.keys() - {"input", "input_kind"}
    shared = {name: getattr(settings, name) for name in names}
    own = {"input": Path(slide), "input_kind": kind, "title": slide, "threads": 1, "device": "cpu"}
    return AnalyzeSettings.build({**shared, **own, "per_class": 0, "fields_shown": 0}, where="plan")


def _collect(out: Path, slide: str, places: _Places, tables: _Tables) -> None:
    """Add the tables of an analysed slide."""
    from leukopy.fields.tables import FIELDS_FILE, OBJECTS_FILE

    tables.add("cells", places.rows(pl.read_parquet(out / CELLS_FILE)))
    failures = pl.read_csv(out / FAILURES_FILE, schema=FAILURE_SCHEMA)
    tables.add("failures", places.rows(failures.select(pl.lit(slide).alias("slide"), pl.all())))
    for name, file in (("fields", FIELDS_FILE), ("objects", OBJECTS_FILE)):
        if (out / file).is_file():
            tables.add(name, places.rows(pl.read_parquet(out / file)))


class _Places:
    """Paths of copies on this machine, written as the URIs of the plan."""

    def __init__(self, staged: Staged) -> None:
        self._uri = {str(path): uri for uri, path in staged.paths.items() if str(path) != uri}
        self._forbidden = staged.forbidden

    def text(self, text: str) -> str:
        """A message."""
        for path, uri in self._uri.items():
            if path in text:
                return text.replace(path, uri)
        return text

    def rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table, in its columns ``path`` and ``message``."""
        if not self._uri or "path" not in table.columns:
            return table
        paths = table["path"].to_list()
        columns = [pl.Series("path", [self._uri.get(path, path) for path in paths], dtype=pl.String)]
        if "message" in table.columns:
            messages = [self._message(*row) for row in table.select("path", "message").iter_rows()]
            reasons = [
                "no_permission" if self._uri.get(path) in self._forbidden else reason
                for path, reason in table.select("path", "reason").iter_rows()
            ]
            columns.append(pl.Series("message", messages, dtype=pl.String))
            columns.append(pl.Series("reason", reasons, dtype=pl.String))
        return table.with_columns(columns)

    def _message(self, path: str, message: str) -> str:
        uri = self._uri.get(path, path)
        if uri in self._forbidden:
            return f"{uri}: no permission to read it. Check the credentials of this bucket."
        return message.replace(path, uri)


def _joined(tables: _Tables) -> Mapping[str, pl.DataFrame]:
    """The tables of a shard; without any classified cell, one without a row."""
    found = {name: pl.concat(frames) for name, frames in tables.frames.items()}
    found.setdefault("cells", pl.DataFrame())
    found.setdefault("failures", pl.DataFrame(schema=FAILED_SCHEMA))
    return found | {"slides": slides_table(tables.slides).drop("folder", "shared")}


def _write(store: Store, name: str, shard: Shard, frame: pl.DataFrame) -> Part:
    data = to_parquet(frame)
    sha256 = hashlib.sha256(data).hexdigest()
    part = Part(part_name(name, shard.id, sha256), sha256, len(data), len(frame))
    store.write(part.name, data)
    return part


def _forget(scratch: Path) -> None:
    """Remove the results of the last slide."""
    import shutil

    with suppress(FileNotFoundError):
        shutil.rmtree(scratch / "slide")
