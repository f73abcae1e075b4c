"""Judge the patients of a cohort: a probability and a decision each, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from leukopy.core.devices import Device
from leukopy.core.files import atomic_path, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, finish, record
from leukopy.core.settings import Shown
from leukopy.patients.workflows.cohort import CohortSettings

if TYPE_CHECKING:
    import polars as pl

    from leukopy.patients.card import Bag
    from leukopy.patients.data import Cohort
    from leukopy.patients.inference.cells import CellReader, CellReading
    from leukopy.patients.inference.model import PatientModel, PatientResult
    from leukopy.patients.reports.patient import Judgement

COMMAND = "patients predict"
_MANY = 60
"""Patients from which pages are written by several processes: starting them costs as much as the pages of 40."""
PATIENTS_FILE = "patients.parquet"
CELLS_FILE = "cells.parquet"
FEATURES_FILE = "features.parquet"
FAILURES_FILE = "failures.csv"
PROBLEMS_FILE = "problems.csv"
SUBMISSION_FILE = "submission.csv"


class PredictPatientsSettings(CohortSettings):
    """All that decides what `predict_patients` writes."""

    model: str = "lymphocytosis"
    """A bundled patient model, or the folder of a patient bundle."""
    operating_point: Annotated[str | None, Shown("the model's first")] = None
    """Operating point of the decisions: balanced or triage."""
    shown: int = Field(default=6, ge=0, le=100)
    """Most cells shown for each decision, with heat maps."""
    pages: bool = True
    """Write a page per patient and one of the cohort; `leukopy patients report` writes them later."""
    threads: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Worker threads. The results do not depend on them."""
    device: Device = "auto"
    """Device that runs the network. If it is missing, the CPU runs the network and a note says so."""


@dataclass(frozen=True)
class PredictPatientsResult:
    """What a run found, and where it lies."""

    folder: Path
    patients: pl.DataFrame
    """Rows of ``JUDGED_SCHEMA``: every patient of the cohort."""
    failures: pl.DataFrame
    """Rows of ``PATIENT_FAILURE_SCHEMA``: images not read, patients not judged."""
    problems: pl.DataFrame
    """Rows of ``datasets.PROBLEM_SCHEMA``."""
    report: Path | None
    """The page of the cohort; None where no pages were asked for."""
    note: str = ""
    """Note on the device."""


@dataclass(frozen=True)
class _Tools:
    model: PatientModel
    reader: CellReader
    settings: PredictPatientsSettings


@dataclass
class _Found:
    """What comes together while patients are judged one by one."""

    patients: list[dict[str, Any]] = field(default_factory=list)
    cells: list[pl.DataFrame] = field(default_factory=list)
    features: list[pl.DataFrame] = field(default_factory=list)
    failures: list[pl.DataFrame] = field(default_factory=list)
    digests: list[pl.DataFrame] = field(default_factory=list)
    """cell_id and digest of all pictures that were read."""


def predict_patients(
    settings: PredictPatientsSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> PredictPatientsResult:
    """Judge every patient of a cohort who has an image of a lymphocyte.

    All pictures of a patient are one slide: copies and pictures without a single cell are in no bag. Problems of the
    cohort are those of `scan_patients`, copies of unreadable files excepted. A patient without a readable image, or
    whose pictures are not of lymphocytes, is a row with the reason, without a probability and a decision.

    A run is not resumed: a hundred patients take a minute.

    Args:
        settings: what to do.
        out: receives ``patients.csv`` and ``.parquet``, ``cells.parquet``, ``features.parquet``, ``submission.csv``,
            ``failures.csv``, ``problems.csv``, ``run.json``, and of pages ``report.html`` and
            ``patients/<patient>.html``.
        overwrite: replace the run that ``out`` holds.
        progress: told of the patients judged, and of the pages written.

    Raises:
        InputError, ManifestError, SettingsError: as `open_cohort`; the model has no such operating point; a process
            that measures cells was killed.
        BundleError: the patient model, or the cell model that it reads, is absent, broken or foreign.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.inference.openvino import runtime
    from leukopy.patients.data import open_cohort
    from leukopy.patients.inference.cells import CellReader
    from leukopy.patients.inference.model import PatientModel
    from leukopy.patients.store import open_patient_bundle

    # All that can be wrong is found before the first file is written, and before --overwrite deletes one.
    bundle = open_patient_bundle(settings.model)
    reader = CellReader(bundle, settings.threads, settings.device)
    tools = _Tools(PatientModel(bundle, settings.threads), reader, settings)
    tools.model.point(settings.operating_point)
    cohort = open_cohort(settings.path, cells=settings.cells, reference_date=settings.reference_date)
    model = {"name": bundle.card.name, "sha256": bundle.card.model.sha256}
    facts = {"cohort": {"name": cohort.name, "ages": cohort.ages}, "runtime": runtime(reader.device.name)}
    run = record(COMMAND, settings, model=model, device=reader.device._asdict(), **facts)
    begin(out, run, overwrite=overwrite)
    found = _Found()
    try:
        _judge_all(tools, cohort, found, progress)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("no patient was written; run again with --overwrite.") from interrupt
    result = replace(_write_tables(found, cohort, out), note=reader.device.note)
    finish(out, run, counts=_counts(result))
    if not settings.pages:
        return result
    try:
        return write_pages(out, run, progress=progress)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"the tables are whole; 'leukopy patients report {out}' writes the pages."
        ) from interrupt


def _judge_all(tools: _Tools, cohort: Cohort, found: _Found, progress: Progress) -> None:
    """Judge each patient, in the order of the cohort."""
    bags = {key[0]: cells for key, cells in cohort.cells.group_by("patient_id", maintain_order=True)}
    # Of several patients all cells are measured first, in processes, which start slowly; of one, as the network runs.
    measured = tools.reader.measure(cohort.cells["path"].to_list(), progress) if len(bags) > 1 else None
    progress("judging patients", 0, cohort.patients.height)
    for done, patient in enumerate(cohort.patients.iter_rows(named=True), start=1):
        _judge(tools, patient, bags[patient["patient_id"]], measured, found)
        progress("judging patients", done, cohort.patients.height)


def _judge(
    tools: _Tools, patient: Mapping[str, Any], cells: pl.DataFrame, measured: Mapping[str, Any] | None, found: _Found
) -> None:
    import polars as pl

    from leukopy.inference.rows import CellInput
    from leukopy.patients.inference.bags import make_bags
    from leukopy.patients.inference.flags import no_decision
    from leukopy.patients.inference.rows import bag_cells, feature_rows, judged, not_judged

    patient_id = patient["patient_id"]
    reading = tools.reader.read([CellInput(*row) for row in cells.select("cell_id", "path").iter_rows()], measured)
    classes = reading.cells["coarse"].to_list()
    found.failures.append(reading.failures.with_columns(pl.lit(patient_id).alias("patient_id")))
    found.digests.append(reading.digests)
    if reason := no_decision(classes, reading.record):
        found.patients.append(not_judged(patient, reason, classes, reading.record))
        found.cells.append(bag_cells(patient_id, reading.cells, None))
        failure = {"patient_id": patient_id, "reason": reason.word, "message": reason.message}
        found.failures.append(pl.DataFrame([failure], schema=dict.fromkeys(failure, pl.String)))
        return
    owned = reading.cells.with_columns(pl.lit(patient_id).alias("patient_id"))
    (bag,) = make_bags(pl.DataFrame([patient]), owned, reading.values)
    result = tools.model.predict(bag, tools.settings.operating_point, classes)
    found.patients.append(judged(patient, result, reading.record))
    rows = bag_cells(patient_id, reading.cells, result)
    found.cells.append(rows.with_columns(*_heat(tools, bag, reading, result)))
    found.features.append(feature_rows(patient_id, tools.model.card.features, *tools.model.feature_effects(bag)))


def _heat(tools: _Tools, bag: Bag, reading: CellReading, result: PatientResult) -> tuple[pl.Series, pl.Series]:
    """The heat maps of the cells that weighed most, each for its own side, and their method; null of the others."""
    import polars as pl

    from leukopy.core.errors import ImageError
    from leukopy.inference.rows import CellInput
    from leukopy.patients.inference.model import rectified
    from leukopy.patients.inference.rows import weighed_most

    maps: list[list[list[float]] | None] = [None] * reading.cells.height
    methods: list[str | None] = [None] * reading.cells.height
    tumoral, reactive = weighed_most(result.influence, tools.settings.shown)
    cells = {row: CellInput(*reading.cells.select("cell_id", "path").row(row)) for row in (*tumoral, *reactive)}
    unmapped = []
    for row, cell in cells.items():
        try:
            features = tools.reader.maps(cell, bag.cells[row], reading.pictures)
        except ImageError:  # gone since it was read: it counts, as it was read, and has no map
            continue
        if features is None:
            unmapped.append(row)
        else:
            maps[row] = rectified(tools.model.evidence(bag, row, features), tumoral=row in tumoral).tolist()
            methods[row] = "grad_cam"
    covered = tools.reader.covered([cells[row] for row in unmapped], bag.cells[unmapped], reading.pictures)
    for row, places in zip(unmapped, covered, strict=True):
        if places is not None:
            maps[row] = rectified(tools.model.occlusion(bag, row, places), tumoral=row in tumoral).tolist()
            methods[row] = "occlusion"
    return pl.Series("heat", maps, pl.List(pl.List(pl.Float32))), pl.Series("heat_method", methods, pl.String)


def _write_tables(found: _Found, cohort: Cohort, out: Path) -> PredictPatientsResult:
    import polars as pl

    from leukopy.patients.data import find_copies
    from leukopy.patients.inference.rows import (
        BAG_CELL_SCHEMA,
        FEATURE_SCHEMA,
        JUDGED_SCHEMA,
        PATIENT_FAILURE_SCHEMA,
    )

    patients = pl.DataFrame(found.patients, schema=JUDGED_SCHEMA)
    cells = pl.concat([pl.DataFrame(schema=BAG_CELL_SCHEMA), *found.cells], how="diagonal")
    failures = pl.concat([pl.DataFrame(schema=PATIENT_FAILURE_SCHEMA), *found.failures], how="diagonal")
    flat = patients.with_columns(pl.col("flags").list.join(";"), pl.col("remarks").list.join(" "))
    write_text(out / "patients.csv", flat.write_csv(float_precision=6))
    _write_parquet(out / PATIENTS_FILE, patients)
    _write_parquet(out / CELLS_FILE, cells)
    _write_parquet(out / FEATURES_FILE, pl.concat([pl.DataFrame(schema=FEATURE_SCHEMA), *found.features]))
    write_text(out / SUBMISSION_FILE, submission(patients).write_csv())
    write_text(out / FAILURES_FILE, failures.write_csv())
    digests = pl.concat(found.digests)
    problems = pl.concat(
        [cohort.problems, find_copies(cohort.cells.join(digests, on="cell_id", maintain_order="left"))]
    )
    write_text(out / PROBLEMS_FILE, problems.write_csv())
    return PredictPatientsResult(out, patients, failures, problems, None)


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    from io import BytesIO

    stream = BytesIO()
    table.write_parquet(stream)
    with atomic_path(path) as temporary:
        temporary.write_bytes(stream.getvalue())


def submission(patients: pl.DataFrame) -> pl.DataFrame:
    """The challenge's table: ID, Predicted (0 reactive, 1 tumoral) of the patients judged.

    It holds only those without a label, if there are any, else all.

    Args:
        patients: rows of ``JUDGED_SCHEMA``.
    """
    import polars as pl

    from leukopy.patients.inference.rows import DECISIONS

    asked = patients.filter(pl.col("label").is_null()) if patients["label"].has_nulls() else patients
    return asked.filter(pl.col("decision").is_not_null()).select(
        ID="patient_id", Predicted=(pl.col("decision") == DECISIONS[1]).cast(pl.Int8)
    )


def report_patients(out: Path, *, progress: Progress = silent) -> PredictPatientsResult:
    """Write the pages of a finished run anew, from its tables; pictures that are gone are said to be.

    Args:
        out: the folder of the run.
        progress: told of the pages written.

    Raises:
        InputError: ``out`` holds no finished run of `predict_patients`, or a table of it is gone.
        BundleError: the model of the run is no longer there, or is another.
        OutputError: the pages cannot be written.
    """
    from leukopy.core.errors import InputError
    from leukopy.core.files import read_json
    from leukopy.core.runs import FINISHED, RUN_FILE

    run = read_json(out / RUN_FILE)
    if not isinstance(run, dict) or run.get("command") != COMMAND or run.get("status") != FINISHED:
        raise InputError(f"{out}: holds no finished run of 'leukopy {COMMAND}'. Run it first.")
    return write_pages(out, run, progress=progress)


def write_pages(out: Path, run: Record, *, progress: Progress = silent) -> PredictPatientsResult:
    """Write ``report.html`` and the page of each patient from the tables of a run.

    Args:
        out: its folder.
        run: the content of its ``run.json``.
        progress: told of the pages written.

    Raises:
        InputError: a table is gone or damaged.
        BundleError: the model is no longer there, or is another.
        OutputError: they cannot be written.
    """
    import polars as pl

    from leukopy.patients.reports.patient import page_name, write_patients

    settings = PredictPatientsSettings.build(run["settings"], where=str(out))
    judgement = _judgement(settings, run)
    result, cells, features = _read_tables(out)
    images = result.failures.filter(pl.col("cell_id").is_not_null())
    taken: set[str] = set()
    names = {patient_id: page_name(patient_id, taken) for patient_id in result.patients["patient_id"]}

    def tables() -> Iterator[tuple[Path, Judgement, Mapping[str, Any], pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
        for row in result.patients.iter_rows(named=True):
            own = pl.col("patient_id") == row["patient_id"]
            page = out / "patients" / names[row["patient_id"]]
            yield page, judgement, row, cells.filter(own), features.filter(own), images.filter(own)

    _write_all(tables(), len(names), progress)
    links = {patient_id: f"patients/{name}" for patient_id, name in names.items()}
    report = out / "report.html"
    write_patients(report, judgement, result.patients, links, problems=result.problems)
    return replace(result, report=report, note=run.get("device", {}).get("note", ""))


def _write_all(tables: Iterable[tuple[Any, ...]], count: int, progress: Progress) -> None:
    """Write the page of each patient: of many patients in processes, which start slowly."""
    from leukopy.inference.workers import in_processes
    from leukopy.patients.reports.patient import write_patient

    if count >= _MANY:
        for done, _ in enumerate(in_processes(write_patient, tables, count), start=1):
            progress("writing pages", done, count)
        return
    for done, one in enumerate(tables, start=1):
        write_patient(*one)
        progress("writing pages", done, count)


def _judgement(settings: PredictPatientsSettings, run: Record) -> Any:
    from leukopy.core.errors import BundleError
    from leukopy.patients.reports.patient import Judgement
    from leukopy.patients.store import open_patient_bundle

    card = open_patient_bundle(settings.model).card
    if card.model.sha256 != run["model"]["sha256"]:
        raise BundleError(f"{settings.model}: is not the model of this run any more. Run 'leukopy {COMMAND}' again.")
    provenance = {**run["provenance"], "model": run["model"]}
    return Judgement(run["cohort"]["name"], card, run["cohort"]["ages"], settings.shown, provenance)


def _read_tables(out: Path) -> tuple[PredictPatientsResult, pl.DataFrame, pl.DataFrame]:
    """The tables of a run, that of its cells, and that of its features."""
    import polars as pl

    from leukopy.core.errors import InputError
    from leukopy.patients.data import PROBLEM_SCHEMA
    from leukopy.patients.inference.rows import JUDGED_SCHEMA, PATIENT_FAILURE_SCHEMA

    try:
        patients, cells, features = (pl.read_parquet(out / name) for name in (PATIENTS_FILE, CELLS_FILE, FEATURES_FILE))
        failures = pl.read_csv(out / FAILURES_FILE, schema=PATIENT_FAILURE_SCHEMA)
        problems = pl.read_csv(out / PROBLEMS_FILE, schema=PROBLEM_SCHEMA)
        patients = patients.select(list(JUDGED_SCHEMA))  # an earlier version wrote fewer columns
        return PredictPatientsResult(out, patients, failures, problems, None), cells, features
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{out}: a table of the run cannot be read ({reason}). Run it again with --overwrite."
        ) from error


def _counts(result: PredictPatientsResult) -> dict[str, int]:
    judged = result.patients["probability"].count()
    return {
        "patients": result.patients.height,
        "judged": judged,
        "tumoral": int((result.patients["decision"] == "tumoral").sum()),
        "cells": int(result.patients["cells"].sum()),
        "failures": result.failures.height,
        "problems": result.problems.height,
    }
