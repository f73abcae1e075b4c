"""WBCAtt: morphological attributes of 10,298 images of PBC Barcelona, with a split of their own.

Tsutsui S, Pang W, Wen B. WBCAtt: a white blood cell dataset annotated with detailed morphological attributes. NeurIPS
2023, Datasets and Benchmarks (arXiv:2306.13531). MIT licence. It holds tables only; the images belong to PBC.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leukopy.core.errors import ManifestError
from leukopy.datasets.manifest import SPLITS
from leukopy.taxonomy import ATTRIBUTES, label_map

NAME = "WBCAtt: morphological attributes of PBC Barcelona cells"
LICENCE = "MIT"
CITATION = (
    "Tsutsui S, Pang W, Wen B. WBCAtt: a white blood cell dataset annotated with detailed morphological attributes. "
    "NeurIPS 2023, Datasets and Benchmarks. arXiv:2306.13531"
)


def read_wbcatt(folder: Path, images: pl.DataFrame) -> pl.DataFrame:
    """The annotated cells, each with its image, in the order of the files train, val, test.

    Args:
        folder: holds ``pbc_attr_v1_train.csv``, ``pbc_attr_v1_val.csv`` and ``pbc_attr_v1_test.csv``.
        images: the manifest of PBC, as `open_dataset` gives it; an image is found by its name without suffix.

    Returns:
        Columns ``cell_id``, ``path``, ``code`` (coarse), ``part`` (WBCAtt's own split), ``pbc_split`` (the manifest's),
        and one per attribute, by its name.

    Raises:
        ManifestError: a file is absent or not such a table, holds a value unknown for its attribute, or names a picture
            absent from ``images``.
        UnknownLabelError: a class unknown to PBC.
    """
    stem = pl.col("path").str.split("/").list.last().str.replace(r"\.[^.]*$", "")
    known = images.select("cell_id", "path", stem.alias("image"), pl.col("split").alias("pbc_split"))
    parts = [_read(folder / f"pbc_attr_v1_{part}.csv").with_columns(part=pl.lit(part)) for part in SPLITS]
    cells = pl.concat(parts).join(known, on="image", how="left", maintain_order="left")
    if absent := cells.filter(pl.col("path").is_null())["image"].to_list():
        raise ManifestError(
            f"{folder}: {len(absent)} of {len(cells)} annotated images are not in the PBC folder, the first is "
            f"{absent[0]!r}. Give the whole PBC data set."
        )
    return cells.select("cell_id", "path", "code", "part", "pbc_split", *(each.name for each in ATTRIBUTES))


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False)
        table = table.select("img_name", "label", *(each.name for each in ATTRIBUTES))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ManifestError(f"{path}: not a table of WBCAtt ({str(error).splitlines()[0]}). Copy it again.") from error
    for attribute in ATTRIBUTES:
        wrong = table.filter(~pl.col(attribute.name).is_in(attribute.values).fill_null(False))
        if not wrong.is_empty():
            image, value = wrong.select("img_name", attribute.name).row(0)
            known = ", ".join(attribute.values)
            raise ManifestError(f"{path}: {image}: {attribute.name} is {value!r}; known: {known}. Copy it again.")
    labels = label_map("pbc")
    codes = [labels.code(label, where=str(path)) for label in table["label"]]
    return table.with_columns(
        image=pl.col("img_name").str.replace(r"\.[^.]*$", ""), code=pl.Series(codes, dtype=pl.String)
    )
