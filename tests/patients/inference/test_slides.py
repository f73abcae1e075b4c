"""A patient's pictures are one slide: read at most twice, named as by `analyze`, copies and empty ones left out.

The patients are drawn, the models are those that ship.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.imaging import decode
from leukopy.inference.engine import Engine
from leukopy.inference.rows import CellInput
from leukopy.patients.data import open_cohort
from leukopy.patients.inference import cells as cells_module
from leukopy.patients.inference.bags import describe_network
from leukopy.patients.inference.cells import CellReader
from leukopy.patients.inference.flags import no_decision, slide_flags
from leukopy.patients.inference.slides import SlideReader
from leukopy.patients.store import open_patient_bundle
from leukopy.patients.workflows.cohort import read_bags
from leukopy.patients.workflows.predict import PredictPatientsSettings, predict_patients
from leukopy.patients.workflows.scan import ScanPatientsSettings, scan_patients
from leukopy.slides.classifier import Classifier
from leukopy.slides.laboratory_check import ENOUGH_CELLS, SlideDistance
from leukopy.slides.record import SlideRecord
from leukopy.synthesis import draw_cell

CELLS = ENOUGH_CELLS + 4


def draw(folder: Path, count: int, size: int = 160, first: int = 0) -> list[CellInput]:
    folder.mkdir(parents=True, exist_ok=True)
    inputs = []
    for seed in range(first, first + count):
        path = folder / f"c{seed:03}.png"
        Image.fromarray(draw_cell("LY", seed=seed, size=size).image).save(path)
        inputs.append(CellInput(f"{folder.name}/{path.name}", str(path)))
    return inputs


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients of lymphocytes."""
    folder = tmp_path_factory.mktemp("cohorts") / "ward"
    draw(folder / "P1", CELLS)
    draw(folder / "P2", 6, first=100)
    (folder / "patients.csv").write_text("patient_id,label,age,lymphocytes\nP1,1,70,20\nP2,0,40,6\n")
    return folder


@pytest.fixture(scope="module")
def spoiled(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ward; P1 has a copy and two dark pictures more, P2 a picture of P1's."""
    folder = tmp_path_factory.mktemp("spoiled") / "ward"
    shutil.copytree(ward, folder)
    shutil.copy(folder / "P1" / "c001.png", folder / "P1" / "z copy.png")
    shutil.copy(folder / "P1" / "c002.png", folder / "P2" / "zz.png")
    for level in (4, 5):
        dark(folder / "P1" / f"dark{level}.png", level)
    return folder


def dark(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((160, 160, 3), level, np.uint8)).save(path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read."""
    counts: Counter[str] = Counter()
    read = decode.read_file

    def counting(path: Path) -> bytes:
        counts[path.name] += 1
        return read(path)

    monkeypatch.setattr(decode, "read_file", counting)
    monkeypatch.setattr("leukopy.patients.data.copies.file_digest", lambda path: pytest.fail(f"{path} was read"))
    return counts


def judge(path: Path, out: Path) -> dict[str, dict[str, object]]:
    settings = PredictPatientsSettings(path=path, pages=False)
    return {row["patient_id"]: row for row in predict_patients(settings, out).patients.iter_rows(named=True)}


def test_a_file_is_read_twice_at_most_heat_maps_included(ward: Path, tmp_path: Path, reads: Counter[str]) -> None:
    """Once for its measures, in processes where there are many, and once as a cell of the slide."""
    judge(ward, tmp_path / "out")
    assert len(reads) == CELLS + 6
    assert set(reads.values()) == {2}


@pytest.mark.parametrize("size", [160, 96])
def test_classes_are_those_of_the_slide_and_features_those_of_the_picture(tmp_path: Path, size: int) -> None:
    """96 px: the cells fill the picture, so that the slide is cropped in another way than the card."""
    inputs = draw(tmp_path / "P1", CELLS, size)
    if size == 96:
        for cell in inputs:
            picture = Image.open(cell.path)
            picture.crop((24, 24, 72, 72)).resize((96, 96)).save(cell.path)
    model = open_bundle("default")
    reader = SlideReader(model, ("attributes",))
    found = reader.read(inputs)
    crop = found.record.survey["crop"]
    assert (crop == model.card.preprocess.crop) is (size == 160)
    called = Classifier(model.healthy).predict([cell.path for cell in inputs])
    columns = ["coarse", "confidence", "flags", "ood_score"]
    assert found.rows.select(columns).equals(called.cells.select(columns))
    (batches,) = ([*Engine(model.network, outputs=("attributes",)).run(inputs)],)
    alone = np.concatenate([batch.outputs["attributes"] for batch in batches])
    np.testing.assert_array_equal(found.values, alone[found.counted])
    assert reader.features(inputs)[0].tolist() == alone.tolist()


def test_copies_and_empty_pictures_change_no_result_and_are_told(ward: Path, spoiled: Path, tmp_path: Path) -> None:
    whole, row = judge(ward, tmp_path / "whole")["P1"], judge(spoiled, tmp_path / "spoiled")["P1"]
    assert row["probability"] == whole["probability"]
    counts = ("cells", "cells_left_out", "cells_failed")
    assert [whole[name] for name in counts] == [CELLS, 0, 0]
    assert [row[name] for name in counts] == [CELLS, 3, 0]
    assert {"left_out", "duplicates"} <= set(row["flags"])
    assert f"Of {CELLS + 3} pictures, 2 without a cell have no class" in " ".join(row["remarks"])
    failures = pl.read_csv(tmp_path / "spoiled" / "failures.csv")
    assert failures.select("cell_id", "reason").rows() == [("P1/dark4.png", "no_cell"), ("P1/dark5.png", "no_cell")]
    cells = pl.read_parquet(tmp_path / "spoiled" / "cells.parquet").filter(pl.col("patient_id") == "P1")
    assert not {"P1/dark4.png", "P1/z copy.png"} & set(cells["cell_id"])


def test_predict_and_scan_name_the_same_copies(spoiled: Path, tmp_path: Path) -> None:
    settings = PredictPatientsSettings(path=spoiled, pages=False)
    problems = predict_patients(settings, tmp_path / "out").problems
    scanned = scan_patients(ScanPatientsSettings(path=spoiled))
    assert problems.equals(scanned.problems)
    assert problems.filter(pl.col("reason") == "same_image")["patient_id"].to_list() == ["P1", "P2"]
    assert scanned.cohort.cells.height == CELLS + 2 + 6 + 1


def test_bags_of_the_training_are_those_of_the_prediction(
    spoiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    bundle = open_patient_bundle()
    cohort = open_cohort(spoiled)
    network = describe_network("default", bundle.card.network.outputs, measures=True)
    found = read_bags(cohort, network, lambda *_: None)
    reader = CellReader(bundle)
    for bag in found.bags:
        own = cohort.cells.filter(patient_id=bag.patient_id).select("cell_id", "path")
        np.testing.assert_array_equal(bag.cells, reader.read([CellInput(*row) for row in own.iter_rows()]).values)
    reasons = dict(found.failures.select("cell_id", "reason").iter_rows())
    assert reasons == {"P1/dark4.png": "no_cell", "P1/dark5.png": "no_cell", "P1/z copy.png": "duplicate"}
    assert not found.failures["message"].str.contains(str(spoiled)).any()


def test_only_a_patient_whose_pictures_changed_is_read_again(
    ward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    shutil.copytree(ward, tmp_path / "ward")
    network = describe_network("default", ("attributes",))
    read: list[int] = []
    seen = SlideReader.read

    def counting(reader: SlideReader, cells: Sequence[CellInput]) -> object:
        read.append(len(cells))
        return seen(reader, cells)

    monkeypatch.setattr(SlideReader, "read", counting)
    first = read_bags(open_cohort(tmp_path / "ward"), network, lambda *_: None)
    again = read_bags(open_cohort(tmp_path / "ward"), network, lambda *_: None)
    assert read == [CELLS, 6]
    assert [bag.cells.tolist() for bag in again.bags] == [bag.cells.tolist() for bag in first.bags]
    dark(tmp_path / "ward" / "P2" / "dark.png", 3)
    read_bags(open_cohort(tmp_path / "ward"), network, lambda *_: None)
    assert read == [CELLS, 6, 7]


def test_patients_without_a_cell_get_no_decision_but_the_reason(tmp_path: Path) -> None:
    for level in range(2, 7):
        dark(tmp_path / "P1" / f"{level}.png", level)
    (tmp_path / "patients.csv").write_text("patient_id,label,age,lymphocytes\nP1,,70,20\n")
    row = judge(tmp_path, tmp_path / "out")["P1"]
    assert row["decision"] is None
    assert row["flags"][0] == "no_single_cell"
    assert (row["cells"], row["cells_left_out"], row["cells_failed"]) == (0, 5, 0)


def test_fields_of_view_get_no_decision_whatever_is_seen_in_them() -> None:
    reason = no_decision(["LY"] * 20, SlideRecord(pictures=30, failures=0, survey={"fields": True}))
    assert reason is not None
    assert reason.word == "fields_of_view"
    assert no_decision(["LY"] * 20, SlideRecord(pictures=30, failures=0, survey={"fields": False})) is None


def test_a_foreign_slide_is_told_and_a_usual_one_is_not() -> None:
    usual, foreign = (
        SlideRecord(pictures=40, failures=0, trusted=40, distance=SlideDistance(distance, "Lymphocytosis", 40))
        for distance in (0.4, 1.7)
    )
    assert not list(slide_flags(usual))
    (flag,) = slide_flags(foreign)
    assert flag.word == "foreign_slide"
    assert "distance 1.7" in flag.message


def test_a_cell_is_shown_from_the_picture_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone since it was read still has its map, as its picture is kept."""
    inputs = draw(tmp_path / "P1", 3)
    reader = CellReader(open_patient_bundle())
    reading = reader.read(inputs)
    Path(inputs[0].path).unlink()
    monkeypatch.setattr(cells_module, "GRID", 2)
    (kept,) = reader.covered(inputs[:1], reading.values[:1], reading.pictures)
    (gone,) = reader.covered(inputs[:1], reading.values[:1])
    assert kept is not None
    assert kept.shape[-1] == reading.values.shape[1]
    assert gone is None
