"""The search of a case's fields in the background: that of ``leukopy analyze --as fields``, stored as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from io import BytesIO

import numpy as np
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.fields.crops import RED_CELLS_ACROSS, red_cell_px_from
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.locate import cut_again
from leukopy.fields.located import LocatedField
from leukopy.fields.read import read_field
from leukopy.inference.rows import CellInput, Predictions
from leukopy.review.records import Box
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import CellPicture, ModelFacts, NotAllowed, PendingImage, Store
from leukopy.slides.classifier import Classifier
from leukopy.slides.field_slide import FieldSlide
from leukopy.workflows.fields_run import open_finder

SURVEYED = 128
"""Located cells that survey the slide of a cell that a reader drew."""


def search_fields(
    store: Store, settings: ReviewSettings, classifier: Classifier, model: ModelFacts, case_id: str
) -> Iterator[int]:
    """Search the fields of a case that wait, classify their cells, and store both.

    Yields:
        The number of fields that were stored together.

    Raises:
        BundleError: the detector is absent or broken.
        NotFound, NotAllowed, OutputError: of the store.
    """
    files = store.fields.files(case_id)
    done = [one for one in files if one.detections]
    if len(done) == len(files):
        return
    # Those that are done come first: the search goes on behind them.
    inputs = [FieldInput(str(one.number), str(store.images.path(one.digest)))
              for one in sorted(files, key=lambda one: one.detections is None)]  # fmt: skip
    cut: dict[str, CellPicture] = {}

    def seen(_: Field, located: LocatedField) -> None:
        cut.update({located.cell_id(index): png(one.image) for index, one in located.pictures.items()})

    finder = open_finder(settings.detector, settings.red_cell_shapes)
    slide = FieldSlide(classifier, finder, inputs, seen=seen)
    with closing(slide.rows(store.fields.rows(done))) as stream:
        for found in stream:
            store.fields.write(case_id, found, cut, model, classifier.card.slide_check)
            stored = set(found.fields["field"])
            for name in [one for one in cut if one.partition("#")[0] in stored]:
                del cut[name]
            store.predictions.set_survey(case_id, slide.survey.facts())
            yield len(found.fields)


def classify_drawn(
    store: Store, classifier: Classifier, case_id: str, drawn: Sequence[PendingImage]
) -> Iterator[Predictions]:
    """Classify cells that readers drew, as cells of the slide that its located cells show."""
    located = store.predictions.located(case_id)
    step = max(1, len(located) // SURVEYED)
    images = [*located[::step][:SURVEYED], *drawn]
    inputs = {one.cell: CellInput(str(one.cell), str(store.images.path(one.digest))) for one in images}
    slide = classifier.slide(list(inputs.values()))
    with closing(slide.rows([inputs[one.cell] for one in drawn])) as stream:
        yield from stream


def cut_drawn(store: Store, case_id: str, number: int, box: Box) -> CellPicture:
    """Cut a cell that a reader drew out of its field, at the scale of those that were found.

    Raises:
        NotFound: no such field.
        NotAllowed: the field was not searched yet, or cannot be read.
    """
    files = store.fields.files(case_id)
    field = next((one for one in files if one.number == number), None)
    if field is None or field.detections is None:
        raise NotAllowed("the field waits for its analysis: draw cells afterwards.")
    try:
        pixels = read_field(FieldInput(str(number), str(store.images.path(field.digest)))).pixels
    except ImageError as error:
        raise NotAllowed(str(error)) from error
    boxes = np.array([box], np.float32)
    sizes = store.fields.rows(files).fields.select("field", "red_cell_px").drop_nulls()
    own = sizes.filter(field=str(number))["red_cell_px"]
    usual = own if len(own) else sizes["red_cell_px"]
    red_cell = float(np.median(usual.to_numpy())) if len(usual) else red_cell_px_from(boxes)
    side = max(8, round(RED_CELLS_ACROSS * red_cell))
    return png(cut_again(pixels, boxes[0], side))


def png(picture: Image.Image) -> CellPicture:
    """A picture of a cell as it is kept."""
    stream = BytesIO()
    picture.save(stream, "PNG", compress_level=3)
    return CellPicture(stream.getvalue(), picture.width, picture.height)
