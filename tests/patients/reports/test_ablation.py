from __future__ import annotations

import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import InputError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.reports.ablation import CURVE_SCHEMA, INNER, ablation_figures, write_ablation

_RISES, _PEAKS = "SGD 1e-4 decay .95", "Adam $1e-3$ | <no> decay"
_CURVES = {
    _RISES: {0: [0.5, 0.6, 0.7], 1: [0.5, 0.8, 0.9]},
    _PEAKS: {0: [0.9, 0.6, 0.5], 1: [0.5, 0.8, 0.6]},  # each fold at its best in another epoch
}


@pytest.fixture
def curves():
    rows = [
        (setting, fold, epoch + 1, value)
        for setting, folds in _CURVES.items()
        for fold, values in folds.items()
        for epoch, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=CURVE_SCHEMA, orient="row")


def test_three_readings_of_the_same_curves(curves):
    rises, peaks = ablation_figures(curves)
    assert (rises.setting, peaks.setting) == (_RISES, _PEAKS)
    assert rises.mean_of_best == rises.mean_at_last == rises.mean_at_one == pytest.approx(0.8)
    assert (peaks.best, peaks.best_epochs) == ((0.9, 0.8), (1, 2))
    assert peaks.mean_of_best == pytest.approx(0.85)
    assert peaks.mean_at_last == pytest.approx(0.55)
    assert (peaks.mean_at_one, peaks.one_epoch) == (pytest.approx(0.7), 1)  # of equals the first
    assert all(row.mean_of_best >= row.mean_at_one >= row.mean_at_last for row in (rises, peaks))


def test_patients_that_were_held_back_choose_the_epoch(curves, tmp_path):
    held_back = pl.Series(INNER, [0.9, 0.5, 0.5, 0.5, 0.5, 0.9, 0.4, 0.8, 0.8, 0.9, 0.1, 0.2])
    rises, peaks = ablation_figures(curves.with_columns(held_back))
    assert (rises.chosen, rises.chosen_epochs) == ((0.5, 0.9), (1, 3))  # not its best epoch, 3 of fold 0
    assert (peaks.chosen, peaks.chosen_epochs) == ((0.6, 0.5), (2, 1))  # of equals the first
    assert rises.mean_of_chosen == pytest.approx(0.7)
    assert rises.mean_of_best == ablation_figures(curves)[0].mean_of_best
    write_ablation(tmp_path, curves.with_columns(held_back), {})
    assert "0.500 (1), 0.900 (3), mean 0.700 |" in (tmp_path / "ablation.md").read_text()
    assert pl.read_csv(tmp_path / "ablation.csv")[INNER].to_list() == held_back.to_list()


def test_the_order_of_the_rows_is_nothing(curves):
    shuffled = curves.sample(fraction=1, shuffle=True, seed=3)
    assert sorted(ablation_figures(shuffled), key=str) == sorted(ablation_figures(curves), key=str)


def test_files(curves, tmp_path):
    write_ablation(tmp_path, curves, {"commit": "abc"})
    assert pl.read_csv(tmp_path / "ablation.csv").equals(curves)
    text = (tmp_path / "ablation.md").read_text()
    assert "| SGD 1e-4 decay .95 | 0.700 (3), 0.900 (3) | 0.800 | 0.800 | 0.800 (3) |" in text
    assert "| Adam $1e-3$ \\| &lt;no> decay | 0.900 (1), 0.800 (2) | 0.850 | 0.550 | 0.700 (1) |" in text
    assert "optimistic" in text
    assert RESEARCH_USE_ONLY in text
    assert "- commit: `abc`" in text
    first = (tmp_path / "ablation.png").read_bytes()
    with Image.open(tmp_path / "ablation.png") as picture:
        used = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert (0x5A, 0x3D, 0x8A) in used  # the mean line
    assert any(0xD0 < red < 0xF0 and blue > red + 5 for red, _, blue in used)  # the shade around it
    write_ablation(tmp_path, curves, {})
    assert (tmp_path / "ablation.png").read_bytes() == first


def test_a_single_fold_has_no_shade_and_is_drawn(curves, tmp_path):
    write_ablation(tmp_path, curves.filter(fold=0), {})
    assert (tmp_path / "ablation.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop("epoch"), "'epoch' is missing"),
        (lambda table: table.clear(), "no rows"),
        (lambda table: table.with_columns(balanced_accuracy=None), "empty"),
        (lambda table: table.with_columns(balanced_accuracy=pl.lit(float("nan"))), "not finite"),
        (lambda table: table.head(-1), "differ in their epochs"),
        (lambda table: pl.concat([table.head(-1), table.head(-1).tail(1)]), "differ in their epochs"),
    ],
)
def test_wrong_curves_are_refused(curves, tmp_path, spoil, message):
    with pytest.raises(InputError, match=message):
        write_ablation(tmp_path, spoil(curves), {})
    assert not list(tmp_path.iterdir())
