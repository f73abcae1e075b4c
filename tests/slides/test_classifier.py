"""From files to rows: right classes, coherent probabilities, flags, and every input in one of the two tables."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import leukopy
from leukopy import taxonomy
from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError
from leukopy.inference.engine import BATCH
from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, SET_SCHEMA, CellInput, Predictions
from leukopy.network.probabilities import softmax
from leukopy.slides.classifier import Classifier
from leukopy.slides.columns import class_columns
from leukopy.slides.slide import ROWS


@pytest.fixture(scope="module")
def classifier(colour_model) -> Classifier:
    return leukopy.load(str(colour_model.path))


def test_every_class_is_found(classifier, colour_model, tmp_path):
    codes = [cell.code for cell in taxonomy.FINE]
    paths = [colour_model.draw(tmp_path / f"{code}.png", code) for code in codes]
    found = classifier.predict(paths)
    assert found.cells.schema == pl.Schema(CELL_SCHEMA)
    assert found.failures.schema == pl.Schema(FAILURE_SCHEMA)
    assert found.cells["fine"].to_list() == codes
    assert found.cells["coarse"].to_list() == [cell.coarse for cell in taxonomy.FINE]
    assert found.cells["cell_id"].to_list() == list(map(str, paths))
    assert found.cells["flags"].to_list() == [""] * len(codes)
    assert found.failures.is_empty()


def test_a_row_says_what_was_read(classifier, colour_model, tmp_path):
    path = colour_model.draw(tmp_path / "wide.png", "LY", width=90, height=70)
    row = classifier.predict([path]).cells.row(0, named=True)
    assert (row["width"], row["height"]) == (90, 70)
    assert row["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_failures_take_no_neighbour_with_them(classifier, colour_model, tmp_path):
    paths, codes = [], []
    for index in range(3 * BATCH):
        if index % 5 == 2 or BATCH <= index < 2 * BATCH:  # among the others, and a whole batch
            path = tmp_path / f"{index}.png"
            path.write_text("no picture")
        else:
            codes.append(taxonomy.FINE[index % 11].code)
            path = colour_model.draw(tmp_path / f"{index}.png", codes[-1])
        paths.append(path)
    found = classifier.predict(paths)
    assert found.cells["fine"].to_list() == codes
    assert set(found.failures["reason"]) == {"not_an_image"}
    assert sorted([*found.cells["path"], *found.failures["path"]]) == sorted(map(str, paths))


def test_nothing_gives_empty_tables(classifier):
    found = classifier.predict([])
    assert found.cells.is_empty()
    assert found.cells.schema == pl.Schema(CELL_SCHEMA)
    assert found.failures.is_empty()


def test_probabilities_are_coherent(classifier, tmp_path):
    """On colours between the classes, where they are not near 0 or 1."""

    rng = np.random.default_rng(1)
    for index in range(40):
        Image.new("RGB", (32, 32), tuple(rng.integers(0, 256, 3).tolist())).save(tmp_path / f"{index}.png")
    cells = classifier.predict(sorted(tmp_path.iterdir())).cells
    fine = cells.select(f"p_{cell.code}" for cell in taxonomy.FINE).to_numpy()
    coarse = cells.select(f"p_{cell.code}" for cell in taxonomy.COARSE).to_numpy()
    assert np.allclose(fine.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(fine @ taxonomy.coarse_matrix(), coarse, atol=1e-6)
    assert coarse.max() <= 1
    for row, all_fine, all_coarse in zip(cells.iter_rows(named=True), fine, coarse, strict=True):
        best = taxonomy.COARSE[int(all_coarse.argmax())]
        members = taxonomy.fine_members(best.code)
        inside = taxonomy.FINE[max(members, key=lambda index: all_fine[index])]
        assert (row["coarse"], row["fine"]) == (best.code, inside.code)
        assert row["confidence"] == all_coarse.max()
        assert row["fine_confidence"] == row[f"p_{inside.code}"]
        assert ("uncertain" in row["flags"]) == (row["confidence"] < classifier.card.thresholds.uncertain_below)
    assert cells["flags"].str.contains("uncertain").sum() > 0


def test_the_fine_class_lies_within_the_coarse_one(classifier):
    """Three equal immature stages outweigh one lymphocyte that is more probable than each of them."""
    fine = np.full(11, 1e-6)
    fine[[cell.code in ("MMY", "MY", "PMY") for cell in taxonomy.FINE]] = (0.2, 0.22, 0.2)
    fine[taxonomy.fine_members("LY")[0]] = 0.38
    columns = class_columns(fine[None].astype(np.float32), np.array([[64, 64]], np.int32), classifier.card)
    assert (columns["coarse"][0], columns["fine"][0]) == ("IG", "MY")


def test_temperature_divides_the_logits():
    logits = np.array([[1.0, 2.0, 5.0]], np.float32)
    literal = np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(softmax(logits), literal)
    assert np.allclose(softmax(logits + 1000), literal)  # no overflow


@pytest.mark.parametrize(
    ("width", "height", "flags"),
    [
        (64, 64, ""),
        (17, 40, "uncertain;not_square"),
        (30, 16, "uncertain;not_square"),
        (48, 32, ""),
        (49, 32, "not_square"),
    ],
)
def test_flags_of_size(classifier, width, height, flags):
    """The model takes 32 px: below 16 nothing is read at all, so ``low_resolution`` needs a larger one (below)."""
    logits = np.zeros((1, 11), np.float32)
    logits[0, 0] = 0 if "uncertain" in flags else 20
    assert class_columns(softmax(logits), np.array([[width, height]], np.int32), classifier.card)["flags"][0] == flags


def test_low_resolution_is_less_than_half_of_what_the_network_takes(build_bundle, colour_model, tmp_path):
    classifier = Classifier.open(build_bundle(tmp_path / "model", size=64))
    paths = [colour_model.draw(tmp_path / f"{side}.png", "SNE", width=side, height=side) for side in (31, 32)]
    assert classifier.predict(paths).cells["flags"].to_list() == ["low_resolution", ""]


def test_streaming_keeps_order_and_reads_ahead_a_little_only(classifier, colour_model, tmp_path):
    path = str(colour_model.draw(tmp_path / "cell.png", "EO"))
    asked = count()
    total = 20 * ROWS
    stream = classifier.slide([]).rows(CellInput(f"c{next(asked)}", path) for _ in range(total))
    first = next(stream)
    assert isinstance(first, Predictions)
    assert next(asked) <= ROWS + (2 * classifier.engine.threads + 2) * BATCH
    stream.close()
    ids = [
        cell_id
        for part in classifier.slide([]).rows(CellInput(f"{i:05d}", path) for i in range(600))
        for cell_id in part.cells["cell_id"]
    ]
    assert ids == [f"{i:05d}" for i in range(600)]


def test_results_do_not_depend_on_threads(colour_model, tmp_path):
    colour_model.draw_folder(tmp_path, 5 * BATCH + 3)
    paths = sorted(tmp_path.iterdir())
    one, many = (Classifier.open(colour_model.path, threads).predict(paths).cells for threads in (1, 5))
    assert one.equals(many)


def test_progress_counts_failures_too(classifier, colour_model, tmp_path):
    colour_model.draw(tmp_path / "a.png", "LY")
    (tmp_path / "b.png").touch()
    told = []
    classifier.predict(sorted(tmp_path.iterdir()), progress=lambda *step: told.append(step))
    assert told == [("classifying", 2, 2)]


def test_a_name_that_is_no_utf8_is_read_and_written(classifier, colour_model, tmp_path):
    import os

    strange = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    colour_model.draw(tmp_path / "plain.png", "MO").rename(strange)
    found = classifier.predict([strange])
    assert found.cells["fine"].to_list() == ["MO"]
    assert found.cells["cell_id"][0].endswith(r"caf\xe9.png")
    Path(strange).write_text("broken")
    assert r"caf\xe9.png: not an image" in classifier.predict([strange]).failures["message"][0]


@pytest.mark.real_data
def test_real_cells_are_all_read(classifier, real_data):
    paths = sorted((real_data / "cells" / "pbc_original").rglob("*.jpg"))
    found = classifier.predict(paths)
    assert len(found.cells) == len(paths) == 260
    assert set(found.cells["width"]) <= {360, 359, 361, 366}
    assert not found.failures.height


def test_bytes_that_are_no_network(build_bundle, tmp_path):
    with pytest.raises(BundleError, match=r"model\.onnx: not a network that can be run"):
        leukopy.load(str(build_bundle(tmp_path / "junk", network=b"these bytes are no network")))


def test_a_network_of_another_size(build_bundle, colour_model, tmp_path):
    network = (colour_model.path / "model.onnx").read_bytes()
    with pytest.raises(BundleError, match="not uint8 images of 64 x 64 px"):
        leukopy.load(str(build_bundle(tmp_path / "size", size=64, network=network)))


def test_a_network_that_gives_no_numbers(build_bundle, colour_model, tmp_path):
    classifier = Classifier.open(build_bundle(tmp_path / "nan", sharpness=float("nan")))
    with pytest.raises(BundleError, match="not finite"):
        classifier.predict([colour_model.draw(tmp_path / "cell.png", "LY")])


def test_a_bundle_with_the_threshold_gives_sets(build_bundle, colour_model, tmp_path):
    bundle = open_bundle(build_bundle(tmp_path / "bundle", sharpness=0.5))
    sure = colour_model.draw(tmp_path / "sure.png", "LY")
    path = tmp_path / "between.png"
    Image.new("RGB", (64, 64), (30, 30, 125)).save(path)  # a little nearer to the first class than to the second
    thresholds = bundle.card.thresholds.model_copy(update={"set_from": 0.15})
    classifier = Classifier(replace(bundle, card=bundle.card.model_copy(update={"thresholds": thresholds})))
    cells = classifier.predict([sure, path]).cells
    assert cells.schema == pl.Schema(CELL_SCHEMA | SET_SCHEMA)
    for row in cells.iter_rows(named=True):
        inside = sorted((cell.code for cell in taxonomy.FINE if row[f"p_{cell.code}"] >= 0.15),
                        key=lambda code: -row[f"p_{code}"])  # fmt: skip
        assert row["fine_set"] == ";".join(inside or [row["fine"]])
    assert cells["fine_set"][1].startswith("SNE;BNE")
