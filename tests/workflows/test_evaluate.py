from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, InputError, OutputError, SettingsError
from leukopy.taxonomy import FINE
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from support.colour_model import draw_outside
from support.labelled import add_rows, run_evaluation, write_labelled


@pytest.fixture
def manifest(tmp_path, colour_model):
    return write_labelled(tmp_path, colour_model)


def test_known_answers_give_known_figures(manifest, colour_model):
    found = run_evaluation(manifest, colour_model).evaluation
    assert found.fine.classification.accuracy.value == pytest.approx(43 / 44)
    assert found.coarse.classification.accuracy.value == 1  # band for segmented is right at the coarse level
    scores = {score.code: score for score in found.fine.classification.classes}
    assert scores["SNE"].recall.value == 0.75
    assert scores["BNE"].precision.value == pytest.approx(4 / 5)
    assert found.fine.classification.balanced_accuracy.value == pytest.approx((10 + 0.75) / 11)
    assert found.counts == {
        "listed": 44, "unlabelled": 0, "outside": 0, "learnt": 0, "failed": 0, "scored": 44
    }  # fmt: skip


def test_sets_of_classes_are_scored_where_the_model_gives_them(manifest, colour_model, tmp_path):
    bundle = Path(shutil.copytree(colour_model.path, tmp_path / "with sets"))
    card = json.loads((bundle / "card.json").read_text())
    card["thresholds"]["set_from"] = 0.5
    (bundle / "card.json").write_text(json.dumps(card))
    result = evaluate(EvaluateSettings.build({"data": str(manifest), "model": str(bundle), "replicates": 200}),
                      tmp_path / "sets")  # fmt: skip
    sets = result.evaluation.fine.sets
    assert (sets.images, sets.coverage.value, sets.size, sets.single) == (44, pytest.approx(43 / 44), 1, 1)
    assert "1.00 classes in a set on average" in (tmp_path / "sets" / "summary.md").read_text()
    assert run_evaluation(manifest, colour_model).evaluation.fine.sets is None


def test_every_file_is_written_and_says_what_made_it(manifest, colour_model):
    out = run_evaluation(manifest, colour_model).out
    assert {file.name for file in out.iterdir()} == {
        "report.json", "summary.md", "per_class.csv", "predictions.parquet", "failures.csv", "run.json",
        "confusion_coarse.csv", "confusion_coarse.png", "confusion_fine.csv", "confusion_fine.png", "reliability.png",
        "confusions.csv", "label_errors.csv", "report.html",
    }  # fmt: skip
    run = json.loads((out / "run.json").read_text())
    assert run["runtime"].startswith("onnxruntime ")
    assert run["provenance"]["command"].startswith(f"leukopy evaluate {manifest}")
    assert EvaluateSettings.build(run["settings"]).replicates == 200
    rows = pl.read_parquet(out / "predictions.parquet")
    assert rows.filter(pl.col("truth") != pl.col("fine"))["cell_id"].to_list() == ["manifest/slide/SNE0.png"]


def test_coarse_labels_count_at_the_coarse_level_only(manifest, colour_model):
    manifest.write_text(manifest.read_text().replace(",SNE,", ",neutrophil,").replace(",PMY,", ",IG,"))
    found = run_evaluation(manifest, colour_model).evaluation
    assert (found.coarse.classification.images, found.fine.classification.images) == (44, 36)
    assert found.coarse.classification.accuracy.value == 1
    assert [score.code for score in found.fine.classification.classes if not score.support] == ["SNE", "PMY"]


def test_labels_without_any_two_fine_classes_leave_the_coarse_level(manifest, colour_model):
    kept = [line for line in manifest.read_text().splitlines() if re.search("label|SNE|BNE|MY", line)]
    text = "\n".join(kept).replace(",SNE,", ",NEU,").replace(",BNE,", ",NEU,")
    manifest.write_text(re.sub(",(M|P)?M?MY,", ",IG,", text) + "\n")
    found = run_evaluation(manifest, colour_model).evaluation
    assert found.fine is None
    assert found.coarse.classification.images == 20


def test_what_is_left_out_is_counted(manifest, colour_model):
    colour_model.draw(manifest.parent / "slide" / "blast.png", "LY")
    add_rows(manifest, "slide/blast.png,blast,test", "slide/LY1b.png,,test", "slide/LY2b.png,LY,train")
    counts = run_evaluation(manifest, colour_model).evaluation.counts
    assert counts == {
        "listed": 46, "unlabelled": 1, "outside": 1, "learnt": 0, "failed": 0, "scored": 44
    }  # fmt: skip


def test_failed_images_are_rows_and_not_scored(manifest, colour_model):
    (manifest.parent / "slide" / "LY0.png").write_text("no picture")
    (manifest.parent / "slide" / "EO0.png").unlink()
    result = run_evaluation(manifest, colour_model)
    assert result.failures == 2
    assert result.evaluation.counts["scored"] == 42
    failures = pl.read_csv(result.out / "failures.csv")
    assert dict(failures.select("cell_id", "reason").iter_rows()) == {
        "manifest/slide/EO0.png": "not_found",
        "manifest/slide/LY0.png": "not_an_image",
    }
    classified = pl.read_parquet(result.out / "predictions.parquet")
    assert classified.height == 42
    assert not set(classified["cell_id"]) & set(failures["cell_id"])


def test_slides_are_drawn_whole_where_there_are_enough(manifest, colour_model):
    lines = manifest.read_text().splitlines()
    grouped = [f"{lines[0]},group"] + [f"{line},slide{number // 2}" for number, line in enumerate(lines[1:])]
    manifest.write_text("\n".join(grouped) + "\n")
    assert run_evaluation(manifest, colour_model).evaluation.drawn_by == "group"


def test_few_slides_are_not_drawn_whole(manifest, colour_model):
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([f"{lines[0]},group", *(f"{line},slide1" for line in lines[1:])]) + "\n")
    assert run_evaluation(manifest, colour_model).evaluation.drawn_by == "image"


def test_no_image_in_the_split(manifest, colour_model):
    with pytest.raises(InputError, match=r"no image is in split 'val' \(images by split: test: 44\).*--split all"):
        run_evaluation(manifest, colour_model, split="val")
    assert not (manifest.parent / "out").exists()


@pytest.mark.parametrize("column", ["", ",split", ",Split"])
def test_a_table_without_splits_is_evaluated_whole_and_says_so(manifest, colour_model, column):
    lines = manifest.read_text().replace(",test", "," if column else "").splitlines()
    manifest.write_text("\n".join([f"path,label{column}", *lines[1:]]) + "\n")
    result = run_evaluation(manifest, colour_model)
    assert result.evaluation.split == "all"
    assert result.evaluation.counts["scored"] == 44
    assert any("has no split: all 44 images are evaluated" in note for note in result.evaluation.notes)
    again = EvaluateSettings.read(result.out / "run.json")
    assert (again.split, again.data) == ("all", str(manifest))
    with pytest.raises(InputError, match=r"no image is in split 'test' \(images by split: none: 44\)"):
        run_evaluation(manifest, colour_model, split="test")


def test_a_folder_of_classes_without_splits_is_evaluated_whole(manifest, colour_model):
    for cell in FINE:
        colour_model.draw(manifest.parent / "own" / cell.code / "0.png", cell.code)
    result = run_evaluation(manifest, colour_model, data="folders", root=manifest.parent / "own")
    assert (result.evaluation.split, result.evaluation.counts["scored"]) == ("all", len(FINE))
    assert not any("not read" in note for note in result.evaluation.notes)
    (manifest.parent / "own" / "LY" / "1.czi").write_bytes(b"x")
    shutil.rmtree(result.out)
    again = run_evaluation(manifest, colour_model, data="folders", root=manifest.parent / "own")
    assert "not read: 1 file (.czi)" in again.evaluation.notes


def test_a_public_data_set_keeps_its_split(manifest, colour_model):
    colour_model.draw(manifest.parent / "pbc" / "lymphocyte" / "LY_1.jpg", "LY")
    with pytest.raises(InputError, match=r"pbc: no image is in split 'test'"):
        run_evaluation(manifest, colour_model, data="pbc", root=manifest.parent / "pbc")


def test_a_table_with_some_splits_is_evaluated_on_the_split(manifest, colour_model):
    manifest.write_text(manifest.read_text().replace("SNE1.png,SNE,test", "SNE1.png,SNE,"))
    result = run_evaluation(manifest, colour_model)
    assert (result.evaluation.split, result.evaluation.counts["scored"]) == ("test", 43)
    assert not any("has no split" in note for note in result.evaluation.notes)


def test_no_labels(manifest, colour_model):
    manifest.write_text(re.sub(r"png,\w+,", "png,,", manifest.read_text()))
    with pytest.raises(InputError, match="none of the 44 images has a label"):
        run_evaluation(manifest, colour_model)


@pytest.mark.parametrize(
    ("label", "message"), [("NEU", "hold only NEU"), ("SNE", "hold only SNE"), ("blast", "none that the model knows")]
)
def test_too_few_classes(manifest, colour_model, label, message):
    manifest.write_text(re.sub(r"png,\w+,", f"png,{label},", manifest.read_text()))
    with pytest.raises(InputError, match=message):
        run_evaluation(manifest, colour_model)


def test_nothing_readable(manifest, colour_model):
    for picture in (manifest.parent / "slide").iterdir():
        picture.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 44 images could be read; see .*failures\.csv"):
        run_evaluation(manifest, colour_model)
    assert pl.read_csv(manifest.parent / "out" / "failures.csv").height == 44


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "pbc"}, "--root DIR"),
        ({"root": "somewhere"}, "--root goes with the name of a data set"),
        ({"split": "tset"}, "split: Input should be 'train', 'val', 'test' or 'all'"),
    ],
)
def test_settings_that_make_no_sense(manifest, colour_model, settings, message):
    with pytest.raises(SettingsError, match=message):
        run_evaluation(manifest, colour_model, **settings)


def test_absent_model_leaves_no_folder(manifest, colour_model):
    with pytest.raises(BundleError, match="nowhere"):
        run_evaluation(manifest, colour_model, model="nowhere")
    assert not (manifest.parent / "out").exists()


def test_results_are_not_overwritten_by_accident(manifest, colour_model):
    run_evaluation(manifest, colour_model)
    with pytest.raises(OutputError, match="--overwrite"):
        run_evaluation(manifest, colour_model)
    settings = EvaluateSettings(data=str(manifest), model=str(colour_model.path), replicates=100)
    assert evaluate(settings, manifest.parent / "out", overwrite=True).failures == 0


def test_results_of_another_command_are_never_replaced(manifest, colour_model):
    out = manifest.parent / "out"
    out.mkdir()
    (out / "run.json").write_text('{"command": "analyze"}')
    settings = EvaluateSettings(data=str(manifest), model=str(colour_model.path))
    with pytest.raises(OutputError, match="another command"):
        evaluate(settings, out, overwrite=True)
    assert (out / "run.json").exists()


def test_command_names_data_by_where_others_have_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    inside = EvaluateSettings(data="pbc", root=tmp_path / "cells" / "pbc", split="all")
    assert inside.command == 'leukopy evaluate pbc --root "$LEUKOPY_DATA"/cells/pbc --model default --split all'
    assert "/elsewhere" in EvaluateSettings(data="pbc", root="/elsewhere").command
    manifest = EvaluateSettings(data=str(tmp_path / "my slides.csv"))
    assert manifest.command.startswith("""leukopy evaluate "$LEUKOPY_DATA"/'my slides.csv' --model""")


def test_progress_reaches_the_end(manifest, colour_model):
    seen = []
    settings = EvaluateSettings(data=str(manifest), model=str(colour_model.path), replicates=100)
    evaluate(settings, manifest.parent / "out", progress=lambda *call: seen.append(call))
    assert seen[-1] == ("classifying", 44, 44)


def test_command_prints_tables_and_points_to_the_files(manifest, colour_model):
    out = manifest.parent / "out"
    runner = CliRunner(env={"COLUMNS": "140"})
    arguments = ["evaluate", str(manifest), "--model", str(colour_model.path), "--out", str(out)]
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    for expected in (
        "balanced accuracy",
        "ECE",
        "coarse classes",
        "fine classes",
        "segmented neutrophil (SNE)",
        "0.750",
    ):
        assert expected in result.stdout
    assert "summary.md" in result.stderr
    again = [*arguments[:1], "--config", str(out / "run.json"), "--out", str(manifest.parent / "again")]
    assert runner.invoke(app, again, catch_exceptions=False).exit_code == 0
    assert (manifest.parent / "again" / "per_class.csv").read_text() == (out / "per_class.csv").read_text()
    misplaced = runner.invoke(app, ["evaluate", str(out / "run.json"), "--out", str(manifest.parent / "third")])
    assert misplaced.exit_code == 2
    assert "--config" in misplaced.stderr


def test_command_ends_with_3_when_images_failed(manifest, colour_model):
    (manifest.parent / "slide" / "LY0.png").write_text("no picture")
    arguments = ["evaluate", str(manifest), "--model", str(colour_model.path), "--out", str(manifest.parent / "out")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 3
    assert "1 image could not be read" in result.stderr


@pytest.mark.real_data
def test_a_real_data_set_is_scored_whole(real_data, colour_model, tmp_path):
    settings = EvaluateSettings(
        data="cellavision", root=real_data / "cells" / "cellavision", model=str(colour_model.path), split="all"
    )
    found = evaluate(settings, tmp_path / "out").evaluation
    assert found.counts["listed"] == 100
    assert found.counts["scored"] + found.counts["unlabelled"] + found.counts["outside"] == 100
    assert {score.code for score in found.coarse.classification.classes if score.support} == {
        "NEU", "LY", "MO", "EO", "BA",
    }  # fmt: skip


def test_figures_go_into_the_card_with_what_they_stand_on(manifest, colour_model, tmp_path):
    bundle = shutil.copytree(colour_model.path, tmp_path / "bundle")
    settings = EvaluateSettings(data=str(manifest), model=str(bundle), replicates=200)
    for attempt in ("first", "second"):  # measured again, a figure is replaced
        evaluate(settings, tmp_path / attempt, into_card=True)
    metrics = {metric.name: metric for metric in open_bundle(bundle).card.metrics}
    accuracy = metrics["accuracy, fine classes"]
    assert accuracy.value == pytest.approx(43 / 44)
    assert "never saw" in accuracy.data
    assert accuracy.command == settings.command
    assert len(open_bundle(bundle).card.metrics) == len(metrics)


def test_figures_on_training_images_stay_out_of_the_card(manifest, colour_model, tmp_path):
    bundle = shutil.copytree(colour_model.path, tmp_path / "bundle")
    card = json.loads((bundle / "card.json").read_text())
    card["recipe"] = {"sources": [{"dataset": str(manifest)}]}
    (bundle / "card.json").write_text(json.dumps(card))
    settings = EvaluateSettings(data=str(manifest), model=str(bundle), split="all", replicates=200)
    with pytest.raises(SettingsError, match="only its test split"):
        evaluate(settings, tmp_path / "out", into_card=True)
    assert not (tmp_path / "out").exists()


def test_cells_called_a_class_outside_are_told_and_scored_among_the_fine(manifest, outside_model, tmp_path):
    missed = draw_outside(tmp_path / "missed", "BLAST", 3)
    add_rows(manifest, *(f"{path},LY,test" for path in missed))
    result = run_evaluation(manifest, outside_model)
    assert result.evaluation.counts["scored"] == 47
    (note,) = (note for note in result.evaluation.notes if "class outside" in note)
    assert "3 of 47 cells were called a class outside (3 blast)" in note
    assert f"an accuracy of {44 / 47:.4f} for the coarse classes" in note
    rows = pl.read_parquet(result.out / "predictions.parquet")
    assert rows["outside"].drop_nulls().to_list() == ["BLAST"] * 3
    assert set(rows["fine"]) <= {cell.code for cell in FINE}
