"""Red cells and platelets of a case: the counts of ``leukopy analyze`` from its fields, with the readers' classes."""

from __future__ import annotations

from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
from leukopy.evaluation.intervals import Estimate
from leukopy.fields.counts import count_objects
from leukopy.fields.red_cell_shapes import names_shapes
from leukopy.fields.shape_counts import RedCellShapes, count_shapes
from leukopy.review.records import GRADED, Estimated, FieldObject, ShapeView, SmearView, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NotFound, Store


def read_smear(store: Store, settings: ReviewSettings, user: User, case_id: str) -> SmearView | None:
    """Red cells and platelets of a case as it stands; None: no field of it was searched.

    Raises:
        NotFound: no such case for this user.
        BundleError: the network for shapes is absent or broken.
    """
    findings, by = store.fields.findings(user, case_id)
    files = [one for one in store.fields.files(case_id) if one.detections]
    if not files:
        return None
    fields, objects = store.fields.rows(files)
    counts = count_objects(fields, objects, store.fields.located(case_id), settings.counts)
    network = settings.red_cell_shapes
    shapes = count_shapes(fields, objects, open_red_cell_shapes(network).card) if names_shapes(network) else None
    return SmearView(
        fields=counts.fields,
        red_cells=counts.red_cells.count,
        platelets=counts.platelets.count,
        clumps=counts.platelets.clumps,
        platelet_estimate=_estimated(counts.platelets.estimate),
        platelets_refused=counts.platelets.refused,
        judged=shapes.judged if shapes else 0,
        shapes=_shapes(shapes),
        shapes_refused=shapes.refused if shapes else "No network for shapes of red cells is in use.",
        findings=findings,
        by=by,
    )


def field_objects(store: Store, case_id: str, number: int) -> tuple[FieldObject, ...]:
    """All objects that the detector found on a field of a case; none where it waits.

    Raises:
        NotFound: there is no such field.
    """
    files = [one for one in store.fields.files(case_id) if one.number == number]
    if not files:
        raise NotFound("the case has no such field.")
    columns = ("kind", "box_x", "box_y", "box_width", "box_height", "shape", "shape_sure")
    return tuple(
        FieldObject(kind=kind, box=(left, top, width, height), shape=shape if sure else None)
        for kind, left, top, width, height, shape, sure in store.fields.rows(files).objects.select(columns).iter_rows()
    )


def _shapes(shapes: RedCellShapes | None) -> tuple[ShapeView, ...]:
    return tuple(
        ShapeView(name=one.name, count=one.count, percent=_estimated(one.percent), grade=one.grade)
        for one in (shapes.shares if shapes else ())
        if one.name in GRADED
    )


def _estimated(found: Estimate) -> Estimated:
    """To three decimals: what a signed content can say exactly."""
    rounded = (None if value is None else round(value, 3) for value in (found.value, found.low, found.high))
    return Estimated(**dict(zip(("value", "low", "high"), rounded, strict=True)))
