"""Decoding: right pixels from every accepted kind of file, and one reason for every file that is no picture."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import REASONS, check_image, pages, read_cell, read_image
from leukopy.imaging.preprocess import Preprocess

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


def smooth_picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A gradient with a disc: alive in all three channels, and kind to lossy formats."""
    y, x = np.mgrid[0:height, 0:width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    return np.stack([3 * x % 256, 255 - 4 * y, np.where(disc, 40, 200)], axis=-1).astype(np.uint8)


def encode(pixels: NDArray[np.uint8], kind: str, mode: str | None = None, **options: object) -> bytes:
    picture = Image.fromarray(pixels)
    stream = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(stream, kind, **options)
    return stream.getvalue()


def reason_of(source: Path | bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    return caught.value.reason


def blank_png(width: int, height: int) -> bytes:
    """A valid 1-bit PNG of any size, some kilobytes long."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((1 + (width + 7) // 8) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def rgb16_tiff(pixels: NDArray[np.uint16]) -> bytes:
    """An uncompressed 16-bit RGB TIFF, which Pillow reads but cannot write."""
    height, width, _ = pixels.shape
    depths_at, pixels_at = 8 + 2 + 12 * 9 + 4, 8 + 2 + 12 * 9 + 4 + 6
    short, long = 3, 4
    tags = [
        (256, short, 1, width), (257, short, 1, height), (258, short, 3, depths_at), (259, short, 1, 1),
        (262, short, 1, 2), (273, long, 1, pixels_at), (277, short, 1, 3), (278, short, 1, height),
        (279, long, 1, pixels.nbytes),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<I", 0)
    return head + struct.pack("<HHH", 16, 16, 16) + pixels.astype("<u2").tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_accepted_kind_gives_its_pixels(kind: str) -> None:
    pixels = smooth_picture()
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    read = read_image(encode(pixels, kind, **options))
    assert read.shape == pixels.shape
    assert read.dtype == np.uint8
    assert read.flags.writeable
    tolerance = 6 if options else 0
    assert np.abs(read.astype(int) - pixels).mean() <= tolerance


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_picture_is_comes_from_its_bytes(kind: str) -> None:
    facts = check_image(encode(smooth_picture(), kind), "c1.svg")
    height, width, _ = smooth_picture().shape
    assert (facts.width, facts.height, facts.media_type) == (width, height, f"image/{kind.lower()}")


def test_a_picture_that_ends_early_is_none_though_its_header_is_whole() -> None:
    with pytest.raises(ImageError, match=r"^c1\.png: ") as caught:
        check_image(encode(smooth_picture(), "PNG")[:-40], "c1.png")
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(compression: str) -> None:
    pixels = smooth_picture()
    assert np.array_equal(read_image(encode(pixels, "TIFF", compression=compression)), pixels)


@pytest.mark.parametrize(
    ("mode", "kind"), [("1", "PNG"), ("L", "PNG"), ("L", "JPEG"), ("P", "PNG"), ("P", "BMP"), ("CMYK", "JPEG")]
)
def test_other_pixel_kinds_become_rgb(mode: str, kind: str) -> None:
    pixels = smooth_picture()
    expected = np.asarray(Image.fromarray(pixels).convert(mode).convert("RGB"))
    tolerance = 6 if kind == "JPEG" else 0
    assert np.abs(read_image(encode(pixels, kind, mode)).astype(int) - expected).mean() <= tolerance


def test_transparency_lies_over_white() -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:] = (200, 10, 90, 255)
    read = read_image(encode(pixels, "PNG"))
    assert (read[:, :10] == 255).all()
    assert (read[:, 10:] == (200, 10, 90)).all()


def test_opaque_rgba_tiff_as_in_aml_munich() -> None:
    pixels = smooth_picture()
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert np.array_equal(read_image(encode(opaque, "TIFF")), pixels)


def test_transparent_palette_entry_lies_over_white() -> None:
    picture = Image.new("P", (20, 20), 1)
    picture.paste(0, (0, 0, 10, 20))
    picture.putpalette([0, 0, 0, 10, 20, 30])
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=1)
    read = read_image(stream.getvalue())
    assert (read[:, 10:] == 255).all()
    assert (read[:, :10] == 0).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_alpha_of_zero_everywhere_hides_nothing(kind: str) -> None:
    pixels = smooth_picture()
    hidden = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert np.array_equal(read_image(encode(hidden, kind, **options)), pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_full_range(kind: str) -> None:
    grey = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, kind)
    expected = np.rint(grey / 257).astype(np.uint8)
    assert np.array_equal(read_image(stream.getvalue()), np.dstack([expected] * 3))


def test_16_bit_rgb_tiff() -> None:
    pixels = smooth_picture()
    assert np.array_equal(read_image(rgb16_tiff(pixels.astype(np.uint16) * 257)), pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_brings_the_picture_upright(kind: str, orientation: int) -> None:
    upright = smooth_picture()
    # How a camera that was held so has stored it: the inverse of what the EXIF standard tells a viewer to do.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(np.ascontiguousarray(stored), kind, exif=exif, **options)
    assert np.array_equal(read_image(data), upright)


def test_broken_exif_does_not_lose_the_picture() -> None:
    pixels = smooth_picture()
    data = encode(pixels, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert np.array_equal(read_image(data), pixels)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "AVIF"])
def test_several_pages_are_refused_unless_one_is_named(kind: str) -> None:
    first, second = smooth_picture(), np.flipud(smooth_picture())
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(first, kind, save_all=True, append_images=[Image.fromarray(second)], **options)
    tolerance = 8 if kind == "AVIF" else 0
    assert pages(data) == 2
    with pytest.raises(ImageError, match=r"holds several pages \(2 pages\)\. Split it") as caught:
        read_image(data)
    assert caught.value.reason == "several_pages"
    for page, pixels in ((1, first), (2, second)):
        assert np.abs(read_image(data, page=page).astype(int) - pixels).mean() <= tolerance
    for page in (0, 3, -1):
        with pytest.raises(ImageError) as caught:
            read_image(data, page=page)
        assert caught.value.reason == "no_such_page"


@pytest.mark.parametrize("kind", [*FORMATS, "AVIF"])
def test_one_page_is_page_1(kind: str, tmp_path: Path) -> None:
    data = encode(smooth_picture(), kind)
    (tmp_path / "cell").write_bytes(data)
    assert pages(data) == pages(tmp_path / "cell") == 1
    assert np.array_equal(read_image(data, page=1), read_image(data))
    spec = Preprocess(size=32)
    assert np.array_equal(read_cell(data, spec, page=1).pixels, read_cell(data, spec).pixels)


def test_pages_of_no_picture_fail_as_reading_it_does(tmp_path: Path) -> None:
    (tmp_path / "notes.tif").write_text("no picture")
    for source, reason in (
        (tmp_path / "notes.tif", "not_an_image"), (tmp_path / "none.tif", "not_found"), (tmp_path, "is_a_folder"),
        (b"", "empty_file"), (b"II*\0\1\2\3\4", "truncated"),
    ):  # fmt: skip
        with pytest.raises(ImageError) as caught:
            pages(source)
        assert caught.value.reason == reason, source


def test_short_side_reduces_a_jpeg_but_never_below_it() -> None:
    data = encode(smooth_picture(360, 420), "JPEG")
    assert read_image(data).shape == (360, 420, 3)
    assert read_image(data, short_side=180).shape == (180, 210, 3)
    assert read_image(data, short_side=181).shape == (360, 420, 3)
    assert read_image(data, short_side=45).shape == (45, 53, 3)


def test_read_cell_is_the_centred_box_resized(tmp_path: Path) -> None:
    pixels = smooth_picture(100, 160)
    path = tmp_path / "cell.png"
    path.write_bytes(encode(pixels, "PNG"))
    cell = read_cell(path, Preprocess(size=40, crop=0.8))
    box = pixels[10:90, 40:120].astype(float)
    assert cell.pixels.shape == (40, 40, 3)
    assert (cell.width, cell.height) == (160, 100)
    assert cell.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    # Reduced by two, a triangle filter stays close to the mean of each 2 x 2 block where the picture is smooth.
    blocks = box.reshape(40, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(cell.pixels - blocks).mean() < 2


def test_read_cell_states_the_size_as_stored_though_it_decodes_less(tmp_path: Path) -> None:
    path = tmp_path / "cell.jpg"
    path.write_bytes(encode(smooth_picture(363, 360), "JPEG", quality=95))
    cell = read_cell(path, Preprocess(size=96))
    assert (cell.width, cell.height) == (360, 363)
    path.with_suffix(".png").write_bytes(encode(read_image(path), "PNG"))
    whole = read_cell(path.with_suffix(".png"), Preprocess(size=96))
    assert np.abs(cell.pixels.astype(int) - whole.pixels).mean() < 2


def test_failures_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with (tmp_path / "long.tiff").open("wb") as sparse:
        sparse.truncate(200_000_001)
    assert reason_of(tmp_path / "nowhere.png") == "not_found"
    assert reason_of(tmp_path) == "is_a_folder"
    assert reason_of(tmp_path / "empty.jpg") == "empty_file"
    assert reason_of(tmp_path / "pipe.png") == "unreadable"
    assert reason_of(tmp_path / "loop.png") == "unreadable"
    assert reason_of(tmp_path / "nul\0.png") == "unreadable"
    assert reason_of(tmp_path / ("x" * 300)) == "unreadable"
    assert reason_of(tmp_path / "long.tiff") == "too_large"


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "cell.png"
    path.write_bytes(encode(smooth_picture(), "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads files without permission")
    assert reason_of(path) == "no_permission"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"cell,label\n1,LY\n", "not_an_image"),
        (b"GIF89a" + bytes(40), "unsupported_format"),
        (b"\0\0\0\x18ftypqt  " + bytes(40), "unsupported_format"),
        (bytes(128) + b"DICM" + bytes(40), "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (blank_png(30_000, 30_000), "too_large"),
        (blank_png(15, 400), "too_small"),
    ],
)
def test_failures_of_the_content(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


def test_a_bomb_is_refused_by_its_header_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow would warn at 10,000 x 10,000 and raise at 30,000 x 30,000
        assert reason_of(blank_png(10_000, 10_000)) == "too_large"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_never_half_a_picture(kind: str) -> None:
    data = encode(smooth_picture(200, 200), kind)
    for share in (0.3, 0.6, 0.9):
        assert reason_of(data[: int(len(data) * share)]) in ("truncated", "damaged"), share


@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_other_libraries_made_of_the_decoder(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint does when it is imported
    data = encode(smooth_picture(200, 200), kind)
    assert reason_of(data[: int(len(data) * 0.6)]) in ("truncated", "damaged")


def test_messages_say_what_where_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "c17.jpg"
    path.write_text("not a picture")
    with pytest.raises(ImageError, match=r"c17\.jpg: not an image\. Remove it") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert all(sentence.count(". ") == 1 for sentence in REASONS.values())


def only_image_error(data: bytes) -> None:
    """Decode; whatever the bytes are, nothing but ImageError with a known reason may come."""
    reason = None
    try:
        read_image(data, short_side=32)
    except ImageError as error:
        reason = error.reason
    assert reason is None or reason in REASONS


SIGNATURES = [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"RIFF\0\0\0\0WEBP"]


@settings(max_examples=300)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_image_error(signature: bytes, noise: bytes) -> None:
    only_image_error(signature + noise)


EXIF = Image.Exif()
EXIF[0x0112] = 6
HEALTHY = [
    *(encode(smooth_picture(), kind, exif=EXIF) for kind in ("PNG", "JPEG", "TIFF", "WEBP")),
    encode(smooth_picture(), "BMP"),
    *(encode(smooth_picture(), kind, "P") for kind in ("BMP", "PNG", "TIFF")),
    encode(smooth_picture(), "TIFF", compression="tiff_lzw"),
    encode(smooth_picture(), "PNG", "RGBA", save_all=True, append_images=[Image.new("RGBA", (64, 48))]),
    rgb16_tiff(smooth_picture().astype(np.uint16)),
]


@settings(max_examples=600)
@given(
    st.sampled_from(HEALTHY),
    # Most of what decides how a file is read stands in its first bytes; TIFF's tags stand anywhere.
    st.lists(st.tuples(st.one_of(st.integers(0, 200), st.integers(0, 10_000)), st.integers(0, 255)), max_size=12),
    st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_mutated_files_raise_nothing_but_image_error(
    data: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    mutated = bytearray(data)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    only_image_error(bytes(mutated[:cut]))
