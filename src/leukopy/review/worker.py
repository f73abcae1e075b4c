"""The analysis in the background: a thread that takes jobs from the store, one after the other.

A job belongs to the worker that claims it. A killed process sends no more heartbeats, so another worker claims its job.
The stored results stay, and only the remaining images are classified.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event, Thread
from uuid import uuid4

from joblib import cpu_count

from leukopy.core.errors import LeukopyError
from leukopy.inference.rows import CellInput, Predictions
from leukopy.review.field_search import classify_drawn, search_fields
from leukopy.review.on_cluster import Cluster, classify_on
from leukopy.review.records import Job, JobState
from leukopy.review.security.problems import log_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, PendingImage, Store
from leukopy.review.store.models import ModelStore
from leukopy.slides.classifier import Classifier
from leukopy.slides.slide import Slide

_LOG = logging.getLogger("leukopy.review")

IMAGES = 32
"""Classified and written at a time: half a second of work, so that progress moves and little is done twice."""
HEARTBEAT = 3.0
"""Seconds between two signs of life of a job; the store takes one for abandoned after 15."""
POLL = 2.0
"""Seconds between two polls for jobs of other processes; a job of this process starts at once."""


class Worker:
    """Analyses cases until it is stopped."""

    def __init__(
        self, store: Store, settings: ReviewSettings, cluster: Cluster | None = None, name: str | None = None
    ) -> None:
        """Prepare a worker.

        Args:
            store: holds the jobs.
            settings: of the station.
            cluster: classifies the cells of big cases; None: this machine does.
            name: by which its jobs name it; None: a new one.
        """
        self._store = store
        self._cluster = cluster
        self._settings = settings
        self._models = ModelStore(store.database, settings)
        self._name = name or uuid4().hex
        self._thread = Thread(target=self._work, name="leukopy-analysis", daemon=True)
        self._stopping = Event()
        self._wanted = Event()
        self._done = 0
        """Images of the job at hand that no longer wait."""
        self._note = ""
        """What the job at hand tells when it is finished."""

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
        self._done, self._note = job.done, ""
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
                self._store.jobs.finish(job.id, JobState.FINISHED, self._note)

    def _analyse(self, job: Job, gone: Event) -> bool:
        """Classify the images that wait; False: cancelled, taken over by another, or the station stops."""
        # One core is left for those who read meanwhile; the results do not depend on it.
        chosen = self._models.path_for(self._store.predictions.digest_of_model(job.case_id))
        classifier = Classifier.open(chosen, max(1, cpu_count() - 1))
        model = ModelFacts(classifier.card.name, classifier.card.model.sha256)
        pending = self._store.predictions.pending(job.case_id)
        waiting = [image for image in pending if image.field is None]
        drawn = [image for image in pending if image.field is not None]
        fields = sum(one.detections is None for one in self._store.fields.files(job.case_id))
        self._done = job.total - len(pending) - fields
        digests = self._store.predictions.digests(job.case_id)
        slide = classifier.slide([CellInput(digest, str(self._store.images.path(digest))) for digest in digests])

        def over() -> bool:
            return self._stopping.is_set() or gone.is_set()

        surveyed = False
        with closing(self._rows((chosen, model.sha256), slide, waiting, over)) as stream:
            for predictions in stream:
                self._store.predictions.write(job.case_id, predictions, model, classifier.card.slide_check)
                surveyed = surveyed or self._store.predictions.set_survey(job.case_id, slide.survey.facts())
                if not self._progress(job, len(predictions)):
                    return False
        if over():
            return False
        for predictions in classify_drawn(self._store, classifier, job.case_id, drawn) if drawn else ():
            self._store.predictions.write(job.case_id, predictions, model, classifier.card.slide_check)
            self._progress(job, len(predictions))
        for searched in search_fields(self._store, self._settings, classifier, model, job.case_id):
            if not self._progress(job, searched) or self._stopping.is_set() or gone.is_set():
                return not self._left(job.case_id)
        return True

    def _rows(
        self, model: tuple[str, str], slide: Slide, waiting: Sequence[PendingImage], over: Callable[[], bool]
    ) -> Generator[Predictions, None, None]:
        """Rows of images that wait, until it is over: of a big case from the cluster, else from this machine."""
        left = {str(image.cell): str(self._store.images.path(image.digest)) for image in waiting}
        if self._cluster is not None and len(left) >= self._settings.cluster_from:
            cells = [CellInput(*cell) for cell in left.items()]
            try:
                for predictions in classify_on(self._cluster, model, slide.cells, cells, over):
                    for name in (*predictions.cells["cell_id"], *predictions.failures["cell_id"]):
                        del left[name]
                    yield predictions
            except LeukopyError as error:
                _LOG.warning("The cluster failed: %s", error)
                self._note = "The cluster failed, and this machine did the rest; the station's log says why."
        cells = [CellInput(*cell) for cell in left.items()]
        for begin in range(0, len(cells), IMAGES):
            if over():
                return
            yield from slide.rows(cells[begin : begin + IMAGES])

    def _left(self, case_id: str) -> bool:
        """Whether a field of a case waits."""
        return any(one.detections is None for one in self._store.fields.files(case_id))

    def _progress(self, job: Job, more: int) -> bool:
        """Tell that more of a job is done; False: it is no longer this worker's."""
        self._done += more
        return self._store.jobs.progress(job.id, self._done, job.total)

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
