"""Samples, planes and scores: against slow literal versions, and on points whose right answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from leukopy.core.progress import silent
from leukopy.explore import projections
from leukopy.explore.projections import NEIGHBOURS, mixing, project, score, silhouette, stratified
from leukopy.explore.summaries import NO_LABEL


def test_small_strata_stay_whole_and_large_ones_are_thinned_alike() -> None:
    strata = np.repeat(["a", "b", "c", "d"], [1000, 300, 40, 3])
    rows = stratified(strata, 200, seed=1)
    names, counts = np.unique(strata[rows], return_counts=True)
    assert dict(zip(names, counts.tolist(), strict=True)) == {"a": 78, "b": 78, "c": 40, "d": 3}
    assert np.array_equal(rows, stratified(strata, 200, seed=1))
    assert not np.array_equal(rows, stratified(strata, 200, seed=2))
    assert np.array_equal(stratified(strata, 5000, seed=1), np.arange(1343))


def test_more_strata_than_points() -> None:
    strata = np.array([f"class {number}" for number in range(50)])
    assert len(stratified(strata, 20, seed=0)) == 20


def slow_mixing(points: np.ndarray, classes: np.ndarray, sources: np.ndarray) -> float:
    """As the definition says, cell by cell."""
    observed = expected = 0.0
    for code in set(classes):
        members = [cell for cell in range(len(points)) if classes[cell] == code]
        if len({sources[cell] for cell in members}) < 2:
            continue
        for cell in members:
            others = [other for other in members if other != cell]
            near = sorted(others, key=lambda other: np.linalg.norm(points[other] - points[cell]))[:NEIGHBOURS]
            observed += np.mean([sources[other] != sources[cell] for other in near])
            expected += np.mean([sources[other] != sources[cell] for other in others])
    return float(observed / expected)


def test_mixing_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(90, 4))
    classes, sources = rng.choice(["x", "y", "z"], 90), rng.choice(["one", "two"], 90, p=[0.7, 0.3])
    sources[classes == "z"] = "one"
    points[sources == "two"] += 1
    assert mixing(points, classes, sources) == pytest.approx(slow_mixing(points, classes, sources))


def test_mixing_is_one_where_sources_are_alike_and_nought_where_they_are_apart() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(600, 2))
    classes, sources = np.repeat("LY", 600), np.tile(["one", "two"], 300)
    assert mixing(points, classes, sources) == pytest.approx(1, abs=0.05)
    assert mixing(points + np.where(sources == "one", 0, 100)[:, None], classes, sources) == 0
    assert mixing(points, sources, sources) is None


def test_sources_that_hold_other_classes_do_not_seem_apart() -> None:
    points, blobs = make_blobs([200, 200], centers=[(0, 0), (50, 50)], random_state=0)
    classes = np.where(blobs == 0, "LY", "PLT")
    sources = np.where((blobs == 0) & (np.arange(400) % 2 == 0), "one", "two")  # PLT from one source only
    assert mixing(points, classes, sources) == pytest.approx(1, abs=0.1)


def test_silhouette_needs_two_groups() -> None:
    points, blobs = make_blobs(60, centers=3, cluster_std=0.1, random_state=1)
    assert silhouette(points, blobs.astype(str)) > 0.9
    assert silhouette(points, np.repeat("a", 60)) is None
    assert silhouette(points, np.arange(60).astype(str)) is None


def test_few_cells_get_what_can_be_had_and_a_sentence_for_the_rest() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 30)).astype(np.float32)
    space = project("pixels", vectors, np.repeat(["LY", "MO"], 6), 0, silent)
    assert list(space.planes) == ["PCA"]
    assert space.components.shape == (12, 11)
    assert [note.split(":")[0] for note in space.left_out] == ["LDA of pixels", "t-SNE and UMAP of pixels"]
    assert [row.method for row in score(space, np.repeat(["LY", "MO"], 6), np.repeat("one", 12))] == [
        "all 11 components", "PCA",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("vectors", "why"),
    [(np.ones((60, 12)), "all pictures are the same"), (np.eye(2, 12), "fewer than three cells")],
)
def test_what_cannot_be_projected_says_why(vectors: np.ndarray, why: str) -> None:
    classes = np.repeat("LY", len(vectors))
    space = project("pixels", vectors.astype(np.float32), classes, 0, silent)
    assert why in space.left_out[0]
    assert space.planes == {}
    assert score(space, classes, classes) == []


def test_points_on_a_line_have_a_plane() -> None:
    vectors = np.outer(np.arange(20), np.ones(5)).astype(np.float32)
    space = project("pixels", vectors, np.repeat(["LY", "MO", "EO", "BA"], 5), 0, silent)
    assert space.planes["PCA"].shape == (20, 2)
    assert all(np.isfinite(plane).all() for plane in space.planes.values())


def test_lda_looks_at_labelled_cells_only_and_places_all() -> None:
    points, blobs = make_blobs(40, n_features=8, centers=4, random_state=2)
    classes = np.array(["LY", "MO", "EO", NO_LABEL])[blobs]
    plane = project("pixels", points.astype(np.float32), classes, 0, silent).planes["LDA"]
    assert plane.shape == (40, 2)
    assert silhouette(plane[classes != NO_LABEL], classes[classes != NO_LABEL]) > 0.8


@pytest.mark.slow
def test_islands_stay_islands_in_every_plane_and_the_seed_gives_the_same_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, blobs = make_blobs(90, n_features=20, centers=3, random_state=4)
    classes = np.array(["LY", "MO", "EO"])[blobs]
    first = project("pixels", points.astype(np.float32), classes, 7, silent)
    assert list(first.planes) == ["PCA", "LDA", "t-SNE", "UMAP"]
    for method, plane in first.planes.items():
        assert silhouette(plane, classes) > 0.6, method
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "another"))
    again = project("pixels", points.astype(np.float32), classes, 7, silent)
    for method, plane in first.planes.items():
        assert np.array_equal(plane, again.planes[method]), method


def test_slow_planes_are_kept_by_all_that_decides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def slow(components: np.ndarray, seed: int) -> np.ndarray:
        made.append(seed)
        return components[:, :2] + len(made)

    monkeypatch.setattr(projections, "_tsne", slow)
    monkeypatch.setattr(projections, "_umap", slow)
    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    classes = np.repeat("LY", 60)
    first = project("pixels", vectors, classes, 0, silent)
    again = project("pixels", vectors, classes, 0, silent)
    assert made == [0, 0]
    assert all(np.array_equal(plane, again.planes[method]) for method, plane in first.planes.items())
    assert not np.array_equal(first.planes["t-SNE"], first.planes["UMAP"])
    project("pixels", vectors, classes, 1, silent)
    project("pixels", vectors + 1, classes, 1, silent)
    assert made == [0, 0, 1, 1, 1, 1]
