"""Readers of boxes, on small folders of each layout; and the one split."""

import csv
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from PIL import Image

from leukopy.datasets.boxes import bccd, chula
from leukopy.datasets.field_split import SPLIT_FILE, field_split


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 50)).save(path)


def test_chula_boxes_are_shares_of_the_picture(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        _picture(tmp_path / f"fields/chula/{part}/images/slide_{part}_7.jpg")
        label = tmp_path / f"fields/chula/{part}/labels/slide_{part}_7.txt"
        label.parent.mkdir()
        label.write_text("0 0.5 0.5 0.2 0.4\n")
    first, _ = chula(tmp_path)
    (box,) = first.boxes
    assert (box.left, box.top, box.width, box.height) == (40, 15, 20, 20)
    assert first.group == "chula slide_train"


def test_bccd_gives_white_cells_and_fixes_its_test_folder(tmp_path: Path) -> None:
    ends = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11</xmax><ymax>22</ymax></bndbox>"
    for part in ("testing", "training"):
        path = tmp_path / f"fields/bccd/{part}/annotations/a.xml"
        path.parent.mkdir(parents=True)
        path.write_text("<a>" + "".join(f"<object><name>{k}</name>{ends}</object>" for k in ("WBC", "RBC")) + "</a>")
    test, train = bccd(tmp_path)
    assert (test.split, train.split) == ("test", "")
    assert [(box.kind, box.width, box.height) for box in test.boxes] == [("leukocyte", 10, 20)]


def test_no_slide_or_near_double_lies_in_two_splits() -> None:
    rows = list(csv.DictReader((files("leukopy.datasets") / SPLIT_FILE).read_text(encoding="utf-8").splitlines()))
    splits = defaultdict(set)
    for row in rows:
        splits[row["group"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert len(field_split()) == len(rows)


def test_bccd_testing_is_test() -> None:
    assert {split for file, split in field_split().items() if file.startswith("fields/bccd/testing/")} == {"test"}
