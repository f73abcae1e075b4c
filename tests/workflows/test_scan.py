"""A scan accounts for every image, writes what it found, and never mixes it with what was there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import InputError, OutputError, SettingsError, UnknownLabelError
from leukopy.datasets import MANIFEST_SCHEMA, read_manifest
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.workflows.scan import ScanSettings, scan


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """40 neutrophils and 20 eosinophils, each another picture; a copy under another label; three broken files."""
    root = tmp_path / "cells"
    for index in range(60):
        folder = root / ("SNE" if index < 40 else "EO")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{index:02d}.png")
    (root / "EO" / "copy.png").write_bytes((root / "SNE" / "07.png").read_bytes())
    (root / "EO" / "letter.jpg").write_text("not a picture")
    (root / "EO" / "nothing.png").touch()
    whole = (root / "SNE" / "00.png").read_bytes()
    (root / "SNE" / "half.png").write_bytes(whole[: len(whole) // 2])
    return root


def settings(root: Path, **values: object) -> ScanSettings:
    return ScanSettings.build({"dataset": "folders", "root": root, **values})


def test_every_image_is_in_exactly_one_table(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = scan(settings(cells, check=True), out)
    assert len(result.manifest) == 61
    assert dict(result.manifest.schema) == MANIFEST_SCHEMA
    assert dict(result.failures.schema) == FAILURE_SCHEMA
    assert dict(result.failures.select("cell_id", "reason").rows()) == {
        "folders/EO/letter.jpg": "not_an_image",
        "folders/EO/nothing.png": "empty_file",
        "folders/SNE/half.png": "truncated",
    }
    assert not set(result.manifest["cell_id"]) & set(result.failures["cell_id"])
    assert result.manifest.select("width", "height").unique().rows() == [(64, 48)]
    assert result.manifest["digest"].n_unique() == 60
    assert read_manifest(out / "manifest.parquet").equals(result.manifest)
    assert pl.read_csv(out / "failures.csv")["reason"].to_list() == result.failures["reason"].to_list()


def test_files_that_are_not_read_are_named(cells: Path, tmp_path: Path) -> None:
    (cells / "EO" / "stack.czi").write_bytes(b"x")
    assert scan(settings(cells), tmp_path / "out").note == "not read: 1 file (.czi)"


def test_without_check_only_headers_are_read(cells: Path, tmp_path: Path) -> None:
    result = scan(settings(cells), tmp_path / "out")
    assert "folders/SNE/half.png" in result.manifest["cell_id"].to_list()
    assert set(result.failures["reason"]) == {"not_an_image", "empty_file"}
    assert result.audit is None
    assert not (tmp_path / "out" / "audit.json").exists()


def test_an_audit_names_the_copy_with_two_labels(cells: Path, tmp_path: Path) -> None:
    result = scan(settings(cells, audit=True), tmp_path / "out")
    assert result.audit is not None
    assert (result.audit.exact_duplicates, result.audit.near_duplicates, result.audit.two_labels) == (1, 0, 1)
    assert result.audit.unreadable == {"empty_file": 1, "not_an_image": 1, "truncated": 1}
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["distinct_cells"] == 60
    pair = pl.read_csv(tmp_path / "out" / "duplicates.csv").row(0, named=True)
    assert {pair["cell_id_a"], pair["cell_id_b"]} == {"folders/EO/copy.png", "folders/SNE/07.png"}


def test_a_split_keeps_the_copy_with_its_cell(cells: Path, tmp_path: Path) -> None:
    for seed in range(3):
        result = scan(settings(cells, split=(0.5, 0.2, 0.3), seed=seed), tmp_path / f"out{seed}")
        sides = dict(result.manifest.select("cell_id", "split").rows())
        assert sides["folders/EO/copy.png"] == sides["folders/SNE/07.png"]
        counts = dict(result.manifest.filter(code="SNE")["split"].value_counts().rows())
        assert {name: abs(counts[name] - share) <= 1 for name, share in (("train", 20), ("val", 8), ("test", 12))} == {
            "train": True, "val": True, "test": True,
        }  # fmt: skip


def test_the_settings_saved_beside_the_result_give_it_again(cells: Path, tmp_path: Path) -> None:
    first = scan(settings(cells, split=(0.5, 0.2, 0.3), seed=3), tmp_path / "one")
    again = scan(ScanSettings.read(tmp_path / "one" / "run.json"), tmp_path / "two")
    assert again.manifest.equals(first.manifest)


def test_a_manifest_is_scanned_as_well_as_a_folder(cells: Path, tmp_path: Path) -> None:
    (cells / "table.csv").write_text("path,label,group\nSNE/01.png,SNE,slide 1\ngone.png,EO,slide 1\n")
    result = scan(ScanSettings.build({"dataset": "manifest", "root": cells / "table.csv"}), tmp_path / "out")
    assert result.manifest.select("code", "group", "width").rows() == [("SNE", "slide 1", 64)]
    assert result.failures.select("cell_id", "reason").rows() == [("manifest/gone.png", "not_found")]


def test_progress_counts_every_image(cells: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    scan(settings(cells), tmp_path / "out", progress=lambda *report: seen.append(report))
    assert seen == [("looking at images", 64, 64)]


def test_results_are_not_overwritten_unasked(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scan(settings(cells, audit=True), out)
    with pytest.raises(OutputError, match="already holds results"):
        scan(settings(cells), out)
    scan(settings(cells), out, overwrite=True)
    assert not (out / "audit.json").exists()
    with pytest.raises(OutputError, match="holds no leukopy results"):
        scan(settings(cells), cells, overwrite=True)


def test_nothing_is_written_when_the_input_is_wrong(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no image found. Expected for 'folders': class folders"):
        scan(settings(tmp_path / "empty"), out)
    with pytest.raises(SettingsError, match="split 70/20/20: "):
        scan(settings(cells, split=(0.7, 0.2, 0.2)), out)
    with pytest.raises(SettingsError, match="data set 'fodlers' is unknown"):
        scan(settings(cells).model_copy(update={"dataset": "fodlers"}), out)
    (cells / "EO").rename(cells / "EOO")
    with pytest.raises(UnknownLabelError, match=r"EOO/40\.png: label 'EOO' is unknown"):
        scan(settings(cells), out)
    assert not out.exists()


def test_a_set_of_which_nothing_can_be_read_is_an_error_that_says_where_the_reasons_are(tmp_path: Path) -> None:
    (tmp_path / "cells" / "EO").mkdir(parents=True)
    (tmp_path / "cells" / "EO" / "letter.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"none of its 1 images can be read; see .*failures.csv"):
        scan(settings(tmp_path / "cells"), tmp_path / "out")
    assert pl.read_csv(tmp_path / "out" / "failures.csv")["reason"].to_list() == ["not_an_image"]
