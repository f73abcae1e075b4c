"""Agreement, confusions and the page of `evaluate`."""

from __future__ import annotations

import json
import re
import shutil
import sys

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import UnknownLabelError
from leukopy.taxonomy import FINE
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from support.labelled import PER_CLASS, run_evaluation, write_labelled


@pytest.fixture
def manifest(tmp_path, colour_model):
    return write_labelled(tmp_path, colour_model)


def test_confusions_and_what_vanishes_at_the_coarse_level(manifest, colour_model):
    result = run_evaluation(manifest, colour_model)
    assert pl.read_csv(result.out / "confusions.csv").rows() == [("fine", "SNE", "BNE", 1, 0.25)]
    sums = result.evaluation.summing
    assert (sums.images, sums.errors, sums.vanished) == (44, 1, 1)
    assert sums.gain.value == pytest.approx(1 / 44)
    text = (result.out / "report.html").read_text()
    assert "Segmented neutrophil predicted as band neutrophil" in text
    assert "no error at the coarse classes" in text


def test_a_label_that_the_model_contradicts_is_found(manifest, colour_model):
    pytest.importorskip("cleanlab")
    result = run_evaluation(manifest, colour_model)
    rows = pl.read_csv(result.out / "label_errors.csv")
    assert rows["level"].to_list() == ["fine"] * 5  # at the coarse classes the two labels say the same
    (found,) = rows.filter(pl.col("contradicted_by").str.contains("model")).iter_rows(named=True)
    assert (found["cell_id"], found["given"], found["predicted"]) == ("manifest/slide/SNE0.png", "SNE", "BNE")
    assert found["quality"] < 0.5
    # The pictures of a class are one and the same file here: this one is also contradicted by those of the other class.
    assert found["contradicted_by"] == "model;copy"
    assert set(found["copies_given"].split(";")) == {"BNE"}
    assert result.doubtful == 5
    text = (result.out / "report.html").read_text()
    assert "Identical files with two labels" in text


def _annotate(manifest, second):
    """Add the column ``label2``: what ``second`` makes of each row's label."""
    header, *lines = manifest.read_text().splitlines()
    rows = [f"{line},{second(number, line.split(',')[1])}" for number, line in enumerate(lines)]
    manifest.write_text("\n".join([f"{header},label2", *rows]) + "\n")


def test_two_annotators_are_compared_with_each_other_and_with_the_model(manifest, colour_model):
    from sklearn.metrics import cohen_kappa_score

    first = [cell.code for cell in FINE for _ in range(PER_CLASS)]
    second = ["BNE" if code == "SNE" and number % 2 else code for number, code in enumerate(first)]
    second[8], second[40] = "blast", ""  # an eosinophil taken for a blast; a platelet that only one annotator named
    _annotate(manifest, lambda number, _: second[number])
    result = run_evaluation(manifest, colour_model)
    found = {(pair.level, pair.first, pair.second): pair for pair in result.evaluation.agreement}
    assert len(found) == 6
    humans = found["fine classes", "annotator 1", "annotator 2"]
    both = [(one, other) for one, other in zip(first, second, strict=True) if other]
    assert humans.images == len(both) == 43
    assert humans.kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))
    assert found["coarse classes", "annotator 1", "annotator 2"].raw.value == pytest.approx(42 / 43)
    # SNE0 is drawn as a band neutrophil: against annotator 1 the model errs once, against the other, who says
    # segmented too, once, and twice more where that one says band.
    model = [found["fine classes", reader, "the model"] for reader in ("annotator 1", "annotator 2")]
    assert [pair.images for pair in model] == [42, 42]  # without the blast, which the model cannot name
    assert [round(42 * (1 - pair.raw.value)) for pair in model] == [1, 3]
    rows = pl.read_csv(result.out / "agreement.csv")
    assert rows.filter(code="all")["kappa"].to_list() == pytest.approx(
        [pair.kappa.value for pair in result.evaluation.agreement], abs=1e-3
    )
    assert "annotator 1 and annotator 2 | fine classes | 43" in (result.out / "summary.md").read_text()
    text = (result.out / "report.html").read_text()
    assert "Annotator 1 against annotator 2, fine classes" in text
    assert "Annotator 1 against the model" not in text  # that is the confusion matrix
    assert pl.read_parquet(result.out / "predictions.parquet")["truth2"].null_count() == 1


def test_no_image_with_both_labels_is_said(manifest, colour_model):
    _annotate(manifest, lambda *_: "")
    result = run_evaluation(manifest, colour_model)
    (note,) = result.evaluation.notes
    assert "no image has both labels" in note
    assert note in (result.out / "report.html").read_text()
    assert not (result.out / "agreement.csv").exists()


def test_annotators_who_share_one_class_have_no_kappa(manifest, colour_model):
    _annotate(manifest, lambda _, label: label if label == "LY" else "")
    result = run_evaluation(manifest, colour_model)
    assert any("annotator 1 and annotator 2 both name LY only" in note for note in result.evaluation.notes)
    assert result.evaluation.agreement[0].kappa.value is None
    assert json.loads((result.out / "report.json").read_text())["agreement"][0]["raw"]["value"] == 1


def test_an_unknown_second_label_is_refused_before_anything_is_written(manifest, colour_model):
    _annotate(manifest, lambda *_: "eozinophil")
    with pytest.raises(UnknownLabelError, match="line 2: label 'eozinophil'"):
        run_evaluation(manifest, colour_model)
    assert not (manifest.parent / "out").exists()


def test_a_second_annotator_of_a_listed_data_set(manifest, colour_model):
    _annotate(manifest, lambda _, label: "4")  # in the words of that data set: eosinophil
    text = manifest.read_text().replace(",SNE,", ",1,").replace(",EO,", ",4,")
    kept = [line for line in text.splitlines() if re.search("^path|,1,|,4,", line)]
    manifest.write_text("\n".join(kept) + "\n")
    settings = EvaluateSettings(data="cellavision", root=manifest, model=str(colour_model.path), replicates=100)
    humans = evaluate(settings, manifest.parent / "out").evaluation.agreement[0]
    assert (humans.images, humans.raw.value) == (8, 0.5)


def test_two_images_are_enough(manifest, colour_model):
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], lines[2], lines[9]]) + "\n")
    result = run_evaluation(manifest, colour_model)
    assert result.evaluation.coarse.classification.accuracy.value == 1
    assert "No image was given another class" in (result.out / "report.html").read_text()


def test_a_model_that_judges_attributes_is_measured_too(manifest, judging_model):
    """As the model that ships: its rows have more columns."""
    result = run_evaluation(manifest, judging_model)
    assert result.evaluation.counts["scored"] == 44
    assert {"truth", "why"} <= set(pl.read_parquet(result.out / "predictions.parquet").columns)


def test_stages_of_one_cell_line_are_two_classes(manifest, colour_model):
    kept = [line for line in manifest.read_text().splitlines() if re.search("^path|,SNE,|,BNE,", line)]
    manifest.write_text("\n".join(kept) + "\n")
    found = run_evaluation(manifest, colour_model).evaluation
    assert found.coarse.classification.accuracy.value == 1
    assert found.fine.classification.accuracy.value == 7 / 8


def test_pictures_of_one_colour_make_a_page(manifest, colour_model):
    """Whatever the label, the model sees the same."""
    for picture in (manifest.parent / "slide").iterdir():
        colour_model.draw(picture, "MO")
    result = run_evaluation(manifest, colour_model)
    assert result.evaluation.coarse.classification.accuracy.value == pytest.approx(4 / 44)
    text = (result.out / "report.html").read_text()
    assert "Lymphocyte predicted as monocyte" in text


def test_images_of_the_training_are_warned_of(manifest, colour_model, tmp_path):
    bundle = shutil.copytree(colour_model.path, tmp_path / "bundle")
    card = json.loads((bundle / "card.json").read_text())
    card["recipe"] = {"sources": [{"dataset": "manifest"}]}
    (bundle / "card.json").write_text(json.dumps(card))
    for split, expected in (("all", "it has learnt their labels"), ("test", "the test split was kept apart")):
        settings = EvaluateSettings(data=str(manifest), model=str(bundle), split=split, replicates=100)
        evaluate(settings, tmp_path / split)
        assert expected in (tmp_path / split / "report.html").read_text()


def test_curves_of_the_training_are_shown(manifest, colour_model, tmp_path):
    run = tmp_path / "runs" / "mine"
    bundle = shutil.copytree(colour_model.path, run / "bundle")
    log = run / "curves" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("epoch,step,train/loss,val/loss,val/coarse_accuracy\n0,1,,2.0,0.5\n0,1,1.5,,\n")
    settings = EvaluateSettings(data=str(manifest), model=str(bundle), replicates=100)
    evaluate(settings, tmp_path / "out")
    assert (tmp_path / "out" / "curves.png").exists()
    assert "Learning curves" in (tmp_path / "out" / "report.html").read_text()
    log.write_text("no table")
    found = evaluate(settings, tmp_path / "again")  # the figures are worth having all the same
    assert "version_0/metrics.csv: not the curves of a training" in found.evaluation.notes[0]
    assert "version_0/metrics.csv" in (tmp_path / "again" / "report.html").read_text()


def test_a_page_without_pictures_of_cells(manifest, colour_model):
    result = run_evaluation(manifest, colour_model, examples=0)
    assert "data:image/jpeg" not in (result.out / "report.html").read_text()
    assert EvaluateSettings.read(result.out / "run.json").examples == 0


def test_without_cleanlab_the_page_says_so_and_goes_on(manifest, colour_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    result = run_evaluation(manifest, colour_model)
    rows = pl.read_csv(result.out / "label_errors.csv")
    assert rows["contradicted_by"].to_list() == ["copy"] * 5
    assert "leukopy[study]" in (result.out / "report.html").read_text()


def test_command_prints_agreement_and_what_could_not_be_measured(manifest, colour_model):
    _annotate(manifest, lambda _, label: label if label == "LY" else "")
    out = manifest.parent / "out"
    arguments = ["evaluate", str(manifest), "--model", str(colour_model.path), "--out", str(out), "--examples", "0"]
    result = CliRunner(env={"COLUMNS": "140"}).invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "annotator 1 and annotator 2" in result.stdout
    assert "both name LY only" in result.stderr
    assert "report.html" in result.stderr
    assert json.loads((out / "run.json").read_text())["settings"]["examples"] == 0


def test_no_torch_is_needed(manifest, colour_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert (run_evaluation(manifest, colour_model).out / "report.html").exists()
