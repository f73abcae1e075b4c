"""Laboratories: their ranges, and pictures as light is absorbed."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.core.errors import SettingsError
from leukopy.synthesis import PBC_LIKE, Appearance, draw_cell, random_appearance
from leukopy.synthesis.appearance import STAINS, expose

PLAIN = PBC_LIKE.model_copy(update={"noise": 0.0, "gradient": 0.0, "sharpening": 0.0})


def picture(amounts: np.ndarray, look: Appearance, seed: int = 0) -> np.ndarray:
    return expose(amounts.astype(np.float32), look, look.um_per_px, np.random.default_rng(seed)).astype(float)


def test_empty_glass_shows_the_background():
    empty = picture(np.zeros((len(STAINS), 20, 30)), PLAIN)
    assert empty.shape == (20, 30, 3)
    assert (empty == PLAIN.background).all()


def test_stains_mix_as_light_is_absorbed():
    """Beer-Lambert: what passes two layers is what passes one, times what passes the other."""
    first, second = np.zeros((2, len(STAINS), 8, 8))
    first[STAINS.index("chromatin")] = 0.5
    second[STAINS.index("haemoglobin")] = 1.5
    glass = np.array(PLAIN.background)
    passed = [picture(amounts, PLAIN)[4, 4] / glass for amounts in (first, second, first + second)]
    assert passed[2] == pytest.approx(passed[0] * passed[1], abs=0.01)
    expected = 10 ** -(0.5 * np.array(PLAIN.chromatin))
    assert passed[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("field", "value"), [("noise", 5.0), ("gradient", 0.3), ("haze", 0.3), ("blur_um", 0.5)])
def test_each_flaw_shows(field, value):
    amounts = np.zeros((len(STAINS), 64, 64))
    amounts[0, 20:44, 20:44] = 1.0
    clean, flawed = (picture(amounts, PLAIN.model_copy(update={field: number})) for number in (0.0, value))
    measures = {
        "noise": lambda image: image[:15].std(axis=(0, 1)).mean(),
        "gradient": lambda image: np.ptp(image[:5].mean(axis=2)) + np.ptp(image[:, :5].mean(axis=2)),
        "haze": lambda image: image[32, 32].mean(),
        "blur_um": lambda image: -np.abs(np.diff(image[32].mean(axis=1))).max(),
    }
    assert measures[field](flawed) > measures[field](clean) + 2


def test_laboratories_differ_and_repeat():
    looks = [random_appearance(seed) for seed in range(40)]
    assert random_appearance(7) == looks[7]
    assert len({look.model_dump_json() for look in looks}) == 40
    glass = np.array([look.background for look in looks])
    assert np.ptp(glass.mean(axis=1)) > 60, "some are darker"
    assert np.ptp(glass[:, 0] - glass[:, 2]) > 40, "some are warmer"
    redness = np.array([look.chromatin[2] / look.chromatin[0] for look in looks])
    assert redness.max() > 3 * redness.min(), "nuclei from blue-violet to crimson"


@pytest.mark.parametrize("seed", range(12))
def test_cells_stand_out_in_every_laboratory(seed):
    """However the laboratory stains, a nucleus is darker than its cytoplasm, and that darker than the glass."""
    cell = draw_cell("SNE", seed=seed, size=160, appearance=random_appearance(seed))
    green = cell.image[..., 1].astype(float)
    nucleus = np.median(green[cell.nucleus_mask])
    cytoplasm = np.median(green[cell.cell_mask & ~cell.nucleus_mask])
    glass = np.percentile(green, 90)
    assert nucleus < cytoplasm - 10
    assert cytoplasm < glass - 2


def test_an_appearance_is_closed_and_checked():
    with pytest.raises(SettingsError, match="um_per_px"):
        Appearance.build({"um_per_px": 0})
    with pytest.raises(SettingsError, match="colour"):
        Appearance.build({"colour": 1})
