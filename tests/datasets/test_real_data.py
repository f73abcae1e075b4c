"""The real copies: counts that the sources publish, and the flaws that an audit must find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leukopy.datasets import find_duplicates, open_dataset, probe_file

pytestmark = pytest.mark.real_data

PBC = {
    "SNE": 1646, "BNE": 1633, "NEU": 50, "EO": 3117, "BA": 1218, "LY": 1214, "MO": 1420, "MMY": 1015, "MY": 1137,
    "PMY": 592, "IG": 151, "ERB": 1551, "PLT": 2348,
}  # fmt: skip
COUNTS = {
    "pbc": PBC,
    "pbc_original": dict.fromkeys(PBC, 20),
    "raabin": {"NEU": 100, "EO": 100, "BA": 100, "LY": 100, "MO": 100},
    "chula": {"NEU": 109, "EO": 100, "BA": 100, "LY": 111, "MO": 88},
    "bcisc": {"NEU": 51, "EO": 54, "BA": 56, "LY": 53, "MO": 54},
    "cellavision": {"NEU": 33, "EO": 12, "BA": 3, "LY": 37, "MO": 15},
}


@pytest.mark.parametrize("folder", COUNTS)
def test_every_class_has_the_published_count(real_data: Path, folder: str) -> None:
    manifest = open_dataset(folder.removesuffix("_original"), real_data / "cells" / folder)
    assert dict(manifest["code"].value_counts().rows()) == COUNTS[folder]
    assert all(Path(path).is_file() for path in manifest["path"])


def test_pbc_comes_with_its_split(real_data: Path) -> None:
    manifest = open_dataset("pbc", real_data / "cells" / "pbc")
    assert dict(manifest["split"].value_counts().rows()) == {"train": 12820, "val": 1708, "test": 2564}


def test_groups_are_those_that_the_source_knows(real_data: Path) -> None:
    groups = {name: open_dataset(name, real_data / "cells" / name)["group"] for name in ("raabin", "chula", "bcisc")}
    assert groups["raabin"].n_unique() == 28
    assert {"95-5-4-1", "20190526"} < set(groups["raabin"])
    assert "B-30_0047.jpg" in set(groups["chula"])
    assert groups["bcisc"].n_unique() == 50


def test_the_known_duplicates_of_pbc_are_found_and_no_others(real_data: Path) -> None:
    """All 34 images of the 17 known pairs, 10 of 5 cells that were taken twice, and 500 others of the training set."""
    manifest = open_dataset("pbc", real_data / "cells" / "pbc").with_columns(
        name=pl.col("path").str.extract(r"([^/]+)\.webp$")
    )
    known = pl.read_csv(real_data / "cells" / "pbc" / "labels.csv").filter(pl.col("duplicate_group").is_not_null())
    pairs = (
        known.group_by("duplicate_group").agg(pl.col("file").str.extract(r"([^/]+)\.webp$").sort())["file"].to_list()
    )
    exact = {(a, b) for a, b in pairs}
    near = {
        ("EO_464387", "EO_800344"), ("MO_231316", "MO_415531"), ("EO_246684", "EO_409717"),
        ("IG_466905", "IG_855229"), ("IG_101958", "IG_957559"),
    }  # fmt: skip
    wanted = {name for pair in exact | near for name in pair}
    others = manifest.filter(pl.col("split") == "train", ~pl.col("name").is_in(wanted)).gather_every(25)
    images = pl.concat([manifest.filter(pl.col("name").is_in(wanted)), others])
    looks = [probe_file(Path(path), pixels=True) for path in images["path"]]
    thumbnails = np.stack([each.thumbnail for each in looks if each.thumbnail is not None])
    found = find_duplicates([each.digest for each in looks], thumbnails)
    names = images["name"].to_list()
    by_kind = {
        kind: {tuple(sorted((names[a], names[b]))) for a, b in found.filter(kind=kind).select("a", "b").rows()}
        for kind in ("exact", "near")
    }
    assert len(exact) == 17
    assert by_kind == {"exact": exact, "near": near}
    assert ("BNE_191112", "EO_225902") in by_kind["exact"], "one image with two labels"
