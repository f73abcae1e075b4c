"""Quality: agreement of model and readers, and the readers' labels for training."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from leukopy.core.settings import Settings
from leukopy.review.agreement import Reading, agree
from leukopy.review.case_differential import own_classes
from leukopy.review.daily_quality import daily
from leukopy.review.export import training_zip
from leukopy.review.records import AgreementView, DailyQuery, DailyView, Id, ModelUse
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


class Health(Settings):
    """The station and its database answer."""

    status: Literal["ok"] = "ok"


@router.get("/health")
def health(station: StationDep) -> Health:
    """Health check; the only route without a session. 503: the database does not answer."""
    station.store.database.ping()
    return Health()


@router.get("/models")
def models(user: Reader, station: StationDep) -> tuple[ModelUse, ...]:
    """The models of the station, and how many cases each has judged; for reviewers."""
    return station.store.models.uses(user)


@router.get("/cases/{case_id}/agreement")
def of_case(case_id: Id, user: Reader, station: StationDep) -> AgreementView:
    """Model against reader on one case, as it stands."""
    cells = station.store.cells.all(user, case_id)
    return agree(Reading.of(case_id, cells), station.store.classes.all())


@router.get("/agreement")
def of_all(user: Reader, station: StationDep) -> AgreementView:
    """Model against reader over all signed cases; for reviewers."""
    cells = station.store.labels.signed_cells(user)
    readings = [reading for cell in cells for reading in Reading.of(cell.case_id, [cell])]
    return agree(readings, station.store.classes.all())


@router.post("/agreement/daily")
def by_day(wanted: DailyQuery, user: Reader, station: StationDep) -> DailyView:
    """Model against reader by day, reader, model version and class, and the drift of slides; for reviewers."""
    store = station.store.quality
    return daily(store.signed_counts(user), store.distances(user), wanted)


@router.get(
    "/export/training",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "manifest.csv and the images"}},
)
def training(user: Reader, station: StationDep) -> StreamingResponse:
    """The labels of signed cases as ``leukopy train`` reads them; for reviewers."""
    headers = {"Content-Disposition": 'attachment; filename="leukopy-training.zip"'}
    own = tuple(own_classes(station.store.classes.all()).values())
    zipped = training_zip(station.store.labels.signed_cells(user), station.store.images, own)
    return StreamingResponse(zipped, media_type="application/zip", headers=headers)
