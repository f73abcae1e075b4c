"""The part of a slide's analysis that only fields have: detection, counts, pictures and files of fields."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leukopy.core.progress import Progress
from leukopy.workflows.whole_slide_run import few_note, write_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray
    from PIL import Image

    from leukopy.bundle.detector import DetectorCard
    from leukopy.fields.choose import SlideChoice
    from leukopy.fields.count_settings import CountSettings
    from leukopy.fields.counts import FieldCounts
    from leukopy.fields.field import Field, FieldInput
    from leukopy.fields.locate import Finder
    from leukopy.fields.located import LocatedField
    from leukopy.fields.stream import Earlier
    from leukopy.reports.field_pictures import FieldPictures
    from leukopy.reports.fields_page import FieldsContent
    from leukopy.reports.gallery import ReadCell, Thumbnails
    from leukopy.reports.shape_pictures import ShapePictures
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.result_parts import ResultParts


@dataclass(frozen=True)
class FieldsJob:
    """The fields of one slide to analyse."""

    inputs: Sequence[FieldInput]
    detector: str
    """A bundled detector, or a bundle folder."""
    counts: CountSettings
    shown: int
    """Most fields that the report shows."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The detector in ``run.json``."""
    wanted: int | None = None
    """Leukocytes after which the search ends; None: all fields are searched."""
    choice: SlideChoice | None = None
    """The choice of the fields on a whole slide; None for photographs."""
    total: int | None = None
    """Fields of the monolayer of a whole slide; None: all inputs."""
    slide: str = ""
    """Digest of a whole slide; empty for photographs."""
    shapes: str = "none"
    """A bundled network for the shapes of red cells, a bundle folder, or ``none``."""

    @property
    def count(self) -> int:
        """Number of fields."""
        return len(self.inputs) if self.total is None else self.total


class Pictures(NamedTuple):
    """Pictures made while the fields were at hand."""

    fields: FieldPictures
    shapes: ShapePictures


def open_finder(detector: str, shapes: str) -> Finder:
    """The detector of a job; a process keeps the last one.

    Raises:
        BundleError: absent, broken or made for other objects.
    """
    return _opened(detector, shapes)


@lru_cache(maxsize=1)
def _opened(detector: str, shapes: str) -> Finder:
    from leukopy.fields.red_cell_shapes import open_finder

    return open_finder(detector, shapes)


def shape_facts(shapes: str) -> dict[str, Any]:
    """The network for shapes of red cells in ``run.json``; empty where none is used.

    Raises:
        BundleError: absent, broken or made for other shapes.
    """
    from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
    from leukopy.fields.red_cell_shapes import names_shapes

    if not names_shapes(shapes):
        return {}
    card = open_red_cell_shapes(shapes).card
    rules = {name: rule.least_probability for name, rule in card.rules.items()}
    return {"red_cell_shapes": {"name": card.name, "sha256": card.model.sha256, "least_probabilities": rules}}


def detector_facts(card: DetectorCard) -> dict[str, Any]:
    """A detector in ``run.json``: a resumed run requires the same."""
    return {"name": card.name, "sha256": card.model.sha256, "thresholds": card.thresholds}


def classify_fields(
    job: FieldsJob, classifier: Classifier, parts: ResultParts, thumbnails: Thumbnails, progress: Progress
) -> tuple[Mapping[str, Any], Pictures]:
    """Search the fields that are not done and classify their leukocytes.

    Returns:
        The facts of the survey, and pictures.
    """
    from leukopy.reports.field_pictures import FieldPictures
    from leukopy.reports.shape_pictures import ShapePictures
    from leukopy.slides.field_slide import FieldSlide

    pictures = Pictures(FieldPictures(job.shown), ShapePictures())

    def seen(field: Field, located: LocatedField) -> None:
        pictures.fields.add(field, -1 if located.left_out else len(located.rows))
        pictures.shapes.add(field, located)

    earlier, total = _earlier(parts), len(job.inputs)
    done = len(earlier.fields)
    try:
        progress("analysing fields", done, total)
        slide = FieldSlide(
            classifier,
            open_finder(job.detector, job.shapes),
            job.inputs,
            wanted=job.wanted,
            seen=seen,
        )
        with closing(slide.rows(earlier)) as stream:
            for rows in stream:
                parts.add(rows.cells, {"fields": rows.fields, "objects": rows.objects})
                thumbnails.add(rows.cells)
                done += len(rows.fields)
                progress("analysing fields", done, total)
        return slide.survey.facts(), pictures
    except KeyboardInterrupt as interrupt:
        parts.flush()
        kept = f"{done} of {total} fields are done and saved. Run the same command with --resume to continue."
        raise KeyboardInterrupt(kept) from interrupt
    finally:
        parts.flush()


def _earlier(parts: ResultParts) -> Earlier:
    """The fields that an interrupted run finished."""
    import polars as pl

    from leukopy.fields.doubles import REMEMBERED
    from leukopy.fields.stream import Earlier

    if not parts.begun:
        return Earlier()
    fields = parts.table("fields").collect()
    last = fields["field"].tail(REMEMBERED).to_list()
    return Earlier(fields, parts.table("objects").filter(pl.col("field").is_in(last)).collect())


def write_tables(parts: ResultParts, out: Path) -> None:
    """Write ``fields.parquet`` and ``objects.parquet``.

    Raises:
        OutputError: they cannot be written.
    """
    from leukopy.fields.tables import FIELDS_FILE, OBJECTS_FILE

    parts.write_table("fields", out / FIELDS_FILE)
    parts.write_table("objects", out / OBJECTS_FILE)


def count_fields(job: FieldsJob, out: Path, cells: pl.LazyFrame) -> FieldCounts:
    """The counts of the fields whose tables lie in ``out``."""
    from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
    from leukopy.fields.counts import count_objects
    from leukopy.fields.red_cell_shapes import names_shapes
    from leukopy.fields.shape_counts import count_shapes

    fields, objects = _tables(out)
    counts = count_objects(fields, objects, cells, job.counts)
    if not names_shapes(job.shapes):
        return counts
    return replace(counts, shapes=count_shapes(fields, objects, open_red_cell_shapes(job.shapes).card))


def field_notes(job: FieldsJob, out: Path) -> tuple[str, ...]:
    """Warnings about the fields whose tables lie in ``out``."""
    fields = _tables(out)[0].select("field", "cells", "scale_note").collect()
    few = few_note(job.wanted, job.count, len(fields), int(fields["cells"].sum()))
    return (*few, *_scale_notes(fields))


def _scale_notes(fields: pl.DataFrame) -> tuple[str, ...]:
    """The warning about stated scales that are not used."""
    import polars as pl

    told = fields.filter(pl.col("scale_note").is_not_null()).select("field", "scale_note").rows()
    if not told:
        return ()
    name, why = told[0]
    return (f"The scale stated for {len(told)} of {len(fields)} fields is not used. {name}: {why}.",)


def fields_content(
    job: FieldsJob, out: Path, cells: pl.LazyFrame, counts: FieldCounts, pictures: Pictures
) -> FieldsContent:
    """Write the files of fields, and return the content of the report's sections.

    Raises:
        OutputError: they cannot be written.
    """
    import polars as pl

    from leukopy.fields.read import read_field
    from leukopy.reports.field_files import write_field_results
    from leukopy.reports.field_pictures import choose_fields
    from leukopy.reports.fields_page import FieldsContent
    from leukopy.reports.object_labels import CELL_COLUMNS, label_objects

    scanned, objects = _tables(out)
    fields, named = scanned.collect(), cells.select("field", *CELL_COLUMNS)
    write_field_results(out, fields, objects, named, counts)
    number = pl.when(pl.col("left_out").is_null()).then("cells").otherwise(-1)
    readable = fields.filter(pl.col("width").is_not_null())
    by_name = {one.field_id: one for one in job.inputs}
    names = choose_fields(readable.select("field", number).rows(), job.shown)
    shown = pictures.fields.of([by_name[name] for name in names], read_field)
    of_shown = pl.col("field").is_in(list(shown))
    own = label_objects(objects.filter(of_shown).collect(), named.filter(of_shown).collect())
    overview, legend = (None, "") if job.choice is None else write_choice(job.choice, len(fields), out)
    graded = counts.shapes is not None and not counts.shapes.refused
    examples = pictures.shapes.of(objects, job.inputs, read_field) if graded else {}
    return FieldsContent(counts, fields, own, shown, overview, legend, examples)


def read_cell(job: FieldsJob, cells: pl.LazyFrame) -> ReadCell:
    """Reader of the picture of a located cell that was classified before a resume."""
    import numpy as np
    import polars as pl

    from leukopy.fields.locate import cut_again
    from leukopy.fields.read import read_field

    by_name = {one.field_id: one for one in job.inputs}

    @lru_cache(maxsize=4)
    def pixels(name: str) -> NDArray[Any]:
        return read_field(by_name[name]).pixels

    def read(cell_id: str, _: str) -> Image.Image:
        columns = ("field", "width", "box_x", "box_y", "box_width", "box_height")
        name, side, *box = cells.filter(pl.col("cell_id") == cell_id).select(columns).collect().row(0)
        return cut_again(pixels(name), np.array(box, np.float32), side)

    return read


def _tables(out: Path) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The fields, and the objects, which are too many to be held at once."""
    import polars as pl

    from leukopy.fields.tables import FIELDS_FILE, OBJECTS_FILE

    return pl.scan_parquet(out / FIELDS_FILE), pl.scan_parquet(out / OBJECTS_FILE)
