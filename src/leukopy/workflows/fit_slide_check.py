"""Add the slide check to a bundle: a warning for slides unlike the training data. The network does not change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.fit_ood import recipe_of
from leukopy.workflows.train import require_torch

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Card, Metric
    from leukopy.imaging.preprocess import Preprocess
    from leukopy.slides.laboratory_check import SlideDistance

REPORT_FILE = "slide_check.json"


class FitSlideCheckSettings(Settings):
    """Settings of `fit_slide_check`."""

    model: str = "default"
    """A bundled model, or a bundle folder."""
    images: int = Field(default=1500, ge=50)
    """Most training images read of each laboratory, spread evenly over its list."""
    check: dict[str, Any] = Field(default_factory=dict)
    """Settings of the check's fit (`slides.fit_check.SlideCheckSettings`)."""


@dataclass(frozen=True)
class SlideCheckResult:
    """The new bundle, and the distance of each of its laboratories from the others."""

    bundle: Path
    card: Card
    left_out: dict[str, SlideDistance]
    failures: int


def fit_slide_check(
    settings: FitSlideCheckSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> SlideCheckResult:
    """Write the appearance of the training laboratories into a bundle's card.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``slide_check.json`` (all figures), ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the images decoded.

    Raises:
        MissingExtraError: torch is not installed.
        BundleError: the model is absent, broken or foreign, or its recipe is no network's.
        TrainingError: no laboratory has images enough.
        InputError: the pictures of the recipe's sources are not there, or none of them can be read.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    require_torch()
    import numpy as np
    import polars as pl

    from leukopy.bundle import carry_over, open_bundle, write_bundle
    from leukopy.slides import fit_check as slides
    from leukopy.taxonomy import find
    from leukopy.training.sources import DRAWN, list_training_cells

    how = slides.SlideCheckSettings.build(settings.check, where="check")
    bundle = open_bundle(settings.model)
    cells = list_training_cells(recipe_of(bundle), data_folder()).filter(pl.col("source") != DRAWN, split="train")
    run = record("fit-slide-check", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    cells, appearance, failures = _appearance(_some(cells, settings.images), bundle.card.preprocess, progress)
    with atomic_path(out / "failures.csv") as temporary:
        failures.write_csv(temporary)
    classes = np.array([find(code).coarse for code in cells["code"]])
    laboratories = np.array([_name(source) for source in cells["source"]])
    check = slides.fit_slide_check(appearance, classes, laboratories, how)
    left_out = slides.distances_left_out(appearance, classes, laboratories, how)
    card = bundle.card.model_copy(
        update={"slide_check": check.model_copy(update={"metrics": tuple(map(_metric, left_out, left_out.values()))})}
    )
    written = write_bundle(out / "bundle", card, bundle.model_path.read_bytes())
    carry_over(bundle, written)
    write_json(out / REPORT_FILE, {"left_out": {name: asdict(found) for name, found in left_out.items()}})
    finish(out, run, failures=len(failures))
    return SlideCheckResult(written.path, card, left_out, len(failures))


def _some(cells: pl.DataFrame, images: int) -> pl.DataFrame:
    """At most so many of each source, evenly over its list: every class and slide is met."""
    import numpy as np
    import polars as pl

    parts = cells.partition_by("source", maintain_order=True)
    return pl.concat(part[np.linspace(0, len(part) - 1, min(images, len(part))).astype(int)] for part in parts)


def _appearance(
    cells: pl.DataFrame, spec: Preprocess, progress: Progress
) -> tuple[pl.DataFrame, NDArray[np.float32], pl.DataFrame]:
    """The readable cells, their appearance, and the message for each unreadable cell."""
    import numpy as np
    import polars as pl

    from leukopy.imaging.appearance import measure_appearance
    from leukopy.training.cache import decode_all

    decoded = decode_all(cells, spec, cache_folder(), progress)
    rows = np.setdiff1d(np.arange(len(cells)), list(decoded.failures))
    if not len(rows):
        raise InputError(f"{data_folder()}: none of the images of the recipe can be read. Set LEUKOPY_DATA.")
    appearance = [measure_appearance(decoded.pictures(part)) for part in np.array_split(rows, 1 + len(rows) // 64)]
    failures = pl.Series("message", decoded.failures.values(), dtype=pl.String)
    return cells[rows], np.concatenate(appearance), cells[list(decoded.failures)].select("cell_id", failures)


def _name(source: str) -> str:
    from leukopy.datasets import DATASETS

    return DATASETS[source].card.title.split(":")[0]


def _metric(name: str, found: SlideDistance) -> Metric:
    from leukopy.bundle import Metric

    return Metric(
        name=f"distance of {name} when left out of the reference",
        value=found.distance,
        data=f"{found.cells:,} training images as one slide; nearest: {found.nearest}",
    )
