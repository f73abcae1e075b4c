"""The demo draws patients whose truth is known, and judges them as `predict_patients` does."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from leukopy.core.errors import BundleError, OutputError, SettingsError
from leukopy.patients.workflows.demo import DemoPatientsSettings, demo_patients
from leukopy.patients.workflows.predict import PredictPatientsSettings, predict_patients


@pytest.fixture(scope="module")
def model(build_patient_model, colour_model, tmp_path_factory):
    """It reads age and count alone, and takes the older with more lymphocytes for tumoral, as they are drawn."""
    folder = tmp_path_factory.mktemp("models") / "clinical"
    return build_patient_model(folder, colour_model.path, np.zeros((3, 1), np.float32))


@pytest.fixture
def settings(model):
    return DemoPatientsSettings(patients=3, model=str(model))


def test_drawn_patients_are_judged_and_set_beside_the_truth(settings, tmp_path):
    result = demo_patients(settings, tmp_path / "demo")
    truth = pl.read_csv(tmp_path / "demo" / "patients" / "truth.csv")
    assert result.drawn == {
        patient: ("reactive", "tumoral")[label] for patient, label in truth.select("patient_id", "label").iter_rows()
    }
    assert set(result.drawn.values()) == {"reactive", "tumoral"}
    table = result.judged.patients
    assert table["patient_id"].to_list() == list(result.drawn)
    assert table["label"].is_null().all()  # the model is not told
    agreeing = [result.drawn[row["patient_id"]] == row["decision"] for row in table.iter_rows(named=True)]
    assert result.agreeing == sum(agreeing)
    assert json.loads((tmp_path / "demo" / "run.json").read_text())["agreeing"] == sum(agreeing)
    assert result.judged.report == tmp_path / "demo" / "results" / "report.html"
    again = PredictPatientsSettings(path=tmp_path / "demo" / "patients", model=settings.model, pages=False)
    assert predict_patients(again, tmp_path / "again").patients.equals(table)


def test_an_absent_model_is_said_before_anything_is_replaced(settings, tmp_path):
    demo_patients(settings.model_copy(update={"patients": 1}), tmp_path / "demo")
    with pytest.raises(OutputError, match="--overwrite"):
        demo_patients(settings, tmp_path / "demo")
    with pytest.raises(BundleError, match="none such"):
        demo_patients(DemoPatientsSettings(model="none such"), tmp_path / "demo", overwrite=True)
    assert (tmp_path / "demo" / "results" / "report.html").exists()


def test_nobody_cannot_be_drawn():
    with pytest.raises(SettingsError, match="patients"):
        DemoPatientsSettings.build({"patients": 0})
