"""Selection of the images that an evaluation scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from leukopy.taxonomy import CellClass


def read_images(data: str, root: Path | None, labels: str | None = None, own: Sequence[CellClass] = ()) -> pl.DataFrame:
    """The manifest, or that of a data set below ``root``; column ``code2`` holds a second annotator's labels.

    Args:
        data: a data set or a manifest.
        root: folder of the data set.
        labels: a label map, or a table of labels; None: the data set's own.
        own: the model's own classes, which are read by their names.
    """
    from leukopy.datasets import DATASETS, open_dataset, read_manifest, read_second_labels
    from leukopy.taxonomy import label_map, open_label_map

    base = label_map(DATASETS[data].labels if data in DATASETS else "leukopy").extended("leukopy", {}, own)
    known = open_label_map(labels, base) if labels else base

    if data in DATASETS:
        if root is None:
            raise SettingsError(f"{data} is a data set: say where it lies with --root DIR.")
        manifest, table = open_dataset(data, root, labels=known), root
        second = read_second_labels(table, labels=known) if table.is_file() else None
    elif root is not None:
        raise SettingsError(f"--root goes with the name of a data set; {data!r} is not one of {', '.join(DATASETS)}.")
    else:
        manifest = read_manifest(Path(data), labels=known)
        second = read_second_labels(Path(data), labels=known)
    return manifest if second is None else manifest.with_columns(second)


def has_no_split(images: pl.DataFrame, data: str, root: Path | None) -> bool:
    """True where a user's table or folder of classes gives no split for any image."""
    from leukopy.datasets import DATASETS

    own = data not in DATASETS or data == "folders" or (root is not None and root.is_file())
    return own and images["split"].null_count() == len(images)


def select_split(manifest: pl.DataFrame, split: str, where: str) -> pl.DataFrame:
    """The images of the split."""
    if split == "all":
        return manifest
    chosen = manifest.filter(split=split)
    if chosen.is_empty():
        sizes = manifest["split"].fill_null("none").value_counts(sort=True).iter_rows()
        there = ", ".join(f"{name}: {count:,}" for name, count in sizes)
        raise InputError(
            f"{where}: no image is in split {split!r} (images by split: {there}). "
            "Choose another --split, or --split all."
        )
    return chosen


def scorable(listed: pl.DataFrame, where: str, learnt: Sequence[CellClass] = ()) -> tuple[pl.DataFrame, dict[str, int]]:
    """The images of the fine and coarse classes and of those outside that the model learnt, and the number left out by
    reason."""
    import polars as pl

    from leukopy.taxonomy import find, fine_members, outside_classes

    unlabelled = pl.col("code").is_null()
    answered = {cell.code for cell in learnt}
    others = [cell.code for cell in outside_classes() if cell.coarse is None and cell.code not in answered]
    outside = pl.col("code").is_in(others)
    counts = {
        "listed": len(listed),
        "unlabelled": listed.filter(unlabelled).height,
        "outside": listed.filter(outside).height,
    }
    known = listed.filter(~unlabelled & ~outside)
    codes = set(known["code"])
    if counts["unlabelled"] == len(listed):
        raise InputError(f"{where}: none of the {len(listed):,} images has a label. Fill in column 'label' or 'code'.")
    coarse = {find(code).coarse or code for code in codes}
    fine = {code for code in codes if len(fine_members(code)) == 1 or code in answered}
    if max(len(coarse), len(fine)) < 2:
        only = f"only {', '.join(sorted(codes))}" if codes else "none that the model knows"
        raise InputError(f"{where}: an evaluation needs two classes, and the labels hold {only}.")
    return known, counts
