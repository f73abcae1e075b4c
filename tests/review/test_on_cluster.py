"""Big cases on other machines: the rows of the station, whatever becomes of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leukopy.core.errors import InputError
from leukopy.review import on_cluster
from leukopy.review.on_cluster import Cluster
from leukopy.review.records import CaseDraft, Job, JobState
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NewImage, Store
from leukopy.review.worker import Worker
from support.waiting import until

CELLS = 40


@pytest.fixture
def analysed(
    tmp_path: Path, colour_model: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Job, list[Any]]]:
    """Analyse a case in a station of its own; its job, and what its cells hold."""
    monkeypatch.setattr(on_cluster, "PART", 15)

    def analyse(cluster: Cluster | None, cluster_from: int = 10) -> tuple[Job, list[Any]]:
        folder = tmp_path / f"station{len(list(tmp_path.glob('station*')))}"
        settings = ReviewSettings(
            folder=folder, model=str(colour_model.path), cluster="auto", cluster_from=cluster_from
        )
        store = Store.open(settings)
        user = store.users.single_user()
        case = store.cases.open(user, CaseDraft(slide="S1"))
        pictures = []
        for number in range(CELLS):
            name = f"c{number}.png"
            data = colour_model.draw(tmp_path / "drawn" / name, ("SNE", "LY", "MO")[number % 3]).read_bytes()
            pictures.append(NewImage(name, b"broken" if number == 7 else data, 64, 64, "image/png"))
        store.cells.add_images(user, case.id, [*pictures, replace(pictures[3], name="copy.png")])
        store.jobs.start(user, case.id)
        worker = Worker(store, settings, cluster)
        worker.start()
        running = (JobState.QUEUED, JobState.RUNNING)
        job = until(lambda: job if (job := store.jobs.latest(user, case.id)).state not in running else None)
        worker.stop()
        found = [one.model_dump(exclude={"id"}) for one in store.cells.all(user, case.id)]
        found += [one.model_dump(exclude={"message"}) for one in store.cells.failures(user, case.id)]
        store.close()
        return job, found

    return analyse


def here(over: Callable[[], bool]) -> Any:
    """A cluster that is this process, and answers in the wrong order."""
    return lambda work, tasks, count: (work(*task) for task in reversed(list(tasks)))


def test_a_big_case_has_the_rows_of_the_station(analysed):
    taken = []

    def cluster(over: Callable[[], bool]) -> Any:
        def pool(work: Callable[..., Any], tasks: Iterator[Any], count: int) -> Any:
            taken.append(count)
            return here(over)(work, tasks, count)

        return pool

    alone, expected = analysed(None)
    job, found = analysed(cluster)
    assert taken == [3]
    assert (job.state, job.message, job.done) == (JobState.FINISHED, "", alone.done)
    assert found == expected
    assert len(found) == CELLS + 1
    assert analysed(cluster, cluster_from=CELLS + 2)[1] == expected
    assert taken == [3]


TOLD = "The cluster failed, and this machine did the rest; the station's log says why."


def test_a_lost_cluster_is_told_and_the_station_does_the_rest(analysed, caplog):
    def failing(over: Callable[[], bool]) -> Any:
        def pool(work: Callable[..., Any], tasks: Iterator[Any], count: int) -> Iterator[Any]:
            yield work(*next(iter(tasks)))
            raise InputError("auto: the connection to the Ray cluster was lost. Start the cluster again.")

        return pool

    job, found = analysed(failing)
    assert job.state == JobState.FINISHED
    assert job.message == TOLD
    assert "auto: the connection to the Ray cluster was lost" in caplog.text
    assert found == analysed(None)[1]


def test_a_cluster_that_does_not_answer_is_left(analysed, monkeypatch, caplog):
    monkeypatch.setattr(on_cluster, "PATIENCE", 0.2)

    def busy(over: Callable[[], bool]) -> Any:
        def pool(*_: object) -> Iterator[Any]:
            until(over)
            return
            yield

        return pool

    job, found = analysed(busy)
    assert job.message == TOLD
    assert "no result for 0 s" in caplog.text
    assert found == analysed(None)[1]


def test_a_machine_that_does_not_see_the_images_or_has_another_model_refuses(tmp_path, colour_model):
    from leukopy.inference.rows import CellInput
    from leukopy.slides.classifier import Classifier

    model = str(colour_model.path)
    sha256 = Classifier.open(model).card.model.sha256
    cells = [CellInput("1", str(colour_model.draw(tmp_path / "a.png", "LY")))]
    missing = CellInput("2", str(tmp_path / "b.png"))
    assert len(on_cluster.classify_part(model, sha256, cells, cells)) == 1
    with pytest.raises(Exception, match="does not see 1 of the images"):
        on_cluster.classify_part(model, sha256, [*cells, missing], cells)
    with pytest.raises(Exception, match="has another model"):
        on_cluster.classify_part(model, "0" * 64, cells, cells)
