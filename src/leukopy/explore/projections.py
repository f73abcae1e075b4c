"""Cells as points in the plane: PCA, LDA, t-SNE and UMAP, and the separation of classes and sources."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from leukopy.core.paths import cache_folder
from leukopy.core.progress import Progress
from leukopy.explore.store import Store
from leukopy.explore.summaries import NO_LABEL

Points = NDArray[np.float32]
Names = NDArray[np.str_]

COMPONENTS = 50
"""Principal components that t-SNE, UMAP, LDA and the scores start from."""
NEIGHBOURS = 15
"""Number of neighbours of UMAP (its default), and of the mixing score."""
METHODS = ("PCA", "LDA", "t-SNE", "UMAP")
_FEWEST = 3 * NEIGHBOURS
"""Cells below which t-SNE and UMAP would show their own settings rather than the data."""


@dataclass(frozen=True, eq=False)
class Space:
    """Some cells in one space (their pixels, their embeddings), seen in the plane in several ways."""

    name: str
    components: Points
    """Shape (N, C): principal components."""
    planes: dict[str, Points] = field(default_factory=dict)
    """Method -> coordinates (N, 2)."""
    left_out: tuple[str, ...] = ()
    """One sentence for each method that could not be used."""


def stratified(strata: Names, points: int, seed: int) -> NDArray[np.int64]:
    """Rows of a sample in which no stratum outnumbers another that was thinned; sorted.

    Every stratum gives at most the same number of rows, the largest number that keeps the sample within ``points``:
    small classes and sources stay whole, large ones are thinned.
    """
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    cap = int(sizes.max(initial=0))
    while np.minimum(sizes, cap).sum() > points and cap > 1:
        cap -= 1
    order = np.random.default_rng(seed).permutation(len(strata))
    rank = np.empty(len(strata), dtype=np.int64)  # of each row within its stratum, in random order
    for number in range(len(sizes)):
        members = order[stratum[order] == number]
        rank[members] = np.arange(len(members))
    return np.flatnonzero(rank < cap)[: max(points, 0)] if cap == 1 else np.flatnonzero(rank < cap)


def project(name: str, vectors: Points, classes: Names, seed: int, progress: Progress) -> Space:
    """Project cells from one space to the plane.

    PCA: Pearson 1901. LDA: Fisher 1936, on the principal components; it is fitted to the classes that it shows apart.
    t-SNE: van der Maaten & Hinton, JMLR 2008. UMAP: McInnes, Healy & Melville, arXiv:1802.03426.

    Args:
        name: of the space.
        vectors: float32 (N, D).
        classes: (N,) of the cells, ``NO_LABEL`` where there is none; LDA needs three of them.
        seed: of all that is random.
        progress: reports the methods that are finished.

    Raises:
        OutputError: the cache, which keeps t-SNE and UMAP, cannot be written.
    """
    if len(vectors) < 3 or (vectors == vectors[0]).all():
        why = "there are fewer than three cells" if len(vectors) < 3 else "all pictures are the same"
        return Space(name, vectors[:, :0], left_out=(f"Projections of {name}: {why}.",))
    count = min(COMPONENTS, *vectors.shape, len(vectors) - 1)
    components = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(vectors).astype(np.float32)
    components = components[:, components.std(axis=0) > 0]
    planes, left_out = {"PCA": _plane(components)}, []
    labelled = classes != NO_LABEL
    if 3 <= len(set(classes[labelled])) < labelled.sum() and components.shape[1] >= 2:
        planes["LDA"] = _lda(components, classes, labelled)
    else:
        left_out.append(f"LDA of {name}: it needs three classes with labels, and more cells than classes.")
    progress(f"projecting {name}", len(planes), len(METHODS))
    if len(vectors) >= _FEWEST:
        made_of = hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
        planes["t-SNE"] = _kept("t-SNE", _tsne, components, seed, made_of)
        progress(f"projecting {name}", len(planes), len(METHODS))
        planes["UMAP"] = _kept("UMAP", _umap, components, seed, made_of)
    else:
        left_out.append(f"t-SNE and UMAP of {name}: they need at least {_FEWEST} cells.")
    progress(f"projecting {name}", len(METHODS), len(METHODS))
    return Space(name, components, planes, tuple(left_out))


def _kept(method: str, compute: Callable[[Points, int], Points], components: Points, seed: int, made_of: str) -> Points:
    """A plane that takes minutes to compute, from the cache if settings, versions and cells are the same."""
    versions = [version(package) for package in ("scikit-learn", "umap-learn")]
    key = f"{method} {seed} {COMPONENTS} {NEIGHBOURS} {versions} {made_of}"
    with closing(Store(cache_folder() / "explore" / "planes.sqlite")) as store:
        if not (kept := store.get([key])):
            store.put(kept := {key: compute(components, seed).astype(np.float32).tobytes()})
    return np.frombuffer(kept[key], np.float32).reshape(-1, 2)


def _plane(components: Points) -> Points:
    """The first two columns; a second of zeros where there is one."""
    return np.pad(components[:, :2], ((0, 0), (0, max(0, 2 - components.shape[1]))))


def _lda(components: Points, classes: Names, labelled: NDArray[np.bool_]) -> Points:
    """Fitted on the labelled cells; the others are placed by it."""
    scaled = components / components.std(axis=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Variables are collinear", UserWarning)  # few cells: noted on the page
        found = LinearDiscriminantAnalysis(n_components=2).fit(scaled[labelled], classes[labelled]).transform(scaled)
    return _plane(found.astype(np.float32))


def _tsne(components: Points, seed: int) -> Points:
    perplexity = min(30.0, (len(components) - 1) / 3)
    found: Points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(components)
    return found


def _umap(components: Points, seed: int) -> Points:
    """UMAP on exact neighbours: at these numbers they cost a second, and spare compiling an approximate search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # its network, which is not used here, is not there
        from umap import UMAP  # noqa: PLC0415 (an extra; and importing it takes seconds)

    distances, neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(components).kneighbors(components)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="umap")  # new points will not be transformed
        reducer = UMAP(
            n_neighbors=NEIGHBOURS,
            init="pca",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(neighbours, distances, None),
            force_approximation_algorithm=True,
        )
        found: Points = reducer.fit_transform(components)
    return found


@dataclass(frozen=True)
class Score:
    """Separation of groups of cells in one space."""

    space: str
    method: str
    """A projection, or ``all components``."""
    silhouette_class: float | None
    """-1 to 1, of the labelled cells; None with fewer than two classes."""
    silhouette_source: float | None
    mixing: float | None
    """0 (sources apart) to 1 (mixed as by chance); None where no class comes from two sources."""


def score(space: Space, classes: Names, sources: Names) -> list[Score]:
    """Silhouettes by class (of labelled cells) and by source, and the mixing of sources, in a space and its planes."""
    if not space.components.shape[1]:
        return []
    labelled = classes != NO_LABEL
    return [
        Score(
            space.name,
            method,
            silhouette(points[labelled], classes[labelled]),
            silhouette(points, sources),
            mixing(points, classes, sources),
        )
        for method, points in {f"all {space.components.shape[1]} components": space.components, **space.planes}.items()
    ]


def silhouette(points: Points, groups: Names) -> float | None:
    """Mean silhouette (Rousseeuw, J Comput Appl Math 1987): 1 well apart, 0 overlapping, below 0 wrongly near."""
    if not 2 <= len(set(groups)) < len(groups):
        return None
    return float(silhouette_score(points, groups))


def mixing(points: Points, classes: Names, sources: Names) -> float | None:
    """Mixing of sources: the share of neighbours from other sources among the cells of one class.

    Of each cell, the share of its nearest neighbours of the same class that come from another source, summed over all
    cells and divided by what chance would give: the comparison of local with global composition of kBET (Büttner et
    al., Nature Methods 2019), taken within classes so that sources that hold other classes do not seem apart.

    Args:
        points: (N, D).
        classes: (N,).
        sources: (N,).

    Returns:
        0 to about 1; None where no class comes from two sources.
    """
    observed, expected = 0.0, 0.0
    for code in np.unique(classes):
        members = np.flatnonzero(classes == code)
        names, source = np.unique(sources[members], return_inverse=True)
        if len(names) < 2:
            continue
        wanted = min(NEIGHBOURS, len(members) - 1)
        search = NearestNeighbors(n_neighbors=wanted).fit(points[members])
        near = search.kneighbors(return_distance=False)
        observed += float((source[near] != source[:, None]).mean(axis=1).sum())
        expected += float((1 - (np.bincount(source)[source] - 1) / (len(members) - 1)).sum())
    return observed / expected if expected else None
