"""The page of many slides: one sortable line per slide, conspicuous slides first."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from leukopy.core.files import write_text
from leukopy.reports.rendering import flat, render
from leukopy.slides.slides_table import LINES
from leukopy.taxonomy import COARSE, FINE, find

_SHOWN = ["BLAST", *(cell.code for cell in COARSE if cell.code in LINES)]
"""Columns of the page: blasts, then the coarse classes of the 100 %."""
_PARTS = ["BLAST", *(cell.code for cell in FINE if cell.code in LINES)]
"""Parts of the small differentials."""


def write_slides_page(
    path: Path,
    table: pl.DataFrame,
    *,
    title: str,
    notes: Sequence[str],
    run: Mapping[str, Any],
    most: int | None = None,
) -> None:
    """Write the page as one HTML file; its links lead to the reports of the slides beside it.

    Args:
        path: the file.
        table: rows of ``SLIDE_SCHEMA``.
        title: of the run.
        notes: warnings about the inputs.
        run: the content of ``run.json``.
        most: slides listed, conspicuous ones first; None: all.

    Raises:
        OutputError: it cannot be written.
    """
    script = (files("leukopy.reports") / "templates" / "sort.js").read_text("utf-8")
    first = table.sort("attention", descending=True, maintain_order=True).head(len(table) if most is None else most)
    slides = [_slide(row) for row in first.iter_rows(named=True)]
    page = render(
        "slides.html.j2",
        title=title,
        slides=slides,
        count=len(table),
        notes=notes,
        columns=[find(code) for code in _SHOWN],
        totals={name: int(table[name].sum()) for name in ("pictures", "failures", "leukocytes")},
        counts={status: table.filter(status=status).height for status in ("analysed", "refused", "failed")},
        total=any(row is not None for code in _SHOWN for row in table[f"{code}_total_low95"]),
        standing_out=table.filter(pl.col("attention") > 0).height,
        date=str(run["provenance"].get("created", ""))[:10],
        model=run["model"]["name"],
        provenance=tuple(flat({**run["provenance"], "model": run["model"], "inputs": run["inputs"]})),
        find=find,
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(path, page)


def _slide(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "link": f"{quote(row['folder'])}/report.html" if row["folder"] and row["status"] != "failed" else None,
        "note_list": [note for note in (row["notes"] or "").split(" | ") if note],
        "shares": [(code, row[f"{code}_percent"]) for code in _PARTS if row[f"{code}_percent"]],
        "lines": [
            {
                "code": code,
                "percent": row[f"{code}_percent"],
                "low": row[f"{code}_low95"],
                "high": row[f"{code}_high95"],
                "total_low": row[f"{code}_total_low95"],
                "total_high": row[f"{code}_total_high95"],
                "flag": row[f"{code}_flag"],
            }
            for code in _SHOWN
        ],
    }
