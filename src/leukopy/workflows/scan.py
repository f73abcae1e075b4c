"""Scan a data set: list its images, probe each, audit them, split them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from leukopy.core.errors import ImageError, InputError
from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings, Shown

if TYPE_CHECKING:
    import polars as pl

    from leukopy.datasets import Audit, FileProbe

MANIFEST_FILE = "manifest.parquet"
FAILURES_FILE = "failures.csv"

_BATCH = 512  # images between two reports of progress


class ScanSettings(Settings):
    """Settings of a scan."""

    dataset: str
    """Name of a data set (`leukopy study datasets`)."""
    root: Path
    """Folder of the data set, or a manifest of it."""
    label_map: Annotated[str | None, Shown("the data set's own")] = None
    """Data set whose class names the labels are, or a table with columns label and code (docs/studies.md)."""
    check: bool = False
    """Decode every image in full, not only its header. An audit and a split always do."""
    audit: bool = False
    """Search for duplicates and contradicting labels."""
    split: Annotated[tuple[float, float, float] | None, Shown("the data set's own")] = None
    """Shares of train, validation and test: split anew, by group and duplicates, stratified by class."""
    seed: int = Field(default=0, ge=0)
    """Seed of the split."""


@dataclass(frozen=True)
class ScanResult:
    """Results of a scan: each image is in exactly one of the two tables."""

    out: Path
    manifest: pl.DataFrame
    """``MANIFEST_SCHEMA``, with sizes and digests; also in ``manifest.parquet``."""
    failures: pl.DataFrame
    """``FAILURE_SCHEMA``; also in ``failures.csv``."""
    audit: Audit | None
    note: str = ""
    """Note on further files beside the images; empty for a manifest."""


def scan(settings: ScanSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> ScanResult:
    """List the images of a data set and probe each one.

    Args:
        settings: the settings.
        out: receives ``manifest.parquet``, ``failures.csv``, ``run.json``, and of an audit ``audit.json`` and
            ``duplicates.csv``.
        overwrite: overwrite the results in ``out``.
        progress: reports the images probed.

    Raises:
        InputError: no such folder, no image in it, or none that can be read.
        UnknownLabelError: a label that the label map does not hold.
        SettingsError: no such data set or label map, or shares that do not sum to 1.
        OutputError: ``out`` holds something else or cannot be written.
    """
    from leukopy.datasets import (
        audit,
        check_fractions,
        describe_duplicates,
        leftovers,
        open_dataset,
        split,
        write_audit,
        write_manifest,
    )

    if settings.split:
        check_fractions(settings.split)
    listing = open_dataset(settings.dataset, settings.root, labels=settings.label_map)
    run = record("datasets scan", settings)
    begin(out, run, overwrite=overwrite)

    needs_pixels = settings.check or settings.audit or settings.split is not None
    outcomes = _look_at_all(listing["path"].to_list(), needs_pixels, progress)
    manifest, failures = _tables(listing, outcomes)
    with atomic_path(out / FAILURES_FILE) as temporary:
        failures.write_csv(temporary)
    if manifest.is_empty():
        raise InputError(f"{settings.root}: none of its {len(failures)} images can be read; see {out / FAILURES_FILE}.")
    duplicates = _duplicates(outcomes) if settings.audit or settings.split else None
    if settings.split:
        manifest = split(manifest, settings.split, seed=settings.seed, duplicates=duplicates)
    result = None
    if settings.audit and duplicates is not None:
        pairs = describe_duplicates(manifest, duplicates)
        result = audit(manifest, failures["reason"].to_list(), pairs)
        write_audit(out, result, pairs)
    write_manifest(out / MANIFEST_FILE, manifest)
    finish(out, run, images=len(manifest), failures=len(failures))
    note = leftovers(settings.root).note if settings.root.is_dir() else ""
    return ScanResult(out, manifest, failures, result, note)


def _look_at_all(paths: list[str], pixels: bool, progress: Progress) -> list[FileProbe | ImageError]:
    """A probe, or the error that prevented it, for each path."""
    from joblib import cpu_count

    outcomes: list[FileProbe | ImageError] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for start in range(0, len(paths), _BATCH):
            outcomes += pool.map(partial(_look, pixels=pixels), paths[start : start + _BATCH])
            progress("looking at images", len(outcomes), len(paths))
    return outcomes


def _look(path: str, pixels: bool) -> FileProbe | ImageError:
    from leukopy.datasets import probe_file

    try:
        return probe_file(Path(path), pixels=pixels)
    except ImageError as error:
        return error


def _tables(listing: pl.DataFrame, outcomes: list[FileProbe | ImageError]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The readable images with their probes, and the unreadable ones with the reason."""
    import polars as pl

    from leukopy.datasets import MANIFEST_SCHEMA
    from leukopy.inference.rows import FAILURE_SCHEMA

    errors = [each for each in outcomes if isinstance(each, ImageError)]
    probes = [each for each in outcomes if not isinstance(each, ImageError)]
    failed = pl.Series([isinstance(each, ImageError) for each in outcomes], dtype=pl.Boolean)
    manifest = listing.filter(~failed).with_columns(
        pl.Series(name, [getattr(each, name) for each in probes], dtype=MANIFEST_SCHEMA[name])
        for name in ("width", "height", "digest")
    )
    failures = listing.filter(failed).select("cell_id", "path")
    failures = failures.with_columns(
        reason=pl.Series([error.reason for error in errors], dtype=FAILURE_SCHEMA["reason"]),
        message=pl.Series([str(error) for error in errors], dtype=FAILURE_SCHEMA["message"]),
    )
    return manifest, failures


def _duplicates(outcomes: list[FileProbe | ImageError]) -> pl.DataFrame:
    import numpy as np

    from leukopy.datasets import find_duplicates

    probes = [each for each in outcomes if not isinstance(each, ImageError)]
    thumbnails = np.stack([each.thumbnail for each in probes if each.thumbnail is not None])
    return find_duplicates([each.digest for each in probes], thumbnails)
