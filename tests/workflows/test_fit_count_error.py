"""The classification error of a count: from patients left out to every result of a slide."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.bundle import open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import InputError, TrainingError
from leukopy.reports.model_card import model_card
from leukopy.taxonomy import FINE
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.fit_count_error import FitCountErrorSettings, answer_tables, fit_count_error
from leukopy.workflows.slides_run import SlidesResult
from support.colour_model import ColourModel, draw_outside

CODES = ("LY", "MO", "SNE", "BNE", "BLAST", "SMUDGE")
PATIENTS = 6


def evidence_for(answer: str) -> list[float]:
    """Evidence of a head that answers so."""
    codes = [*(cell.code for cell in FINE), "BLAST", "SMUDGE"]
    return [8.0 if code == answer else 0.0 for code in codes]


@pytest.fixture(scope="module")
def evidence(outside_model: ColourModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of six patients and of a validation split. Left-out heads take a third of the blasts for lymphocytes."""
    folder, rows = tmp_path_factory.mktemp("evidence"), []
    for patient in range(PATIENTS + 1):
        home = patient == PATIENTS
        for code in CODES[:4] if home else CODES:
            if code in ("BLAST", "SMUDGE"):
                paths = draw_outside(folder / f"p{patient}", code, 6)
            else:
                names = [folder / f"p{patient}" / f"{code}_{number}.png" for number in range(6)]
                paths = [outside_model.draw(path, code) for path in names]
            for number, path in enumerate(paths):
                answer = "LY" if code == "BLAST" and number % 3 == 0 else code
                label = "LYA" if code == "LY" and number == 0 else code
                rows.append({
                    "cell_id": str(path.relative_to(folder)), "path": str(path), "code": label,
                    "group": f"p{patient}", "source": "pbc" if home else "hopkins",
                    "split": "val" if home else "train", "evidence": evidence_for(answer),
                })  # fmt: skip
    schema = {"evidence": pl.Array(pl.Float32, 13)}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(folder / "cells.parquet")
    return folder / "cells.parquet"


@pytest.fixture(scope="module")
def fitted(evidence: Path, outside_model: ColourModel, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("fit") / "run"
    settings = FitCountErrorSettings(model=str(outside_model.path), evidence=evidence, folds=3)
    return fit_count_error(settings, out)


def test_the_answers_are_those_of_left_out_heads(fitted) -> None:
    answers = pl.read_parquet(fitted.bundle.parent / "answers.parquet").filter(~pl.col("home"))
    assert answers["answer"].null_count() == fitted.failures == 0
    assert (answers.filter(code="BLAST")["answer"] == "BLAST").sum() == 4 * PATIENTS
    assert (answers.filter(code="SMUDGE")["answer"] == "SMUDGE").all()
    error = fitted.card.count_error
    row = dict(zip(error.answers, error.unseen.shares[error.classes.index("BLAST")], strict=True))
    assert row["BLAST"] == pytest.approx(2 / 3, abs=0.02)


def test_the_card_names_its_cells_and_keeps_the_network(fitted, outside_model: ColourModel) -> None:
    error, before = fitted.card.count_error, open_bundle(outside_model.path).card
    assert fitted.card.model == before.model
    assert fitted.card.model_copy(update={"count_error": None}) == before
    assert "6 patients that the model has not seen" in error.unseen.fitted_on
    assert "validation split" in error.home.fitted_on
    assert np.array(error.unseen.shares).sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert "Classification error of a count" in model_card(fitted.card)
    report = json.loads((fitted.bundle.parent / "count_error.json").read_text())
    assert report["slides"] == PATIENTS
    metrics = {metric.name: metric.value for metric in error.metrics}
    assert (
        metrics["95 % limits of sampling and classification hold the share, mean of the lines"]
        >= metrics["95 % limits of sampling alone hold the share, mean of the lines"]
    )


def test_a_label_without_a_stage_has_no_row_and_a_kind_of_lymphocyte_is_one() -> None:
    table = pl.DataFrame({
        "slide": ["a", "a", "b"], "code": ["LYA", "NEU", "LY"], "answer": ["LY", "SNE", "UNIDENTIFIED"],
    })  # fmt: skip
    found = answer_tables(table, ("SNE", "LY"))
    assert found.tolist() == [[[0, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 1]]]


def test_every_result_of_a_slide_states_both_limits(fitted, outside_model: ColourModel, tmp_path: Path) -> None:
    for slide in ("a", "b"):
        outside_model.draw_folder(tmp_path / "night" / slide, 44)
        draw_outside(tmp_path / "night" / slide, "BLAST", 6)
    settings = AnalyzeSettings(input=tmp_path / "night", slides=True, model=str(fitted.bundle), processes=1)
    result = analyze(settings, tmp_path / "out")
    assert isinstance(result, SlidesResult)
    slides = pl.read_csv(tmp_path / "out" / "slides.csv")
    assert (slides["LY_total_low95"] <= slides["LY_low95"]).all()
    assert (slides["BLAST_total_high95"] >= slides["BLAST_high95"]).all()
    assert "below them those of sampling and classification" in result.page.read_text()
    folder = tmp_path / "out" / "slides" / "a"
    page, stored = (folder / "report.html").read_text(), json.loads((folder / "differential.json").read_text())
    assert "6 patients that the model has not seen" in stored["classification_error"]
    assert stored["classification_error"] in page
    assert "and classification" in page
    blasts = next(line for line in stored["lines"] if line["code"] == "BLAST")
    assert blasts["total_low"] <= blasts["low"] < blasts["high"] <= blasts["total_high"]
    alarm = stored["alarm"]
    assert (alarm["total_low"], alarm["total_high"]) == (blasts["total_low"], blasts["total_high"])
    assert (
        f"95 % limits from sampling and classification {alarm['total_low']:.1f} to {alarm['total_high']:.1f}"
        in alarm["message"]
    )


def test_a_model_without_it_states_sampling_error_alone(outside_model: ColourModel, fitted, tmp_path: Path) -> None:
    outside_model.draw_folder(tmp_path / "slide", 44)
    run = CliRunner().invoke(
        app, ["analyze", str(tmp_path / "slide"), "--model", str(outside_model.path), "--out", str(tmp_path / "a")]
    )
    assert "sampling alone" in run.stdout.replace("\n", " ") or "alone" in run.stdout
    assert "states no classification error" in (tmp_path / "a" / "report.html").read_text()
    healthy = AnalyzeSettings(input=tmp_path / "slide", model=str(fitted.bundle), classes="healthy")
    assert analyze(healthy, tmp_path / "b").differential.classification_error == ""


def test_the_command_finds_the_evidence_beside_the_bundle(
    evidence: Path, outside_model: ColourModel, tmp_path: Path
) -> None:
    bundle = tmp_path / "outside" / "bundle"
    bundle.mkdir(parents=True)
    for name in ("card.json", "model.onnx"):
        (bundle / name).write_bytes((outside_model.path / name).read_bytes())
    words = ["model", "fit-count-error", "--model", str(bundle), "--out", str(tmp_path / "run"), "--folds", "2"]
    missing = CliRunner().invoke(app, words)
    assert missing.exit_code == 1
    assert "cells.parquet of leukopy model fit-outside" in missing.stderr.replace("\n", " ")
    (tmp_path / "outside" / "cells.parquet").write_bytes(evidence.read_bytes())
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert open_bundle(tmp_path / "run" / "bundle").card.count_error is not None


def test_evidence_of_another_model_is_refused(evidence: Path, colour_model, outside_model, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="answers no class outside"):
        fit_count_error(FitCountErrorSettings(model=str(colour_model.path), evidence=evidence), tmp_path / "a")
    other = pl.read_parquet(evidence).with_columns(pl.col("evidence").arr.to_list().list.head(5).list.to_array(5))
    other.write_parquet(tmp_path / "other.parquet")
    settings = FitCountErrorSettings(model=str(outside_model.path), evidence=tmp_path / "other.parquet")
    with pytest.raises(TrainingError, match="no evidence for the classes of this model"):
        fit_count_error(settings, tmp_path / "b")
    with pytest.raises(InputError, match="no such table"):
        fit_count_error(FitCountErrorSettings(model=str(outside_model.path)), tmp_path / "c")


def test_a_network_that_learnt_from_the_patients_needs_its_trainings_without_them(
    evidence: Path, outside_model: ColourModel, colour_model: ColourModel, tmp_path: Path
) -> None:
    bundle = open_bundle(outside_model.path)
    learnt = bundle.card.model_copy(update={"recipe": {"outside": ["BLAST", "SMUDGE"]}})
    model = write_bundle(tmp_path / "model", learnt, bundle.model_path.read_bytes()).path
    fold = pl.col("group").str.tail(1).cast(pl.Int64) % 2
    cells = pl.read_parquet(evidence).with_columns(fold=pl.when(pl.col("source") == "pbc").then(-1).otherwise(fold))
    cells.write_parquet(tmp_path / "cells.parquet")
    settings = FitCountErrorSettings(model=str(model), evidence=tmp_path / "cells.parquet", folds=2)
    with pytest.raises(TrainingError, match="its patients are not unseen"):
        fit_count_error(settings, tmp_path / "a")
    folds = (str(colour_model.path), str(colour_model.path))
    found = fit_count_error(settings.model_copy(update={"fold_models": folds}), tmp_path / "b")
    assert found.card.count_error.unseen.cells == open_answers(tmp_path / "b", found.card.answers)
    unlearnt = settings.model_copy(update={"model": str(outside_model.path), "fold_models": folds})
    with pytest.raises(TrainingError, match="needs no fold_models"):
        fit_count_error(unlearnt, tmp_path / "c")


def open_answers(run: Path, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Cells of each class among the answers of patients."""
    table = pl.read_parquet(run / "answers.parquet").filter(~pl.col("home"))
    return tuple(answer_tables(table, classes).sum(axis=(0, 2)).tolist())
