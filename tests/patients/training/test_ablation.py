"""The grid of an ablation: each setting once, under a name for people; what makes no sense is refused."""

from __future__ import annotations

import pytest

from leukopy.core.errors import SettingsError
from leukopy.patients.training.networks.ablation import AblateSettings


def test_the_grid_is_the_study_s_own() -> None:
    grid = AblateSettings.build({"path": "ward"}).grid()
    assert list(grid) == [
        "SGD 1e-3 decay .95", "SGD 1e-3 no decay", "SGD 1e-4 decay .95", "SGD 1e-4 no decay",
        "Adam 1e-3 decay .95", "Adam 1e-3 no decay", "Adam 1e-4 decay .95", "Adam 1e-4 no decay",
    ]  # fmt: skip
    net = grid["SGD 1e-4 decay .95"]
    assert (net.optimiser, net.learning_rate, net.decay, net.epochs) == ("sgd", 1e-4, 0.95, 20)


def test_names_tell_close_settings_apart() -> None:
    settings = AblateSettings.build({"path": "ward", "learning_rates": [2.5e-4, 2e-4], "decays": [0.9, 0.95, 0.05]})
    assert len(settings.grid()) == 2 * 2 * 3
    assert "Adam 2.5e-4 decay .05" in settings.grid()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimisers": ["rmsprop"]}, "optimisers.0"),
        ({"optimisers": []}, "optimisers"),
        ({"learning_rates": [0.1, 0.0]}, "learning_rates.1"),
        ({"learning_rates": [1e-3, 1e-3]}, "holds a setting twice"),
        ({"decays": [1.5]}, "decays.0"),
        ({"folds": 1}, "folds"),
        ({"watched_cells": 0}, "watched_cells"),
        ({"net": {"net": "none such"}}, "net"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_bad_settings_are_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        AblateSettings.build({"path": "ward", **change})
