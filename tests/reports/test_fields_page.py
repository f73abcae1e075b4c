from __future__ import annotations

import itertools
import re
from dataclasses import replace
from functools import partial

import polars as pl
import pytest

from leukopy.evaluation.intervals import Estimate
from leukopy.fields.counts import COUNTING_RULE, count_objects
from leukopy.fields.shape_counts import RedCellShapes, ShapeShare
from leukopy.reports import fields_page, gallery
from leukopy.reports.field_pictures import FieldPictures
from leukopy.reports.fields_page import FieldsContent
from leukopy.reports.object_labels import all_labels, label_objects
from leukopy.reports.page import ReportContent, write_report
from leukopy.slides.differential_files import count_cells
from support.located import Located, located_fields
from support.pages import assert_offline, read_page

_HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def located() -> Located:
    return located_fields(3)


@pytest.fixture
def fields(located):
    out = pl.when(pl.col("field") == "field_0003.png").then(pl.lit("out of focus"))
    table = located.fields.with_columns(left_out=out)
    pictures = FieldPictures(2)
    for picture in located.pictures[1:]:
        pictures.add(picture, 8)
    return FieldsContent(
        counts=count_objects(table, located.objects, located.cells),
        fields=table,
        objects=label_objects(located.objects, located.cells),
        pictures=pictures.of([picture.source for picture in located.pictures[1:]], lambda _: None),
    )


@pytest.fixture
def content(located, fields, card):
    cells = located.cells.lazy()
    return ReportContent(
        title="Slide 7",
        cells=gallery.choose(cells, per_class=0),
        first=located.cells.head(0),
        thumbnails={},
        totals=gallery.totals(cells),
        differential=count_cells(cells),
        failures=pl.DataFrame(
            schema={"cell_id": pl.String, "path": pl.String, "reason": pl.String, "message": pl.String}
        ),
        failures_total=0,
        left_out=gallery.choose_left_out(cells),
        left_out_total=0,
        card=card,
        provenance={"created": "2026-03-01T10:00:00+00:00"},
        fields=fields,
    )


@pytest.fixture
def render(tmp_path):
    return partial(read_page, write_report, tmp_path)


def test_sections_show_the_figures_and_the_reasons(content, render):
    _, page = render(content)
    red = content.fields.counts.red_cells
    for expected in (
        "Red cells", "Platelets", "Platelet estimate", "Mean diameter", "Variation of diameter (CV)", f"{red.count} ",
        f"{red.diameter_um.value:.3g}", "Of 3 fields, 1 is left out of all counts: 1 out of focus.",
        "Left out: out of focus.", COUNTING_RULE, "15,000 per µL", "200 µm wide", "fewer than the usual 10",
        "2 of 3 fields are in use.", "2 of 3 fields are shown",
    ):  # fmt: skip
        assert expected in page.text, expected


def test_every_box_of_a_shown_field_has_its_colour_class_and_probability(content, render, located):
    text, _ = render(content)
    drawn = re.findall(r"<g class=\"(\w+)\" stroke=\"(#\w+)\">(.*?)</g>", text, re.DOTALL)
    boxes = [
        (kind, colour, title) for kind, colour, inside in drawn for title in re.findall(r"<title>(.*?)</title>", inside)
    ]
    shown = content.fields.objects.filter(pl.col("field") != "field_0001.png")
    assert len(boxes) == len(shown)
    assert {(kind, colour) for kind, colour, _ in boxes} == {
        (kind, all_labels()[label].colour) for kind, label in shown.select("kind", "label").iter_rows()
    }
    assert sum(title.startswith("Lymphocyte 75 %") for *_, title in boxes) == 4
    assert any(title.endswith("cut by the border") for *_, title in boxes)


def test_pictures_have_words_and_one_is_open(content, render):
    _, page = render(content)
    first, second = page.all("img")
    assert "field_0002.png: 3 segmented neutrophils, 2 lymphocytes" in first["alt"]
    assert "red cells" in second["alt"]
    radios = [box for box in page.all("input") if box["type"] == "radio"]
    assert [("checked" in box, box["name"]) for box in radios] == [(True, "field"), (False, "field")]
    labels = {label.get("for") for label in page.all("label")}
    assert {box["id"] for box in radios} <= labels


def test_page_asks_the_network_for_nothing_and_runs_no_script(content, render):
    text, page = render(
        replace(content, fields=replace(content.fields, overview=b"\x89PNG\r\n", overview_legend="Green"))
    )
    assert_offline(text, page, "webp", "png")
    assert "Green" in page.text


def test_accessible_by_ear_and_keyboard(content, render):
    _, page = render(content)
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    assert set(named) <= set(ids)
    assert all("scope" in cell for cell in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))


def test_hostile_names_are_text(content, render, fields):
    wild = pl.when(pl.col("field") == "field_0002.png").then(pl.lit(_HOSTILE)).otherwise("field").alias("field")
    hostile = replace(
        fields,
        fields=fields.fields.with_columns(wild, left_out=pl.lit(_HOSTILE)),
        objects=fields.objects.with_columns(wild),
        pictures={_HOSTILE: fields.pictures["field_0002.png"]},
        overview_legend=_HOSTILE,
        overview=b"\x89PNG",
    )
    text, page = render(replace(content, fields=hostile))
    assert "<script" not in text
    assert page.text.count(_HOSTILE) > 3


def test_too_many_boxes_leave_the_red_cells_out_first(content, render, monkeypatch):
    monkeypatch.setattr(fields_page, "BOXES_SHOWN", 40)
    text, page = render(content)
    assert len(re.findall(r"<title>Lymphocyte", text)) == 4
    assert "boxes are not drawn" in page.text


def test_clumps_and_an_assumed_scale_say_why_there_is_no_number(content, render, fields):
    table = fields.fields.with_columns(scale_source=pl.lit("red cells"))
    clump = (
        fields.objects.filter(kind="platelet", field="field_0001.png")
        .head(1)
        .with_columns(kind=pl.lit("platelet_clump"))
    )
    counts = count_objects(table, pl.concat([fields.objects, clump]))
    _, page = render(replace(content, fields=replace(fields, counts=counts, fields=table)))
    assert page.text.count("1 platelet clump is on the fields") >= 4
    assert "No number: the scale was measured on the red cells" in page.text


def test_no_field_in_use_still_makes_a_page(content, render, fields):
    table = fields.fields.with_columns(left_out=pl.lit("too thick"))
    none = replace(fields, fields=table, counts=count_objects(table, fields.objects), pictures={})
    _, page = render(replace(content, fields=none))
    assert "No picture of a field is shown." in page.text
    assert "3 are left out of all counts: 3 too thick." in page.text


def test_a_report_on_cells_has_no_such_sections(content, render):
    text, page = render(replace(content, fields=None))
    assert 'id="platelets"' not in text
    assert COUNTING_RULE not in page.text


def test_shapes_show_shares_grades_examples_and_what_is_ungraded(content, render):
    share = ShapeShare("teardrop", "teardrop cell", 60, 4, Estimate(6.0, 5.2, 7.1), "2+", "")
    plain = ShapeShare(
        "normal", "normal", 900, 10, Estimate(90.0, 85.0, 94.0), "", "no abnormality that the ICSH grades"
    )
    shapes = RedCellShapes(1000, 36, 210, 17, 3, {"out of focus": 1}, "", (plain, share))
    counts = replace(content.fields.counts, shapes=shapes)
    fields = replace(content.fields, counts=counts, examples={"teardrop": [b"RIFF1", b"RIFF2"]})
    html, page = render(replace(content, fields=fields))
    text = page.text
    assert "Shapes of red cells" in text
    assert re.search(r"Teardrop cell 6\.0 5\.2 – 7\.1 60 2\+", text)
    assert "no abnormality that the ICSH grades" in text
    assert "Ungraded: 210 overlapping, 17 cut by the border. Not judged: 1 field, out of focus." in text
    assert html.count(", example ") == 2


def test_refused_shapes_give_the_reason(content, render):
    shapes = RedCellShapes(12, 0, 3, 1, 1, {}, "12 whole red cells can be judged", ())
    fields = replace(content.fields, counts=replace(content.fields.counts, shapes=shapes))
    _, page = render(replace(content, fields=fields))
    assert "No shapes: 12 whole red cells can be judged" in page.text
