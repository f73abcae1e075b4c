"""Analyses in the background: a queue that survives its workers."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Job, JobState, User
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case
from leukopy.review.store.errors import NotAllowed, NotFound

LOST_AFTER = timedelta(seconds=15)
"""A running job whose worker was silent for so long is another's to take."""
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


def start_job(db: Session, user: User, case_id: str) -> Job:
    """Have the images of a case classified; where that is under way already, its job.

    Raises:
        NotFound, NotAllowed: as `open_case`; or no image waits for the model.
    """
    case = open_case(db, user, case_id)
    row = _latest(db, case.id)
    if row is None or row.state not in _UNFINISHED:
        if not case.pending:
            raise NotAllowed("no image of the case waits for the model: add images first.")
        row = t.Job(case_id=case.id, total=case.pending)
        db.add(row)
        db.flush()
        audit.append(db, user, "analysis.started", case.id, job=row.id, images=row.total)
    return record(row)


def job(db: Session, user: User, case_id: str) -> Job | None:
    """The last job of a case; None: there was none."""
    get_case(db, user, case_id)
    row = _latest(db, case_id)
    return record(row) if row else None


def cancel_job(db: Session, user: User, case_id: str) -> Job:
    """End the job of a case; what it classified stays. One that has ended is left as it is.

    Raises:
        NotFound: no such case, or it has no job.
    """
    get_case(db, user, case_id, lock=True)
    row = _latest(db, case_id)
    if row is None:
        raise NotFound("the case has no analysis.")
    db.refresh(row, with_for_update=True)
    if row.state in _UNFINISHED:
        row.state, row.changed = JobState.CANCELLED, t.now()
        audit.append(db, user, "analysis.cancelled", case_id, job=row.id)
    return record(row)


def claim_job(db: Session, worker: str) -> Job | None:
    """Take the oldest job that waits, or whose worker was lost; two workers never get the same."""
    lost = sa.and_(t.Job.state == JobState.RUNNING, t.Job.heartbeat < t.now() - LOST_AFTER)
    query = sa.select(t.Job).where(sa.or_(t.Job.state == JobState.QUEUED, lost)).order_by(t.Job.created).limit(1)
    row = db.scalar(query.with_for_update(skip_locked=True))
    if row is None:
        return None
    row.state, row.worker = JobState.RUNNING, worker
    row.heartbeat = row.changed = t.now()
    return record(row)


def progress(db: Session, job_id: str, done: int, total: int) -> bool:
    """Note how far a job is, and that its worker lives; False: it was cancelled, stop."""
    at = t.now()
    running = sa.update(t.Job).where(t.Job.id == job_id, t.Job.state == JobState.RUNNING)
    values = running.values(done=done, total=total, heartbeat=at, changed=at).returning(t.Job.id)
    return db.execute(values).one_or_none() is not None


def finish_job(db: Session, job_id: str, state: JobState, message: str) -> Job:
    """End a running job; one that was cancelled stays so.

    Raises:
        NotFound: no such job.
    """
    row = db.scalar(sa.select(t.Job).where(t.Job.id == job_id).with_for_update())
    if row is None:
        raise NotFound("there is no such job.")
    if row.state in _UNFINISHED:
        row.state, row.message, row.changed = state, message, t.now()
        audit.append(db, None, f"analysis.{state.value}", row.case_id, job=row.id, images=row.done)
    return record(row)


def record(row: t.Job) -> Job:
    """As the API shows it."""
    return Job(
        id=row.id, case_id=row.case_id, state=row.state, done=row.done, total=row.total, message=row.message,
        created=row.created, changed=row.changed,
    )  # fmt: skip


def _latest(db: Session, case_id: str) -> t.Job | None:
    query = sa.select(t.Job).where(t.Job.case_id == case_id).order_by(t.Job.created.desc(), t.Job.id).limit(1)
    return db.scalar(query)
