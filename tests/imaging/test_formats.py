"""The kinds that are read, the extra for HEIC, and the kinds that are named as not read."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import check_image, pages, read_header, read_image
from leukopy.imaging.formats import (
    CONTAINER_SUFFIXES,
    FORMATS,
    IMAGE_SUFFIXES,
    MEDIA_SUFFIXES,
    READ_SUFFIXES,
    REFUSED_SUFFIXES,
    kind_of,
)


def picture() -> Image.Image:
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([3 * x, 255 - 4 * y, 200 - x], axis=-1).astype(np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    if kind == "HEIF":
        heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
        heif.from_pillow(picture()).save(stream, quality=95, **options)
    else:
        picture().save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_known_by_its_bytes_and_read(kind: str) -> None:
    data = encoded(kind)
    assert kind_of(data, "cell") == kind
    facts = check_image(data, "cell.svg")
    assert facts == read_header(data, "cell.svg")
    assert (facts.width, facts.height, facts.media_type) == (64, 48, FORMATS[kind].media_type)
    assert np.abs(read_image(data).astype(int) - np.asarray(picture())).mean() < 4


def test_a_suffix_is_read_refused_or_named() -> None:
    assert not READ_SUFFIXES & REFUSED_SUFFIXES
    assert not IMAGE_SUFFIXES & CONTAINER_SUFFIXES
    assert IMAGE_SUFFIXES == READ_SUFFIXES | REFUSED_SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES | CONTAINER_SUFFIXES)
    assert {".jfif", ".heic", ".avif", ".tiff"} <= READ_SUFFIXES
    assert {".gif", ".jp2", ".jxl", ".psd", ".dcm"} <= REFUSED_SUFFIXES
    assert {".czi", ".nd2", ".svs", ".lif", ".vsi", ".mrxs", ".ndpi", ".scn", ".bif"} <= CONTAINER_SUFFIXES
    assert MEDIA_SUFFIXES["image/tiff"] == ".tif"
    assert len(MEDIA_SUFFIXES) == len(FORMATS)


@pytest.mark.parametrize("size", [(64, 48), (48, 64)])
def test_heic_of_several_pictures_is_refused(size: tuple[int, int]) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    stream = io.BytesIO()
    file = heif.from_pillow(picture().resize(size))
    file.add_from_pillow(picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize(size))
    file.save(stream, quality=95)
    assert pages(stream.getvalue()) == 2
    with pytest.raises(ImageError) as caught:
        read_image(stream.getvalue())
    assert caught.value.reason == "several_pages"


def test_heic_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    for read in (read_image, pages):
        with pytest.raises(ImageError, match=r"pip install 'leukopy\[heic\]'\), or convert it to PNG") as caught:
            read(data)
        assert caught.value.reason == "needs_extra"


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
def test_a_damaged_box_file_is_damaged(brand: bytes) -> None:
    data = encoded("AVIF" if brand == b"avif" else "HEIF")
    data = data[:8] + brand + data[12:]
    for share in (0.2, 0.6):
        with pytest.raises(ImageError) as caught:
            read_image(data[: int(len(data) * share)])
        assert caught.value.reason in ("damaged", "truncated")


@pytest.mark.parametrize(
    "start",
    [b"ZISRAWFILE", b"\xda\xce\xbe\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x18ftypmp42", b"GIF89a", b"8BPS"],
)
def test_what_is_not_read_is_called_so(start: bytes) -> None:
    with pytest.raises(ImageError, match="a kind of image that is not read") as caught:
        read_image(start + bytes(200))
    assert caught.value.reason == "unsupported_format"
