"""The reader of RBC-12's points, and its split."""

from pathlib import Path

import pytest

from leukopy.core.errors import InputError
from leukopy.datasets.field_split import field_split
from leukopy.datasets.red_cell_points import pointed_fields, repeats


def _table(data: Path, *rows: str) -> Path:
    path = data / "fields/chula_rbc12/points.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(("file,x,y,rbc_type", *rows)) + "\n")
    return data


def test_points_are_read_by_field_and_split(tmp_path: Path) -> None:
    split = {name.removeprefix("fields/chula_rbc12/"): part for name, part in field_split().items() if "rbc12" in name}
    kept = [name for name in split if f"fields/chula_rbc12/{name}" not in repeats()]
    train = next(name for name in kept if split[name] == "train")
    test = next(name for name in kept if split[name] == "test")
    _table(tmp_path, f"{train},10,20,0", f"{test},5,5,9", f"{train},30,40,12")
    first, second = pointed_fields(tmp_path)
    assert first.centres.tolist() == [[10, 20], [30, 40]]
    assert first.shapes.tolist() == [0, 12]
    assert [field.file for field in pointed_fields(tmp_path, "test")] == [second.file]


def test_a_field_that_shows_an_area_again_is_left_out(tmp_path: Path) -> None:
    again, first = next(iter(repeats().items()))
    _table(tmp_path, *(f"{name.removeprefix('fields/chula_rbc12/')},1,2,3" for name in (first, again)))
    assert [field.file for field in pointed_fields(tmp_path)] == [first]
    assert len(pointed_fields(tmp_path, repeated=True)) == 2


def test_every_repeat_and_its_first_field_are_in_the_split() -> None:
    assert {*repeats(), *repeats().values()} <= set(field_split())
    assert not set(repeats()) & set(repeats().values())


def test_an_unknown_shape_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    _table(tmp_path, "Dataset/1.webp,1,2,3", "Dataset/1.webp,1,2,77")
    with pytest.raises(InputError, match="line 3"):
        pointed_fields(tmp_path)
