"""A patient's bundle is whole, is a patient's, and says so when it is not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from leukopy.bundle import bundled_models, open_bundle, store
from leukopy.core.errors import BundleError
from leukopy.core.files import read_json, write_json
from leukopy.patients import store as patient_store
from leukopy.patients.store import bundled_patient_models, open_patient_bundle, write_patient_bundle

DIRECTIONS = np.eye(3, 2, dtype=np.float32)


@pytest.fixture
def folder(build_patient_model, colour_model, tmp_path) -> Path:
    return build_patient_model(tmp_path / "drawn", colour_model.path, DIRECTIONS)


def test_what_is_written_is_read(folder):
    bundle = open_patient_bundle(folder)
    assert (bundle.card.name, bundle.card.model.features, bundle.card.model.members) == ("drawn", 3, 2)
    assert [point.name for point in bundle.card.operating_points] == ["balanced", "triage"]
    assert bundle.model_path.is_file()
    assert bundle.cells_path is None
    assert "Research use only" in bundle.card.intended_use


def test_a_bundle_may_hold_its_own_cell_network(folder, tmp_path):
    opened = open_patient_bundle(folder)
    content = b"any bytes: opening a bundle does not load the network"
    network = opened.card.network.model_copy(update={"model": None, "sha256": hashlib.sha256(content).hexdigest()})
    card = opened.card.model_copy(update={"network": network})
    own = write_patient_bundle(tmp_path / "own", card, opened.model_path.read_bytes(), content)
    assert open_patient_bundle(own.path).cells_path == own.path / "cells.onnx"
    (own.path / "cells.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match=r"cells\.onnx: is not the file"):
        open_patient_bundle(own.path)


@pytest.mark.parametrize(("named", "cells"), [("default", b"a network"), (None, None)])
def test_a_cell_network_is_named_or_held_never_both_or_none(folder, tmp_path, named, cells):
    opened = open_patient_bundle(folder)
    network = opened.card.network.model_copy(update={"model": named})
    card = opened.card.model_copy(update={"network": network})
    with pytest.raises(BundleError, match="must name a bundled cell model"):
        write_patient_bundle(tmp_path / "wrong", card, b"a network", cells)
    assert not (tmp_path / "wrong").exists()


def test_no_bundle_there(tmp_path):
    with pytest.raises(BundleError, match="no patient model of this name"):
        open_patient_bundle(tmp_path / "nothing")


def test_the_bundle_of_a_cell_model_is_told_apart(colour_model, folder):
    with pytest.raises(BundleError, match="bundle of a cell model"):
        open_patient_bundle(colour_model.path)
    with pytest.raises(BundleError, match="foreign"):
        open_bundle(folder)


def test_a_changed_network_is_refused(folder):
    (folder / "model.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match="not the file its card describes"):
        open_patient_bundle(folder)


def test_a_lost_network_is_named(folder):
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: cannot be read"):
        open_patient_bundle(folder)


@pytest.mark.parametrize("content", ["{", "[1]", '"text"'])
def test_a_broken_card_is_one_line(folder, content):
    (folder / "card.json").write_text(content)
    with pytest.raises(BundleError) as raised:
        open_patient_bundle(folder)
    assert "\n" not in str(raised.value)


def test_a_card_with_a_wrong_value_names_it(folder):
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "prevalence": 1.5})
    with pytest.raises(BundleError, match="prevalence"):
        open_patient_bundle(folder)


def test_patient_models_are_listed_apart_from_cell_models(folder, tmp_path, monkeypatch, build_bundle):
    build_bundle(tmp_path / "assets" / "default")
    (tmp_path / "assets" / "patients").mkdir()
    folder.rename(tmp_path / "assets" / "patients" / "lymphocytosis")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.setattr(patient_store, "_patient_assets", lambda: tmp_path / "assets" / "patients")
    assert bundled_models() == ["default"]
    assert bundled_patient_models() == ["lymphocytosis"]
    assert open_patient_bundle().card.name == "drawn"
