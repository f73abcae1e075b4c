"""TIFF: the pixels of the PNG of the same cell within one grey level, or one clear refusal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import REASONS, check_image, pages, read_image

Pixels = NDArray[np.uint8]
Array = NDArray[np.generic]


def cell(height: int = 40, width: int = 52) -> Pixels:
    """A purple disc before a bright background, with a gradient in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    background, nucleus = (235 - x / 4, 228 - y / 4, 250 - (x + y) / 8), (90 + x / 2, 40 + y, 130 + (x + y) / 4)
    return np.stack([np.where(disc, n, b) for n, b in zip(nucleus, background, strict=True)], axis=-1).astype(np.uint8)


def tiff(values: Array, **options: object) -> bytes:
    stream = io.BytesIO()
    colours = "rgb" if values.ndim == 3 and values.shape[2] in (3, 4) else "minisblack"
    tifffile.imwrite(stream, values, **{"photometric": colours, **options})  # type: ignore[arg-type]
    return stream.getvalue()


def pillow(values: Array, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", **options)
    return stream.getvalue()


def assert_same(data: bytes, pixels: Pixels, tolerance: int = 1, page: int | None = None) -> None:
    read = read_image(data, page=page)
    expected = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= tolerance


def refusal_of(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(data)
    assert caught.value.reason == "unsupported_format"
    return str(caught.value)


def deep(pixels: Pixels, bits: int) -> NDArray[np.uint16]:
    """As a camera of so many bits delivers it, in 16 bits."""
    return np.rint(pixels * ((2**bits - 1) / 255)).astype(np.uint16)


GREY = cell()[..., 1]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_depth_in_use_of_16_bit_rgb(bits: int, byteorder: str, compression: str | None) -> None:
    for pixels in (cell(), GREY):
        assert_same(tiff(deep(pixels, bits), byteorder=byteorder, compression=compression), pixels)
        assert_same(tiff(deep(pixels, bits), byteorder=byteorder, compression=compression, bigtiff=True), pixels)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_shifted_values_use_fewer_bits_too(bits: int) -> None:
    assert_same(tiff(cell().astype(np.uint16) << (bits - 8)), cell())


@pytest.mark.parametrize("bits", [9, 11, 12, 13])
def test_a_dark_picture_goes_by_the_depth_that_its_file_states(bits: int) -> None:
    dark = cell() // 8
    ome = {"SignificantBits": bits, "axes": "YX"}
    assert_same(tiff(deep(dark[..., 0], bits), ome=True, metadata=ome), dark[..., 0])
    assert_same(tiff(deep(dark, bits), extratags=[(281, "H", 3, (2**bits - 1,) * 3, True)]), dark)
    assert_same(tiff(deep(dark[..., 0], bits), imagej=True, metadata={"max": 2.0**bits - 1}), dark[..., 0])


def test_a_stated_depth_that_the_values_exceed_is_not_believed() -> None:
    assert_same(tiff(deep(cell(), 12), extratags=[(281, "H", 3, (255,) * 3, True)]), cell())
    assert_same(tiff(deep(GREY, 14), imagej=True, metadata={"max": 4095.0}), GREY)
    assert_same(tiff(deep(GREY, 10), ome=True, metadata={"SignificantBits": 16, "axes": "YX"}), GREY)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_compressed_strips(compression: str, predictor: int) -> None:
    if compression == "packbits" and predictor == 2:
        pytest.skip("PackBits has no predictor")
    for values, pixels in ((cell(), cell()), (GREY, GREY), (deep(GREY, 12), GREY)):
        assert_same(pillow(values, compression=compression, tiffinfo={317: predictor, 278: 7}), pixels)


def lzw(values: Array, **options: object) -> bytes:
    """What `tiff` writes, as LZW: each byte a code of 9 bits, and the code for an empty table before every 200."""
    data = bytearray(tiff(values, **options))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        page, order = tif.pages.first, tif.byteorder
        kind = "Tile" if page.is_tiled else "Strip"
        tags = [page.tags[name] for name in ("Compression", f"{kind}Offsets", f"{kind}ByteCounts")]
        segments = [data[at : at + count] for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    offsets, counts = [], []
    for segment in segments:
        codes = [code for at in range(0, len(segment), 200) for code in (256, *segment[at : at + 200])] + [257]
        bits = "".join(f"{code:09b}" for code in codes) + "0000000"
        packed = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8)
        offsets.append(len(data))
        counts.append(len(packed))
        data += packed
    for tag, numbers in zip(tags, ([5], offsets, counts), strict=True):
        stored = np.array(numbers, f"{order}u{2 if tag.dtype == 3 else 4}")
        data[tag.valueoffset : tag.valueoffset + stored.nbytes] = stored.tobytes()
    return bytes(data)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_lzw_of_12_bit_rgb(byteorder: str, planar: str, tile: tuple[int, int] | None) -> None:
    values = deep(cell(), 12)
    if planar == "separate":
        values = np.moveaxis(values, 2, 0)
    options = {"tile": tile} if tile else {"rowsperstrip": 7}
    data = lzw(values, photometric="rgb", planarconfig=planar, byteorder=byteorder, **options)
    assert_same(data, cell())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 3, "compression": "deflate"}])
def test_separate_planes(dtype: str, options: dict[str, object]) -> None:
    scale = {"uint8": 1, "uint16": 257, "float32": np.float32(1 / 255)}[dtype]
    planes = np.moveaxis((cell().astype(dtype) * scale).astype(dtype), 2, 0)
    assert_same(tiff(planes, photometric="rgb", planarconfig="separate", **options), cell())


def test_bilevel() -> None:
    mask = GREY > 128
    for data in (
        tiff(mask), tiff(mask, photometric="miniswhite"), tiff(mask, compression="deflate"), pillow(mask),
        pillow(mask, compression="group4"), pillow(mask, compression="tiff_lzw"), pillow(mask, compression="packbits"),
    ):  # fmt: skip
        inverted = tifffile.TiffFile(io.BytesIO(data)).pages.first.photometric == 0 and b"tifffile" in data
        assert_same(data, (mask ^ inverted).astype(np.uint8) * 255, tolerance=0)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_palette(compression: str | None) -> None:
    picture = Image.fromarray(cell()).quantize(64)
    stream = io.BytesIO()
    picture.save(stream, "TIFF", compression=compression)
    assert_same(stream.getvalue(), np.asarray(picture.convert("RGB")), tolerance=0)


def test_palette_of_8_bit_entries() -> None:
    indices = GREY // 8
    palette = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16)
    for entries in (palette * 256, palette * 257, palette):
        read = read_image(tiff(indices, photometric="palette", colormap=entries))
        assert np.array_equal(read, palette.T[indices])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_white_is_zero(dtype: str, compression: str | None) -> None:
    stored = (255 - GREY).astype(dtype) * (257 if dtype == "uint16" else 1)
    assert_same(tiff(stored, photometric="miniswhite", compression=compression), GREY)


def test_white_is_zero_in_lzw() -> None:
    assert_same(lzw((255 - GREY).astype(np.uint16) * 257, photometric="miniswhite"), GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha(dtype: str) -> None:
    top = np.iinfo(dtype).max
    colours = cell().astype(dtype) * (top // 255)
    half = np.full(GREY.shape, top // 2, dtype)
    half[:, :20] = top
    over_white = cell().copy()
    over_white[:, 20:] = np.rint(cell()[:, 20:] * 0.5 + 127.5)
    assert_same(tiff(np.dstack([colours, half]), extrasamples=["unassalpha"]), over_white)
    multiplied = (colours * (half[..., None] / top)).astype(dtype)
    assert_same(tiff(np.dstack([multiplied, half]), extrasamples=["assocalpha"]), over_white)
    for kind in ("unassalpha", "assocalpha", "unspecified"):
        for alpha in (0, top):
            filled = np.dstack([colours, np.full(GREY.shape, alpha, dtype)])
            assert_same(tiff(filled, photometric="rgb", extrasamples=[kind]), cell())
            assert_same(lzw(filled, photometric="rgb", extrasamples=[kind]), cell())
    assert_same(tiff(np.dstack([colours, half]), photometric="rgb", extrasamples=["unspecified"]), cell())


def test_alpha_of_12_bits() -> None:
    for alpha in (4095, 65535):
        values = np.dstack([deep(cell(), 12), np.full(GREY.shape, alpha, np.uint16)])
        assert_same(tiff(values, extrasamples=["unassalpha"]), cell())


def test_grey_with_an_extra_channel() -> None:
    def with_extra(extra: Array, kind: str) -> bytes:
        return tiff(np.dstack([GREY, extra]), photometric="minisblack", planarconfig="contig", extrasamples=[kind])

    for extra in (np.zeros_like(GREY), np.full_like(GREY, 255)):
        for kind in ("unspecified", "unassalpha"):
            assert_same(with_extra(extra, kind), GREY)
    assert "2 channels" in refusal_of(with_extra(GREY.T.reshape(GREY.shape), "unspecified"))


@pytest.mark.parametrize("top", [1, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_by_their_range(top: int, dtype: str) -> None:
    if dtype == "float16" and top > 2000:
        pytest.skip("float16 ends at 65504, and counts by 2 from 2048")
    for pixels in (cell(), GREY):
        assert_same(tiff((pixels * (top / 255)).astype(dtype)), pixels)
        overshot = (pixels * (top / 255)).astype(dtype)
        overshot[0, 0] = -0.004 * top
        overshot[0, 1] = 1.005 * top
        assert np.abs(read_image(tiff(overshot))[1:].astype(int) - read_image(tiff(pixels))[1:]).max() <= 1


def test_floats_in_lzw_with_their_predictor() -> None:
    assert_same(pillow((GREY / 255).astype(np.float32), compression="tiff_lzw", tiffinfo={317: 3}), GREY)
    assert_same(lzw((cell() / 255).astype(np.float32), photometric="rgb"), cell())


@pytest.mark.parametrize(
    "change",
    [lambda v: v * 3, lambda v: v - 0.5, lambda v: v * 1e6, lambda v: v / 0, lambda v: np.where(v > 0.5, np.nan, v)],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_floats_without_a_known_white_are_refused(change: Callable[[Array], Array]) -> None:
    values = change((cell() / 255).astype(np.float32))
    assert re.search("float32 pixels|no numbers", refusal_of(tiff(values)))


@pytest.mark.parametrize(("dtype", "bits"), [("int16", 8), ("int16", 12), ("int16", 15), ("int8", 7), ("int32", 16)])
def test_signed_values_from_zero_up(dtype: str, bits: int) -> None:
    assert_same(tiff(deep(cell(), bits).astype(dtype), photometric="rgb"), cell())
    assert_same(lzw(deep(GREY, bits).astype(dtype)), GREY)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_negative_values_are_refused(dtype: str) -> None:
    message = refusal_of(tiff(GREY.astype(dtype) - 128 if dtype != "int8" else GREY.view("int8"), photometric=1))
    assert "\n" not in message
    assert f"{dtype} pixels from -" in message


def test_32_bit_integers() -> None:
    assert_same(tiff(deep(cell(), 16).astype(np.uint32)), cell())
    assert_same(tiff(deep(GREY, 12).astype(np.uint32)), GREY)
    assert "uint32 pixels" in refusal_of(tiff(GREY.astype(np.uint32) << 24))


@pytest.mark.parametrize("dtype", ["complex64"])
def test_complex_pixels_are_refused(dtype: str) -> None:
    assert "complex64" in refusal_of(tiff(GREY.astype(dtype)))


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
    with pytest.raises(ImageError, match=r"image: holds several pages \(30 pages\)\. Split it into one file per cell"):
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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["none", "lzw", "jpeg"])
def test_orientation(orientation: int, codec: str) -> None:
    upright = cell()
    stored = np.ascontiguousarray({
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation])  # fmt: skip
    if codec == "jpeg":
        data = pillow(stored, compression="jpeg", quality=95, tiffinfo={274: orientation})
    else:
        data = (lzw if codec == "lzw" else tiff)(stored, extratags=[(274, "H", 1, orientation, True)])
    facts = check_image(data, "c.tif")
    assert (facts.height, facts.width) == stored.shape[:2]
    read = read_image(data)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < (4 if codec == "jpeg" else 0.1)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr"])
def test_colours_and_codecs_of_photography(mode: str) -> None:
    picture = Image.fromarray(cell()).convert(mode)
    expected = np.asarray(picture.convert("RGB")).astype(int)
    for compression in (None, "jpeg", "tiff_lzw"):
        if mode == "YCbCr" and compression is None:
            continue  # libtiff alone subsamples; Pillow writes raw YCbCr that no one else does
        stream = io.BytesIO()
        picture.save(stream, "TIFF", compression=compression, **({"quality": 95} if compression == "jpeg" else {}))
        assert np.abs(read_image(stream.getvalue()) - expected).mean() < 4, compression


def test_unread_kinds_are_refused_by_name() -> None:
    assert "CIELAB" in refusal_of(tiff(cell(), photometric="cielab"))
    assert "CFA" in refusal_of(tiff(GREY, photometric="cfa"))
    jpeg2000 = bytearray(tiff(cell()))
    with tifffile.TiffFile(io.BytesIO(jpeg2000)) as tif:
        place = tif.pages.first.tags["Compression"].valueoffset
    jpeg2000[place : place + 2] = (34712).to_bytes(2, "little")
    assert "JPEG2000" in refusal_of(bytes(jpeg2000))
    no_colours = tiff(GREY).replace((262).to_bytes(2, "little") + b"\3\0\1", (65001).to_bytes(2, "little") + b"\3\0\1")
    assert "whether zero is black or white" in refusal_of(no_colours)


def test_packed_bits() -> None:
    stream = io.BytesIO()
    Image.fromarray(cell()).quantize(16).save(stream, "TIFF")
    assert np.abs(read_image(stream.getvalue()).astype(int) - cell()).mean() < 12
    packed = bytearray(tiff(np.zeros((40, 39), np.uint16)))  # 13 bits x 48 = 16 bits x 39
    with tifffile.TiffFile(io.BytesIO(packed)) as tif:
        tags = tif.pages.first.tags
        bits, columns = tags["BitsPerSample"].valueoffset, tags["ImageWidth"].valueoffset
    packed[bits : bits + 2] = (13).to_bytes(2, "little")
    packed[columns : columns + 2] = (48).to_bytes(2, "little")
    assert "13 bits" in refusal_of(bytes(packed))


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


def test_tifffile_is_imported_when_a_tiff_is_met() -> None:
    code = "import sys, leukopy.imaging.decode; sys.exit('tifffile' in sys.modules or 'pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
        with pytest.raises(ImageError, match="go round in a circle"):
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
