"""A last layer fitted to a few labelled cells: checked against plain minimisation, and for what it must not lose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from leukopy.bundle import open_bundle
from leukopy.imaging.decode import read_picture
from leukopy.inference.adaptation import Labelled, adaptable, fit_head, held_out, logits_of, variants, widened
from leukopy.network.probabilities import softmax

LY, MO, NEU = 4, 5, [0, 1]


def cells(count: int = 40, width: int = 6, seed: int = 0) -> Labelled:
    """Lymphocytes lie to one side of the first axis, monocytes to the other; some are neutrophils not divided."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    embeddings = rng.normal(size=(count, width)).astype(np.float32) + np.eye(3, width, dtype=np.float32)[truth] * 4
    members = np.zeros((count, 11), bool)
    members[truth == 0, LY] = members[truth == 1, MO] = True
    members[np.ix_(truth == 2, NEU)] = True
    return Labelled(embeddings, members, np.arange(count) % 4)


def right(logits: np.ndarray, labelled: Labelled) -> float:
    return float(labelled.members[np.arange(len(logits)), logits.argmax(axis=1)].mean())


HEAD = (np.random.default_rng(1).normal(size=(11, 6)).astype(np.float32) * 0.1, np.zeros(11, np.float32))


def test_it_is_the_minimum_that_a_plain_search_over_all_weights_finds() -> None:
    labelled, penalty = cells(), 0.1
    scale = (labelled.embeddings - labelled.embeddings.mean(axis=0)).std()
    inputs = (labelled.embeddings - labelled.embeddings.mean(axis=0)) / scale

    def loss(change: np.ndarray, shift: np.ndarray) -> float:
        logits = logits_of(HEAD, labelled.embeddings) + inputs @ change.T + shift
        within = (softmax(logits) * labelled.members).sum(axis=1)
        return float(-np.log(within).mean() + penalty * ((change**2).sum() + 0.01 * (shift**2).sum()))

    plain = minimize(lambda flat: loss(flat[:66].reshape(11, 6), flat[66:]), np.zeros(77), method="L-BFGS-B",
                     options={"maxfun": 10**6})  # fmt: skip
    weights, bias = fit_head(HEAD, labelled, penalty)
    change = (weights - HEAD[0]) * scale
    shift = bias - HEAD[1] + (weights - HEAD[0]) @ labelled.embeddings.mean(axis=0)
    assert loss(change, shift) == pytest.approx(plain.fun, abs=1e-4)


def test_it_learns_what_the_old_head_does_not_know() -> None:
    labelled, others = cells(), cells(200, seed=7)
    assert right(logits_of(HEAD, others.embeddings), others) < 0.5
    assert right(logits_of(fit_head(HEAD, labelled, 0.1), others.embeddings), others) > 0.9


def test_the_dearer_the_change_the_nearer_it_stays() -> None:
    moved = [np.abs(fit_head(HEAD, cells(), penalty)[0] - HEAD[0]).sum() for penalty in (1e6, 10, 0.1)]
    assert moved[0] < 1e-3
    assert moved[0] < moved[1] < moved[2]


def test_more_axes_than_cells_and_cells_all_alike() -> None:
    few = cells(12, width=300)
    wide = np.zeros((11, 300), np.float32), np.zeros(11, np.float32)
    assert right(logits_of(fit_head(wide, few, 0.01), few.embeddings), few) == 1
    alike = Labelled(np.ones((4, 6), np.float32), few.members[:4], few.folds[:4])
    assert all(np.isfinite(part).all() for part in fit_head(HEAD, alike, 0.1))


def test_details_of_any_scale_are_learnt_from_alike() -> None:
    """They are three of the six columns here: the head that is held to read the other three alone."""
    plain = cells(width=3)
    rng = np.random.default_rng(5)
    told = plain.members[:, LY] * 2.0 - plain.members[:, MO] + rng.normal(0, 0.2, (3, 40))
    found = []
    for unit in (1, 1000):
        wide = np.concatenate([rng.normal(size=(40, 3)), told.T * unit], axis=1).astype(np.float32)
        wide[:, :3] = np.random.default_rng(6).normal(size=(40, 3))
        labelled = Labelled(wide, plain.members, plain.folds, details=3)
        narrow = HEAD[0][:, :3], HEAD[1]
        fitted = fit_head(narrow, labelled, 0.01)
        found.append(logits_of(fitted, wide))
        assert fitted[0].shape == (11, 6)
        assert right(found[-1], labelled) > 0.9
        assert held_out(narrow, labelled, 0.01).shape == (40, 11)
    assert found[0] == pytest.approx(found[1], abs=1e-2)


def test_a_widened_head_says_the_same() -> None:
    rows = cells().embeddings
    further = np.concatenate([rows, np.ones((40, 2), np.float32)], axis=1)
    np.testing.assert_allclose(logits_of(widened(HEAD, 8), further), logits_of(HEAD, rows), atol=1e-6)


def test_a_network_without_the_maps_is_fitted_by_its_embedding(colour_model) -> None:
    with adaptable(open_bundle(colour_model.path)) as network:
        assert (network.details, network.output, network.head[0].shape) == (0, "embedding", (11, 3))


def test_a_cell_is_held_out_from_the_head_that_judges_it() -> None:
    labelled = cells()
    found = held_out(HEAD, labelled, 0.1)
    for part in range(4):
        rows = labelled.folds == part
        expected = logits_of(fit_head(HEAD, labelled[~rows], 0.1), labelled.embeddings[rows])
        assert np.array_equal(found[rows], expected)


def test_variants_are_fitted_to_but_not_judged() -> None:
    plain = cells()
    rng = np.random.default_rng(3)
    near = plain.embeddings[:, None] + rng.normal(0, 0.1, (40, 3, 6)).astype(np.float32)
    varied = Labelled(plain.embeddings, plain.members, plain.folds, near)
    embeddings, members = varied.examples()
    assert embeddings.shape == (160, 6)
    assert (members[40:43] == plain.members[0]).all()
    assert np.array_equal(embeddings[40:43], near[0])
    alike = fit_head(HEAD, Labelled(embeddings, members, np.zeros(160, int)), 0.1)
    assert fit_head(HEAD, varied, 0.1)[0] == pytest.approx(alike[0])
    assert held_out(HEAD, varied, 0.1).shape == (40, 11)
    assert varied[np.arange(40) < 5].examples()[0].shape == (20, 6)


def test_variants_of_a_picture_are_the_same_again_and_unlike_each_other(colour_model, tmp_path) -> None:
    paths = [colour_model.draw(tmp_path / f"{code}.png", code) for code in ("LY", "EO")]
    bundle = open_bundle(colour_model.path)
    pictures = [read_picture(path, 32) for path in paths]
    found = variants(bundle, pictures, 4, seed=0)
    assert found.shape == (2, 4, 3)
    assert np.array_equal(found, variants(bundle, pictures, 4, seed=0))
    assert np.unique(found[0], axis=0).shape == (4, 3)
