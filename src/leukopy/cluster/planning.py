"""From an input to a plan in a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.cluster.listing import Listed, list_rows
from leukopy.cluster.plan import PLAN_FILE, Plan, write_plan
from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.staging import fetch_all
from leukopy.cluster.storage import Store, open_store, scratch_folder
from leukopy.core.errors import OutputError
from leukopy.core.progress import Progress, silent
from leukopy.inference.rows import CellInput

_SAMPLE = 24
"""Pictures that tell cells from fields, as `fields.kind.SAMPLE`."""


def make_plan(settings: PlanSettings, uri: str, *, progress: Progress = silent) -> Plan:
    """List the pictures of an input once, pack whole slides into shards, and write ``plan.parquet`` into ``uri``.

    The same plan may be made again: it is compared with the one there.

    Args:
        settings: of the plan.
        uri: a folder or a URI; receipts and results are written there too.
        progress: reports the pictures listed and planned.

    Returns:
        The plan. Its file on this machine is gone.

    Raises:
        InputError: nothing to read, or pictures of both kinds.
        ManifestError: a manifest that is wrong.
        BundleError: the model or the detector is absent or broken.
        SettingsError: wrong reference ranges, or an unknown object store.
        OutputError: ``uri`` holds another plan, or cannot be written.
    """
    from leukopy.slides.differential import ReferenceRanges

    ReferenceRanges.build(settings.reference, where="reference")
    store = open_store(uri)
    with scratch_folder("plan") as scratch:
        kind, listed = _list(settings, scratch, progress)
        path = write_plan(listed, settings, kind, model_facts(settings, kind), _made(scratch / "parts"), progress)
        plan = Plan.load(_on_disk(path.parent), scratch)
        put_plan(store, plan)
    return plan


def put_plan(store: Store, plan: Plan) -> None:
    """Write a plan into its store, or find the same plan there.

    Raises:
        OutputError: another plan is there.
    """
    if store.create(PLAN_FILE, plan.path.read_bytes()):
        return
    with scratch_folder("plan") as scratch:
        there = Plan.load(store, scratch)
    if there.id != plan.id:
        raise OutputError(
            f"{store.uri}: holds another plan: other pictures, another model or other settings. Choose another place."
        )


def model_facts(settings: PlanSettings, kind: str) -> dict[str, Any]:
    """Name and digests of the model of a plan, and of the detector.

    Raises:
        BundleError: absent or broken.
    """
    from leukopy.bundle import open_bundle
    from leukopy.bundle.detector import open_detector
    from leukopy.workflows.slide_run import card_digest

    card = open_bundle(settings.model).card
    facts: dict[str, Any] = {"name": card.name, "sha256": card.model.sha256, "card": card_digest(card)}
    return facts if kind == "cells" else facts | {"detector": open_detector(settings.detector).card.model.sha256}


def _list(settings: PlanSettings, scratch: Path, progress: Progress) -> tuple[str, Listed]:
    """The kind of the pictures, as asked for or as they tell, and the rows."""
    kind = settings.input_kind
    listed = list_rows(settings, kind or "cells", _made(scratch / "rows"), progress)
    if kind is None:
        kind = "cells" if _shows_cells(settings, listed, scratch) else "fields"
        if kind == "fields":
            listed = list_rows(settings, kind, _made(scratch / "fields"), progress)
    return kind, listed


def _shows_cells(settings: PlanSettings, listed: Listed, scratch: Path) -> bool:
    from leukopy.fields.kind import guess_kind

    step = max(1, listed.count // _SAMPLE)
    rows = listed.rows.with_row_index("row").filter((pl.col("row") % step == 0) & pl.col("path").is_not_null())
    paths: Sequence[str] = rows.head(_SAMPLE).select("path").collect(engine="streaming")["path"].to_list()
    found = fetch_all(paths, _made(scratch / "sample"))
    return guess_kind([CellInput(path, str(found[path])) for path in paths], settings.input).kind == "cells"


def _on_disk(folder: Path) -> Store:
    return open_store(str(folder))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
