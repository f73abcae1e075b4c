"""A cohort as bags: the features of its cells are computed once, then read from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import field_validator

from leukopy.core.progress import Progress
from leukopy.core.settings import Settings, Shown

if TYPE_CHECKING:
    import polars as pl

    from leukopy.patients.card import Bag, CellNetwork
    from leukopy.patients.data import Cohort
    from leukopy.patients.inference.bags import CellFeatures


class CohortSettings(Settings):
    """Which patients."""

    path: Path
    """The table of the patients, or the folder that holds it."""
    cells: Annotated[Path | None, Shown("the folders beside the table")] = None
    """A manifest of the images (columns patient_id, path)."""
    reference_date: Annotated[date | None, Shown("2020-01-01 for the lymphocytosis challenge, else none")] = None
    """Date at which to compute ages when no sampling date is given."""

    @field_validator("path", "cells")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """So that a saved run is repeated from any folder."""
        return path.absolute() if path else None


@dataclass(frozen=True, eq=False)
class Bags:
    """Patients with a label, ready to be learnt from."""

    cohort: Cohort
    bags: list[Bag]
    failures: pl.DataFrame
    """cell_id, reason, message of the images that are in no bag."""


def open_labelled(settings: CohortSettings) -> Cohort:
    """The cohort's patients whose label is known.

    Raises:
        InputError, ManifestError: as `open_cohort`; or not both labels are there.
    """
    from dataclasses import replace

    import polars as pl

    from leukopy.core.errors import InputError
    from leukopy.patients.data import open_cohort

    cohort = open_cohort(settings.path, cells=settings.cells, reference_date=settings.reference_date)
    patients = cohort.patients.filter(pl.col("label").is_not_null())
    if patients["label"].n_unique() < 2:
        raise InputError(
            f"{cohort.name}: holds no reactive and tumoral patients both ({len(patients)} with a label). "
            "To learn, give patients of both labels; to judge, use 'leukopy patients predict'."
        )
    return replace(
        cohort,
        patients=patients,
        cells=cohort.cells.filter(pl.col("patient_id").is_in(patients["patient_id"].implode())),
    )


def read_bags(cohort: Cohort, network: CellNetwork | None, progress: Progress) -> Bags:
    """The bags of a cohort.

    Args:
        cohort: whose images.
        network: what makes the features; None: models that read no cell.
        progress: told of the images read.

    Raises:
        BundleError: the cell model is absent or lacks an output.
        OutputError: the cache cannot be written.
    """
    import numpy as np
    import polars as pl

    from leukopy.patients.inference.bags import make_bags

    if network is None:
        values, left_out = np.zeros((len(cohort.cells), 1), np.float32), {}
    else:
        found = _cached(network, cohort.cells, progress)
        values, left_out = found.values, found.left_out
    ids = cohort.cells["cell_id"].to_list()
    failures = pl.DataFrame(
        [(ids[row], reason, message.removeprefix(f"{cohort.cells['path'][row]}: "))
         for row, (reason, message) in left_out.items()],
        schema={"cell_id": pl.String, "reason": pl.String, "message": pl.String},
        orient="row",
    )  # fmt: skip
    return Bags(cohort, make_bags(cohort.patients, cohort.cells, values, left_out), failures)


def _cached(network: CellNetwork, cells: pl.DataFrame, progress: Progress) -> CellFeatures:
    """The features of the cells of patients, by what is in their files: made once, then read from the cache."""
    import numpy as np

    from leukopy.core.files import atomic_path, read_json, write_json
    from leukopy.core.paths import cache_folder
    from leukopy.inference.rows import CellInput
    from leukopy.patients.inference.bags import CellFeatures, cell_features

    folder, made_by = cache_folder() / "patients", _maker(network)
    owned = cells.with_row_index().partition_by("patient_id", maintain_order=True)
    places = [folder / f"features-{_key(made_by, own['path'])}" for own in owned]
    waiting = [(place, own) for place, own in zip(places, owned, strict=True) if not _values(place).exists()]
    inputs = [[CellInput(*row) for row in own.select("cell_id", "path").iter_rows()] for _, own in waiting]
    made = cell_features(network, inputs, progress) if waiting else ()
    for (place, _), found in zip(waiting, made, strict=True):
        write_json(place.with_suffix(".json"), found.left_out)
        with atomic_path(_values(place)) as temporary, temporary.open("wb") as stream:
            np.save(stream, found.values)
    parts = [np.load(_values(place)) for place in places]
    values = np.empty((cells.height, parts[0].shape[1]), np.float32)
    left_out: dict[int, tuple[str, str]] = {}
    for own, place, part in zip(owned, places, parts, strict=True):
        values[own["index"].to_numpy()] = part
        kept = read_json(place.with_suffix(".json"))
        left_out |= {own["index"][int(row)]: (reason, message) for row, (reason, message) in kept.items()}
    return CellFeatures(values, left_out)


def _values(place: Path) -> Path:
    return place.with_suffix(".npy")


def _maker(network: CellNetwork) -> bytes:
    """What the features depend on beside the files: network, card of the cell model, and the code of the measures."""
    import hashlib

    from leukopy.imaging import measures, morphology, segmentation, stains
    from leukopy.patients.inference.bags import open_network

    card = open_network(network).card
    digest = hashlib.sha256((network.model_dump_json() + card.model_dump_json()).encode())
    for module in (measures, morphology, segmentation, stains) if network.measures else ():
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.digest()


def _key(made_by: bytes, paths: pl.Series) -> str:
    """Of the pictures of a patient, in their order: which of two copies counts, and the survey, depend on it."""
    import hashlib

    from leukopy.core.files import file_digest

    digest = hashlib.sha256(made_by)
    for path in paths:
        try:
            digest.update(file_digest(Path(path)).encode())
        except OSError:  # reading it says what is wrong
            digest.update(path.encode())
    return digest.hexdigest()[:16]
