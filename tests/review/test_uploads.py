"""What is uploaded is taken for nothing but what its bytes are; each attack is refused by name, with its reason."""

from __future__ import annotations

import hashlib
import stat
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest
from PIL import Image

from leukopy.review import uploads
from leukopy.review.records import Refused
from leukopy.review.settings import Limits
from leukopy.review.store.results import NewImage
from leukopy.review.uploads import PassedOver, Taken, Upload, unpack


def picture(kind: str = "PNG", colour: str = "plum") -> bytes:
    stream = BytesIO()
    Image.new("RGB", (40, 30), colour).save(stream, kind)
    return stream.getvalue()


def zipped(*entries: tuple[str | ZipInfo, bytes], compression: int = ZIP_DEFLATED) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def found(name: str, data: bytes, limits: Limits | None = None) -> list[Taken]:
    return list(unpack([Upload(name, BytesIO(data))], limits or Limits()))


def reasons(name: str, data: bytes, limits: Limits | None = None) -> list[tuple[str, str]]:
    """Of the files that were not taken, name and reason."""
    return [(one.name, one.reason) for one in found(name, data, limits) if isinstance(one, Refused)]


def test_an_image_is_taken_as_it_is() -> None:
    data = picture("JPEG")
    (image,) = found("c1.jpg", data)
    assert image == NewImage("c1.jpg", data, 40, 30, "image/jpeg")


def test_the_media_type_is_the_decoders_not_the_names() -> None:
    (image,) = found("c1.html", picture("PNG"))
    assert isinstance(image, NewImage)
    assert image.media_type == "image/png"


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"MZ\x90\x00 a program",
    ],
    ids=["svg", "html", "postscript", "program"],
)
@pytest.mark.parametrize("name", ["c1.png", "c1.jpg", "c1.svg"])
def test_what_poses_as_an_image_is_refused(name: str, data: bytes) -> None:
    assert reasons(name, data) == [(name, "not_an_image")]
    assert reasons("slide.zip", zipped((name, data))) == [(name, "not_an_image")]


def test_a_page_hidden_behind_an_images_first_bytes_is_refused() -> None:
    """A browser that guesses could read it as a page; the decoder reads it as nothing."""
    assert reasons("c1.png", b"\x89PNG\r\n\x1a\n<script>alert(1)</script>") == [("c1.png", "damaged")]


def test_a_zip_gives_its_images_by_their_names() -> None:
    data = zipped(("a/c1.png", picture()), ("b/c1.png", picture(colour="navy")))
    images = [one for one in found("slide.zip", data) if isinstance(one, NewImage)]
    assert [image.name for image in images] == ["a/c1.png", "b/c1.png"]
    assert {hashlib.sha256(image.data).hexdigest() for image in images} == {
        hashlib.sha256(picture(colour=colour)).hexdigest() for colour in ("plum", "navy")
    }


def test_a_zip_is_known_by_its_bytes() -> None:
    (image,) = found("slide.png", zipped(("c1.png", picture())))
    assert image.name == "c1.png"


def test_service_files_tables_and_notes_are_passed_over_by_kind() -> None:
    data = zipped(
        ("cells/", b""), ("__MACOSX/cells/._c1.png", b"x"), ("cells/.DS_Store", b"x"), ("c1.png", picture()),
        ("cells/THUMBS.DB", b"x"), ("@eaDir/c1.png/SYNOPHOTO_THUMB_M.jpg", picture()),
        ("counts.xlsx", zipped(("xl/workbook.xml", b"<x/>"))),
        (r"cells\desktop.ini", b"x"), ("labels.csv", picture()),
    )  # fmt: skip
    taken = found("slide.zip", data)
    assert [one.name for one in taken if isinstance(one, NewImage)] == ["c1.png", "labels.csv"]
    assert [one.kind for one in taken if isinstance(one, PassedOver)] == [
        "__MACOSX", ".DS_Store", "Thumbs.db", "@eaDir", ".xlsx", "desktop.ini",
    ]  # fmt: skip
    assert found("Thumbs.db", b"x") == [PassedOver("Thumbs.db")]
    assert found("counts.xlsx", zipped(("xl/workbook.xml", b"<x/>"))) == [PassedOver(".xlsx")]


@pytest.mark.parametrize(
    "path",
    ["../c1.png", "a/../../c1.png", "/etc/c1.png", r"\\server\c1.png", r"C:\c1.png", r"a\..\..\c1.png", r"..\c1.png"],
)
def test_a_path_that_leads_out_is_refused_and_the_rest_is_taken(path: str) -> None:
    data = zipped((path, picture()), ("c2.png", picture()))
    first, second = found("slide.zip", data)
    assert isinstance(first, Refused)
    assert (first.name, first.reason) == (path, "path")
    assert path in first.message
    assert second.name == "c2.png"
    assert isinstance(second, NewImage)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_device_is_refused(kind: int) -> None:
    entry = ZipInfo("c1.png")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    assert reasons("slide.zip", zipped((entry, b"/etc/passwd"), ("c2.png", picture()))) == [("c1.png", "link")]


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(zipped(("c1.png", picture())))
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags_at] |= 1
    assert reasons("slide.zip", bytes(data)) == [("c1.png", "encrypted")]


def test_a_zip_in_a_zip_is_refused() -> None:
    inner = zipped(("c1.png", picture()))
    assert reasons("slide.zip", zipped(("inner.png", inner))) == [("inner.png", "nested_zip")]


def test_an_unusual_compression_is_refused_since_it_may_ask_for_any_memory() -> None:
    assert reasons("slide.zip", zipped(("c1.png", picture()), compression=ZIP_LZMA)) == [("c1.png", "compression")]


def test_too_many_entries_refuse_the_whole_zip() -> None:
    data = zipped(*((f"c{number}.png", picture()) for number in range(4)))
    assert reasons("slide.zip", data, Limits(zip_entries=3)) == [("slide.zip", "too_many_entries")]
    assert not reasons("slide.zip", data, Limits(zip_entries=4))


def test_a_table_of_contents_of_millions_is_not_even_loaded() -> None:
    """A central directory of 46 bytes an entry would become gigabytes of objects."""
    entries = b"PK\x01\x02".ljust(46, b"\0") * 60_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, len(entries), 0, 0)
    # The first bytes must be a zip's; the directory then begins there.
    data = b"PK\x03\x04" + entries + end
    assert reasons("slide.zip", data, Limits(zip_entries=100)) == [("slide.zip", "too_many_entries")]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped(("c1.png", b"\0" * 30_000_000), ("c2.png", picture()))
    monkeypatch.setattr(ZipFile, "open", never)
    assert reasons("slide.zip", data) == [("slide.zip", "zip_bomb")]


def test_many_entries_that_are_large_together_are_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped(*((f"c{number}.png", b"\0" * 1000) for number in range(10)))
    monkeypatch.setattr(ZipFile, "open", never)
    assert reasons("slide.zip", data, Limits(zip_bytes=9999)) == [("slide.zip", "zip_bomb")]


def never(*_: object, **__: object) -> None:
    raise AssertionError("it was unpacked")


def lying(data: bytes, says: int) -> bytes:
    """The zip with the unpacked size of its only entry understated in both places."""
    changed = bytearray(data)
    for signature, size_at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", changed, changed.index(signature) + size_at, says)
    return bytes(changed)


def test_an_entry_that_says_less_than_it_holds_is_cut_off_and_refused() -> None:
    data = lying(zipped(("c1.png", b"\0" * 30_000_000)), says=100)
    assert reasons("slide.zip", data) == [("c1.png", "damaged_zip")]


def test_what_is_unpacked_is_counted_over_all_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing that the zip says of itself is looked at, the count while unpacking still ends it."""
    monkeypatch.setattr(uploads, "_whole", lambda *_: None)
    one = picture()
    data = zipped(*((f"c{number}.png", one) for number in range(3)))
    assert reasons("slide.zip", data, Limits(zip_bytes=len(one) * 2 + 1)) == [("c2.png", "zip_bomb")]


@pytest.mark.parametrize("pack", [lambda data: data, lambda data: zipped(("c1.png", data))], ids=["alone", "in a zip"])
def test_a_file_beyond_the_size_of_an_image_is_refused(pack: Callable[[bytes], bytes]) -> None:
    noise = bytes(range(256)) * 40
    assert [reason for _, reason in reasons("c1.png", pack(noise), Limits(image_bytes=10_000))] == ["too_large"]


def decompression_bomb(side: int) -> bytes:
    """A small PNG whose header promises ``side`` squared pixels, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" * 10_000_000, 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    assert reasons("c1.png", decompression_bomb(50_000)) == [("c1.png", "too_large")]


@pytest.mark.parametrize("cut", [3, 30, 60, 100])
def test_a_zip_that_is_cut_off_is_refused(cut: int) -> None:
    data = zipped(("c1.png", picture()), ("c2.png", picture()))
    assert reasons("slide.zip", data[:-cut]) == [("slide.zip", "damaged_zip")]


def test_bytes_changed_anywhere_in_a_zip_raise_nothing() -> None:
    """Every byte of a small zip is broken in turn: each time something is said, nothing is raised."""
    data = zipped(("a/c1.png", picture()))
    for at in range(4, len(data)):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        assert len(found("slide.zip", bytes(broken))) <= 2


def test_a_name_is_shown_without_what_could_deceive() -> None:
    name = "a\x00\x1b[2J\u202egnp.\n" + "x" * 500
    (refusal,) = found(name, b"no image")
    assert refusal.name.isprintable()
    assert len(refusal.name) == 200
    (image,) = found("\udcff.png", picture())
    image.name.encode()


def test_an_empty_zip_holds_nothing() -> None:
    assert found("slide.zip", zipped()) == []
