"""Fields that a user points at, and their pages and scales."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from leukopy.core.errors import ImageError, InputError, ManifestError
from leukopy.fields.field import FieldInput
from leukopy.fields.inputs import fields_digest, list_fields
from leukopy.fields.read import read_field
from leukopy.imaging.decode import FIELD
from support.tiffs import cell, deep, tiff


def scene(seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    """Discs before a bright background."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.full((height, width, 3), 232, np.uint8)
    for _ in range(25):
        left, top = generator.uniform(0, width), generator.uniform(0, height)
        pixels[(x - left) ** 2 + (y - top) ** 2 < 49] = (190, 120, 130)
    return pixels


def soft(pixels: np.ndarray, sigma: float = 3) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, (sigma, sigma, 0))


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_a_folder_lists_photographs_and_names_the_rest(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.jpg", "a/d.tif"):
        save(tmp_path / name, scene())
    (tmp_path / "notes.csv").touch()
    (tmp_path / "scan.svs").touch()
    (tmp_path / "Thumbs.db").touch()
    found = list_fields(tmp_path)
    assert [field.field_id for field in found.fields] == ["a/c.jpg", "a/d.tif", "b.png"]
    assert all(field.page is None and field.slide == "" for field in found.fields)
    assert found.others.not_read == {".csv": 1, ".svs": 1}
    assert found.others.service_files == {"Thumbs.db": 1}


def test_sub_folders_are_slides(tmp_path: Path) -> None:
    save(tmp_path / "s1" / "a.png", scene())
    save(tmp_path / "s2" / "deep" / "b.png", scene())
    (tmp_path / "s3").mkdir()
    found = list_fields(tmp_path, slides=True)
    assert {name: [field.field_id for field in fields] for name, fields in found.by_slide().items()} == {
        "s1": ["s1/a.png"], "s2": ["s2/deep/b.png"], "s3": [],
    }  # fmt: skip
    save(tmp_path / "loose.png", scene())
    with pytest.raises(InputError, match="1 images lie beside the folders of the slides"):
        list_fields(tmp_path, slides=True)


def test_a_manifest_names_slides_and_scales(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene())
    save(tmp_path / "b.png", scene())
    table = tmp_path / "fields.csv"
    table.write_text("path;slide;um_per_px\na.png;S1;0,11\nb.png;S2;\n")
    found = list_fields(table)
    assert [(field.field_id, field.slide, field.um_per_px) for field in found.fields] == [
        ("a.png", "S1", 0.11), ("b.png", "S2", None),
    ]  # fmt: skip
    assert found.slides
    field = read_field(found.fields[0])
    assert (field.um_per_px, field.scale_source) == (0.11, "table")
    assert read_field(found.fields[1]).scale_source is None


@pytest.mark.parametrize("value", ["0", "-1", "25400", "nan", "0.11 um"])
def test_an_absurd_scale_in_a_table_is_refused(tmp_path: Path, value: str) -> None:
    save(tmp_path / "a.png", scene())
    (tmp_path / "f.csv").write_text(f"path,um_per_px\na.png,{value}\n")
    with pytest.raises(ManifestError, match=r"line 2: um_per_px is not a scale of a microscope"):
        list_fields(tmp_path / "f.csv")


def test_a_manifest_with_a_nameless_or_repeated_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("path,slide\na.png,S1\nb.png,\n")
    with pytest.raises(ManifestError, match="line 3: names no slide"):
        list_fields(tmp_path / "f.csv")
    (tmp_path / "f.csv").write_text("path,slide\na.png,S1\n./a.png,S1\n")
    with pytest.raises(ManifestError, match="line 3: its photograph is on line 2 too"):
        list_fields(tmp_path / "f.csv")


def test_a_list_and_one_file(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene())
    (tmp_path / "l.txt").write_text("a.png\n")
    assert list_fields(tmp_path / "l.txt").fields == [FieldInput("a.png", str(tmp_path / "a.png"))]
    assert list_fields(tmp_path / "a.png").fields == [FieldInput("a.png", str(tmp_path / "a.png"))]
    with pytest.raises(InputError, match="no such folder or file"):
        list_fields(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no photograph"):
        list_fields(tmp_path / "empty")


def test_pages_are_fields_with_ids_and_digests_of_their_own(tmp_path: Path) -> None:
    pages = np.stack([scene(seed) for seed in range(3)])
    (tmp_path / "s.tif").write_bytes(tiff(pages, photometric="rgb"))
    found = list_fields(tmp_path).fields
    assert [(field.field_id, field.page) for field in found] == [
        ("s.tif#page=1", 1), ("s.tif#page=2", 2), ("s.tif#page=3", 3),
    ]  # fmt: skip
    read = [read_field(field) for field in found]
    for field, page in zip(read, pages, strict=True):
        assert np.array_equal(field.pixels, page)
    assert len({field.digest for field in read}) == 3
    assert len({fields_digest(found), fields_digest(found[:2]), fields_digest(found[::-1])}) == 3


@pytest.mark.parametrize("named_by_ome", [True, False])
def test_the_sharpest_of_focus_planes(tmp_path: Path, named_by_ome: bool) -> None:
    planes = np.stack([soft(scene(), 4), soft(scene(), 2), scene(), soft(scene(), 3)])
    options = {"ome": True, "metadata": {"axes": "ZYXS"}} if named_by_ome else {}
    (tmp_path / "z.tif").write_bytes(tiff(planes, photometric="rgb", **options))
    (field,) = list_fields(tmp_path, pages="fields" if named_by_ome else "planes").fields
    assert (field.field_id, field.page, field.planes) == ("z.tif", None, (1, 2, 3, 4))
    assert np.array_equal(read_field(field).pixels, scene())


def test_fused_planes_are_sharp_everywhere(tmp_path: Path) -> None:
    sharp, blurred = scene(), soft(scene(), 4)
    left, right = sharp.copy(), sharp.copy()
    left[:, 80:], right[:, :80] = blurred[:, 80:], blurred[:, :80]
    (tmp_path / "z.tif").write_bytes(tiff(np.stack([left, right]), photometric="rgb"))
    fused = read_field(list_fields(tmp_path, pages="planes", focus="fused").fields[0])
    sharpest = read_field(list_fields(tmp_path, pages="planes").fields[0])

    def error(pixels: np.ndarray) -> float:
        return float(np.abs(pixels.astype(int) - sharp).mean())

    assert error(fused.pixels) < 0.2 * min(error(left), error(right))
    assert error(sharpest.pixels) == min(error(left), error(right))
    assert fused.digest != sharpest.digest


def test_planes_and_times_of_ome_are_told_apart(tmp_path: Path) -> None:
    for order, stacks in (("TZYX", [(1, 2, 3), (4, 5, 6)]), ("ZTYX", [(1, 3, 5), (2, 4, 6)])):
        shape = (2, 3) if order[0] == "T" else (3, 2)
        values = np.stack([scene(seed)[..., 1] for seed in range(6)]).reshape(*shape, 120, 160)
        data = tiff(values, ome=True, photometric="minisblack", metadata={"axes": order})
        (tmp_path / "z.ome.tif").write_bytes(data)
        found = list_fields(tmp_path).fields
        assert [field.planes for field in found] == stacks, order
        assert len({field.field_id for field in found}) == 2


def test_planes_of_different_sizes_fail_with_a_reason(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(scene())
        writer.write(scene(height=130))
    (tmp_path / "z.tif").write_bytes(stream.getvalue())
    with pytest.raises(ImageError, match="its focus planes differ in size"):
        read_field(list_fields(tmp_path, pages="planes").fields[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 0.11, "PhysicalSizeY": 0.11}}, 0.11),
        (
            {
                "ome": True,
                "metadata": {
                    "axes": "YXS",
                    "PhysicalSizeX": 110,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 110,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            0.11,
        ),
        ({"imagej": True, "resolution": (8.0, 8.0), "metadata": {"unit": "um"}}, 0.125),
        ({"imagej": True, "resolution": (8000.0, 8000.0), "metadata": {"unit": "mm"}}, 0.125),
        ({"resolution": (50_000, 50_000), "resolutionunit": "CENTIMETER"}, 0.2),
        ({"resolution": (254_000, 254_000), "resolutionunit": "INCH"}, 0.1),
    ],
)
def test_the_scale_of_a_file_comes_before_that_of_a_table(
    tmp_path: Path, options: dict[str, object], expected: float
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(scene(), **options))
    field = read_field(FieldInput("a", str(tmp_path / "a.tif"), um_per_px=0.3))
    assert field.um_per_px == pytest.approx(expected)
    assert (field.scale_source, field.scale_note) == ("file", "")


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (
            {"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 1e6, "PhysicalSizeY": 1e6}},
            "OME header states",
        ),
        (
            {"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.3}},
            "which are not square",
        ),
        ({"imagej": True, "resolution": (1e-3, 1e-3), "metadata": {"unit": "um"}}, "ImageJ states 1000 µm"),
        ({"resolution": (5e7, 5e7), "resolutionunit": "CENTIMETER"}, "its resolution tag states 0.0002"),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, ""),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, ""),
        ({"imagej": True, "resolution": (1, 1), "metadata": {"unit": "pixel"}}, ""),
    ],
)
def test_an_absurd_scale_is_refused_with_a_word(tmp_path: Path, options: dict[str, object], note: str) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(scene(), **options))
    field = read_field(FieldInput("a", str(tmp_path / "a.tif")))
    assert (field.um_per_px, field.scale_source) == (None, None)
    assert note in field.scale_note
    assert bool(note) == bool(field.scale_note)
    tabled = read_field(FieldInput("a", str(tmp_path / "a.tif"), um_per_px=0.3))
    assert (tabled.um_per_px, tabled.scale_source) == (0.3, "table")


def test_fields_are_larger_than_cells(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (9000, 8000), 230).save(path)
    pixels = read_field(FieldInput("large.png", str(path))).pixels
    assert pixels.shape == (8000, 9000, 3)
    Image.new("1", (20_000, 10_001), 1).save(path)
    with pytest.raises(ImageError, match="200 million pixels") as caught:
        read_field(FieldInput("large.png", str(path)))
    assert caught.value.reason == "field_too_large"
    assert FIELD.pixels == 200_000_000


def test_16_bit_1_bit_and_turned_photographs(tmp_path: Path) -> None:
    pixels = scene()
    (tmp_path / "deep.tif").write_bytes(tiff(deep(pixels, 12)))
    assert np.abs(read_field(FieldInput("d", str(tmp_path / "deep.tif"))).pixels.astype(int) - pixels).max() <= 1
    Image.fromarray(pixels).convert("1").save(tmp_path / "bits.png")
    assert set(np.unique(read_field(FieldInput("b", str(tmp_path / "bits.png"))).pixels)) == {0, 255}
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.rot90(pixels, 1)).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_field(FieldInput("t", str(tmp_path / "turned.png"))).pixels, pixels)


def test_pictures_that_are_no_fields_fail_with_a_reason(tmp_path: Path) -> None:
    save(tmp_path / "flat.png", scene()[:3])
    (tmp_path / "cut.tif").write_bytes(tiff(cell())[:200])
    (tmp_path / "empty.jpg").touch()
    reasons = {}
    for field in list_fields(tmp_path).fields:
        with pytest.raises(ImageError) as caught:
            read_field(field)
        reasons[field.field_id] = caught.value.reason
    assert reasons == {"flat.png": "field_too_small", "cut.tif": "truncated", "empty.jpg": "empty_file"}
