from __future__ import annotations

import base64
import itertools
import re
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.agreement import ANNOTATORS, agreement
from leukopy.evaluation.classification import coarse_indices, fine_indices
from leukopy.evaluation.coarse_gain import summing
from leukopy.evaluation.levels import Evaluation, score_level
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.reports.evaluation_page import EvaluationContent, matrix, write_evaluation_page
from leukopy.reports.examples import doubtful_labels
from leukopy.taxonomy import COARSE, FINE
from support.pages import assert_offline, read_page

_HOSTILE = '<script>alert("x")</script>\'"&.png'
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def content(tmp_path, make_cells, card):
    """Twelve cells; of six that the model calls segmented, three are labelled otherwise."""
    cells = make_cells({"SNE": 6, "EO": 3, "PLT": 3}, tmp_path)
    for path in cells["path"]:
        Image.new("RGB", (40, 30), (90, 90, 160)).save(path)
    truth = ["SNE", "SNE", "SNE", "BNE", "BNE", "EO", *cells["fine"][6:].to_list()]
    rows = cells.with_columns(
        truth=pl.Series(truth), source=pl.lit("here"), digest=pl.format("{}", pl.int_range(pl.len()))
    )
    labels, note = doubtful_labels(rows, [COARSE, FINE])
    scored = [
        score_level(
            classes, index(truth), index(cells[predicted].to_list()),
            cells.select(f"p_{cell.code}" for cell in classes).to_numpy(), replicates=100,
        )
        for classes, index, predicted in ((COARSE, coarse_indices, "coarse"), (FINE, fine_indices, "fine"))
    ]  # fmt: skip
    evaluation = Evaluation(
        "small", "drawn", "test", "image",
        {"listed": 16, "unlabelled": 1, "outside": 1, "failed": 2, "scored": 12},
        scored[0], scored[1], summing(fine_indices(truth), fine_indices(cells["fine"].to_list()), replicates=100),
        (agreement([("EO", "EO"), ("SNE", "BNE"), ("BLAST", "EO")], FINE, ANNOTATORS, replicates=100),),
        ("A note on what was not measured.",),
    )  # fmt: skip
    failed = [(f"slide/bad{n}.jpg", f"/home/maria/bad{n}.jpg", "not_an_image",
               f"/home/maria/bad{n}.jpg: not an image. Remove it.") for n in range(2)]  # fmt: skip
    return EvaluationContent(
        evaluation=evaluation,
        rows=rows,
        labels=labels,
        labels_note=note,
        relation="The model saw other images of here.",
        in_sample=False,
        examples=2,
        reliability=_PNG,
        curves=_PNG,
        failures=pl.DataFrame(failed, schema=FAILURE_SCHEMA, orient="row"),
        card=card,
        provenance={"created": "2026-03-01T10:00:00+00:00", "commit": None},
    )


@pytest.fixture
def render(tmp_path):
    return partial(read_page, write_evaluation_page, tmp_path)


def test_page_shows_everything(content, render):
    _, page = render(content)
    for expected in (
        "small on drawn, test", RESEARCH_USE_ONLY, "2026-03-01", "A note on what was not measured.",
        "The model saw other images of here.", "2 images were not read",
        "balanced accuracy", "Classification report, fine classes", "Segmented neutrophil SNE",
        "0.750",  # accuracy at 11 classes: 9 of 12
        "Band neutrophil predicted as segmented neutrophil 2 images, 100.0 % of BNE; no error at the coarse classes",
        "Eosinophil predicted as segmented neutrophil 1 image, 25.0 % of EO",
        "2 of 3 errors at the fine classes vanish", "Accuracy 0.750 at the fine classes, 0.917 at the coarse ones",
        "Annotator 1 against annotator 2, fine classes", "Blast BLAST",
        "Learning curves", "Reliability", "not an image. Remove it.", "A small model",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert "it has learnt" not in page.text


def test_examples_are_the_most_confident_errors(content, render):
    _, page = render(replace(content, labels=content.labels.clear()))
    shown = [picture["alt"].split(" %, ") for picture in page.all("img") if "jpeg" in picture["src"]]
    assert [cell for _, cell in shown] == [
        "slide/SNE_005.png",  # at 8 classes: the one neutrophil labelled eosinophil
        *("slide/SNE_004.png", "slide/SNE_003.png", "slide/SNE_005.png"),  # at 11: two labelled band come first
    ]
    assert [said for said, _ in shown[1:]] == ["SNE 86", "SNE 79", "SNE 93"]


def test_doubtful_labels_are_shown_with_their_quality(content, render):
    pytest.importorskip("cleanlab")
    worst = content.labels.filter(level="fine").row(0, named=True)
    _, page = render(content)
    assert f"label {worst['given']} model {worst['predicted']}" in page.text
    assert f"quality {worst['quality']:.3f}" in page.text


def test_identical_files_with_two_labels_are_listed(content, render):
    same = content.rows.with_columns(digest=pl.lit("same"))
    _, page = render(replace(content, labels=doubtful_labels(same, [COARSE, FINE])[0]))
    assert page.text.count("Identical files with two labels") == 2


def test_images_of_the_training_are_a_warning(content, render):
    _, page = render(replace(content, in_sample=True))
    assert page.text.count("The model saw other images of here.") == 2
    assert "Wrong labels learnt in training are not found here" in page.text


def test_missing_parts_are_said_or_left_out(content, render):
    bare = replace(
        content,
        evaluation=replace(content.evaluation, fine=None, summing=None, agreement=(), notes=()),
        labels=content.labels.clear(), labels_note="cleanlab is not here.", curves=None, reliability=None, examples=0,
        failures=content.failures.clear(),
    )  # fmt: skip
    text, page = render(bare)
    assert "cleanlab is not here." in page.text
    assert "None found." in page.text
    assert "Every image was read." in page.text
    for absent in ("fine classes,", "Agreement Cohen", "Learning curves", "vanish"):
        assert absent not in page.text, absent
    assert not page.all("img")
    assert "data:image" not in text


def test_page_asks_the_network_for_nothing_and_runs_no_script(content, render):
    text, page = render(content)
    assert_offline(text, page, "jpeg", "png")


def test_hostile_names_are_text(content, render):
    hostile = replace(
        content,
        evaluation=replace(content.evaluation, model=_HOSTILE, data=_HOSTILE, notes=(_HOSTILE,)),
        rows=content.rows.with_columns(cell_id=pl.format("{}{}", pl.lit(_HOSTILE), pl.int_range(pl.len()))),
        labels=content.labels.clear(),
        labels_note=_HOSTILE,
        relation=_HOSTILE,
        failures=content.failures.with_columns(cell_id=pl.lit(_HOSTILE), message=pl.lit(_HOSTILE)),
        provenance={_HOSTILE: _HOSTILE},
        card=content.card.model_copy(update={"title": _HOSTILE}),
    )
    text, page = render(hostile)
    assert "<script" not in text
    assert not page.all("script")
    assert page.text.count(_HOSTILE) > 15


def test_hostile_copies_are_text(content, render):
    found = content.rows.with_columns(cell_id=pl.format("{}{}", pl.lit(_HOSTILE), pl.int_range(pl.len())),
                                      digest=pl.lit("same"))  # fmt: skip
    text, page = render(replace(content, rows=found, labels=doubtful_labels(found, [COARSE, FINE])[0]))
    assert "<script" not in text
    assert _HOSTILE in page.text


def test_paths_stay_out(content, render, tmp_path):
    text, _ = render(content)
    assert "maria" not in text
    assert str(tmp_path) not in text


def test_a_picture_that_went_away_leaves_a_note(content, render, tmp_path):
    for path in content.rows["path"]:
        (tmp_path / path).unlink()
    _, page = render(content)
    assert "The picture can no longer be read." in page.text


def test_accessible_by_ear_and_keyboard(content, render):
    _, page = render(content)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    anchors = [link["href"].removeprefix("#") for link in page.all("a")]
    assert {*named, *anchors} <= set(ids)
    assert all("scope" in cell for cell in page.all("th"))
    assert all(picture["alt"] for picture in page.all("img"))


def test_rows_of_a_matrix_are_shares_of_themselves():
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 1, 999]])
    found = matrix(counts, ["A", "B", "C"])
    assert found.codes == ("A", "B", "C")
    assert [(row.code, row.images) for row in found.rows] == [("A", 4), ("C", 1000)]  # no image of B
    assert [[cell.text for cell in row.cells] for row in found.rows] == [["75.0", "25.0", ""], ["", "0.1", "99.9"]]


def _luminance(colour):
    parts = np.asarray(colour) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_figures_of_a_matrix_stand_out_from_their_ground(content, render):
    """WCAG 2.2, 1.4.3 (AA): a contrast of 4.5 to 1, in light and in dark, at every share."""
    text, _ = render(content)
    counts = np.array([[share, 1000 - share] for share in range(1, 1000)])
    cells = {(cell.shade, cell.deep) for row in matrix(counts, list(map(str, range(999)))).rows for cell in row.cells}
    light, dark = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)[:2]
    for theme in (light, dark):
        colours = {name: np.array([int(value[start : start + 2], 16) for start in (1, 3, 5)])
                   for name, value in re.findall(r"--([\w-]+): (#\w{6})", theme)}  # fmt: skip
        for shade, deep in cells:
            ground = (shade * colours["accent"] + (100 - shade) * colours["paper"]) / 100
            high, low = sorted((_luminance(colours["paper" if deep else "ink"]), _luminance(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (shade, deep)
