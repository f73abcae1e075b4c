"""The pages that people read of judged patients: one per patient, and one of the cohort that links to them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leukopy.bundle.card import Metric
from leukopy.core.errors import ImageError
from leukopy.core.files import write_text
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.imaging.segmentation import segment
from leukopy.patients.card import OperatingPoint, PatientCard
from leukopy.patients.inference.flags import LYMPHOCYTE
from leukopy.patients.inference.rows import DECISIONS, speak_most, weighed_most
from leukopy.reports.overlay import VIEW, View, heated, jpeg
from leukopy.reports.page import failure_lines
from leukopy.reports.rendering import embedded, flat, render
from leukopy.taxonomy import find

THUMBNAIL = 144
"""Side of a picture in the page, pixels."""

FEATURES_SHOWN = 6
"""Features in the page that speak most for tumoral, and for reactive; ``features.parquet`` holds them all."""

OTHERS_SHOWN = 24
"""Cells that are no lymphocytes in the page; ``cells.parquet`` holds them all."""


@dataclass(frozen=True)
class Judgement:
    """What all pages of a run share."""

    title: str
    """Name of the cohort."""
    card: PatientCard
    ages: str
    """How ages came about; empty where there is nothing to say."""
    shown: int
    """Most cells shown that weighed towards each side."""
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Tile:
    """One cell of a page."""

    cell_id: str
    name: str
    """Of its class."""
    confidence: float
    influence: float | None
    weight: float | None
    """None, like ``influence``, of a patient without a decision."""
    picture: str | None
    """Base64 of a JPEG; None where the picture can no longer be read."""
    heat: str | None
    """Base64 of the picture under its heat map; None where there is none."""


def write_patient(
    path: Path,
    run: Judgement,
    row: Mapping[str, Any],
    cells: pl.DataFrame,
    features: pl.DataFrame,
    failed: pl.DataFrame,
) -> None:
    """Write the page of one patient, which stands alone.

    Args:
        path: of the page.
        run: what all pages share.
        row: of ``JUDGED_SCHEMA``.
        cells: its rows of ``BAG_CELL_SCHEMA``.
        features: its rows of ``FEATURE_SCHEMA``; none where the model's features have no names.
        failed: its rows of ``PATIENT_FAILURE_SCHEMA`` that are images.

    Raises:
        OutputError: it cannot be written.
    """
    point = point_of(run.card, row)
    influence = cells["influence"].fill_null(0).to_numpy()
    tumoral, reactive = weighed_most(influence, run.shown)
    others = cells.filter(pl.col("coarse") != LYMPHOCYTE).sort("confidence", descending=True)
    others = others.with_columns(pl.lit(None).alias("heat"))  # they are shown for what they are, not for their weight
    page = render(
        "patient.html.j2",
        package="leukopy.patients.reports",
        run=run,
        row=row,
        point=point,
        words=decision_words(row, point) if point else "",
        points=run.card.operating_points,
        decisions=DECISIONS,
        effects=tuple(effects(row, run.card)),
        speaking=[side.to_dicts() for side in speak_most(features, FEATURES_SHOWN)],
        features_total=features.height,
        tumoral=_tiles(cells[tumoral], run.card),
        reactive=_tiles(cells[reactive], run.card),
        heat_methods=cells["heat_method"].drop_nulls().unique().sort().to_list(),
        mix=class_mix(cells),
        others=_tiles(others.head(OTHERS_SHOWN), run.card),
        others_total=others.height,
        failures=failure_lines(failed),
        failures_total=failed.height,
        **_shared(run),
    )
    write_text(path, page)


def write_patients(
    path: Path, run: Judgement, patients: pl.DataFrame, pages: Mapping[str, str], *, problems: pl.DataFrame
) -> None:
    """Write the page of the cohort.

    Args:
        path: of the page.
        run: what all pages share.
        patients: rows of ``JUDGED_SCHEMA``.
        pages: address of each patient's page, relative to this one, by patient_id; empty where there are none.
        problems: rows of ``datasets.PROBLEM_SCHEMA``.

    Raises:
        OutputError: it cannot be written.
    """
    judged = patients.filter(pl.col("probability").is_not_null())
    point = point_of(run.card, judged.row(0, named=True)) if judged.height else None
    page = render(
        "patients.html.j2",
        package="leukopy.patients.reports",
        run=run,
        rows=patients.to_dicts(),
        pages=pages,
        point=point,
        decisions=DECISIONS,
        tumoral=judged.filter(pl.col("decision") == DECISIONS[1]).height,
        judged=judged.height,
        cells=int(patients["cells"].sum()),
        failed=int(patients["cells_failed"].sum()),
        left_out=int(patients["cells_left_out"].sum()),
        flagged=judged.filter(pl.col("flags").list.len() > 0).height,
        problems=problems.select("patient_id", "reason", "message").rows(),
        **_shared(run),
    )
    write_text(path, page)


def page_name(patient_id: str, taken: set[str]) -> str:
    """``<patient>.html``, fit for any file system and for an address, and unlike those in ``taken``, which it joins."""
    stem = re.sub(r"[^\w.-]", "_", patient_id, flags=re.ASCII).lstrip(".-")[:100] or "patient"
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return f"{name}.html"


def point_of(card: PatientCard, row: Mapping[str, Any]) -> OperatingPoint | None:
    """The operating point of a row; None where the patient was not judged."""
    return next((point for point in card.operating_points if point.name == row["operating_point"]), None)


def decision_words(row: Mapping[str, Any], point: OperatingPoint) -> str:
    """The decision, and how often it is right, for people."""
    return (
        f"{row['decision'].capitalize()} at the operating point “{point.title}”: tumoral from a probability of "
        f"{percent(point.threshold)} on. In cross-validation, on patients it was not chosen on, this point found "
        f"{_rate(point.sensitivity)} of the tumoral patients (sensitivity), and let {_rate(point.specificity)} of the "
        "reactive ones pass as reactive (specificity)."
    )


def effects(row: Mapping[str, Any], card: PatientCard) -> Iterator[tuple[str, float, str]]:
    """What leads to a probability: name, log-odds, and what it does to the odds, in words."""
    if row["probability"] is None:
        return
    prior = math.log(card.prevalence / (1 - card.prevalence))
    yield f"Share of tumoral in the training, {percent(card.prevalence)}", prior, "where every patient starts"
    for name, value in ((clinical_words(row), row["clinical_effect"]), ("The cells", row["cells_effect"])):
        yield name, value, effect_words(value)


def effect_words(effect: float) -> str:
    """``multiplies the odds of tumoral by 2.3``, or divides them."""
    if abs(effect) < 0.05:
        return "changes next to nothing"
    verb = "multiplies" if effect > 0 else "divides"
    return f"{verb} the odds of tumoral by {math.exp(min(abs(effect), 20)):.3g}"


def clinical_words(row: Mapping[str, Any]) -> str:
    """``Age 71 years and lymphocytes 12.3 × 10⁹/L``."""
    age = "age unknown" if row["age"] is None else f"age {row['age']:.0f} years"
    count = "count unknown" if row["lymphocytes"] is None else f"lymphocytes {row['lymphocytes']:.4g} × 10⁹/L"
    return f"{age[0].upper()}{age[1:]} and {count}"


def class_mix(cells: pl.DataFrame) -> list[tuple[str, int, float]]:
    """Name, number and share of each coarse class that the cell model sees in a bag, lymphocytes first."""
    counts: dict[str, int] = dict(cells.drop_nulls("coarse").group_by("coarse").len().iter_rows())
    order = sorted(counts, key=lambda code: (code != LYMPHOCYTE, -counts[code], code))
    return [(find(code).name, counts[code], counts[code] / cells.height) for code in order]


def percent(share: float) -> str:
    """``23 %``; with a decimal below 1 and above 99."""
    return f"{100 * share:.1f} %" if share < 0.01 or share > 0.99 else f"{100 * share:.0f} %"


def _rate(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return percent(metric.value)
    return f"{percent(metric.value)} [95 % interval {percent(metric.low)} to {percent(metric.high)}]"


def _shared(run: Judgement) -> dict[str, Any]:
    return {
        "percent": percent,
        "clinical_words": clinical_words,
        "provenance": tuple(flat(run.provenance)),
        "date": str(run.provenance.get("created", ""))[:10],
    }


def _tiles(cells: pl.DataFrame, card: PatientCard) -> Sequence[Tile]:
    return [_tile(row, card.network.preprocess) for row in cells.iter_rows(named=True)]


def _tile(row: Mapping[str, Any], spec: Preprocess) -> Tile:
    """A cell with its picture, as far as the network sees it, and its heat map."""
    picture = heat = None
    try:
        large = read_cell(Path(row["path"]), Preprocess(size=VIEW, crop=spec.crop)).pixels
    except ImageError:  # moved since it was judged: the page says so in its place
        pass
    else:
        picture = embedded(jpeg(large, THUMBNAIL))
        if row["heat"] is not None:
            heat = embedded(jpeg(heated(View(large, segment(large)), np.array(row["heat"], np.float32)), THUMBNAIL))
    return Tile(
        cell_id=row["cell_id"],
        name=find(row["coarse"]).name,
        confidence=row["confidence"],
        influence=row["influence"],
        weight=row["weight"],
        picture=picture,
        heat=heat,
    )
