"""Cells of any magnification come before the network in one size; a slide of small cells is not magnified for that."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.inference.rows import CellInput
from leukopy.slides.classifier import Classifier
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.magnification import crop_for, diameters, typical_sizes
from leukopy.synthesis import draw_cell

USUAL = {"NEU": 0.6, "LY": 0.5}


def test_the_diameter_is_that_of_the_cell(tmp_path: Path) -> None:
    for code in ("SNE", "LY", "MO"):
        cell = draw_cell(code, seed=3, size=200)
        Image.fromarray(cell.image).save(tmp_path / f"{code}.png")
        (found,) = diameters([tmp_path / f"{code}.png"], 1)
        assert found == pytest.approx(2 * np.sqrt(cell.cell_mask.sum() / np.pi) / 200, rel=0.12)


def test_what_cannot_be_measured_is_no_number(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "glass.png")
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert np.isnan(diameters([tmp_path / "glass.png", tmp_path / "no.png", tmp_path / "gone.png"], 2)).all()


@pytest.mark.parametrize(("times", "crop"), [(1, 0.6), (1.05, 0.6), (1.4, 0.84), (0.7, 0.42), (3, 1), (0.1, 0.3)])
def test_larger_cells_need_more_of_the_picture(times: float, crop: float) -> None:
    classes = ["NEU"] * 30 + ["LY"] * 10
    found = 0.6 * times * np.array([USUAL[code] for code in classes])
    assert crop_for(found, classes, USUAL, 0.6) == pytest.approx(crop)


def test_a_slide_of_the_small_class_is_not_magnified() -> None:
    assert crop_for(np.full(40, 0.6 * USUAL["LY"]), ["LY"] * 40, USUAL, 0.6) == 0.6


def test_few_cells_unknown_classes_and_none_tell_nothing() -> None:
    large = np.full(ENOUGH_CELLS, 0.9)
    assert crop_for(large, ["NEU"] * ENOUGH_CELLS, USUAL, 0.6) != 0.6
    assert crop_for(large[1:], ["NEU"] * (ENOUGH_CELLS - 1), USUAL, 0.6) == 0.6
    assert crop_for(large, ["PLT"] * ENOUGH_CELLS, USUAL, 0.6) == 0.6
    assert crop_for(np.full(ENOUGH_CELLS, np.nan), ["NEU"] * ENOUGH_CELLS, USUAL, 0.6) == 0.6


def test_typical_sizes_are_medians_in_sides_of_the_input() -> None:
    found = np.array([0.3, 0.4, 0.5, np.nan, 0.2])
    assert typical_sizes(found, ["NEU", "NEU", "NEU", "NEU", "LY"], 0.5) == {"LY": 0.4, "NEU": 0.8}


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[float, list[CellInput]]:
    """The same cells with the whole of their picture, and with the middle of it alone: 1.5 times as large."""
    folder, made = tmp_path_factory.mktemp("slides"), {1.0: [], 1.5: []}
    for seed in range(ENOUGH_CELLS + 4):
        picture = Image.fromarray(draw_cell("SNE", seed=seed, size=240).image)
        for times, cells in made.items():
            out = 120 * (1 - 1 / times)
            path = folder / f"{times}-{seed}.png"
            picture.crop((round(out), round(out), round(240 - out), round(240 - out))).save(path)
            cells.append(CellInput(path.name, str(path)))
    return made


def test_a_slide_is_seen_as_large_as_the_cells_that_were_learnt(slides) -> None:
    bundle = open_bundle()
    paths = [Path(cell.path) for cell in slides[1.0]]
    size = float(np.median(diameters(paths, 2))) / 0.625
    card = bundle.card.model_copy(
        update={
            "preprocess": bundle.card.preprocess.model_copy(update={"crop": 0.625}),
            "cell_sizes": dict.fromkeys(("NEU", "EO", "BA", "LY", "MO", "IG", "ERB", "PLT"), size),
        }
    )
    bundle = dataclasses.replace(bundle, card=card)

    def crop(bundle, cells):
        return Classifier(bundle).slide(cells).preprocess.crop

    assert crop(bundle, slides[1.0]) == 0.625
    large = crop(bundle, slides[1.5])
    assert large == pytest.approx(1.5 * 0.625, rel=0.06)
    adapted = bundle.with_preprocess(bundle.card.preprocess.model_copy(update={"crop": large}))
    assert crop(adapted, slides[1.5]) == large  # what an adapted bundle keeps is right for its laboratory
    assert crop(bundle, slides[1.5][:5]) == 0.625
    # What the network sees is then the same, but for the resampling.
    classifier = Classifier(bundle)
    plain = [classifier.predict([cell.path for cell in slide]).cells["p_SNE"].to_numpy() for slide in slides.values()]
    unaware = Classifier(dataclasses.replace(bundle, card=card.model_copy(update={"cell_sizes": None})))
    without = unaware.predict([cell.path for cell in slides[1.5]]).cells["p_SNE"].to_numpy()
    assert np.abs(plain[0] - plain[1]).mean() < 0.5 * np.abs(plain[0] - without).mean()
