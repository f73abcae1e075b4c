"""What is no field of a blood film, as people give it to the command: each is said, and nothing of it is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.synthesis import draw_cell, draw_field
from support.odd_pictures import NO_SMEAR
from support.slides import levels_of, smear, write_slide

pytestmark = pytest.mark.slow


class Ran:
    """``leukopy analyze`` on a path."""

    def __init__(self, path: Path, *options: str) -> None:
        self.out = path.parent / "out"
        found = CliRunner().invoke(app, ["analyze", str(path), "--out", str(self.out), *options])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        self.code, self.words = found.exit_code, " ".join(found.output.split())

    @property
    def counts(self) -> dict[str, object]:
        return json.loads((self.out / "counts.json").read_text())

    @property
    def fields(self) -> pl.DataFrame:
        return pl.read_parquet(self.out / "fields.parquet")


def save(folder: Path, **pictures: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def film(seed: int = 1) -> np.ndarray:
    return draw_field({"SNE": 3, "LY": 2}, seed=seed, size=(480, 640)).image


@pytest.mark.parametrize("name", ["noise", "text", "face", "organ"])
@pytest.mark.parametrize("told", [(), ("--as", "fields")])
def test_what_is_no_blood_film_has_no_counts(tmp_path, name, told):
    ran = Ran(save(tmp_path / "given", a=NO_SMEAR[name]()), *told)
    if told or (ran.out / "counts.json").exists():
        for kind in ("platelets", "red_cells"):
            assert ran.counts[kind]["count"] == 0
        assert ran.counts["leukocytes"] == 0
    assert ran.code == 3, ran.words
    assert "No differential" in ran.words


def test_a_field_of_no_blood_film_among_others_is_left_out_with_its_reason(tmp_path):
    ran = Ran(save(tmp_path / "given", a=film(), b=NO_SMEAR["organ"](), c=NO_SMEAR["face"]()), "--as", "fields")
    first, *others = ran.fields["left_out"].to_list()
    assert first is None
    assert all(reason.startswith("no blood film: ") for reason in others)
    assert set(pl.read_parquet(ran.out / "objects.parquet")["field"]) == {"a.png"}
    assert "Of 3 fields, 2 are left out of all counts: 1 no blood film" in ran.words


def test_a_field_without_any_cell_has_counts_of_zero(tmp_path):
    glass = np.random.default_rng(1).normal(228, 2, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    ran = Ran(save(tmp_path / "given", a=glass), "--as", "fields")
    assert ran.code == 3
    assert ran.counts["platelets"]["count"] == ran.counts["red_cells"]["count"] == ran.counts["leukocytes"] == 0
    assert ran.counts["platelets"]["per_1000_red_cells"]["value"] is None


def test_sixteen_bits_have_the_counts_of_eight(tmp_path):
    pixels = film()
    (tmp_path / "deep").mkdir()
    tifffile.imwrite(tmp_path / "deep" / "a.tif", pixels.astype(np.uint16) * 257, photometric="rgb")
    (tmp_path / "plain").mkdir()
    tifffile.imwrite(tmp_path / "plain" / "a.tif", pixels, photometric="rgb")
    found = []
    for name in ("deep", "plain"):
        ran = Ran(tmp_path / name, "--as", "fields", "--overwrite")
        assert ran.code == 0, ran.words
        found.append({key: ran.counts[key] for key in ("leukocytes", "red_cells", "platelets")})
    assert found[0] == found[1]
    assert found[0]["leukocytes"] == 5


@pytest.mark.parametrize("told", [(), ("--as", "fields")])
def test_one_bit_and_three_pixels_have_no_differential(tmp_path, told):
    given = tmp_path / "given"
    given.mkdir()
    Image.fromarray(film()).convert("1").save(given / "bit.png")
    Image.fromarray(film()[:3]).save(given / "flat.png")
    ran = Ran(given, *told)
    assert ran.code == 3
    assert "No differential" in ran.words


def test_an_absurd_scale_of_a_photograph_is_said_and_not_used(tmp_path):
    (tmp_path / "given").mkdir()
    tifffile.imwrite(
        tmp_path / "given" / "a.tif", film(), photometric="rgb", resolution=(1e6, 1e6), resolutionunit="CENTIMETER"
    )
    ran = Ran(tmp_path / "given", "--as", "fields")
    assert ran.fields["scale_source"].to_list() == ["red cells"]
    assert 0.05 < ran.fields["um_per_px"].item() < 0.2
    assert "The scale stated for 1 of 1 fields is not used" in ran.words


def test_cells_beside_fields_are_refused(tmp_path):
    given = save(tmp_path / "given", **{f"f{n}": film(n) for n in range(3)})
    save(given, **{f"c{n}": draw_cell("LY", seed=n, size=240).image for n in range(3)})
    ran = Ran(given)
    assert ran.code == 1
    assert "holds cells and fields of view" in ran.words
    assert not ran.out.exists()


def test_a_slide_cut_in_the_middle_is_refused(tmp_path):
    whole = write_slide(tmp_path / "s.tif", levels_of(smear(3000, 4000)))
    data = whole.read_bytes()
    for share in (0.5, 0.97):
        whole.write_bytes(data[: int(len(data) * share)])
        ran = Ran(whole, "--as", "slide")
        assert ran.code == 1, ran.words
        assert "s.tif" in ran.words
        assert "Copy it again" in ran.words
        assert not ran.out.exists()


def test_a_mirax_slide_without_its_folder_is_refused(tmp_path):
    (tmp_path / "s.mrxs").write_bytes(b"\xff\xd8\xff\xe0 mirax")
    ran = Ran(tmp_path / "s.mrxs")
    assert ran.code == 1
    assert "its folder s is missing" in ran.words


def test_an_absurd_scale_of_a_slide_is_measured_instead(tmp_path):
    slide = write_slide(tmp_path / "s.tif", levels_of(smear(1800, 2600)), 0.001)
    ran = Ran(slide, "--as", "slide", "--leukocytes", "1")
    assert "from the red cells" in ran.words
    assert "is not used" in ran.words
