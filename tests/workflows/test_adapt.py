"""A laboratory that calls the model's lymphocytes monocytes, and the other way round: 40 labels teach the model so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import open_bundle, read_learnt
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, ManifestError, OutputError
from leukopy.network.wide_head import STAGES
from leukopy.slides.classifier import Classifier
from leukopy.workflows.adapt import AdaptSettings, adapt

THEIRS = {"LY": "monocyte", "MO": "lymphocyte", "EO": "eosinophil", "SNE": "neutrophil"}


@pytest.fixture
def laboratory(colour_model, tmp_path: Path) -> Path:
    """48 cells of 12 slides, and a file that is no image."""
    rows = []
    for index in range(48):
        code = list(THEIRS)[index % 4]
        colour_model.draw(tmp_path / "cells" / f"c{index}.png", code, width=60 + index)
        rows.append((f"cells/c{index}.png", THEIRS[code], f"slide {index // 4}"))
    (tmp_path / "cells" / "bad.png").write_text("no image")
    rows.append(("cells/bad.png", "lymphocyte", "slide 0"))
    pl.DataFrame(rows, schema=["path", "label", "group"], orient="row").write_csv(tmp_path / "labels.csv")
    return tmp_path


def settings(laboratory: Path, colour_model, **changes: object) -> AdaptSettings:
    values = {"labels": laboratory / "labels.csv", "model": str(colour_model.path), "penalty": 0.001}
    return AdaptSettings.build(values | changes)


def test_the_model_learns_what_this_laboratory_calls_its_cells(laboratory, colour_model, tmp_path) -> None:
    result = adapt(settings(laboratory, colour_model), tmp_path / "run")
    assert (result.cells, result.failures) == (48, 1)
    assert result.before.classes.balanced_accuracy.value == pytest.approx(0.5)
    assert result.after.classes.balanced_accuracy.value == 1
    assert (result.gain.value, result.gain.low) == (pytest.approx(0.5), pytest.approx(0.5, abs=0.2))
    cells = Classifier.open(result.bundle).predict(sorted((laboratory / "cells").glob("c*.png"))).cells
    truth = pl.read_csv(laboratory / "labels.csv").with_columns(cell_id=str(laboratory) + "/" + pl.col("path"))
    joined = cells.join(truth, on="cell_id")
    assert joined.height == 48
    named = {"monocyte": "MO", "lymphocyte": "LY", "eosinophil": "EO", "neutrophil": "NEU"}
    assert joined["coarse"].to_list() == [named[label] for label in joined["label"]]
    assert "bad.png" in (tmp_path / "run" / "failures.csv").read_text()


def test_the_card_says_what_was_done_and_its_figures_are_those_of_the_new_head(laboratory, colour_model, tmp_path):
    result = adapt(settings(laboratory, colour_model), tmp_path / "run")
    card = open_bundle(result.bundle).card
    assert card.trained_on[-1].images == 48
    assert "48 cells of one laboratory" in card.limits[-1]
    assert card.provenance["adapted_from"]["name"] == "colours"
    assert {metric.data for metric in card.metrics} == {result.held_out}
    report = json.loads((tmp_path / "run" / "adapt.json").read_text())
    assert report["after"]["balanced_accuracy"]["value"] == 1
    assert report["before"]["recall"] == {"NEU": 1.0, "EO": 1.0, "LY": 0.0, "MO": 0.0}


def sees_red_only(content: bytes) -> bytes:
    """The colour network with the six convolutions of a wide head; the last lets nothing but red into the embedding."""
    model = onnx.load_from_string(content)
    at, pool = next((at, node) for at, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    for index, stage in enumerate(STAGES):
        kept = np.diag([1, 0, 0]) if stage == STAGES[-1] else np.eye(3)
        weights = onnx.numpy_helper.from_array(kept.astype(np.float32)[:, :, None, None], f"net.{stage}.weight")
        model.graph.initializer.append(weights)
        made = onnx.helper.make_node("Conv", [pool.input[0], weights.name], [f"map{index}"], name=stage)
        model.graph.node.insert(at + index, made)
        pool.input[0] = made.output[0]
    return model.SerializeToString()


def test_what_the_embedding_does_not_hold_is_learnt_from_the_maps(laboratory, colour_model, build_bundle, tmp_path):
    network = sees_red_only((colour_model.path / "model.onnx").read_bytes())
    model = build_bundle(tmp_path / "red", network=network)
    result = adapt(settings(laboratory, colour_model, model=str(model)), tmp_path / "run")
    assert result.before.classes.balanced_accuracy.value < 0.6
    assert result.after.classes.balanced_accuracy.value == 1
    cells = Classifier.open(result.bundle).predict(sorted((laboratory / "cells").glob("c*.png"))).cells
    assert sorted(cells["coarse"].value_counts().rows()) == [("EO", 12), ("LY", 12), ("MO", 12), ("NEU", 12)]
    again = adapt(settings(laboratory, colour_model, model=str(result.bundle)), tmp_path / "again")
    assert again.before.classes.balanced_accuracy.value == 1


def test_a_slide_is_never_on_both_sides(laboratory, colour_model, tmp_path, monkeypatch) -> None:
    from leukopy.inference import adaptation

    seen = []
    whole = adaptation.held_out
    monkeypatch.setattr(adaptation, "held_out", lambda *given: seen.append(given[1]) or whole(*given))
    adapt(settings(laboratory, colour_model), tmp_path / "run")
    slides = np.arange(48) // 4
    assert len(set(seen[0].folds.tolist())) == 5
    assert all(len(set(seen[0].folds[slides == slide].tolist())) == 1 for slide in range(12))


def test_a_test_split_is_judged_and_not_fitted_to(laboratory, colour_model, tmp_path) -> None:
    table = pl.read_csv(laboratory / "labels.csv").with_row_index()
    split = pl.when(pl.col("index") % 48 < 32).then(pl.lit("train")).otherwise(pl.lit("test"))
    table.with_columns(split=split).write_csv(laboratory / "labels.csv")
    result = adapt(settings(laboratory, colour_model), tmp_path / "run")
    assert (result.cells, result.after.classes.images) == (32, 16)
    assert "16 cells of the manifest's test split" in result.held_out
    assert result.after.classes.balanced_accuracy.value == 1


def test_classes_that_the_model_does_not_hold_are_left_out_and_counted(laboratory, colour_model, tmp_path) -> None:
    table = pl.read_csv(laboratory / "labels.csv")
    blasts = pl.DataFrame({"path": ["cells/c0.png"], "label": ["blast"], "group": ["slide 1"]})
    pl.concat([table.filter(pl.col("path") != "cells/c0.png"), blasts]).write_csv(laboratory / "labels.csv")
    result = adapt(settings(laboratory, colour_model), tmp_path / "run")
    assert (result.left_out, result.cells) == ({"BLAST": 1}, 47)


class TestRefusals:
    def test_too_few_labels(self, laboratory, colour_model, tmp_path) -> None:
        pl.read_csv(laboratory / "labels.csv").head(5).write_csv(laboratory / "labels.csv")
        with pytest.raises(ManifestError, match=r"labels\.csv: 5 readable labelled cells to fit to; give 10 or more"):
            adapt(settings(laboratory, colour_model), tmp_path / "run")

    def test_one_slide_alone(self, laboratory, colour_model, tmp_path) -> None:
        pl.read_csv(laboratory / "labels.csv").with_columns(group=pl.lit("1")).write_csv(laboratory / "labels.csv")
        with pytest.raises(ManifestError, match="none can be held out"):
            adapt(settings(laboratory, colour_model), tmp_path / "run")

    def test_no_such_model(self, laboratory, colour_model, tmp_path) -> None:
        with pytest.raises(BundleError, match="no model of this name"):
            adapt(settings(laboratory, colour_model, model="nobody"), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_run_is_not_written_over_unasked(self, laboratory, colour_model, tmp_path) -> None:
        adapt(settings(laboratory, colour_model), tmp_path / "run")
        with pytest.raises(OutputError):
            adapt(settings(laboratory, colour_model), tmp_path / "run")


def test_the_command_shows_both_models_and_says_what_failed(laboratory, colour_model, tmp_path) -> None:
    words = ["adapt", "--labels", str(laboratory / "labels.csv"), "--model", str(colour_model.path)]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert result.exit_code == 3  # an image could not be read
    for text in ("before", "after", "gain in balanced accuracy", "recall of LY (12)", "Research use only"):
        assert text in result.output
    again = CliRunner().invoke(app, ["adapt", "--config", str(tmp_path / "run" / "run.json"), "--out",
                                     str(tmp_path / "again")])  # fmt: skip
    assert again.exit_code == 3
    assert (tmp_path / "again" / "adapt.json").read_bytes() == (tmp_path / "run" / "adapt.json").read_bytes()


def test_the_command_needs_labels() -> None:
    result = CliRunner().invoke(app, ["adapt", "--out", "nowhere"])
    assert result.exit_code == 2


@pytest.fixture
def own_labels(colour_model, tmp_path: Path) -> tuple[Path, Path]:
    """60 cells of 12 slides, every fifth of a class of the laboratory's own, in a colour that the model calls a
    platelet; and the table of their labels."""
    rows = []
    for index in range(60):
        code = [*THEIRS, "PLT"][index % 5]
        colour_model.draw(tmp_path / "own" / f"c{index}.png", code, width=60 + index)
        rows.append((f"own/c{index}.png", "velue" if code == "PLT" else code, f"slide {index // 5}"))
    pl.DataFrame(rows, schema=["path", "label", "group"], orient="row").write_csv(tmp_path / "own.csv")
    table = tmp_path / "table.csv"
    table.write_text("label,code,name,place\nvelue,CHEV,velvet cell,differential\n")
    return tmp_path / "own.csv", table


def test_a_class_of_ones_own_is_added_to_a_model(own_labels, colour_model, tmp_path: Path) -> None:
    labels, table = own_labels
    given = AdaptSettings(labels=labels, label_map=str(table), model=str(colour_model.path), penalty=0.001)
    result = adapt(given, tmp_path / "run")
    assert result.after.classes.balanced_accuracy.value == 1
    assert result.before.classes.balanced_accuracy.value == pytest.approx(0.8)  # the own class was none of its classes
    card = open_bundle(result.bundle).card
    assert card.outside is not None
    assert (card.outside.classes, card.outside.own[0].name) == (("CHEV",), "velvet cell")
    assert sum(card.outside.prior) == pytest.approx(1)
    cells = Classifier.open(result.bundle).predict(sorted((tmp_path / "own").glob("*.png"))).cells
    assert set(cells.filter(pl.col("fine") == "CHEV")["p_CHEV"] > 0.5) == {True}
    assert (cells["fine"] == "CHEV").sum() == 12
    assert read_learnt(result.bundle) is None  # the model lists no images that it learnt from, and a list is whole


def test_an_own_class_is_kept_by_a_second_adaptation(own_labels, colour_model, tmp_path: Path) -> None:
    labels, table = own_labels
    first = adapt(
        AdaptSettings(labels=labels, label_map=str(table), model=str(colour_model.path), penalty=0.001), tmp_path / "a"
    )
    without = pl.read_csv(labels).filter(pl.col("label") != "velue")
    without.write_csv(tmp_path / "without.csv")
    second = adapt(AdaptSettings(labels=tmp_path / "without.csv", model=str(first.bundle)), tmp_path / "b")
    card = open_bundle(second.bundle).card
    assert card.outside is not None
    assert card.outside.classes == ("CHEV",)
    cells = Classifier.open(second.bundle).predict(sorted((tmp_path / "own").glob("*.png"))).cells
    assert (cells["fine"] == "CHEV").sum() == 12


def test_blasts_of_the_laboratory_teach_the_classes_outside(outside_model, tmp_path: Path) -> None:
    grey, other = (127, 127, 127), (60, 160, 90)  # the model's blasts, and those of this laboratory
    rows = []
    for index in range(60):
        code = ("LY", "MO", "EO")[index % 3]
        outside_model.draw(tmp_path / "cells" / f"c{index}.png", code, width=60 + index)
        rows.append((f"cells/c{index}.png", code, f"slide {index // 12}"))
    for index in range(30):
        picture = Image.new("RGB", (64, 64), other if index % 2 else grey)
        picture.putpixel((0, 0), (index, 0, 0))
        picture.save(tmp_path / "cells" / f"b{index}.png")
        rows.append((f"cells/b{index}.png", "BLAST", f"slide {index // 6}"))
    (tmp_path / "cells" / "bad.png").write_text("no image")
    rows += [("cells/bad.png", "BLAST", "slide 0"), ("cells/c0.png", "PLASMA", "slide 0")]
    del rows[0]
    pl.DataFrame(rows, schema=["path", "label", "group"], orient="row").write_csv(tmp_path / "labels.csv")
    values = {"labels": tmp_path / "labels.csv", "model": str(outside_model.path), "penalty": 0.001, "variants": 1}
    result = adapt(AdaptSettings.build(values), tmp_path / "run")
    assert (result.cells, result.failures, result.left_out) == (59, 1, {"PLASMA": 1})
    assert result.outside is not None
    before, after = result.outside.recall["BLAST"]
    assert (result.outside.cells, before) == (30, 0.5)
    assert after > 0.9
    assert result.outside.known_called_outside[1] == 0
    report = json.loads((tmp_path / "run" / "adapt.json").read_text())
    assert report["outside"]["recall"]["BLAST"] == [before, after]
    found = Classifier.open(result.bundle).predict(sorted((tmp_path / "cells").glob("b[0-9]*.png"))).cells
    assert (found["fine"] == "BLAST").mean() > 0.9
    assert "30 labelled cells of classes outside" in open_bundle(result.bundle).card.outside.fitted_on


def test_blasts_are_left_out_where_the_model_does_not_answer_them(laboratory, colour_model, tmp_path: Path) -> None:
    table = pl.read_csv(laboratory / "labels.csv")
    blast = table.head(3).with_columns(label=pl.lit("BLAST"), path=pl.lit("cells/x") + pl.int_range(3).cast(pl.String))
    pl.concat([table, blast]).write_csv(laboratory / "labels.csv")
    result = adapt(settings(laboratory, colour_model), tmp_path / "run")
    assert (result.outside, result.left_out) == (None, {"BLAST": 3})
