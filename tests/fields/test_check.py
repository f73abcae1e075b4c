"""Check of whole slides: each missing or broken part has its remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import leukopy.fields.check
from leukopy.fields.check import check_slide
from support.slides import levels_of, smear, write_slide, write_svs

LEVELS = levels_of(smear(2100, 2100))
UM_PER_PX = 7.5 / 30
"""Of the discs of `smear`."""


def problem(path: Path) -> str:
    found = check_slide(path)
    assert not found.usable
    assert found.format is None
    assert all(str(path) in each for each in found.problems)
    return " ".join(found.problems)


def mrxs(folder: Path, *, files: tuple[str, ...] = ("Data0000.dat", "Index.dat")) -> Path:
    """The layout of a slide of 3DHISTECH, without pixels."""
    path = folder / "smear.mrxs"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "smear").mkdir()
    index = "\ufeff[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = Data0000.dat\n"
    (folder / "smear" / "Slidedat.ini").write_text(index, "utf-8")
    for name in files:
        (folder / "smear" / name).write_bytes(b"x")
    return path


def test_a_whole_slide_has_no_problem(tmp_path):
    found = check_slide(write_slide(tmp_path / "slide.tif", LEVELS, UM_PER_PX))
    assert found.usable
    assert (found.format, found.levels) == ("TIFF", ((2100, 2100), (525, 525)))
    assert (found.um_per_px, found.scale_source, found.objective) == (pytest.approx(0.25), "file", None)
    assert found.size == (tmp_path / "slide.tif").stat().st_size


def test_a_scanners_slide_states_its_objective(tmp_path):
    pytest.importorskip("openslide")
    found = check_slide(write_svs(tmp_path / "slide.svs", LEVELS, UM_PER_PX))
    assert (found.format, found.objective, found.um_per_px, found.usable) == ("aperio", 40, 0.25, True)


def test_without_a_scale_it_is_measured_on_red_cells_and_said(tmp_path):
    found = check_slide(write_slide(tmp_path / "slide.tif", LEVELS, None))
    assert found.usable
    assert (found.um_per_px, found.scale_source) == (pytest.approx(UM_PER_PX, rel=0.08), "red cells")
    assert any("the file states no scale" in note and "--um-per-px" in note for note in found.notes)


def test_an_absurd_scale_is_not_used(tmp_path):
    found = check_slide(write_slide(tmp_path / "slide.tif", LEVELS, 9.0))
    assert found.scale_source == "red cells"
    assert any("9 µm per pixel" in note for note in found.notes)


def test_a_scale_that_contradicts_the_red_cells_is_said(tmp_path):
    found = check_slide(write_slide(tmp_path / "slide.tif", LEVELS, 1.0))
    assert found.um_per_px == pytest.approx(1.0)
    assert any("red cells are 2" in note and "Check the scale" in note for note in found.notes), found.notes
    assert any("coarse" in note for note in found.notes)


def test_no_scale_and_no_cells_is_a_problem(tmp_path):
    glass = np.full((600, 600, 3), 240, np.uint8)
    found = check_slide(write_slide(tmp_path / "glass.tif", [glass], None))
    assert "only 0 single red cells" in found.problems[0]
    assert any("no cells were seen" in note for note in found.notes)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("name", ["slide.tif", "slide.svs"])
def test_a_file_cut_in_the_middle(tmp_path, share, name):
    path = (write_svs if name.endswith("svs") else write_slide)(tmp_path / name, LEVELS, UM_PER_PX)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "Copy it again" in problem(path)


def test_a_damaged_part_is_found_by_reading_squares(tmp_path):
    path = write_slide(tmp_path / "slide.tif", LEVELS, UM_PER_PX)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    found = check_slide(path)
    assert found.format == "TIFF"
    assert "1 of 4 squares cannot be read, the first at x 0, y 0" in found.problems[0]


def test_mrxs_without_its_folder_or_files(tmp_path):
    for number, (change, text) in enumerate((
        (lambda folder: [each.unlink() for each in folder.iterdir()] and folder.rmdir(), "its folder smear is missing"),
        (lambda folder: (folder / "Slidedat.ini").unlink(), "smear/Slidedat.ini is missing"),
        (lambda folder: (folder / "Slidedat.ini").write_text("[x"), "Slidedat.ini is damaged"),
        (lambda folder: (folder / "Data0000.dat").unlink(), "1 of 2 files of its folder are missing or empty"),
        (lambda folder: (folder / "Index.dat").write_bytes(b""), "Index.dat"),
    )):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        path = mrxs(tmp_path / str(number))
        change(path.with_suffix(""))
        assert text in problem(path)


def test_an_ndpi_cut_at_the_limit_of_fat32(tmp_path, monkeypatch):
    pytest.importorskip("openslide")
    path = tmp_path / "slide.ndpi"
    path.write_bytes(b"II*\0" + bytes(1000))
    assert "cut off before its end" in problem(path)
    monkeypatch.setattr(leukopy.fields.check, "_FAT32", 1004)
    assert "FAT32" in problem(path)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("absent.svs", None, "no such file"),
        ("empty.svs", b"", "empty (0 bytes)"),
        ("photo.jpg", b"\xff\xd8\xff", "a photograph, not a whole slide"),
        ("slide.vsi", b"x", "Export it as SVS"),
        ("notes.txt", b"x", "not a whole slide by its name"),
        ("text.tif", b"not a TIFF at all", "not an image"),
        ("photo.tif", b"\xff\xd8\xff", "no TIFF by its content"),
    ],
)
def test_what_is_no_slide(tmp_path, name, content, text):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert text in problem(tmp_path / name)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    assert "leukopy[slides]" in problem(write_svs(tmp_path / "slide.svs", LEVELS))


def test_a_large_slide_of_one_level_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(leukopy.fields.check, "_MEGAPIXELS", 1)
    found = check_slide(write_slide(tmp_path / "slide.tif", LEVELS[:1], UM_PER_PX))
    assert any("one level alone" in note for note in found.notes)
    assert any("as small as a photograph" in note for note in found.notes)
