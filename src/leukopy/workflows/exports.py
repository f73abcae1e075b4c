"""Workbook and archive of the results of a run."""

from __future__ import annotations

from pathlib import Path

from leukopy.core.runs import RUN_FILE
from leukopy.workflows.slides_run import SLIDES_FOLDER


def export(folder: Path, *, workbook: bool, archive: bool) -> None:
    """Write the workbook of a finished run and of each of its slides, then the archive of all.

    Args:
        folder: of the run.
        workbook: write workbooks of results on cells too; results on fields always have one.
        archive: write the archive.

    Raises:
        OutputError: the disk is full, or not permitted.
    """
    from leukopy.fields.tables import FIELDS_FILE
    from leukopy.reports.workbook import write_workbook

    for run in (folder / RUN_FILE, *sorted((folder / SLIDES_FOLDER).glob(f"*/{RUN_FILE}"))):
        if workbook or (run.parent / FIELDS_FILE).is_file():
            write_workbook(run.parent)
    if archive:
        from leukopy.reports.archive import write_archive

        write_archive(folder)
