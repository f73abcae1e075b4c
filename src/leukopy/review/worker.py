"""The analysis in the background: a thread that takes jobs from the store, one after the other.

A job belongs to the worker that claims it. A killed process sends no more heartbeats, so another worker claims its job.
The stored results stay, and only the remaining images are classified.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

from joblib import cpu_count

from leukopy.core.errors import LeukopyError
from leukopy.inference.rows import CellInput
from leukopy.review.records import Job, JobState
from leukopy.review.security.problems import log_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, Store
from leukopy.slides.classifier import Classifier

IMAGES = 32
"""Classified and written at a time: half a second of work, so that progress moves and little is done twice."""
HEARTBEAT = 3.0
"""Seconds between two signs of life of a job; the store takes one for abandoned after 15."""
POLL = 2.0
"""Seconds between two polls for jobs of other processes; a job of this process starts at once."""


class Worker:
    """Analyses cases until it is stopped."""

    def __init__(self, store: Store, settings: ReviewSettings) -> None:
        self._store = store
        self._settings = settings
        self._name = uuid4().hex
        self._thread = Thread(target=self._work, name="leukopy-analysis", daemon=True)
        self._stopping = Event()
        self._wanted = Event()
        self._done = 0
        """Images of the job at hand that no longer wait."""

    def start(self) -> None:
        """Start polling for jobs."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a job."""
        self._wanted.set()

    def stop(self) -> None:
        """Stop after the present images; the next worker resumes the job."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._store.jobs.claim(self._name)
                if job is not None:
                    self._run(job)
                    continue
            # Without a thread no case would be analysed any more: whatever happens, it goes on looking.
            except Exception as error:  # noqa: BLE001
                log_error(error)
            self._wanted.wait(POLL)
            self._wanted.clear()

    def _run(self, job: Job) -> None:
        """Bring a job to its end, or leave it to be resumed."""
        self._done = job.done
        try:
            with self._alive(job) as gone:
                whole = self._analyse(job, gone)
        except LeukopyError as error:
            self._store.jobs.finish(job.id, JobState.FAILED, str(error))
        except Exception as error:  # noqa: BLE001  the job shows it, and the next case is analysed
            log_error(error)
            self._store.jobs.finish(job.id, JobState.FAILED, "The analysis failed; the station's log says where.")
        else:
            if whole:
                self._store.jobs.finish(job.id, JobState.FINISHED, "")

    def _analyse(self, job: Job, gone: Event) -> bool:
        """Classify the images that wait; False: cancelled, taken over by another, or the station stops."""
        # One core is left for those who read meanwhile; the results do not depend on it.
        classifier = Classifier.open(self._settings.model, max(1, cpu_count() - 1))
        model = ModelFacts(classifier.card.name, classifier.card.model.sha256)
        waiting = self._store.predictions.pending(job.case_id)
        self._done = job.total - len(waiting)
        digests = self._store.predictions.digests(job.case_id)
        slide = classifier.slide([CellInput(digest, str(self._store.images.path(digest))) for digest in digests])
        for begin in range(0, len(waiting), IMAGES):
            if self._stopping.is_set() or gone.is_set():
                return False
            some = waiting[begin : begin + IMAGES]
            cells = [CellInput(str(image.cell), str(self._store.images.path(image.digest))) for image in some]
            for predictions in slide.rows(cells):
                self._store.predictions.write(job.case_id, predictions, model, classifier.card.slide_check)
            self._store.predictions.set_survey(job.case_id, slide.survey.facts())
            self._done += len(some)
            if not self._store.jobs.progress(job.id, self._done, job.total):
                return False
        return True

    @contextmanager
    def _alive(self, job: Job) -> Iterator[Event]:
        """Tell that the job is worked on, however long an image takes; the event is set when it was taken away."""
        gone, over = Event(), Event()

        def beat() -> None:
            while not over.wait(HEARTBEAT):
                if not self._store.jobs.progress(job.id, self._done, job.total):
                    gone.set()
                    return

        thread = Thread(target=beat, name="leukopy-heartbeat", daemon=True)
        thread.start()
        try:
            yield gone
        finally:
            over.set()
            thread.join()
