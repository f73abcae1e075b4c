"""The cells of a big case on other machines: the rows of the station's own worker.

Paths travel there and rows come back; pictures do not travel. The other machines need no web server and no database.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from leukopy.core.errors import BundleError, InputError
from leukopy.inference.rows import CellInput, Predictions
from leukopy.slides.classifier import Classifier

if TYPE_CHECKING:
    from leukopy.inference.workers import Pool

PART = 500
"""Images of one task; each task surveys the slide by up to 128 of its cells."""
PATIENCE = 180.0
"""Seconds without a result after which the station's own machine does the rest: the cluster is busy or starts."""

Cluster: TypeAlias = "Callable[[Callable[[], bool]], Pool]"
"""A pool whose results end once the function, which is asked every now and then, answers True."""


def classify_on(
    cluster: Cluster,
    model: tuple[str, str],
    slide: Sequence[CellInput],
    cells: Sequence[CellInput],
    over: Callable[[], bool],
) -> Iterator[Predictions]:
    """Classify cells of a slide on a cluster.

    Args:
        cluster: of machines that see the images under the same paths.
        model: its name or folder, and its sha256.
        slide: all cells of the slide.
        cells: those to classify, with ids of their own.
        over: True: nobody waits for the rows any more.

    Yields:
        Rows of up to ``PART`` cells, in the order in which they finish.

    Raises:
        InputError: the cluster is lost or busy, or a machine does not see the images.
        BundleError: a machine has another model.
    """
    last = time.monotonic()
    parts = [cells[begin : begin + PART] for begin in range(0, len(cells), PART)]
    pool, arrived = cluster(lambda: over() or time.monotonic() - last > PATIENCE), 0
    for found in pool(classify_part, ((*model, slide, part) for part in parts), len(parts)):
        last, arrived = time.monotonic(), arrived + 1
        yield found
    if arrived < len(parts) and not over():
        raise InputError(f"no result for {PATIENCE:.0f} s")


def classify_part(model: str, sha256: str, slide: Sequence[CellInput], cells: Sequence[CellInput]) -> Predictions:
    """Classify some cells of a slide on this machine; the rows come without their pictures."""
    unseen = sum(not Path(cell.path).is_file() for cell in slide)
    if unseen:
        raise InputError(f"{platform.node()} does not see {unseen} of the images. Mount the station's folder there.")
    classifier = _opened(model)
    if classifier.card.model.sha256 != sha256:
        raise BundleError(f"{platform.node()} has another model. Install the station's leukopy and model there.")
    parts = [classifier.nothing, *(replace(part, views=()) for part in classifier.slide(slide).rows(cells))]
    return Predictions.concat(parts)


@lru_cache(maxsize=1)
def _opened(model: str) -> Classifier:
    return Classifier.open(model, 1, "cpu")
