"""Several models in one table: for people (Markdown), for spreadsheets (CSV), for programs (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.core.files import write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.taxonomy import COARSE, FINE

COLUMNS = {
    "coarse_accuracy": "coarse accuracy",
    "coarse_macro_f1": "coarse macro F1",
    "coarse_ece": "coarse ECE",
    "fine_accuracy": "fine accuracy",
    "fine_macro_f1": "fine macro F1",
    "fine_ece": "fine ECE",
    "parameters": "parameters",
    "flops": "FLOPs",
    "images_per_second": "images/s",
    "minutes": "minutes",
}
"""Field of a row -> its heading, in the order they are printed."""


@dataclass(frozen=True)
class ComparisonRow:
    """One model; None for a figure that was not measured."""

    name: str
    failure: str = ""
    """Reason for missing figures, one line; empty where there are figures."""
    coarse_accuracy: float | None = None
    coarse_macro_f1: float | None = None
    coarse_ece: float | None = None
    fine_accuracy: float | None = None
    fine_macro_f1: float | None = None
    fine_ece: float | None = None
    parameters: int | None = None
    """Number of parameters of the network (for shallow models: of the feature extractor)."""
    flops: int | None = None
    """Operations per image in that network; a multiplication and its addition count as two."""
    images_per_second: float | None = None
    """Throughput from files to probabilities, on this machine."""
    minutes: float | None = None
    """Duration of the training."""
    coarse_f1: Mapping[str, float | None] = field(default_factory=dict)
    """Coarse code -> F1."""
    fine_f1: Mapping[str, float | None] = field(default_factory=dict)


def cells(row: ComparisonRow) -> list[str]:
    """Table cells of a row, in the order of ``COLUMNS``."""
    return [_shown(name, getattr(row, name)) for name in COLUMNS]


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "parameters":
        return f"{value / 1e6:.2f} M"
    if name == "flops":
        return f"{value / 1e9:.2f} G"
    return f"{value:.1f}" if name in ("images_per_second", "minutes") else f"{value:.4f}"


def write_comparison(folder: Path, rows: Sequence[ComparisonRow], images: str, provenance: Mapping[str, Any]) -> None:
    """Write ``compare.json``, ``compare.csv`` and ``compare.md``.

    Args:
        folder: receives the files.
        rows: the models, in their order.
        images: which images were classified.
        provenance: ``command``, ``commit`` and ``machine`` are quoted.
    """
    content = {"notice": RESEARCH_USE_ONLY, "images": images, "rows": [asdict(row) for row in rows]}
    write_json(folder / "compare.json", {**content, "provenance": dict(provenance)})
    table = pl.DataFrame([_flat(row) for row in rows], infer_schema_length=None)
    write_text(folder / "compare.csv", table.write_csv(float_precision=4))
    write_text(folder / "compare.md", _markdown(rows, images, provenance))


def _flat(row: ComparisonRow) -> dict[str, Any]:
    values: dict[str, Any] = {"name": row.name, "failure": row.failure}
    values |= {name: getattr(row, name) for name in COLUMNS}
    values |= {f"coarse_f1_{cell.code}": row.coarse_f1.get(cell.code) for cell in COARSE}
    return values | {f"fine_f1_{cell.code}": row.fine_f1.get(cell.code) for cell in FINE}


def _markdown(rows: Sequence[ComparisonRow], images: str, provenance: Mapping[str, Any]) -> str:
    lines = [f"# {len(rows)} models on {images}", "", *_table(["model", *COLUMNS.values()], [
        [row.name, *cells(row)] for row in rows if not row.failure
    ])]  # fmt: skip
    for level, codes in (("coarse", [cell.code for cell in COARSE]), ("fine", [cell.code for cell in FINE])):
        scored = [(row.name, row.coarse_f1 if level == "coarse" else row.fine_f1) for row in rows]
        found = [[name, *(_shown("f1", f1.get(code)) for code in codes)] for name, f1 in scored if f1]
        if found:
            lines += ["", f"## F1, {level} classes", "", *_table(["model", *codes], found)]
    failed = [f"- {row.name}: {row.failure}" for row in rows if row.failure]
    if failed:
        lines += ["", "## Without figures", "", *failed]
    lines += [
        "",
        "FLOPs are of one image at the model's size; a multiplication and its addition count as two. Of a shallow "
        "model, parameters and FLOPs are those of the network that its features come from. images/s is from files to "
        "probabilities on the machine below; minutes are those of training there.",
        "",
        *(f"- {name}: `{provenance[name]}`" for name in ("command", "commit", "machine", "created")),
        f"- {RESEARCH_USE_ONLY}",
        "",
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body)]
