"""TIFF: the pixels of the PNG of the same cell within one grey level, or one clear refusal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from leukopy.imaging.decode import check_image, read_image
from support.tiffs import GREY, Array, assert_same, cell, deep, lzw, pillow, refusal_of, tiff


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
    assert re.search("float32 pixels|not numbers", refusal_of(tiff(values)))


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


def test_tifffile_is_imported_when_a_tiff_is_met() -> None:
    code = "import sys, leukopy.imaging.decode; sys.exit('tifffile' in sys.modules or 'pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
