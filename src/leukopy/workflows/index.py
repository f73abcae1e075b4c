"""Make a bundle's index of training cells, for explanation by example."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl


class IndexSettings(Settings):
    """Settings of `index`."""

    model: str = "default"
    """A bundled model, or a bundle folder; the index is written into it."""
    data: str
    """A data set, or a manifest (.csv, .parquet), that the model was trained on."""
    root: Path | None = None
    """Folder of the data set, where DATA is the name of one."""
    per_class: int = Field(default=100, ge=1, le=1000)
    """Number of cells in the index per fine class."""


@dataclass(frozen=True)
class IndexResult:
    """The written index."""

    path: Path
    cells: int
    """Training cells of a fine class that were read."""
    kept: int
    failures: dict[str, str]
    """Cell id -> why its image could not be read."""


def index_neighbours(settings: IndexSettings, *, progress: Progress = silent) -> IndexResult:
    """Choose cells among the training images of a data set, and write them into the bundle as ``neighbours.npz``.

    The file holds their embeddings, ids and classes: no picture. Only images of the ``train`` split with a fine label
    are read.

    Args:
        settings: which model, which images.
        progress: reports the images embedded.

    Raises:
        InputError: no such image, or none can be read.
        SettingsError: a data set without its root, or a manifest with one.
        BundleError: the model is absent or broken.
        OutputError: the bundle's folder cannot be written.
    """
    import numpy as np

    from leukopy.bundle import open_bundle
    from leukopy.explain.neighbours import INDEX_FILE, make_index, prototypes, write_index
    from leukopy.inference import embeddings

    bundle = open_bundle(settings.model)
    cells = _training_cells(settings)
    found, failures = embeddings(bundle, cells["path"].to_list(), progress)
    read = np.setdiff1d(np.arange(len(cells)), list(failures))
    if not len(read):
        raise InputError(f"{settings.data}: none of its {len(cells):,} training images could be read.")
    codes, ids = cells["code"].to_numpy()[read].astype(str), cells["cell_id"].to_numpy()[read].astype(str)
    rows = prototypes(codes, settings.per_class)
    source = Path(settings.data).name if settings.root is None else settings.data
    index = make_index(bundle, found[read][rows], ids[rows], codes[rows], source, _below_data(settings.root))
    path = bundle.path / INDEX_FILE
    write_index(path, index)
    return IndexResult(path, len(read), len(rows), {cells["cell_id"][row]: why for row, why in failures.items()})


def _training_cells(settings: IndexSettings) -> pl.DataFrame:
    """The images of the training split whose fine class is known."""
    import polars as pl

    from leukopy.datasets import DATASETS, open_dataset, read_manifest
    from leukopy.taxonomy import FINE

    if settings.data in DATASETS:
        if settings.root is None:
            raise SettingsError(f"{settings.data} is a data set: say where it lies with --root DIR.")
        cells = open_dataset(settings.data, settings.root)
    elif settings.root is not None:
        raise SettingsError(f"--root goes with the name of a data set; {settings.data!r} is not one. Leave --root out.")
    else:
        cells = read_manifest(Path(settings.data))
    cells = cells.filter(pl.col("code").is_in([cell.code for cell in FINE]), split="train")
    if cells.is_empty():
        raise InputError(
            f"{settings.data}: no image of split 'train' with a fine class. Neighbours are training images: "
            "give a data set or manifest with that split."
        )
    return cells


def _below_data(root: Path | None) -> str:
    """Path of a data set below ``LEUKOPY_DATA``, so that others with the same data find its pictures."""
    folder = data_folder().resolve()
    if root is None or not root.resolve().is_relative_to(folder):
        return ""
    return root.resolve().relative_to(folder).as_posix()
