"""TIFF of several planes: the channels of one picture, pages, thumbnails and pyramids."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import check_image, pages, read_image
from support.tiffs import GREY, assert_same, cell, deep, refusal_of, tiff


@pytest.mark.parametrize("options", [{}, {"compression": "deflate"}, {"byteorder": ">"}])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_three_channels_of_ome_are_one_rgb_picture(options: dict[str, object], bits: int) -> None:
    values = cell() if bits == 8 else deep(cell(), bits)
    planes = np.moveaxis(values, 2, 0)
    separate = tiff(planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    for data in (separate, tiff(values, ome=True, photometric="rgb", metadata={"axes": "YXS"}, **options)):
        assert pages(data) == 1
        assert_same(data, cell())


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_three_channels_of_imagej_are_one_rgb_picture(bits: int) -> None:
    planes = np.moveaxis(cell() if bits == 8 else deep(cell(), bits), 2, 0)
    data = tiff(planes, imagej=True, metadata={"axes": "CYX", "mode": "composite"})
    assert pages(data) == 1
    assert_same(data, cell())
    assert_same(tiff(cell(), imagej=True), cell())


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    planes = np.stack([GREY + number for number in range(channels)])
    for data in (
        tiff(planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
        tiff(planes, imagej=True, metadata={"axes": "CYX"}),
        tiff(np.moveaxis(planes, 0, 2), photometric="minisblack", planarconfig="contig"),
        tiff(planes, photometric="minisblack", planarconfig="separate"),
    ):
        assert f"({channels} channels)" in refusal_of(data)


def test_channels_in_other_files_are_missed() -> None:
    planes = np.moveaxis(cell(), 2, 0)
    with tifffile.TiffFile(io.BytesIO(tiff(planes, ome=True, metadata={"axes": "CYX"}))) as tif:
        first = tiff(planes[0], description=tif.ome_metadata.encode(), metadata=None)
    assert "3 channels, but 1 plane" in refusal_of(first)


@pytest.mark.parametrize("kind", ["plain", "imagej", "truncated", "ome"])
def test_the_pages_of_a_stack(kind: str) -> None:
    stack = np.stack([GREY - number for number in range(30)])
    options: dict[str, object] = {
        "plain": {"photometric": "minisblack"},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "truncated": {"photometric": "minisblack", "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "photometric": "minisblack", "metadata": {"axes": "ZYX"}},
    }[kind]
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=kind == "ome", imagej=kind == "imagej") as writer:
        options.pop("ome", None)
        options.pop("imagej", None)
        writer.write(stack, truncate=kind == "truncated", **options)  # type: ignore[arg-type]
    data = stream.getvalue()
    assert pages(data) == 30
    with pytest.raises(ImageError, match=r"image: holds several pages \(30 pages\)\. Split it into one file per page"):
        read_image(data)
    with pytest.raises(ImageError) as caught:
        check_image(data, "stack.tif")
    assert caught.value.reason == "several_pages"
    for page in (1, 2, 30):
        assert_same(data, stack[page - 1], page=page, tolerance=0)


@pytest.mark.parametrize("order", ["ZCYX", "CZYX", "TCYX", "TZCYX"])
def test_a_stack_of_rgb_pictures_as_channels(order: str) -> None:
    first, second = cell(), np.flipud(cell())
    by_order = {"ZCYX": (0, 1), "TCYX": (0, 1), "CZYX": (1, 0), "TZCYX": (0, 1)}[order]
    values = np.stack([np.moveaxis(first, 2, 0), np.moveaxis(second, 2, 0)])  # page, channel
    values = values if by_order == (0, 1) else values.swapaxes(0, 1)
    values = values[:, None] if order == "TZCYX" else values
    data = tiff(np.ascontiguousarray(values), ome=True, photometric="minisblack", metadata={"axes": order})
    assert pages(data) == 2
    assert_same(data, first, page=1, tolerance=0)
    assert_same(data, second, page=2, tolerance=0)


def test_thumbnails_pyramid_levels_and_masks_are_no_pages() -> None:
    for options in ({"subfiletype": 1}, {"subfiletype": 4}):
        for full_first in (True, False):
            stream = io.BytesIO()
            with tifffile.TiffWriter(stream) as writer:
                if full_first:
                    writer.write(cell())
                small = cell()[::2, ::2] if options["subfiletype"] == 1 else GREY > 128
                writer.write(small, photometric="rgb" if small.ndim == 3 else "minisblack", **options)
                if not full_first:
                    writer.write(cell())
            assert pages(stream.getvalue()) == 1
            assert_same(stream.getvalue(), cell(), tolerance=0)
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        writer.write(cell(), subifds=2)
        writer.write(cell()[::2, ::2], subfiletype=1)
        writer.write(cell()[::4, ::4], subfiletype=1)
    assert pages(stream.getvalue()) == 1
    assert_same(stream.getvalue(), cell(), tolerance=0)
    assert "a thumbnail alone" in refusal_of(tiff(cell(), subfiletype=1))


def test_an_ome_file_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = "urn:uuid:b7e2b5a0-0000-4000-8000-000000000000"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="52" SizeY="40" SizeZ="2" SizeC="1" SizeT="1">'
        f'<TiffData IFD="0" FirstZ="0"/><TiffData IFD="0" FirstZ="1"><UUID FileName="other.tif">{other}</UUID>'
        "</TiffData></Pixels></Image></OME>"
    )
    (tmp_path / "other.tif").write_bytes(tiff(255 - GREY))
    data = tiff(GREY, description=xml.encode(), metadata=None)
    assert pages(data) == 1
    assert_same(data, GREY, tolerance=0)
