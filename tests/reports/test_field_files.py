from __future__ import annotations

import json
import uuid

import polars as pl
import pytest

from leukopy.fields import counts, tables
from leukopy.fields.counts import count_objects
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.reports import field_files
from leukopy.reports.field_files import write_coco, write_field_results, write_geojson
from support.located import located_fields, table


@pytest.fixture(scope="module")
def located():
    return located_fields(2)


@pytest.fixture(scope="module")
def folder(located, tmp_path_factory):
    out = tmp_path_factory.mktemp("result")
    found = count_objects(located.fields, located.objects, located.cells)
    write_field_results(out, located.fields, located.objects, located.cells, found)
    return out


def test_all_files(folder, located):
    assert {path.name for path in folder.iterdir()} == {
        "fields.csv", "counts.csv", "counts.json", "boxes.coco.json", "qupath",
    }  # fmt: skip
    assert pl.read_csv(folder / "fields.csv")["field"].to_list() == located.fields["field"].to_list()
    counts = json.loads((folder / "counts.json").read_text())
    assert counts["red_cells"]["count"] == located.objects.filter("counted", kind="red_cell").height
    assert counts["platelets"]["settings"]["platelet_factor"] == 15_000


def test_coco_as_a_literal_reader_takes_it(folder, located):
    """As pycocotools: indices by id, every reference resolved, boxes inside the picture."""
    content = json.loads((folder / "boxes.coco.json").read_text())
    images, categories = ({one["id"]: one for one in content[key]} for key in ("images", "categories"))
    assert (len(images), len(categories)) == (len(content["images"]), len(content["categories"]))
    assert [image["file_name"] for image in content["images"]] == located.fields["field"].to_list()
    assert len({one["id"] for one in content["annotations"]}) == len(content["annotations"]) == len(located.objects)
    for one, row in zip(content["annotations"], located.objects.iter_rows(named=True), strict=True):
        image = images[one["image_id"]]
        assert image["file_name"] == row["field"]
        x, y, width, height = one["bbox"]
        assert min(x, y) >= 0
        assert x + width <= image["width"] + 0.01
        assert y + height <= image["height"] + 0.01
        assert one["area"] == pytest.approx(width * height, abs=0.01 * (width + height))
        assert one["iscrowd"] == 0
        category = categories[one["category_id"]]
        if row["kind"] == "leukocyte":
            assert category["supercategory"] == "leukocyte"
            fine = located.cells.filter(cell_id=row["cell_id"])["fine"].item()
            assert category["code"] == fine
        else:
            assert category["code"] == row["kind"]


def test_geojson_by_the_rules_that_qupath_reads(folder, located):
    files = sorted((folder / "qupath").iterdir())
    assert [path.name for path in files] == [f"{name}.geojson" for name in located.fields["field"]]
    ids = set()
    for path, name in zip(files, located.fields["field"], strict=True):
        content = json.loads(path.read_text())
        assert content["type"] == "FeatureCollection"
        rows = located.objects.filter(field=name)
        for feature, row in zip(content["features"], rows.iter_rows(named=True), strict=True):
            assert feature["type"] == "Feature"
            ids.add(uuid.UUID(feature["id"]))
            assert feature["geometry"]["type"] == "Polygon"
            (ring,) = feature["geometry"]["coordinates"]
            assert len(ring) == 5
            assert ring[0] == ring[-1]
            assert ring[0] == [row["box_x"], row["box_y"]]
            assert ring[2] == [row["box_x"] + row["box_width"], row["box_y"] + row["box_height"]]
            properties = feature["properties"]
            assert properties["objectType"] == "detection"
            assert properties["classification"]["name"]
            assert all(0 <= part <= 255 for part in properties["classification"]["color"])
            assert len(properties["classification"]["color"]) == 3
            assert all(isinstance(value, float) for value in properties["measurements"].values())
    assert len(ids) == len(located.objects)


def _boxes(*fields):
    box = {"kind": "platelet", "box_x": 10, "box_y": 20, "box_width": 30, "box_height": 40, "detection_score": 0.5}
    rows = [{**box, "field": field, "counted": counted} for field, counted in fields]
    return table(rows, OBJECT_SCHEMA)


def test_regions_of_a_slide_share_a_file_in_its_own_pixels(tmp_path):
    region = {"path": "/scans/a b.svs", "width": 500, "height": 250, "slide_width": 1000, "slide_height": 500}
    fields = table(
        [{**region, "field": f"a b.svs#x={x}", "slide_x": x, "slide_y": 700} for x in (0, 900)], FIELD_SCHEMA
    )
    write_geojson(tmp_path, fields, _boxes(("a b.svs#x=900", True), ("a b.svs#x=0", False)))
    (path,) = tmp_path.iterdir()
    assert path.name == "a b.svs.geojson"
    (feature,) = json.loads(path.read_text())["features"]  # the box that does not count is of another region
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == [920, 740]
    assert ring[2] == [980, 820]


def test_names_are_safe_and_of_one_picture_each(tmp_path):
    names = ["../x/a.png", "..\\x/a.png", "A?.png", "a*.png"]
    fields = table(
        [{"field": name, "path": f"/{n}", "width": 99, "height": 99} for n, name in enumerate(names)], FIELD_SCHEMA
    )
    write_geojson(tmp_path / "qupath", fields, _boxes(*((name, True) for name in names)))
    assert sorted(path.name for path in (tmp_path / "qupath").iterdir()) == [
        "A_.png.geojson", "_x_a.png (2).geojson", "_x_a.png.geojson", "a_.png (2).geojson",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["qupath"]


def test_boxes_end_at_the_border(tmp_path):
    fields = table([{"field": "a", "path": "/a", "width": 30, "height": 35}], FIELD_SCHEMA)
    write_coco(tmp_path / "c.json", fields, _boxes(("a", True)))
    (one,) = json.loads((tmp_path / "c.json").read_text())["annotations"]
    assert one["bbox"] == [10, 20, 20, 15]


def test_nothing_found_makes_valid_files(tmp_path):
    rows = [{"field": "a", "path": "/a", "width": 30, "height": 35}, {"field": "unread", "left_out": "not an image"}]
    fields = table(rows, FIELD_SCHEMA)
    empty = table([], OBJECT_SCHEMA)
    write_field_results(tmp_path, fields, empty, None, count_objects(fields, empty))
    content = json.loads((tmp_path / "boxes.coco.json").read_text())
    assert content["annotations"] == []
    assert len(content["images"]) == 1


def test_tables_read_in_slices_make_the_same_files_and_counts(folder, located, tmp_path, monkeypatch):
    """A slice that ends inside a field changes nothing, down to the last byte."""
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 7)
    held = []
    parts = tables.slices

    def spy(rows):
        for part in parts(rows):
            held.append(len(part))
            yield part

    monkeypatch.setattr(field_files, "slices", spy)
    monkeypatch.setattr(counts, "slices", spy)
    located.objects.write_parquet(tmp_path / "objects.parquet")
    objects, cells = pl.scan_parquet(tmp_path / "objects.parquet"), located.cells.lazy()
    found = counts.count_objects(located.fields.lazy(), objects, cells)
    write_field_results(tmp_path / "out", located.fields, objects, cells, found)
    assert max(held) == 7
    for path in folder.rglob("*.*"):
        if path.is_file():
            assert (tmp_path / "out" / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name
