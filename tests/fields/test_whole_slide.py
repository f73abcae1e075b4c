"""Reading of whole slides: regions, levels, scale, and what a broken file says."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from leukopy.core.errors import ImageError, InputError, MissingExtraError
from leukopy.fields.field import FieldInput, Region
from leukopy.fields.read import read_field
from leukopy.fields.whole_slide import WholeSlide, is_slide_file, opened
from support.slides import levels_of, smear, write_ome, write_slide, write_svs

PIXELS = smear()
LEVELS = levels_of(PIXELS)


@pytest.mark.parametrize("compression", ["zlib", None, "jpeg"])
@pytest.mark.parametrize("tile", [256, 272])
def test_regions_are_the_pixels_of_the_slide(tmp_path, compression, tile):
    path = write_slide(tmp_path / "slide.tif", LEVELS, compression=compression, tile=tile)
    tolerance = 3 if compression == "jpeg" else 0
    with WholeSlide.open(path) as slide:
        assert slide.sizes == ((1300, 900), (325, 225))
        assert slide.um_per_px == pytest.approx(0.25)
        for region in (Region(0, 0, 1300, 900), Region(200, 300, 333, 111), Region(1299, 899, 1, 1)):
            left, top, width, height = region
            expected = PIXELS[top : top + height, left : left + width].astype(int)
            assert np.abs(slide.read(region) - expected).mean() <= tolerance
        small = slide.read(Region(400, 200, 400, 300), level=1)
        assert np.abs(small - LEVELS[1][50:125, 100:200].astype(int)).mean() <= tolerance


def test_beyond_the_border_is_white(tmp_path):
    slide = WholeSlide.open(write_slide(tmp_path / "slide.tif", LEVELS))
    pixels = slide.read(Region(-10, -20, 50, 60))
    assert (pixels[:20] == 255).all()
    assert (pixels[:, :10] == 255).all()
    assert np.array_equal(pixels[20:, 10:], PIXELS[:40, :40])
    assert (slide.read(Region(5000, 5000, 10, 10)) == 255).all()
    slide.close()


@pytest.mark.parametrize("options", [{"rowsperstrip": 7}, {"rowsperstrip": 100, "compression": "zlib"}])
def test_strips_are_read_by_rows(tmp_path, options):
    import tifffile

    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", **options)
    with WholeSlide.open(path) as slide:
        assert np.array_equal(slide.read(Region(313, 205, 400, 333)), PIXELS[205:538, 313:713])


def test_sixteen_bits_have_one_white_everywhere(tmp_path):
    deep = [np.rint(each * (4095 / 255)).astype(np.uint16) for each in LEVELS]
    with WholeSlide.open(write_slide(tmp_path / "deep.tif", deep)) as slide:
        dark = Region(*(int(value) for value in np.argwhere(PIXELS[:600, :900, 1] < 150)[0][::-1]), 5, 5)
        expected = PIXELS[dark.top : dark.top + 5, dark.left : dark.left + 5].astype(int)
        assert np.abs(slide.read(dark) - expected).max() <= 1


def test_ome_levels_are_sub_directories(tmp_path):
    with WholeSlide.open(write_ome(tmp_path / "slide.ome.tif", LEVELS, 0.3)) as slide:
        assert slide.sizes == ((1300, 900), (325, 225))
        assert slide.um_per_px == pytest.approx(0.3)
        assert np.array_equal(slide.read(Region(0, 0, 1300, 900), level=1), LEVELS[1])


def test_a_scanners_slide_is_read_through_openslide(tmp_path):
    pytest.importorskip("openslide")
    path = write_svs(tmp_path / "slide.svs", LEVELS)
    with WholeSlide.open(path) as slide:
        assert (slide.vendor, slide.objective, slide.um_per_px) == ("aperio", 40, 0.25)
        region = Region(300, 200, 500, 400)
        assert np.abs(slide.read(region) - PIXELS[200:600, 300:800].astype(int)).mean() < 3
    field = read_field(FieldInput("slide.svs#x=300,y=200", str(path), region=region))
    assert field.pixels.shape == (400, 500, 3)
    assert (field.um_per_px, field.scale_source) == (0.25, "file")


def test_after_a_damaged_tile_the_others_are_still_read(tmp_path):
    pytest.importorskip("openslide")
    path = write_svs(tmp_path / "slide.svs", LEVELS)
    import tifffile

    with tifffile.TiffFile(path) as tif:
        start, length = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    with WholeSlide.open(path) as slide:
        with pytest.raises(ImageError, match="damaged") as caught:
            slide.read(Region(0, 0, 100, 100))
        assert caught.value.reason == "damaged"
        assert slide.read(Region(600, 300, 100, 100)).std() > 1


def test_thumbnail_shows_the_slide_and_marks_what_is_damaged(tmp_path):
    path = write_slide(tmp_path / "slide.tif", levels_of(smear(2500, 2500), (1,)))
    with WholeSlide.open(path) as slide:
        small = slide.thumbnail(500)
        assert small.pixels.shape == (500, 500, 3)
        assert not small.damaged.any()
        assert np.abs(small.pixels - levels_of(smear(2500, 2500), (5,))[0].astype(int)).max() <= 1
    import tifffile

    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    with WholeSlide.open(path) as slide:
        small = slide.thumbnail(500)
        assert small.damaged[-1, -1]
        assert not small.damaged[0, 0]
        assert (small.pixels[small.damaged] == 255).all()


def test_a_region_is_a_field_with_a_digest_of_its_own(tmp_path):
    path = write_slide(tmp_path / "slide.tif", LEVELS, None)
    one, two = (
        read_field(FieldInput(f"slide.tif#x={left},y=0", str(path), region=Region(left, 0, 300, 200), um_per_px=0.2))
        for left in (0, 300)
    )
    assert np.array_equal(two.pixels, PIXELS[:200, 300:600])
    assert one.digest != two.digest
    assert (one.um_per_px, one.scale_source) == (0.2, "table")


def test_the_scale_of_the_file_is_preferred_and_an_absurd_one_is_said(tmp_path):
    source = FieldInput("a", str(write_slide(tmp_path / "a.tif", LEVELS, 0.25)), region=Region(0, 0, 64, 64))
    table = FieldInput("a", source.path, region=source.region, um_per_px=0.5)
    assert (read_field(table).um_per_px, read_field(table).scale_source) == (0.25, "file")
    absurd = FieldInput("b", str(write_slide(tmp_path / "b.tif", LEVELS, 7.0)), region=Region(0, 0, 64, 64))
    field = read_field(absurd)
    assert field.um_per_px is None
    assert "7 µm per pixel" in field.scale_note


@pytest.mark.parametrize("share", [0.999, 0.7, 0.3, 0.001])
def test_a_file_cut_in_the_middle_is_refused(tmp_path, share):
    path = write_slide(tmp_path / "slide.tif", LEVELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ImageError) as caught:
        WholeSlide.open(path)
    assert caught.value.reason in ("truncated", "damaged")
    assert "Copy it again" in str(caught.value)


def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"leukopy\[slides\]"):
        WholeSlide.open(write_svs(tmp_path / "slide.svs", LEVELS))
    with WholeSlide.open(write_slide(tmp_path / "slide.tif", LEVELS)) as slide:
        assert np.array_equal(slide.read(Region(0, 0, 1300, 900)), PIXELS), "TIFF needs no extra"


def test_what_is_no_slide_is_refused_with_its_name(tmp_path):
    for name, content, text in (
        ("absent.svs", None, "no such file"), ("a.jpg", b"x", "not a whole slide by its name"),
        ("a.ndpi", b"not a slide", "a kind of slide that is not read"), ("a.tif", b"II*\0", "damaged|cut off"),
        ("a.mrxs", b"\xff\xd8\xff\xe0", "files beside it are missing"),
    ):  # fmt: skip
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=text) as caught:
            WholeSlide.open(tmp_path / name)
        assert name in str(caught.value)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="without a DICOM file"):
        WholeSlide.open(tmp_path / "folder")


def test_photographs_are_told_from_slides(tmp_path):
    assert not is_slide_file(write_slide(tmp_path / "small.tif", LEVELS))
    large = np.zeros((3600, 3600, 3), np.uint8)
    assert is_slide_file(write_slide(tmp_path / "large.tif", [large]))
    assert is_slide_file(Path("any.svs"))
    assert not is_slide_file(Path("any.png"))
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    assert not is_slide_file(tmp_path / "broken.tif")


def test_memory_does_not_grow_with_the_slide(tmp_path):
    import tifffile

    path = tmp_path / "large.tif"
    blank = np.full((256, 256, 3), 240, np.uint8).tobytes()
    import zlib

    with tifffile.TiffWriter(path) as writer:
        writer.write(
            (zlib.compress(blank) for _ in range(40 * 40)),
            shape=(10240, 10240, 3), dtype="uint8", tile=(256, 256), photometric="rgb", compression="zlib",
        )  # fmt: skip
    tracemalloc.start()
    with WholeSlide.open(path) as slide:
        for left in range(0, 10240, 2048):
            slide.read(Region(left, left, 1000, 1000))
        assert slide.thumbnail().pixels.shape == (1024, 1024, 3)
    assert tracemalloc.get_traced_memory()[1] < 120e6, "the decoded slide holds 315 MB"
    tracemalloc.stop()


def test_a_slide_that_changed_is_opened_anew(tmp_path):
    path = write_slide(tmp_path / "slide.tif", LEVELS)
    first = opened(path)
    assert opened(path) is first
    write_slide(path, levels_of(smear(600, 600)))
    assert opened(path).width == 600
