"""A bundle is whole, made for this taxonomy, and says so when it is not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from leukopy import taxonomy
from leukopy.bundle import Calibration, Card, ModelFile, Thresholds, open_bundle, write_bundle
from leukopy.core.errors import BundleError
from leukopy.core.files import read_json, write_json
from leukopy.imaging.preprocess import Preprocess

CONTENT = b"any bytes: opening a bundle does not load the network"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = Card(
        name="tiny",
        title="Tiny",
        description="For tests.",
        licence="Apache-2.0",
        taxonomy=taxonomy.digest(),
        classes=tuple(cell.code for cell in taxonomy.FINE),
        preprocess=Preprocess(size=64),
        model=ModelFile(architecture="none", parameters=1, sha256=hashlib.sha256(CONTENT).hexdigest()),
        calibration=Calibration(temperature=1.5, fitted_on="nothing"),
        thresholds=Thresholds(uncertain_below=0.5),
        trained_on=(),
    )
    return write_bundle(tmp_path / "tiny", card, CONTENT).path


def test_what_is_written_is_read(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.card.calibration.temperature == 1.5
    assert bundle.model_path.read_bytes() == CONTENT


def test_every_card_says_research_use_only(folder: Path) -> None:
    assert "Research use only" in open_bundle(folder).card.intended_use


def test_no_bundle_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model of this name"):
        open_bundle(tmp_path)


def test_a_changed_network_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="is not the file its card describes"):
        open_bundle(folder)


def test_an_absent_network_is_refused(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(folder)


@pytest.mark.parametrize("change", [{"taxonomy": "0" * 16}, {"classes": ["LY"]}])
def test_other_classes_are_refused(folder: Path, change: dict[str, object]) -> None:
    write_json(folder / "card.json", read_json(folder / "card.json") | change)
    with pytest.raises(BundleError, match="made for other classes"):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', "[]"])
def test_a_foreign_card_is_refused(folder: Path, text: str) -> None:
    (folder / "card.json").write_text(text)
    with pytest.raises(BundleError, match="broken or foreign"):
        open_bundle(folder)
