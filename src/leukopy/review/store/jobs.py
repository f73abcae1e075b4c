"""Background analyses: a queue in the database, which outlives its workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Job, JobState, User
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed, NotFound

LOST_AFTER = timedelta(seconds=15)
"""Silence of a worker after which another worker may claim its job."""
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class JobStore:
    """Queues analyses, and hands them to workers."""

    database: Database

    def start(self, user: User, case_id: str) -> Job:
        """Queue the pending images of a case, or return the unfinished job of the case.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or no image is pending.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            row = _latest(db, case.id)
            if row is None or row.state not in _UNFINISHED:
                if not case.pending:
                    raise NotAllowed("no image of the case is pending: add images first.")
                row = t.Job(case_id=case.id, total=case.pending)
                db.add(row)
                db.flush()
                audit.append(db, user, "analysis.started", case.id, job=row.id, images=row.total)
            return record(row)

    def latest(self, user: User, case_id: str) -> Job | None:
        """The latest job of a case, or None."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            row = _latest(db, case_id)
            return record(row) if row else None

    def cancel(self, user: User, case_id: str) -> Job:
        """Cancel the latest job of a case unless it has ended; classified cells stay.

        Raises:
            NotFound: no such case, or it has no job.
        """
        with self.database.write() as db:
            get_case(db, user, case_id, lock=True)
            row = _latest(db, case_id)
            if row is None:
                raise NotFound("the case has no analysis.")
            db.refresh(row, with_for_update=True)
            if row.state in _UNFINISHED:
                row.state, row.changed = JobState.CANCELLED, t.now()
                audit.append(db, user, "analysis.cancelled", case_id, job=row.id)
            return record(row)

    def claim(self, worker: str) -> Job | None:
        """Claim the oldest job that is queued or whose worker is silent; a job has one worker at a time."""
        with self.database.write() as db:
            lost = sa.and_(t.Job.state == JobState.RUNNING, t.Job.heartbeat < t.now() - LOST_AFTER)
            free = sa.select(t.Job).where(sa.or_(t.Job.state == JobState.QUEUED, lost))
            row = db.scalar(free.order_by(t.Job.created).limit(1).with_for_update(skip_locked=True))
            if row is None:
                return None
            row.state, row.worker = JobState.RUNNING, worker
            row.heartbeat = row.changed = t.now()
            return record(row)

    def release(self, worker: str) -> Job | None:
        """Queue the job of a worker that is gone again; None: it had none."""
        with self.database.write() as db:
            own = sa.select(t.Job).where(t.Job.worker == worker, t.Job.state == JobState.RUNNING)
            row = db.scalar(own.with_for_update())
            if row is None:
                return None
            row.state, row.changed = JobState.QUEUED, t.now()
            return record(row)

    def progress(self, job_id: str, done: int, total: int) -> bool:
        """Update progress and heartbeat of a job; False if the job is no longer running, so that its worker stops."""
        with self.database.write() as db:
            at = t.now()
            running = sa.update(t.Job).where(t.Job.id == job_id, t.Job.state == JobState.RUNNING)
            values = running.values(done=done, total=total, heartbeat=at, changed=at).returning(t.Job.id)
            return db.execute(values).one_or_none() is not None

    def finish(self, job_id: str, state: JobState, message: str = "") -> Job:
        """End an unfinished job; a cancelled job stays cancelled.

        Raises:
            NotFound: no such job.
        """
        with self.database.write() as db:
            row = db.scalar(sa.select(t.Job).where(t.Job.id == job_id).with_for_update())
            if row is None:
                raise NotFound("there is no such job.")
            if row.state in _UNFINISHED:
                row.state, row.message, row.changed = state, message, t.now()
                audit.append(db, None, f"analysis.{state.value}", row.case_id, job=row.id, images=row.done)
            return record(row)


def record(row: t.Job) -> Job:
    """A job as the API shows it."""
    return Job(
        id=row.id, case_id=row.case_id, state=row.state, done=row.done, total=row.total, message=row.message,
        created=row.created, changed=row.changed,
    )  # fmt: skip


def _latest(db: Session, case_id: str) -> t.Job | None:
    query = sa.select(t.Job).where(t.Job.case_id == case_id).order_by(t.Job.created.desc(), t.Job.id).limit(1)
    return db.scalar(query)
