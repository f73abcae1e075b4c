"""TIFF that is cut off, damaged or hostile: an ImageError with its reason, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import REASONS, pages, read_image
from support.tiffs import GREY, cell, deep, lzw, pillow, tiff


def test_sizes_are_refused_before_pixels_are_decoded() -> None:
    for pixels, reason in ((np.zeros((15, 40), np.uint8), "too_small"), (cell(), "too_large")):
        data = bytearray(tiff(pixels, compression="deflate"))
        if reason == "too_large":
            with tifffile.TiffFile(io.BytesIO(data)) as tif:
                tags = tif.pages.first.tags
                for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                    place = tags[name].valueoffset
                    data[place : place + 2] = (60_000).to_bytes(2, "little")
        with pytest.raises(ImageError) as caught:
            read_image(bytes(data))
        assert caught.value.reason == reason


def test_a_bomb_of_tiles_is_refused() -> None:
    data = bytearray(tiff(np.zeros((16, 16 * 64), np.uint8), tile=(16, 16), compression="deflate"))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tags = tif.pages.first.tags
        for name, size in (("TileLength", 65_520), ("ImageWidth", 65_000), ("ImageLength", 900)):
            place = tags[name].valueoffset
            data[place : place + 2] = size.to_bytes(2, "little")
    with pytest.raises(ImageError) as caught:
        read_image(bytes(data))
    assert caught.value.reason in ("too_large", "truncated")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_never_half_a_picture(share: float) -> None:
    for data in (
        tiff(cell()), tiff(deep(cell(), 12), tile=(16, 16)), tiff(cell(), compression="deflate", rowsperstrip=5),
        lzw(cell(), photometric="rgb", rowsperstrip=5), pillow(cell(), compression="jpeg"),
        tiff(np.moveaxis(cell(), 2, 0), imagej=True, metadata={"axes": "CYX"}),
        tiff(np.moveaxis(cell(), 2, 0), ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
    ):  # fmt: skip
        with pytest.raises(ImageError) as caught:
            read_image(data[: int(len(data) * share)])
        assert caught.value.reason in ("truncated", "damaged")


HEALTHY = [
    tiff(cell()),
    tiff(deep(cell(), 12), byteorder=">", bigtiff=True),
    tiff(np.moveaxis(cell(), 2, 0), photometric="rgb", planarconfig="separate", compression="deflate"),
    tiff(np.moveaxis(cell(), 2, 0), imagej=True, metadata={"axes": "CYX"}),
    tiff(np.moveaxis(cell(), 2, 0), ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
    tiff((cell() / 255).astype(np.float32), tile=(16, 16)),
    tiff(GREY > 128),
    lzw(cell(), photometric="rgb", rowsperstrip=9),
    pillow(cell(), compression="jpeg"),
    pillow(deep(GREY, 12), compression="tiff_lzw", tiffinfo={317: 2}),
]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.sampled_from(HEALTHY),
    # The directory stands at the beginning of what tifffile writes.
    st.lists(st.tuples(st.one_of(st.integers(0, 400), st.integers(0, 20_000)), st.integers(0, 255)), max_size=8),
    st.one_of(st.none(), st.integers(0, 20_000)),
)
def test_mutated_files_raise_nothing_but_image_error(
    data: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    mutated = bytearray(data)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    for read in (read_image, pages):
        reason = None
        try:
            read(bytes(mutated[:cut]))
        except ImageError as error:
            reason = error.reason
        assert reason is None or reason in REASONS


def tampered(data: bytes, tag: str, entry: bytes) -> bytes:
    """With the kind, count and value (10 bytes) of a tag written anew."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        place = tif.pages.first.tags[tag].offset
    return data[: place + 2] + entry + data[place + 12 :]


def test_directories_in_a_circle_are_damaged() -> None:
    data = bytearray(tiff(cell(), metadata=None))
    count = int.from_bytes(data[8:10], "little")
    data[10 + 12 * count : 14 + 12 * count] = (8).to_bytes(4, "little")
    for read in (read_image, pages):
        with pytest.raises(ImageError, match="form a circle"):
            read(bytes(data))


def test_a_list_where_a_number_belongs_is_damaged() -> None:
    width = b"\3\0" + (4).to_bytes(4, "little") + (8).to_bytes(4, "little")
    with pytest.raises(ImageError) as caught:
        read_image(tampered(tiff(cell()), "ImageWidth", width))
    assert caught.value.reason == "damaged"


def test_a_tag_that_lies_beyond_the_end_is_truncated() -> None:
    data = tiff(cell(), metadata=None)
    for tag in ("BitsPerSample", "StripOffsets", "Software"):
        entry = b"\4\0" + (9).to_bytes(4, "little") + (len(data) - 8).to_bytes(4, "little")
        with pytest.raises(ImageError) as caught:
            read_image(tampered(data, tag, entry))
        assert caught.value.reason == "truncated"


def test_tags_that_fill_the_memory_are_refused() -> None:
    data = tiff(np.zeros((3_000, 3_000, 3), np.uint8), metadata=None) + bytes(10_000_000)
    entry = b"\4\0" + (8_500_000).to_bytes(4, "little") + (8).to_bytes(4, "little")
    with pytest.raises(ImageError, match="MB of tags") as caught:
        read_image(tampered(data, "Software", entry))
    assert caught.value.reason == "too_large"
