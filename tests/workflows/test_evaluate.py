from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, InputError, OutputError, SettingsError, UnknownLabelError
from leukopy.taxonomy import FINE
from leukopy.workflows.evaluate import EvaluateSettings, evaluate

_PER_CLASS = 4


@pytest.fixture
def manifest(tmp_path, colour_model):
    """Four copies of one picture of each fine class; of the first class, one in four is drawn as the second."""
    lines = ["path,label,split"]
    for cell in FINE:
        for number in range(_PER_CLASS):
            drawn = "BNE" if (cell.code, number) == ("SNE", 0) else cell.code
            picture = colour_model.draw(tmp_path / "drawn" / f"{drawn}.png", drawn)
            (tmp_path / "slide").mkdir(exist_ok=True)
            shutil.copy(picture, tmp_path / "slide" / f"{cell.code}{number}.png")
            lines.append(f"slide/{cell.code}{number}.png,{cell.code},test")
    path = tmp_path / "slide.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _add(manifest, *lines):
    manifest.write_text(manifest.read_text() + "".join(f"{line}\n" for line in lines))


def _run(manifest, colour_model, **settings):
    built = EvaluateSettings.build(
        {"data": str(manifest), "model": str(colour_model.path), "replicates": 200, **settings}
    )
    return evaluate(built, manifest.parent / "out")


def test_known_answers_give_known_figures(manifest, colour_model):
    found = _run(manifest, colour_model).evaluation
    assert found.fine.classification.accuracy.value == pytest.approx(43 / 44)
    assert found.coarse.classification.accuracy.value == 1  # band for segmented is right at the coarse level
    scores = {score.code: score for score in found.fine.classification.classes}
    assert scores["SNE"].recall.value == 0.75
    assert scores["BNE"].precision.value == pytest.approx(4 / 5)
    assert found.fine.classification.balanced_accuracy.value == pytest.approx((10 + 0.75) / 11)
    assert found.counts == {"listed": 44, "unlabelled": 0, "outside": 0, "failed": 0, "scored": 44}


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
    assert _run(manifest, colour_model).evaluation.fine.sets is None


def test_every_file_is_written_and_says_what_made_it(manifest, colour_model):
    out = _run(manifest, colour_model).out
    assert {file.name for file in out.iterdir()} == {
        "report.json", "summary.md", "per_class.csv", "predictions.parquet", "failures.csv", "run.json",
        "confusion8.csv", "confusion8.png", "confusion11.csv", "confusion11.png", "reliability.png",
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
    found = _run(manifest, colour_model).evaluation
    assert (found.coarse.classification.images, found.fine.classification.images) == (44, 36)
    assert found.coarse.classification.accuracy.value == 1
    assert [score.code for score in found.fine.classification.classes if not score.support] == ["SNE", "PMY"]


def test_labels_without_any_two_fine_classes_leave_the_coarse_level(manifest, colour_model):
    kept = [line for line in manifest.read_text().splitlines() if re.search("label|SNE|BNE|MY", line)]
    text = "\n".join(kept).replace(",SNE,", ",NEU,").replace(",BNE,", ",NEU,")
    manifest.write_text(re.sub(",(M|P)?M?MY,", ",IG,", text) + "\n")
    found = _run(manifest, colour_model).evaluation
    assert found.fine is None
    assert found.coarse.classification.images == 20


def test_what_is_left_out_is_counted(manifest, colour_model):
    colour_model.draw(manifest.parent / "slide" / "blast.png", "LY")
    _add(manifest, "slide/blast.png,blast,test", "slide/LY1b.png,,test", "slide/LY2b.png,LY,train")
    counts = _run(manifest, colour_model).evaluation.counts
    assert counts == {"listed": 46, "unlabelled": 1, "outside": 1, "failed": 0, "scored": 44}


def test_failed_images_are_rows_and_not_scored(manifest, colour_model):
    (manifest.parent / "slide" / "LY0.png").write_text("no picture")
    (manifest.parent / "slide" / "EO0.png").unlink()
    result = _run(manifest, colour_model)
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
    assert _run(manifest, colour_model).evaluation.drawn_by == "group"


def test_few_slides_are_not_drawn_whole(manifest, colour_model):
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([f"{lines[0]},group", *(f"{line},slide1" for line in lines[1:])]) + "\n")
    assert _run(manifest, colour_model).evaluation.drawn_by == "image"


def test_no_image_in_the_split(manifest, colour_model):
    with pytest.raises(InputError, match=r"no image is in split 'val' \(images by split: test: 44\).*--split all"):
        _run(manifest, colour_model, split="val")
    assert not (manifest.parent / "out").exists()


@pytest.mark.parametrize("column", ["", ",split", ",Split"])
def test_a_table_without_splits_is_evaluated_whole_and_says_so(manifest, colour_model, column):
    lines = manifest.read_text().replace(",test", "," if column else "").splitlines()
    manifest.write_text("\n".join([f"path,label{column}", *lines[1:]]) + "\n")
    result = _run(manifest, colour_model)
    assert result.evaluation.split == "all"
    assert result.evaluation.counts["scored"] == 44
    assert any("tells no split: all 44 images are evaluated" in note for note in result.evaluation.notes)
    again = EvaluateSettings.read(result.out / "run.json")
    assert (again.split, again.data) == ("all", str(manifest))
    with pytest.raises(InputError, match=r"no image is in split 'test' \(images by split: none: 44\)"):
        _run(manifest, colour_model, split="test")


def test_a_folder_of_classes_without_splits_is_evaluated_whole(manifest, colour_model):
    for cell in FINE:
        colour_model.draw(manifest.parent / "own" / cell.code / "0.png", cell.code)
    result = _run(manifest, colour_model, data="folders", root=manifest.parent / "own")
    assert (result.evaluation.split, result.evaluation.counts["scored"]) == ("all", len(FINE))


def test_a_public_data_set_keeps_its_split(manifest, colour_model):
    colour_model.draw(manifest.parent / "pbc" / "lymphocyte" / "LY_1.jpg", "LY")
    with pytest.raises(InputError, match=r"pbc: no image is in split 'test'"):
        _run(manifest, colour_model, data="pbc", root=manifest.parent / "pbc")


def test_a_table_with_some_splits_is_evaluated_on_the_split(manifest, colour_model):
    manifest.write_text(manifest.read_text().replace("SNE1.png,SNE,test", "SNE1.png,SNE,"))
    result = _run(manifest, colour_model)
    assert (result.evaluation.split, result.evaluation.counts["scored"]) == ("test", 43)
    assert not any("tells no split" in note for note in result.evaluation.notes)


def test_no_labels(manifest, colour_model):
    manifest.write_text(re.sub(r"png,\w+,", "png,,", manifest.read_text()))
    with pytest.raises(InputError, match="none of the 44 images has a label"):
        _run(manifest, colour_model)


@pytest.mark.parametrize(
    ("label", "message"), [("NEU", "hold only NEU"), ("SNE", "hold only SNE"), ("blast", "none that the model knows")]
)
def test_too_few_classes(manifest, colour_model, label, message):
    manifest.write_text(re.sub(r"png,\w+,", f"png,{label},", manifest.read_text()))
    with pytest.raises(InputError, match=message):
        _run(manifest, colour_model)


def test_nothing_readable(manifest, colour_model):
    for picture in (manifest.parent / "slide").iterdir():
        picture.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 44 images could be read; see .*failures\.csv"):
        _run(manifest, colour_model)
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
        _run(manifest, colour_model, **settings)


def test_absent_model_leaves_no_folder(manifest, colour_model):
    with pytest.raises(BundleError, match="nowhere"):
        _run(manifest, colour_model, model="nowhere")
    assert not (manifest.parent / "out").exists()


def test_results_are_not_overwritten_by_accident(manifest, colour_model):
    _run(manifest, colour_model)
    with pytest.raises(OutputError, match="--overwrite"):
        _run(manifest, colour_model)
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
    for expected in ("balanced accuracy", "ECE", "8 classes", "11 classes", "segmented neutrophil (SNE)", "0.750"):
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
    accuracy = metrics["accuracy, 11 classes"]
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


def test_confusions_and_what_vanishes_at_the_coarse_level(manifest, colour_model):
    result = _run(manifest, colour_model)
    assert pl.read_csv(result.out / "confusions.csv").rows() == [(11, "SNE", "BNE", 1, 0.25)]
    sums = result.evaluation.summing
    assert (sums.images, sums.errors, sums.vanished) == (44, 1, 1)
    assert sums.gain.value == pytest.approx(1 / 44)
    text = (result.out / "report.html").read_text()
    assert "Segmented neutrophil taken for band neutrophil" in text
    assert "no error at 8 classes" in text


def test_a_label_that_the_model_contradicts_is_found(manifest, colour_model):
    pytest.importorskip("cleanlab")
    result = _run(manifest, colour_model)
    rows = pl.read_csv(result.out / "label_errors.csv")
    assert rows["level"].to_list() == [11] * 5  # at 8 classes the two labels say the same
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

    first = [cell.code for cell in FINE for _ in range(_PER_CLASS)]
    second = ["BNE" if code == "SNE" and number % 2 else code for number, code in enumerate(first)]
    second[8], second[40] = "blast", ""  # an eosinophil taken for a blast; a platelet that only one annotator named
    _annotate(manifest, lambda number, _: second[number])
    result = _run(manifest, colour_model)
    found = {(pair.level, pair.first, pair.second): pair for pair in result.evaluation.agreement}
    assert len(found) == 6
    humans = found["11 classes", "annotator 1", "annotator 2"]
    both = [(one, other) for one, other in zip(first, second, strict=True) if other]
    assert humans.images == len(both) == 43
    assert humans.kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))
    assert found["8 classes", "annotator 1", "annotator 2"].raw.value == pytest.approx(42 / 43)
    # SNE0 is drawn as a band neutrophil: against annotator 1 the model errs once, against the other, who says
    # segmented too, once, and twice more where that one says band.
    model = [found["11 classes", reader, "the model"] for reader in ("annotator 1", "annotator 2")]
    assert [pair.images for pair in model] == [42, 42]  # without the blast, which the model cannot name
    assert [round(42 * (1 - pair.raw.value)) for pair in model] == [1, 3]
    rows = pl.read_csv(result.out / "agreement.csv")
    assert rows.filter(code="all")["kappa"].to_list() == pytest.approx(
        [pair.kappa.value for pair in result.evaluation.agreement], abs=1e-3
    )
    assert "annotator 1 and annotator 2 | 11 classes | 43" in (result.out / "summary.md").read_text()
    text = (result.out / "report.html").read_text()
    assert "Annotator 1 against annotator 2, 11 classes" in text
    assert "Annotator 1 against the model" not in text  # that is the confusion matrix
    assert pl.read_parquet(result.out / "predictions.parquet")["truth2"].null_count() == 1


def test_no_image_with_both_labels_is_said(manifest, colour_model):
    _annotate(manifest, lambda *_: "")
    result = _run(manifest, colour_model)
    (note,) = result.evaluation.notes
    assert "no image has both labels" in note
    assert note in (result.out / "report.html").read_text()
    assert not (result.out / "agreement.csv").exists()


def test_annotators_who_share_one_class_have_no_kappa(manifest, colour_model):
    _annotate(manifest, lambda _, label: label if label == "LY" else "")
    result = _run(manifest, colour_model)
    assert any("annotator 1 and annotator 2 both name LY only" in note for note in result.evaluation.notes)
    assert result.evaluation.agreement[0].kappa.value is None
    assert json.loads((result.out / "report.json").read_text())["agreement"][0]["raw"]["value"] == 1


def test_an_unknown_second_label_is_refused_before_anything_is_written(manifest, colour_model):
    _annotate(manifest, lambda *_: "eozinophil")
    with pytest.raises(UnknownLabelError, match="line 2: label 'eozinophil'"):
        _run(manifest, colour_model)
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
    result = _run(manifest, colour_model)
    assert result.evaluation.coarse.classification.accuracy.value == 1
    assert "No image was given another class" in (result.out / "report.html").read_text()


def test_a_model_that_judges_attributes_is_measured_too(manifest, judging_model):
    """As the model that ships: its rows have more columns."""
    result = _run(manifest, judging_model)
    assert result.evaluation.counts["scored"] == 44
    assert {"truth", "why"} <= set(pl.read_parquet(result.out / "predictions.parquet").columns)


def test_stages_of_one_cell_line_are_two_classes(manifest, colour_model):
    kept = [line for line in manifest.read_text().splitlines() if re.search("^path|,SNE,|,BNE,", line)]
    manifest.write_text("\n".join(kept) + "\n")
    found = _run(manifest, colour_model).evaluation
    assert found.coarse.classification.accuracy.value == 1
    assert found.fine.classification.accuracy.value == 7 / 8


def test_pictures_of_one_colour_make_a_page(manifest, colour_model):
    """Whatever the label, the model sees the same."""
    for picture in (manifest.parent / "slide").iterdir():
        colour_model.draw(picture, "MO")
    result = _run(manifest, colour_model)
    assert result.evaluation.coarse.classification.accuracy.value == pytest.approx(4 / 44)
    text = (result.out / "report.html").read_text()
    assert "Lymphocyte taken for monocyte" in text


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
    log.write_text("epoch,step,train/loss,val/loss,val/accuracy8\n0,1,,2.0,0.5\n0,1,1.5,,\n")
    settings = EvaluateSettings(data=str(manifest), model=str(bundle), replicates=100)
    evaluate(settings, tmp_path / "out")
    assert (tmp_path / "out" / "curves.png").exists()
    assert "Learning curves" in (tmp_path / "out" / "report.html").read_text()
    log.write_text("no table")
    found = evaluate(settings, tmp_path / "again")  # the figures are worth having all the same
    assert "version_0/metrics.csv: not the curves of a training" in found.evaluation.notes[0]
    assert "version_0/metrics.csv" in (tmp_path / "again" / "report.html").read_text()


def test_a_page_without_pictures_of_cells(manifest, colour_model):
    result = _run(manifest, colour_model, examples=0)
    assert "data:image/jpeg" not in (result.out / "report.html").read_text()
    assert EvaluateSettings.read(result.out / "run.json").examples == 0


def test_without_cleanlab_the_page_says_so_and_goes_on(manifest, colour_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    result = _run(manifest, colour_model)
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
    assert (_run(manifest, colour_model).out / "report.html").exists()
