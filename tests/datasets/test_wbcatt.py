"""Each annotated cell gets its picture, its part and its attributes; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from leukopy.core.errors import ManifestError, UnknownLabelError
from leukopy.datasets import MANIFEST_SCHEMA, open_dataset
from leukopy.datasets.wbcatt import read_wbcatt
from leukopy.taxonomy import ATTRIBUTE_CLASSES, ATTRIBUTES

VALUES = {attribute.name: attribute.values[0] for attribute in ATTRIBUTES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, image, label in [
        ("train", "SNE_1.jpg", "Neutrophil"),
        ("val", "LY_2.jpg", "Lymphocyte"),
        ("test", "MO_3.jpg", "Monocyte"),
    ]:
        row = {"img_name": image, "label": label, **VALUES, "path": "elsewhere"}
        pl.DataFrame([row]).write_csv(tmp_path / f"pbc_attr_v1_{part}.csv")
    return tmp_path


@pytest.fixture
def images() -> pl.DataFrame:
    names = ["monocyte/MO_3.webp", "neutrophil/SNE_1.webp", "lymphocyte/LY_2.webp", "platelet/PLT_4.webp"]
    columns = {"cell_id": [f"pbc/{name}" for name in names], "path": [f"/data/pbc/{name}" for name in names]}
    columns["split"] = ["val", "train", "test", "train"]
    return pl.DataFrame({name: columns.get(name, [None] * 4) for name in MANIFEST_SCHEMA}, schema=MANIFEST_SCHEMA)


def test_cells_find_their_pictures_by_name(folder: Path, images: pl.DataFrame) -> None:
    cells = read_wbcatt(folder, images)
    assert cells.select("cell_id", "code", "part", "pbc_split").rows() == [
        ("pbc/neutrophil/SNE_1.webp", "NEU", "train", "train"),
        ("pbc/lymphocyte/LY_2.webp", "LY", "val", "test"),
        ("pbc/monocyte/MO_3.webp", "MO", "test", "val"),
    ]
    assert cells.row(0, named=True).items() >= VALUES.items()


def test_a_picture_that_is_missing(folder: Path, images: pl.DataFrame) -> None:
    with pytest.raises(ManifestError, match="1 of 3 annotated images are not in the PBC folder, the first is 'MO_3'"):
        read_wbcatt(folder, images.slice(1))


@pytest.mark.parametrize(("old", "new"), [("unsegmented-round", "square"), ("unsegmented-round", "")])
def test_a_value_that_is_none(folder: Path, images: pl.DataFrame, old: str, new: str) -> None:
    table = folder / "pbc_attr_v1_val.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=r"val\.csv: LY_2\.jpg: nucleus_shape is"):
        read_wbcatt(folder, images)


def test_a_file_that_is_none(folder: Path, images: pl.DataFrame) -> None:
    (folder / "pbc_attr_v1_test.csv").write_text("img_name,label\nMO_3.jpg,Monocyte\n")
    with pytest.raises(ManifestError, match=r"test\.csv: not a table of WBCAtt"):
        read_wbcatt(folder, images)
    (folder / "pbc_attr_v1_test.csv").unlink()
    with pytest.raises(ManifestError, match=r"test\.csv: not a table of WBCAtt"):
        read_wbcatt(folder, images)


def test_a_class_that_is_unknown(folder: Path, images: pl.DataFrame) -> None:
    table = folder / "pbc_attr_v1_test.csv"
    table.write_text(table.read_text().replace("Monocyte", "Macrophage"))
    with pytest.raises(UnknownLabelError, match="Macrophage"):
        read_wbcatt(folder, images)


@pytest.mark.real_data
def test_the_real_tables(real_data: Path) -> None:
    cells = read_wbcatt(real_data / "cells" / "wbcatt", open_dataset("pbc", real_data / "cells" / "pbc"))
    assert dict(cells["part"].value_counts().rows()) == {"train": 6169, "val": 1030, "test": 3099}
    assert sorted(cells["code"].unique()) == sorted(ATTRIBUTE_CLASSES)
    assert cells["path"].n_unique() == 10_298
    assert cells.null_count().sum_horizontal().item() == 0
