"""Corrected labels leave as a zip that training and evaluation read."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.datasets import read_manifest
from leukopy.review.export import training_zip
from leukopy.review.store import ImageStore, SignedCell
from leukopy.taxonomy import CellClass, Place, label_map, read_label_table
from leukopy.training.settings import TrainSettings
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from leukopy.workflows.train import train

CODES = ("SNE", "LY", "MO", "EO")
Station = tuple[list[SignedCell], ImageStore]


def png(shade: int) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (32, 32), (shade % 256, shade // 256, 90)).save(stream, "PNG")
    return stream.getvalue()


def signed(images: ImageStore, case: int, cell: int, code: str, shade: int, patient: int | None = None) -> SignedCell:
    (digest,) = images.add([png(shade)])
    group = f"patient{case if patient is None else patient}"
    return SignedCell(f"{case:032x}", cell, group, digest, "image/png", code, "SNE")


def test_images_without_a_class_are_left_out(images: ImageStore, tmp_path: Path) -> None:
    cells = [signed(images, 1, 1, "SNE", 7), signed(images, 1, 2, "SNE", 8)._replace(code=None, not_counted="no_cell")]
    folder = unpacked(training_zip(cells, images), tmp_path / "out")
    assert read_manifest(folder / "manifest.csv")["cell_id"].to_list() == [f"review/{1:032x}/1"]
    (left,) = csv.DictReader((folder / "left_out.csv").read_text().splitlines())
    assert (left["cell_id"], left["reason"]) == (f"review/{1:032x}/2", "no class: the image holds no single cell")


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, colour_model: Any) -> Station:
    """20 cases of 12 cells; each two of the first four cases are of one patient. The pictures tell the classes."""
    folder = tmp_path_factory.mktemp("station")
    images = ImageStore(folder / "images")

    def picture(code: str, number: int) -> bytes:
        with Image.open(colour_model.draw(folder / "plain.png", code)) as plain:
            plain.putpixel((0, 0), (number, 0, 0))  # so that no two are the same
            plain.save(folder / "plain.png")
        return (folder / "plain.png").read_bytes()

    places = [(case, cell) for case in range(20) for cell in range(12)]
    digests = images.add(picture(CODES[cell % len(CODES)], 12 * case + cell) for case, cell in places)
    cells = [
        SignedCell(f"{case:032x}", cell, f"patient{case // 2 if case < 4 else case}", digest, "image/png",
                   CODES[cell % len(CODES)], "SNE")
        for (case, cell), digest in zip(places, digests, strict=True)
    ]  # fmt: skip
    return cells, images


def unpacked(chunks: Iterable[bytes], folder: Path) -> Path:
    with zipfile.ZipFile(BytesIO(b"".join(chunks))) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def test_the_manifest_is_one_that_leukopy_reads(station: Station, tmp_path: Path) -> None:
    cells, images = station
    folder = unpacked(training_zip(cells, images), tmp_path / "out")
    table = read_manifest(folder / "manifest.csv")
    assert table.height == len(cells) == 240
    assert Counter(table["code"]) == Counter(cell.code for cell in cells)
    assert all(Path(path).read_bytes() for path in table["path"])
    assert set(table["source"]) == {"review"}
    assert RESEARCH_USE_ONLY in (folder / "README.txt").read_text()
    assert (folder / "left_out.csv").read_text() == "cell_id,code,reason\n"
    assert "model_code" in (folder / "manifest.csv").read_text().splitlines()[0]


def test_a_model_is_evaluated_on_it(station: Station, tmp_path: Path, colour_model: Any) -> None:
    folder = unpacked(training_zip(*station), tmp_path / "out")
    settings = EvaluateSettings(
        data=str(folder / "manifest.csv"), model=str(colour_model.path), replicates=100, examples=0
    )
    found = evaluate(settings, tmp_path / "figures").evaluation
    assert found.counts["scored"] == read_manifest(folder / "manifest.csv").filter(pl.col("split") == "test").height
    assert found.levels[0].classification.accuracy.value == 1  # its right answers are the colours


def test_a_model_is_trained_on_it(station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    folder = unpacked(training_zip(*station), tmp_path / "out")
    recipe = TrainSettings.build({
        "name": "closed loop", "title": "Closed loop", "description": "For tests.",
        "backbone": {"name": "lenet"}, "preprocess": {"size": 48},
        "sources": [{"dataset": "manifest", "root": str(folder / "manifest.csv"), "share": 1}],
        "optimisation": {"epochs": 1, "batch_size": 64, "learning_rate": 1e-3},
    })  # fmt: skip
    train(recipe, tmp_path / "run")
    (use,) = open_bundle(tmp_path / "run" / "bundle").card.trained_on
    assert use.images == read_manifest(folder / "manifest.csv").filter(pl.col("split") == "train").height


def test_no_patient_is_on_both_sides(station: Station, tmp_path: Path) -> None:
    cells, images = station
    table = read_manifest(unpacked(training_zip(cells, images), tmp_path / "out") / "manifest.csv")
    sides = table.group_by("group").agg(pl.col("split").n_unique())
    assert sides["split"].to_list() == [1] * 18  # 20 cases of 18 patients
    shares = table["split"].value_counts(normalize=True)
    found = dict(shares.iter_rows())
    assert found["train"] == pytest.approx(0.7, abs=0.06)
    assert set(found) == {"train", "val", "test"}


def test_names_are_pseudonyms_and_digests(station: Station) -> None:
    cells, images = station
    with zipfile.ZipFile(BytesIO(b"".join(training_zip(cells[:3], images)))) as archive:
        assert archive.namelist() == [
            *(f"images/{cell.digest}.png" for cell in cells[:3]), "manifest.csv", "left_out.csv", "README.txt",
        ]  # fmt: skip


def test_the_same_labels_give_the_same_zip(station: Station) -> None:
    cells, images = station
    assert b"".join(training_zip(cells, images)) == b"".join(training_zip(cells, images))


def test_a_picture_in_two_cases_is_exported_once_or_not_at_all(images: ImageStore, tmp_path: Path) -> None:
    twice = [signed(images, 1, 1, "SNE", 7), signed(images, 2, 1, "SNE", 7)]
    doubtful = [signed(images, 1, 2, "SNE", 8), signed(images, 2, 2, "BNE", 8)]
    folder = unpacked(training_zip([*twice, *doubtful], images), tmp_path / "out")
    table = read_manifest(folder / "manifest.csv")
    assert table["cell_id"].to_list() == [f"review/{1:032x}/1"]
    left = list(csv.DictReader((folder / "left_out.csv").read_text().splitlines()))
    assert [row["reason"] for row in left] == [
        "the same picture is exported already",
        "the same picture has several classes: BNE, SNE",
        "the same picture has several classes: BNE, SNE",
    ]


def test_what_cannot_be_exported_is_a_row_with_its_reason(images: ImageStore, tmp_path: Path) -> None:
    whole, own = signed(images, 1, 1, "LYA", 1), signed(images, 1, 2, "HAIRY", 2)
    gone, damaged = signed(images, 1, 3, "LY", 3), signed(images, 1, 4, "LY", 4)
    images.path(gone.digest).unlink()
    images.path(damaged.digest).write_bytes(b"another picture")
    folder = unpacked(training_zip([whole, own, gone, damaged], images), tmp_path / "out")
    assert read_manifest(folder / "manifest.csv")["code"].to_list() == ["LYA"]
    left = list(csv.DictReader((folder / "left_out.csv").read_text().splitlines()))
    assert [(row["code"], row["cell_id"][-1]) for row in left] == [("HAIRY", "2"), ("LY", "3"), ("LY", "4")]
    assert "does not hold" in left[0]["reason"]
    assert "missing from the image folder" in left[1]["reason"]
    assert "is damaged" in left[2]["reason"]


def test_undivided_classes_may_train(images: ImageStore, tmp_path: Path) -> None:
    folder = unpacked(training_zip([signed(images, 1, 1, "NEU", 1)], images), tmp_path / "out")
    assert read_manifest(folder / "manifest.csv")["code"].to_list() == ["NEU"]


def test_it_comes_in_pieces(station: Station) -> None:
    cells, images = station
    pieces = list(training_zip(cells, images))
    assert len(pieces) > len(cells)
    assert max(map(len, pieces)) < 40_000


def test_nothing_signed_is_an_empty_manifest(images: ImageStore) -> None:
    with zipfile.ZipFile(BytesIO(b"".join(training_zip([], images)))) as archive:
        assert len(archive.read("manifest.csv").splitlines()) == 1


def test_classes_of_the_laboratorys_own_come_with_their_definitions(images: ImageStore, tmp_path: Path) -> None:
    own = CellClass("TART", "tart cell", "cellule en tarte", None, Place.DIFFERENTIAL, "#123456")
    cells = [signed(images, 1, 1, "LY", 7), signed(images, 1, 2, "TART", 8)]
    folder = unpacked(training_zip(cells, images, [own]), tmp_path / "out")
    known = read_label_table(folder / "labels.csv", label_map("leukopy"))
    assert known.own == (own,)
    assert read_manifest(folder / "manifest.csv", labels=known)["code"].to_list() == ["LY", "TART"]
    plain = unpacked(training_zip(cells[:1], images, [own]), tmp_path / "plain")
    assert not (plain / "labels.csv").exists()
