"""Content of the page from the findings: plots, and pictures on shelves."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from leukopy.explore import figures
from leukopy.explore.figures import Figure
from leukopy.explore.findings import Findings
from leukopy.explore.means import MeanCell
from leukopy.explore.page import PageContent, Shelf, Tile
from leukopy.explore.summaries import count_classes, count_sizes, in_order
from leukopy.imaging.measures import COLOURS, LIGHT, SHAPES, STAINS, named

STAND_OUT = 14
"""Outliers shown of each class."""


def page_content(
    findings: Findings, *, title: str, per_group: int, seed: int, provenance: Mapping[str, Any]
) -> PageContent:
    """Content of the page.

    Args:
        findings: of a collection.
        title: of the page.
        per_group: cells of each class and source drawn at random.
        seed: of that draw.
        provenance: of the findings; mappings may be nested.
    """
    collection = findings.collection
    counts = count_classes(collection.cells)
    sample = collection.cells["cell_id"].gather(findings.sample).to_list()
    facts = {
        "Cells": len(collection.cells),
        "Classes": counts.filter(pl.col("code").is_not_null())["code"].n_unique(),
        "Sources": len(collection.sources),
        "Stand out": findings.outliers["cell_id"].n_unique(),
        "Not read": len(collection.failures),
    }
    return PageContent(
        title=title,
        facts={name: f"{value:,}" for name, value in facts.items()},
        notes=findings.notes,
        sources=figures.source_colours(collection.sources),
        figures={figure.name: figure for figure in _figures(findings, counts)},
        counts=counts,
        means={
            group: Shelf(*group, mean.cells, (Tile(" ".join(group), _jpeg(mean)),))
            for group, mean in findings.means.items()
        },
        colours=_colours(findings.spread),
        outliers=_outliers(findings),
        cells=_at_random(findings, per_group, seed),
        sample=[
            Tile(cell_id, picture)
            for cell_id, picture in zip(sample, collection.pictures(findings.sample.tolist()), strict=True)
        ],
        scores=findings.scores,
        failures=collection.failures,
        provenance=provenance,
    )


def _figures(findings: Findings, counts: pl.DataFrame) -> list[Figure]:
    collection, spread = findings.collection, findings.spread
    colours = figures.source_colours(collection.sources)
    light = "Luminance is the mean light of the whole picture, brightness its perceptual counterpart (CIE L*)."
    stains = (
        "How much of each stain a picture holds on average, in optical density (0: none): the nuclear stain (azure, "
        "methylene blue), eosin (red cells and eosinophil granules), and what neither explains."
    )
    shape = (
        "From automatic segmentation. Areas are in % of the picture; roundness is 1 for a disc and falls for lobed or "
        "ragged outlines; nucleus/cytoplasm is high where the nucleus fills the cell."
    )
    found = [
        figures.classes_figure(counts, colours),
        figures.sizes_figure(count_sizes(collection.cells), colours),
        figures.boxes_figure(("light", "Luminance and brightness by class", light), spread, named(LIGHT), colours),
        figures.colours_figure(spread.filter(pl.col("feature").is_in(COLOURS)), collection.sources),
        figures.profiles_figure(findings.means, collection.sources),
        figures.boxes_figure(("stains", "Amount of each stain by class", stains), spread, named(STAINS), colours),
        figures.boxes_figure(("shape", "Nucleus and cell by class", shape), spread, named(SHAPES), colours),
    ]
    projected = figures.projections_figure(
        collection.cells.select("cell_id", "class", "source")[findings.sample], findings.spaces, colours
    )
    return [*found, projected] if projected else found


def _colours(spread: pl.DataFrame) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Mean RGB by class and source."""
    means = {row[:3]: row[3] for row in spread.select("class", "source", "feature", "mean").iter_rows()}
    groups = spread.select("class", "source").unique(maintain_order=True).iter_rows()
    return {
        (code, source): (
            round(means[code, source, "red"]),
            round(means[code, source, "green"]),
            round(means[code, source, "blue"]),
        )
        for code, source in groups
    }


def _outliers(findings: Findings) -> list[Shelf]:
    """The farthest outliers of each class; a cell that stands out twice is shown once."""
    once = findings.outliers.unique("row", keep="first", maintain_order=True)
    shelves = []
    for code in in_order(once["class"]):
        found = once.filter(pl.col("class") == code)
        shown = found.head(STAND_OUT)
        pictures = findings.collection.pictures(shown["row"].to_list())
        rows = shown.select("cell_id", "feature", "value", "side").iter_rows()
        tiles = tuple(
            Tile(cell_id, picture, f"{feature} {value:.0f}, {side}")
            for (cell_id, feature, value, side), picture in zip(rows, pictures, strict=True)
        )
        shelves.append(Shelf(code, "", len(found), tiles))
    return shelves


def _at_random(findings: Findings, per_group: int, seed: int) -> list[Shelf]:
    collection, rng = findings.collection, np.random.default_rng(seed)
    shelves = []
    for group, members in collection.groups.items():
        drawn = np.sort(rng.choice(members, min(per_group, len(members)), replace=False)).tolist()
        ids = collection.cells["cell_id"].gather(drawn).to_list()
        tiles = tuple(Tile(*each) for each in zip(ids, collection.pictures(drawn), strict=True))
        shelves.append(Shelf(*group, len(members), tiles))
    return shelves


def _jpeg(mean: MeanCell) -> bytes:
    stream = BytesIO()
    Image.fromarray(mean.picture).save(stream, "JPEG", quality=90)
    return stream.getvalue()
