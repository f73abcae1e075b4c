"""A cohort: patients with a label, an age and a lymphocyte count, and the images of their lymphocytes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.core.errors import InputError, ManifestError, SettingsError
from leukopy.core.tables import Row, Table, column_name, read_header
from leukopy.patients.data.cards import CHALLENGE_DATE
from leukopy.patients.data.images import PatientImage, images_in_folders, images_listed, stray_images, unread_files
from leukopy.patients.data.plausibility import in_future
from leukopy.patients.data.tables import find_tables, find_workbooks, read_table
from leukopy.patients.data.values import Problem, Reading, read_patients

PATIENT_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "label": pl.Int8(),  # 0 reactive, 1 tumoral; null where unknown
    "age": pl.Float64(),  # years
    "lymphocytes": pl.Float64(),  # 10^9/L
    "gender": pl.String(),  # F or M
}

PATIENT_CELL_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "cell_id": pl.String(),  # "<patient_id>/<file>", unique
    "path": pl.String(),  # absolute
}

PROBLEM_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),  # null where it is no single patient's
    "reason": pl.String(),  # a word of PROBLEM_REASONS
    "message": pl.String(),  # one sentence: where, what
}


@dataclass(frozen=True, eq=False)
class Cohort:
    """Patients with at least one image."""

    name: str
    patients: pl.DataFrame
    """``PATIENT_SCHEMA``; P2 before P10."""
    cells: pl.DataFrame
    """``PATIENT_CELL_SCHEMA``, in the order of the patients, then of the files' names."""
    problems: pl.DataFrame
    """``PROBLEM_SCHEMA``: what is missing, impossible or left out, in the order of the patients."""
    ages: str = ""
    """How ages came about, where a date had to be assumed; to be shown to people."""


@dataclass(frozen=True)
class _Layout:
    name: str | None
    columns: Mapping[str, str]
    """Field -> column."""
    needed: tuple[str, ...]
    date_styles: tuple[str, ...] = ()
    reference: date | None = None
    parts: tuple[str, ...] = ()
    """Folders below the root that hold tables and patients too."""

    def fits(self, names: Collection[str]) -> bool:
        """Whether these columns are enough."""
        return all(column_name(self.columns[field]) in names for field in self.needed)


_CHALLENGE_COLUMNS = {"patient_id": "ID", "label": "LABEL", "gender": "GENDER", "birth_date": "DOB",
                      "lymphocytes": "LYMPH_COUNT"}  # fmt: skip
_CHALLENGE = _Layout(
    name="lymphocytosis",
    columns=_CHALLENGE_COLUMNS,
    needed=tuple(_CHALLENGE_COLUMNS),
    date_styles=("%m/%d/%Y", "%d-%m-%Y"),
    reference=CHALLENGE_DATE,
    parts=("trainset", "testset"),
)
_GENERAL_FIELDS = (
    "patient_id", "label", "age", "birth_date", "sample_date", "lymphocytes", "lymphocytes_unit", "gender",
)  # fmt: skip
_GENERAL = _Layout(name=None, columns={name: name for name in _GENERAL_FIELDS}, needed=("patient_id",))


def open_cohort(path: Path, *, cells: Path | None = None, reference_date: date | None = None) -> Cohort:
    """Read a cohort; no image is opened. The order of a table's rows and columns does not matter.

    Two layouts are known, by the header of the table; more columns are ignored.

    - **The lymphocytosis challenge**: a CSV with ID, LABEL (0 reactive, 1 tumoral, -1 unknown), GENDER, DOB
      (``3/28/1950`` is month first, ``28-03-1950`` day first) and LYMPH_COUNT, and images in ``<ID>/``, beside it
      or in ``trainset/`` and ``testset/``; these may have tables of their own, which go before the one beside them.
      It states no date of sampling: **ages are counted at 1 January 2020** unless ``reference_date`` is given.
    - **General**: a table (CSV, TSV, Parquet) with patient_id, and where known label (0 or reactive, 1 or tumoral), age
      (years) or birth_date and sample_date (``YYYY-MM-DD``), lymphocytes (10^9/L, or the unit in lymphocytes_unit),
      gender; images in ``<patient_id>/`` beside the table. Ages come from ``age``, else they are counted at
      ``sample_date``, else at ``reference_date``.

    A value that is missing, impossible or doubtful (`leukopy.patients.data.plausibility`) becomes null, and a row of
    ``problems`` names it; so it names patients without an image and images without a patient, which are left out.

    Args:
        path: the table, or the folder that holds it.
        cells: a manifest (columns patient_id, path) of the images, in place of folders.
        reference_date: where ages are counted that have no date of sampling.

    Raises:
        InputError: absent, not permitted, no table or more than one, or no patient with an image.
        ManifestError: a wrong header, a broken row, commas in numbers that may mean two things, a patient on two rows
            that differ, or a manifest that lists an image twice.
        SettingsError: dates of birth, and no date at which to count ages, or one in the future.
    """
    if reference_date and in_future(reference_date):
        raise SettingsError(f"reference date {reference_date}: lies in the future. Give the day of the samples.")
    layout, tables = _find(path)
    root = path if path.is_dir() else path.parent
    day = reference_date or layout.reference
    patients, problems = _patients(layout, tables, day)
    if cells is None:
        roots = [root, *(root / part for part in layout.parts if (root / part).is_dir())]
        images = images_in_folders(roots, passed_over=frozenset(layout.parts))
        problems += [_stray(each, count) for each in roots if (count := stray_images(each))]
        notes = unread_files(roots)
        problems += [Problem(each, "not_read", f"patient {each}: {notes[each]}.") for each in patients if each in notes]
    else:
        images = images_listed(cells)
    bags: dict[str, list[PatientImage]] = defaultdict(list)
    for image in images:
        bags[image.patient_id].append(image)
    problems += _unmatched(patients, bags)
    kept = sorted(patients.keys() & bags.keys(), key=_natural)
    if not kept:
        raise InputError(
            f"{path}: none of its {len(patients)} patients has an image. Put the images of each into a folder named as "
            "its patient beside the table, or give a manifest (columns patient_id, path)."
        )
    ages = f"Where no date of sampling is stated, ages are counted at {day}" if day else ""
    if layout.reference and reference_date is None:
        ages += ", which is assumed since the challenge states none; --reference-date gives another"
    problems.sort(key=lambda problem: _natural(problem.patient_id or ""))
    try:
        return Cohort(
            name=layout.name or root.resolve().name,
            patients=pl.DataFrame([patients[each] for each in kept], schema=PATIENT_SCHEMA),
            cells=_cells([image for each in kept for image in sorted(bags[each])]),
            problems=pl.DataFrame(problems, schema=PROBLEM_SCHEMA, orient="row"),
            ages=ages and f"{ages}.",
        )
    except UnicodeEncodeError as error:
        raise InputError(f"{root}: a file name is not UTF-8 ({error.object!r}). Rename the file.") from error


def _find(path: Path) -> tuple[_Layout, list[Path]]:
    """The tables of a cohort, which are of one layout; those in folders below the root come first."""
    if not path.exists():
        raise InputError(f"{path}: there is no such folder or table. Correct the path.")
    if path.is_file():
        return _nearest(path), [path]
    own = _table_in(path, (_GENERAL, _CHALLENGE))
    if own and _nearest(own) is _GENERAL:
        return _GENERAL, [own]
    below = [_table_in(path / part, (_CHALLENGE,)) for part in _CHALLENGE.parts if (path / part).is_dir()]
    if found := [table for table in (*below, own) if table]:
        return _CHALLENGE, found
    if tables := find_tables(path):
        return _nearest(tables[0]), tables[:1]  # reading it says what its header lacks
    workbooks = ", ".join(each.name for each in find_workbooks(path))
    instead = workbooks and f", but {workbooks}: save its sheet as 'CSV UTF-8'"
    raise InputError(
        f"{path}: holds no table of patients{instead}. Expected a CSV with {', '.join(_CHALLENGE_COLUMNS.values())} "
        "(also in trainset or testset), or a CSV, TSV or Parquet file with patient_id."
    )


def _table_in(folder: Path, layouts: tuple[_Layout, ...]) -> Path | None:
    """The one table of patients that lies in a folder. (One with a column ``path`` lists images.)"""
    columns = {table: set(read_header(table)) for table in find_tables(folder)}
    fitting = [
        table
        for table, names in columns.items()
        if "path" not in names and any(layout.fits(names) for layout in layouts)
    ]
    if len(fitting) > 1:
        names_found = ", ".join(table.name for table in fitting)
        raise InputError(f"{folder}: holds more than one table of patients ({names_found}). Give the path of one.")
    return fitting[0] if fitting else None


def _nearest(table: Path) -> _Layout:
    """The layout that shares more columns with a table."""
    names = read_header(table)
    return max(
        _GENERAL, _CHALLENGE, key=lambda layout: sum(column_name(each) in names for each in layout.columns.values())
    )


def _patients(
    layout: _Layout, tables: Sequence[Path], day: date | None
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Patients by id; where tables share one, the first table is believed."""
    patients: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for path in tables:
        table, repeated = _once(read_table(path, layout.columns, layout.needed))
        found, wrong = read_patients(Reading(table, layout.date_styles, day))
        new = {each["patient_id"]: each for each in found if each["patient_id"] not in patients}
        patients |= new
        wrong = [*repeated, *_similar(table), *wrong]
        problems += [each for each in wrong if each.patient_id is None or each.patient_id in new]
    return patients, problems


def _once(table: Table) -> tuple[Table, list[Problem]]:
    """The table with one row per patient, and the patients who have more rows that agree."""
    first: dict[str, Row] = {}
    repeated: dict[str, Problem] = {}
    for row in table.rows:
        patient_id = row.values["patient_id"]
        if not patient_id:
            raise ManifestError(f"{row.where}: has no patient_id. Fill it in.")
        earlier = first.setdefault(patient_id, row)
        if differing := [field for field, value in row.values.items() if value != earlier.values[field]]:
            raise ManifestError(
                f"{row.where}: patient {patient_id} is on {earlier.place} too, with another {', '.join(differing)}. "
                "Keep one of the rows."
            )
        if earlier is not row:
            message = (
                f"{table.path.name}, {row.place}: patient {patient_id} is on {earlier.place} too; both rows agree, and "
                "one is kept."
            )
            repeated[patient_id] = Problem(patient_id, "duplicate_row", message)
    return replace(table, rows=tuple(first.values())), list(repeated.values())


def _similar(table: Table) -> list[Problem]:
    """Patients whose ids may be one, written in two ways."""
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        alike[_loosely(row.values["patient_id"])].append(row)
    problems = []
    for rows in alike.values():
        if len(rows) > 1:
            rows.sort(key=lambda row: _natural(row.values["patient_id"]))
            ids = " and ".join(f"{row.values['patient_id']} ({row.place})" for row in rows)
            message = f"{table.path.name}: {ids} count as different patients. Correct the ids if they are one patient."
            problems.append(Problem(rows[0].values["patient_id"], "similar_id", message))
    return problems


def _loosely(patient_id: str) -> str:
    """An id without capitals, blanks and leading zeros."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_-]+", "", patient_id.casefold()))


def _unmatched(patients: Collection[str], bags: Mapping[str, list[PatientImage]]) -> list[Problem]:
    """Patients without images, and images without a patient."""
    alike = {_loosely(each): each for each in patients}
    without = [
        Problem(each, "no_images", f"patient {each}: has no image and is left out.") for each in patients - bags.keys()
    ]
    unknown = []
    for each in bags.keys() - patients:
        known = alike.get(_loosely(each))
        hint = f" The table has {known}: correct one of the two names if they are one patient." if known else ""
        message = f"patient {each}: has {len(bags[each])} images and no row in the table; left out.{hint}"
        unknown.append(Problem(each, "no_patient", message))
    return without + unknown


def _stray(folder: Path, count: int) -> Problem:
    return Problem(None, "no_patient", f"{folder.name}: {count} images lie in no patient's folder and are left out.")


def _cells(images: list[PatientImage]) -> pl.DataFrame:
    rows = [(image.patient_id, f"{image.patient_id}/{image.file}", image.path) for image in images]
    return pl.DataFrame(rows, schema=PATIENT_CELL_SCHEMA, orient="row")


def _natural(patient_id: str) -> tuple[str, str]:
    """A key that sorts P2 before P10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), patient_id), patient_id
