"""What helps a reader: heat maps, similar cells, reference cells; with the model that ships, on drawn cells."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, ImageError, SettingsError
from leukopy.explain.neighbours import INDEX_FILE, make_index, write_index
from leukopy.review.assistance import REFERENCES, SIDE, Assistance
from leukopy.review.settings import ReviewSettings
from leukopy.synthesis import draw_cell


@pytest.fixture
def assistance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assistance:
    """Of a laboratory that has no public data set."""
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path / "none"))
    return Assistance(ReviewSettings(folder=tmp_path))


@pytest.fixture(scope="session")
def eosinophil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn eosinophil in a picture that is wider than high."""
    path = tmp_path_factory.mktemp("cells") / "eo.png"
    Image.fromarray(draw_cell("EO", seed=5).image[30:330]).save(path)
    return path


def shape(jpeg: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        return picture.size


class TestHeat:
    def test_it_lies_on_the_cell_and_has_the_proportions_of_the_picture(
        self, assistance: Assistance, eosinophil: Path
    ) -> None:
        with Image.open(BytesIO(assistance.heat(eosinophil, "EO"))) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGBA")
            width, height = picture.size
            alpha = np.asarray(picture)[..., 3] / 255
        assert width / height == pytest.approx(360 / 300, abs=0.01)
        middle = alpha[height // 3 : -height // 3, width // 3 : -width // 3]
        assert middle.mean() > 3 * alpha.mean()
        edge = int((width - 0.8 * height) / 2) - 2  # the network sees the centred square of .8 of the short side
        assert alpha[:, :edge].max() == 0
        assert alpha[:, -edge:].max() == 0

    def test_the_class_decides_where_it_is_hot(self, assistance: Assistance, eosinophil: Path) -> None:
        assert assistance.heat(eosinophil, "EO") != assistance.heat(eosinophil, "LY")

    def test_bytes_are_as_good_as_a_file(self, assistance: Assistance, eosinophil: Path) -> None:
        assert assistance.heat(eosinophil.read_bytes(), "EO") == assistance.heat(eosinophil, "EO")

    def test_what_was_drawn_is_kept_within_bounds(self, assistance: Assistance, eosinophil: Path) -> None:
        assert assistance.heat(eosinophil, "EO") is assistance.heat(eosinophil, "EO")
        for kept in (assistance.heat, assistance.similar, assistance.reference, assistance.reference_picture):
            assert kept.cache_info().maxsize

    def test_a_class_that_the_model_does_not_know(self, assistance: Assistance, eosinophil: Path) -> None:
        with pytest.raises(SettingsError, match="BLAST"):
            assistance.heat(eosinophil, "BLAST")

    def test_a_picture_that_is_none(self, assistance: Assistance) -> None:
        with pytest.raises(ImageError):
            assistance.heat(b"<svg/>", "EO")

    def test_a_model_without_maps_says_so(self, tmp_path: Path, colour_model: Any, eosinophil: Path) -> None:
        assistance = Assistance(ReviewSettings(folder=tmp_path, model=str(colour_model.path)))
        with pytest.raises(BundleError, match="no class activation"):
            assistance.heat(eosinophil, "EO")
        assert assistance.similar(eosinophil) == ()


def test_a_slide_seen_nearer_is_looked_at_as_it_was_classified(assistance: Assistance, tmp_path: Path) -> None:
    slide = []
    for number in range(24):
        picture = Image.fromarray(draw_cell(("LY", "EO", "MO")[number % 3], seed=number).image)
        margin = picture.width // 6
        slide.append(tmp_path / f"{number}.png")
        picture.crop((margin, margin, picture.width - margin, picture.height - margin)).save(slide[-1])
    usual, near = assistance.spec(()), assistance.spec(tuple(slide))
    assert usual.crop == open_bundle("default").card.preprocess.crop
    assert 1.2 < near.crop / usual.crop < 1.9  # the cells are half as large again
    assert assistance.heat(slide[0], "LY", near) != assistance.heat(slide[0], "LY")
    assert assistance.similar(slide[0], 3, near) != assistance.similar(slide[0], 3)


def test_similar_cells_the_nearest_first(assistance: Assistance, eosinophil: Path) -> None:
    found = assistance.similar(eosinophil, 5)
    assert [one.code for one in found] == ["EO"] * 5
    cosines = [one.similarity for one in found]
    assert cosines == sorted(cosines, reverse=True)
    assert 0.8 < cosines[-1] <= cosines[0] <= 1
    assert {one.source for one in found} == {"PBC Barcelona: normal peripheral blood cells"}
    assert {one.image for one in found} == {None}  # its pictures are not at hand here


class TestReferences:
    def test_without_pictures_of_the_training_they_are_drawn(self, assistance: Assistance) -> None:
        found = assistance.reference("EO")
        assert [one.image for one in found] == [f"/api/v1/references/EO/{number}" for number in range(REFERENCES)]
        assert {one.source for one in found} == {"drawn by leukopy"}
        first, second = (assistance.reference_picture("EO", number) for number in (0, 1))
        assert first != second
        assert shape(first) == (SIDE, SIDE)

    def test_of_a_sum_each_kind_is_shown(self, assistance: Assistance) -> None:
        assert [one.code for one in assistance.reference("IG")] == [
            code for code in ("MMY", "MY", "PMY") for _ in range(REFERENCES)
        ]

    def test_of_classes_outside_the_model_there_are_none(self, assistance: Assistance) -> None:
        assert assistance.reference("BLAST") == ()
        with pytest.raises(SettingsError):
            assistance.reference("NOBODY")

    @pytest.mark.parametrize(("code", "number"), [("EO", REFERENCES), ("EO", -1), ("BLAST", 0), ("NEU", 0)])
    def test_a_picture_that_does_not_exist(self, assistance: Assistance, code: str, number: int) -> None:
        with pytest.raises(SettingsError, match="no such reference cell"):
            assistance.reference_picture(code, number)


class TestWithPicturesOfTheTraining:
    """A model whose index is of three cells of each of two classes, of which all but one picture are at hand."""

    @pytest.fixture
    def assistance(self, tmp_path: Path, colour_model: Any, monkeypatch: pytest.MonkeyPatch) -> Assistance:
        model = tmp_path / "model"
        shutil.copytree(colour_model.path, model)
        colours = {"EO": (200, 90, 60), "LY": (60, 90, 200)}
        names, codes, seen = [], [], []
        for code, (red, green, blue) in colours.items():
            for number in range(3):
                shade = (red, green + 20 * number, blue)
                names.append(f"lab/{code}/{number}.png")
                codes.append(code)
                seen.append([(one - 127) / 128 for one in shade])
                path = tmp_path / "data" / "cells" / names[-1]
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (64, 64), shade).save(path)
        bundle = open_bundle(model)
        index = make_index(
            bundle, np.array(seen, np.float32), np.array(names), np.array(codes), source="lab", root="cells/lab"
        )
        write_index(model / INDEX_FILE, index)
        (tmp_path / "data" / "cells" / "lab" / "EO" / "0.png").unlink()
        monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path / "data"))
        return Assistance(ReviewSettings(folder=tmp_path, model=str(model)))

    def test_the_nearest_has_the_address_of_its_own_picture(self, assistance: Assistance, tmp_path: Path) -> None:
        path = tmp_path / "data" / "cells" / "lab" / "LY" / "2.png"
        nearest, *_ = assistance.similar(path, 3)
        assert (nearest.code, nearest.source) == ("LY", "lab")
        assert nearest.similarity == pytest.approx(1, abs=1e-3)
        assert nearest.image is not None
        *_, code, number = nearest.image.split("/")
        with Image.open(BytesIO(assistance.reference_picture(code, int(number)))) as picture:
            shown = np.asarray(picture).mean(axis=(0, 1))
        assert shown == pytest.approx((60, 130, 200), abs=3)

    def test_references_are_those_at_hand(self, assistance: Assistance) -> None:
        assert sorted(str(one.image) for one in assistance.reference("EO")) == [
            "/api/v1/references/EO/1", "/api/v1/references/EO/2",
        ]  # fmt: skip
        middle, *_ = assistance.reference("LY")
        assert middle.image == "/api/v1/references/LY/1"  # next to the mean of the class

    def test_a_class_without_pictures_is_drawn(self, assistance: Assistance) -> None:
        assert {one.source for one in assistance.reference("MO")} == {"drawn by leukopy"}
