"""Audit of a set of images before training: tables in, tables out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from leukopy.core.files import atomic_path, write_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.datasets.duplicates import clusters
from leukopy.datasets.manifest import SPLITS
from leukopy.taxonomy import display_order, find, fine_members

AUDIT_FILE = "audit.json"


@dataclass(frozen=True)
class Audit:
    """The figures of an audit; the pairs themselves are in ``duplicates.csv``."""

    images: int
    """Readable images."""
    unreadable: dict[str, int]
    """Reason -> images."""
    classes: dict[str, dict[str, int]]
    """Source -> class code (``none`` where there is no label) -> images."""
    sizes: dict[str, dict[str, int]]
    """Source -> ``width x height`` in pixels -> images, the commonest first."""
    distinct_cells: int
    """Images less repeated pictures of a cell, as far as duplicates were found."""
    exact_duplicates: int
    """Files that are a copy of another."""
    near_duplicates: int
    """Pairs of files that show one cell and are not copies."""
    two_labels: int
    """Pairs of duplicates whose labels contradict each other."""
    across_splits: int
    """Pairs of duplicates of which only one is in the training split."""
    across_groups: int
    """Pairs of duplicates between two patients, slides or fields: their groups share a cell."""


def count_classes(manifest: pl.DataFrame) -> pl.DataFrame:
    """Count images by source and class code, in the order of a differential.

    Returns:
        ``source``, ``code`` (``none`` where there is no label), ``images``, and, where any image has a split, the
        numbers in ``train``, ``val``, ``test``.
    """
    order = dict.fromkeys(each for code in display_order() for each in (find(code).coarse, code) if each is not None)
    code = pl.col("code").fill_null("none").cast(pl.Enum([*order, "none"]))
    known = SPLITS if manifest["split"].is_not_null().any() else ()
    in_split = [(pl.col("split") == name).sum().alias(name) for name in known]
    return manifest.group_by("source", code).agg(pl.len().alias("images"), *in_split).sort("source", "code")


def describe_duplicates(manifest: pl.DataFrame, duplicates: pl.DataFrame) -> pl.DataFrame:
    """Describe each pair of duplicates: its two cells, and contradictions between them.

    Args:
        manifest: a table of ``MANIFEST_SCHEMA``.
        duplicates: result of ``find_duplicates`` on its rows.

    Returns:
        ``cluster`` (the cell: linked pairs share it), ``kind``, ``similarity``; ``cell_id``, ``code``,
        ``group``, ``split`` of both (suffix ``_a`` and ``_b``); ``two_labels``, ``across_splits`` and
        ``across_groups``. Contradictions first, then by similarity.
    """
    cluster = clusters(len(manifest), duplicates.select("a", "b").to_numpy())[duplicates["a"].to_numpy()]
    pairs = duplicates.select(pl.Series("cluster", cluster), "kind", "similarity")
    for side in ("a", "b"):
        rows = manifest[duplicates[side].to_numpy()].select("cell_id", "source", "code", "group", "split")
        pairs = pairs.hstack(rows.select(pl.all().name.suffix(f"_{side}")))
    contradicts = [_contradict(a, b) for a, b in pairs.select("code_a", "code_b").iter_rows()]
    known_groups = pl.col("group_a").is_not_null() & pl.col("group_b").is_not_null()
    return (
        pairs.with_columns(
            two_labels=pl.Series(contradicts, dtype=pl.Boolean),
            across_splits=pl.col("split_a").ne_missing(pl.col("split_b")),
            across_groups=known_groups
            & ((pl.col("group_a") != pl.col("group_b")) | (pl.col("source_a") != pl.col("source_b"))),
        )
        .drop("source_a", "source_b")
        .sort("two_labels", "across_splits", "similarity", descending=True, maintain_order=True)
    )


def audit(manifest: pl.DataFrame, unreadable: list[str], pairs: pl.DataFrame) -> Audit:
    """Count images, duplicates and contradictions.

    Args:
        manifest: the readable images, with their sizes.
        unreadable: the reason of each unreadable image.
        pairs: result of ``describe_duplicates``.
    """
    shown = pl.concat([pairs.select("cluster", cell_id=f"cell_id_{side}") for side in ("a", "b")])
    again = shown["cell_id"].n_unique() - shown["cluster"].n_unique()
    classes: dict[str, dict[str, int]] = {}
    for source, code, images in count_classes(manifest).select("source", "code", "images").iter_rows():
        classes.setdefault(source, {})[code] = images
    reasons = pl.Series(unreadable, dtype=pl.String).value_counts(sort=True, name="images").rows()
    return Audit(
        images=len(manifest),
        unreadable=dict(reasons),
        classes=classes,
        sizes={str(rows["source"][0]): _size_counts(rows) for rows in manifest.partition_by("source")},
        distinct_cells=len(manifest) - again,
        exact_duplicates=len(pairs.filter(kind="exact")),
        near_duplicates=len(pairs.filter(kind="near")),
        two_labels=int(pairs["two_labels"].sum()),
        across_splits=int(pairs["across_splits"].sum()),
        across_groups=int(pairs["across_groups"].sum()),
    )


def write_audit(folder: Path, result: Audit, pairs: pl.DataFrame) -> None:
    """Write ``duplicates.csv`` and, last, ``audit.json``.

    Raises:
        OutputError: they cannot be written.
    """
    with atomic_path(folder / "duplicates.csv") as temporary:
        pairs.write_csv(temporary, float_precision=3)
    write_json(folder / AUDIT_FILE, {"use": RESEARCH_USE_ONLY, **asdict(result)})


def _contradict(a: str | None, b: str | None) -> bool:
    """True where no cell can bear both codes; ``NEU`` agrees with ``SNE``."""
    if a is None or b is None or a == b:
        return False
    return not set(fine_members(a)) & set(fine_members(b))


def _size_counts(rows: pl.DataFrame) -> dict[str, int]:
    sizes = rows.group_by("width", "height").len().sort("len", "width", "height", descending=True)
    return {f"{width} x {height}": count for width, height, count in sizes.iter_rows()}
