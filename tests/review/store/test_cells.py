"""Images of a case, and what the model said of them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import LaboratoryAppearance, SlideCheck
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.inference.rows import APPEARANCE_SCHEMA
from leukopy.review.records import ClassChoice, Refused, SlideView, Status
from leukopy.review.settings import Limits
from leukopy.review.store import ModelFacts, NewImage, NotAllowed, NotFound
from leukopy.review.store.results import PendingImage
from leukopy.slides.laboratory_check import AppearanceSum, SlideDistance, nearest_laboratory

from .conftest import CODES, MODEL, predictions

HERE = LaboratoryAppearance(name="here", images=9, mean=(0,) * 8, covariance=tuple(map(tuple, np.eye(8).tolist())))
CHECK = SlideCheck(
    measures=APPEARANCE_FEATURES, laboratories=(HERE,), classes={}, between=0.4, limit=20, method="for tests"
)


def picture(name: str, data: bytes = b"picture") -> NewImage:
    return NewImage(name, data, 64, 48, "image/png")


def test_identical_pictures_are_two_cells_with_one_file(station):
    case = station.draft()
    assert station.store.cells.add_images(station.reader, case.id, [picture("a.png"), picture("b.png")]) == 2
    waiting = station.store.predictions.pending(case.id)
    digest = hashlib.sha256(b"picture").hexdigest()
    assert waiting == [PendingImage(1, "a.png", digest, None), PendingImage(2, "b.png", digest, None)]
    files = [path for path in station.store.images.folder.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [b"picture"]


def test_the_same_upload_again_adds_nothing(station):
    case, images = station.draft(), [picture("a.png"), picture("a.png"), picture("a.png", b"other")]
    assert station.store.cells.add_images(station.reader, case.id, images) == 2
    version = station.store.cases.get(station.reader, case.id).version
    assert station.store.cells.add_images(station.reader, case.id, images) == 0
    assert station.store.cases.get(station.reader, case.id).version == version
    refused = [Refused(name="x.svg", reason="not_an_image", message="x.svg: not an image")]
    for _ in range(2):
        station.store.cells.add_failures(station.reader, case.id, refused)
    assert station.store.cells.failures(station.reader, case.id) == tuple(refused)
    assert station.store.cases.get(station.reader, case.id).failures == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", "nul\0name", "half\udc80pair", "é" * 5000, "'; DROP TABLE cells"])
def test_a_hostile_name_is_only_a_name(station, name):
    case = station.draft()
    for _ in range(2):
        station.store.cells.add_images(station.reader, case.id, [picture(name)])
    station.store.cells.add_failures(station.reader, case.id, [Refused(name=name, reason="r", message=name)])
    (image,) = station.store.predictions.pending(case.id)
    assert "\0" not in image.name
    assert len(image.name) == len(name)
    assert [path.name for path in station.store.images.folder.rglob("*") if path.is_file()] == [image.digest]


def test_a_case_holds_no_more_images_than_its_limit(station):
    station = station.with_settings(limits=Limits(cells_per_case=3))
    case = station.draft()
    station.add(case, ["a", "b"])
    with pytest.raises(NotAllowed, match="at most 3"):
        station.add(case, ["c", "d"])
    assert station.add(case, ["a", "c"]) == 1


def test_predictions_make_cells_in_display_order_least_certain_first(station):
    case = station.classified(12)
    cells = station.store.cells.all(station.reader, case.id)
    assert [cell.code for cell in cells] == [code for code in ("SNE", "BNE", "EO", "BA", "LY", "MO") for _ in range(2)]
    assert [cell.id for cell in cells[:4]] == [7, 1, 11, 5]
    assert cells[0].confidence == pytest.approx(0.9993)
    assert cells[0].flags == ("uncertain", "not_square")
    assert (case.cells, case.failures, case.corrected, case.model) == (12, 0, 0, "colours cccccccccccc")
    assert station.store.predictions.model(station.reader, case.id) == MODEL


def test_a_cell_that_the_model_does_not_know_is_unidentified(station):
    case = station.draft()
    station.add(case, ["a", "b"])
    said = predictions([1, 2])
    odd = said.cells.with_columns(flags=pl.Series(["unidentified;uncertain", "uncertain"]))
    station.store.predictions.write(case.id, replace(said, cells=odd), MODEL)
    cells = {cell.id: cell for cell in station.store.cells.all(station.reader, case.id)}
    assert [cells[number].code for number in (1, 2)] == ["UNIDENTIFIED", said.cells["fine"][1]]
    assert cells[1].model_code == "UNIDENTIFIED"
    assert station.store.cases.get(station.reader, case.id).corrected == 0


def test_predictions_twice_change_nothing(station):
    case = station.draft()
    station.add(case, ["a", "b", "c"])
    assert station.store.predictions.write(case.id, predictions([1, 2]), MODEL) == 2
    station.correct(station.reader, case, (1, "PLT"))
    before = station.store.cells.all(station.reader, case.id), station.store.cases.get(station.reader, case.id)
    assert station.store.predictions.write(case.id, predictions([1, 2]), MODEL) == 0
    assert (
        station.store.cells.all(station.reader, case.id),
        station.store.cases.get(station.reader, case.id),
    ) == before
    assert station.store.predictions.write(case.id, predictions([2, 3]), MODEL) == 1
    assert station.store.cases.get(station.reader, case.id).cells == 3


def write(station, case, first, last, appearance):
    """Let the model speak of cells ``first`` to ``last``, all of which look alike."""
    said = predictions(range(first, last + 1))
    appearance = pl.DataFrame(
        np.full((len(said.cells), len(APPEARANCE_FEATURES)), appearance, np.float32), schema=APPEARANCE_SCHEMA
    )
    return station.store.predictions.write(case.id, replace(said, appearance=appearance), MODEL, CHECK)


def judged(appearance, cells):
    return nearest_laboratory(AppearanceSum(np.full(len(APPEARANCE_FEATURES), float(appearance * cells)), cells), CHECK)


def test_a_slide_is_judged_by_all_its_cells_each_counted_once(station):
    case = station.draft()
    station.add(case, [f"c{number}.png" for number in range(1, 41)])

    def found():
        return station.store.cases.get(station.reader, case.id).slide_check

    write(station, case, 1, 10, 9)
    assert found() is None  # of so few cells nothing is said
    write(station, case, 1, 20, 3)  # of the first ten the model has spoken before
    assert found() == SlideView(**asdict(judged(6, 20)), unlike_training=True)
    write(station, case, 21, 40, -6)
    assert found() == SlideView(**asdict(judged(0, 40)), unlike_training=False)
    assert found().distance == 0


SURVEY = {"cells_used": 31, "foreign_probability": 0.7, "class_cells": {"NEU": 31.0}}


def test_from_how_many_cells_the_classes_of_a_slide_were_found_again_is_kept(station):
    case = station.draft()
    station.add(case, [f"c{number}.png" for number in range(1, 41)])

    def found():
        return station.store.cases.get(station.reader, case.id).slide_check

    station.store.predictions.set_survey(case.id, SURVEY)
    assert found() is None  # before a cell is looked at
    write(station, case, 1, 20, 3)
    assert found().cells_used is None
    for _ in range(2):
        station.store.predictions.set_survey(case.id, SURVEY)
    write(station, case, 21, 40, -6)
    assert (found().cells_used, found().foreign_probability, found().cells) == (31, 0.7, 40)
    station.store.predictions.set_survey(case.id, {"foreign_probability": 0.0, "class_cells": None})  # too few cells
    assert found().foreign_probability == 0.7
    with pytest.raises(NotAllowed, match="signed"):
        station.store.predictions.set_survey(station.signed().id, SURVEY)


def test_what_is_known_of_a_slide_from_more_cells_stands(station):
    far, near = SlideDistance(2.5, "elsewhere", 100), SlideDistance(0.4, "here", 30)
    case = station.draft()
    station.store.predictions.set_slide_distance(case.id, far)
    assert station.store.cases.get(station.reader, case.id).slide_check is None  # a case without a cell
    case = station.classified()
    for later in (far, near, far):
        station.store.predictions.set_slide_distance(case.id, later)
        after = station.store.cases.get(station.reader, case.id)
        assert after.slide_check == SlideView(distance=2.5, nearest="elsewhere", cells=100, unlike_training=True)
        assert after.version == case.version + 1
    assert station.store.signing.content(station.reader, station.signed().id).case.slide_check is None
    with pytest.raises(NotAllowed, match="signed"):
        station.store.predictions.set_slide_distance(station.signed().id, far)


def test_an_image_that_the_model_cannot_read_is_a_failure_with_its_reason(station):
    case = station.draft()
    station.add(case, ["a", "b"])
    station.store.predictions.write(case.id, predictions([1], failed=[2]), MODEL)
    assert station.store.cells.failures(station.reader, case.id) == (
        Refused(name="b", reason="truncated", message="the file ends too early"),
    )
    after = station.store.cases.get(station.reader, case.id)
    assert (after.cells, after.failures) == (1, 1)
    assert station.store.predictions.pending(case.id) == []
    with pytest.raises(NotFound):
        station.store.cells.detail(station.reader, case.id, 2)


def test_one_case_has_one_model(station):
    case = station.draft()
    station.add(case, ["a", "b"])
    station.store.predictions.write(case.id, predictions([1]), MODEL)
    with pytest.raises(NotAllowed, match="another model"):
        station.store.predictions.write(case.id, predictions([2]), ModelFacts("other", "d" * 64))


def test_the_detail_of_a_cell_tells_all(station):
    case = station.classified(2)
    detail = station.store.cells.detail(station.reader, case.id, 2)
    assert (detail.code, detail.width, detail.height, detail.why) == (CODES[1], 64, 48, "round nucleus")
    assert detail.probabilities == {code: (0.9998 if code == "LY" else 0.0) for code in detail.probabilities}
    assert len(detail.probabilities) == 11
    assert detail.attributes == {"nucleus_shape": ("round", 0.75)}
    assert detail.micrometres_per_pixel is None
    image = station.store.cells.image(station.reader, case.id, 2)
    assert station.store.images.read(image.digest) == b"picture of c2.png"
    assert image.media_type == "image/png"


@pytest.mark.parametrize("number", [0, -1, 3, 2**31, 10**30])
def test_a_cell_that_there_is_none_of_is_not_found(station, number):
    case = station.classified(2)
    with pytest.raises(NotFound):
        station.store.cells.detail(station.reader, case.id, number)


def test_new_images_bring_a_reviewed_case_back_to_draft_and_a_signed_one_refuses_them(station):
    case = station.classified()
    station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    station.add(case, ["new"])
    assert station.store.cases.get(station.reader, case.id).status is Status.DRAFT
    signed = station.signed()
    for refused in (
        lambda: station.add(signed, ["new"]),
        lambda: station.store.cells.add_failures(
            station.reader, signed.id, [Refused(name="n", reason="r", message="m")]
        ),
        lambda: station.store.predictions.write(signed.id, predictions([1]), MODEL),
    ):
        with pytest.raises(NotAllowed, match="signed"):
            refused()


def test_own_classes_stand_last_of_their_place_and_sort_the_cells(station):
    own = ClassChoice(code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#112233", key="2",
                      place="differential")  # fmt: skip
    station.store.classes.add(station.administrator, own)
    codes = [choice.code for choice in station.store.classes.all()]
    assert codes[codes.index("PLASMA") : codes.index("PLASMA") + 3] == ["PLASMA", "HAIRY", "ERB"]
    case = station.classified(3)
    station.correct(station.reader, case, (1, "HAIRY"))
    assert [cell.code for cell in station.store.cells.all(station.reader, case.id)] == ["LY", "MO", "HAIRY"]


FLAGS = {2: "no_cell", 3: "several_cells;low_resolution", 5: "unidentified"}


@pytest.fixture
def mixed(station):
    """A case of six images, of which cells 1 and 6 are counted."""
    case = station.draft()
    station.add(case, [f"c{number}.png" for number in range(1, 4)])
    copy = NewImage("c4.png", b"picture of c1.png", 64, 48, "image/png")
    station.store.cells.add_images(station.reader, case.id, [copy])
    station.add(case, ["c5.png", "c6.png"])
    rows = predictions(range(1, 7), flags=FLAGS)
    assert station.store.predictions.write(case.id, rows, MODEL) == 6
    assert station.store.predictions.write(case.id, rows, MODEL) == 0
    return station.store.cases.get(station.reader, case.id)


def test_images_without_a_class_are_stored_and_come_after_the_classes(station, mixed):
    assert (mixed.cells, mixed.failures, station.store.predictions.pending(mixed.id)) == (6, 0, [])
    cells = station.store.cells.all(station.reader, mixed.id)
    assert [(cell.id, cell.code, cell.not_counted) for cell in cells] == [
        (1, "SNE", None), (6, "BA", None), (5, "UNIDENTIFIED", "unidentified"), (2, None, "no_cell"),
        (3, None, "several_cells"), (4, "EO", "duplicate"),
    ]  # fmt: skip
    detail = station.store.cells.detail(station.reader, mixed.id, 2)
    assert (detail.model_code, detail.confidence, detail.probabilities, detail.attributes) == (None, None, {}, {})


def test_a_reader_gives_a_class_to_an_image_without_one_and_takes_it_back(station, mixed):
    given = station.correct(station.reader, mixed, (2, "LY"), (4, "LY"))
    assert [(cell.id, cell.code, cell.not_counted) for cell in given.cells] == [(2, "LY", None), (4, "LY", "duplicate")]
    assert given.case.corrected == 2
    undone = station.store.corrections.undo(station.reader, mixed.id)
    assert [(cell.code, cell.not_counted) for cell in undone.cells] == [(None, "no_cell"), ("EO", "duplicate")]
    assert undone.case.corrected == 0
    again = station.store.corrections.redo(station.reader, mixed.id)
    assert [(cell.code, cell.not_counted) for cell in again.cells] == [("LY", None), ("LY", "duplicate")]
    assert station.store.audit.verify().intact


def test_a_case_with_images_without_a_class_is_signed(station, mixed):
    case = station.store.signing.mark_reviewed(station.reader, mixed.id, mixed.version)
    signed = station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    content = station.store.signing.content(station.reader, signed.id)
    assert [cell.not_counted for cell in content.cells].count(None) == 2
    labels = {cell.cell: (cell.code, cell.not_counted) for cell in station.store.labels.signed_cells(station.reviewer)}
    assert labels[2] == (None, "no_cell")
    assert labels[4] == ("EO", "duplicate")


def test_a_copy_is_flagged_in_any_order_of_analysis(station):
    case = station.draft()
    images = [picture("a.png"), picture("b.png"), picture("c.png", b"other"), picture("d.png")]
    station.store.cells.add_images(station.reader, case.id, images)
    for numbers in ([4, 3], [1, 2]):
        station.store.predictions.write(case.id, predictions(numbers), MODEL)
    found = {cell.id: "duplicate" in cell.flags for cell in station.store.cells.all(station.reader, case.id)}
    assert found == {1: False, 2: True, 3: False, 4: True}


def test_an_image_without_a_cell_has_its_cause(station):
    case = station.draft()
    station.store.cells.add_images(station.reader, case.id, [picture("a.png")])
    rows = predictions([1], flags={1: "no_cell"})
    rows = replace(rows, cells=rows.cells.with_columns(content=pl.lit("dark: no lamp")))
    station.store.predictions.write(case.id, rows, MODEL)
    cell = station.store.cells.detail(station.reader, case.id, 1)
    assert (cell.code, cell.flags, cell.why, cell.confidence) == (None, ("no_cell",), "dark: no lamp", None)
    assert cell.not_counted == "no_cell"
