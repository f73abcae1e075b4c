"""Ray: nodes of their own on this machine; the rows, folds and figures of a local run; killed nodes and actors."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from .conftest import results, run

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'leukopy[cluster]'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # ray's own

MEMORY = 80_000_000


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch):
    """A head and one more node, each a raylet of its own."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # with ray's 15, workers starve on a busy machine
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    for _ in range(3):  # ray gives a node 30 s to start, which a busy machine may need
        try:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": MEMORY})
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            break
        except Exception:  # noqa: BLE001
            ray._private.worker.shutdown()
    else:
        pytest.skip("no node of ray starts within 30 s on this machine")
    cluster.wait_for_nodes(300)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def actors() -> list[int]:
    """The processes of the workers."""
    found = list(Path("/proc").glob("[0-9]*/cmdline"))
    return [int(path.parent.name) for path in found if path.exists() and b"ray::MapWorker" in path.read_bytes()]


def test_ray_gives_the_bytes_of_a_local_run_though_workers_and_a_node_are_lost(night, plan_of, nodes, tmp_path):
    for name in ("local", "ray"):
        plan_of(night, tmp_path / name, shard_images=1)
    run(tmp_path / "local")
    lost = []

    def lose(stage: str, done: int, total: int | None) -> None:
        if done and not lost:
            lost.extend(actors()[:1])
            for pid in lost:
                os.kill(pid, signal.SIGKILL)
            nodes.remove_node(nodes.add_node(num_cpus=1, object_store_memory=MEMORY), allow_graceful=False)

    from leukopy.cluster.run import RunOptions, run_plan

    done = run_plan(str(tmp_path / "ray"), RunOptions(on=nodes.address), progress=lose)
    assert (done.done, done.shards, done.errors) == (6, 6, ())
    assert lost
    assert results(tmp_path / "ray", tmp_path / "a") == results(tmp_path / "local", tmp_path / "b")


@pytest.mark.parametrize("kind", ["fields", "slide"])
def test_fields_and_whole_slides_have_the_same_bytes_on_all_runners(kind, colour_model, nodes, tmp_path):
    """With the bundled detector: workers on Ray are processes of their own."""
    from leukopy.cluster.planning import make_plan
    from leukopy.cluster.settings import PlanSettings

    draw = draw_fields if kind == "fields" else draw_slides
    draw(tmp_path / "given")
    settings = PlanSettings(
        input=str(tmp_path / "given"), input_kind=kind, model=str(colour_model.path), shard_images=1, leukocytes=5
    )
    for name in ("local", "array", "ray"):
        assert len(make_plan(settings, str(tmp_path / name)).shards) == 2
    run(tmp_path / "local")
    for share in (2, 1):
        run(tmp_path / "array", part=(share, 2))
    assert run(tmp_path / "ray", on=nodes.address, processes=None).errors == ()
    expected = results(tmp_path / "local", tmp_path / "a")
    assert {name.partition("/")[0] for name in expected} >= {"cells", "fields", "objects", "slides.parquet"}
    assert results(tmp_path / "array", tmp_path / "b") == expected
    assert results(tmp_path / "ray", tmp_path / "c") == expected


def draw_fields(folder: Path) -> None:
    """Two slides of two fields; one file is broken."""
    from PIL import Image

    from leukopy.synthesis import Scene, draw_field

    for number in range(4):
        drawn = draw_field({"SNE": 4, "LY": 2}, seed=number, size=(480, 640), scene=Scene(platelets=0.08, cut=False))
        path = folder / "ab"[number % 2] / f"f{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.image).save(path)
    (folder / "a" / "f9.png").write_text("no picture")


def draw_slides(folder: Path) -> None:
    """Two scans."""
    from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide

    folder.mkdir()
    for number in range(2):
        settings = DrawSlideSettings(width=6144, height=3072, um_per_px=0.4, variants=1, leukocytes=8, seed=number)
        draw_slide(settings, folder.parent / f"drawn{number}")
        path = next((folder.parent / f"drawn{number}").glob("*.tif*"))
        path.rename(folder / f"s{number}.tif")


def test_folds_of_patients_on_ray_give_the_figures_of_a_local_run(nodes, tmp_path, monkeypatch):
    import polars as pl

    from leukopy.cluster.pool import ray_pool
    from leukopy.patients.workflows.crossval import CrossvalSettings, crossval
    from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients

    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    cohort = tmp_path / "cohort"
    draw_patients(DrawPatientsSettings(patients=12, cells=(3, 4), tumoral=0.5, size=128, seed=1), cohort)
    recipe = {
        "name": "small",
        "title": "Small",
        "description": "For tests.",
        "cells": {"outputs": ["attributes"], "measures": True},
        "model": {"kind": "statistics", "components": [2, 3], "C": [1.0]},
        "fusion": "late",
        "inner_folds": 2,
    }
    settings = CrossvalSettings.build(
        {"cohort": {"path": cohort}, "recipes": [recipe], "folds": 2, "repeats": 1, "permutations": 1}
    )
    crossval(settings, tmp_path / "here")
    seen = []

    def lose(stage: str, done: int, total: int | None) -> None:
        if stage == "cross-validating" and done and not seen:
            seen.append(done)
            nodes.remove_node(nodes.add_node(num_cpus=1, object_store_memory=MEMORY), allow_graceful=False)

    crossval(settings, tmp_path / "there", pool=ray_pool(nodes.address), progress=lose)
    assert seen
    here, there = (
        pl.read_parquet(tmp_path / name / "oof.parquet").sort("model", "repeat", "fold", "patient_id")
        for name in ("here", "there")
    )
    assert here.equals(there)


def test_an_error_of_a_task_on_ray_is_the_error_of_a_local_run(nodes):
    from leukopy.cluster.pool import ray_pool
    from leukopy.core.settings import read_mapping

    missing = Path("no-such-recipe.yaml")
    with pytest.raises(Exception, match="no-such-recipe") as local:
        read_mapping(missing)
    with pytest.raises(type(local.value), match="no-such-recipe"):
        list(ray_pool(nodes.address)(read_mapping, [(missing,)], 1))


def test_recipes_on_ray_give_the_figures_of_a_local_comparison(nodes, tmp_path, monkeypatch):
    import polars as pl
    import yaml
    from PIL import Image

    from leukopy.cluster.pool import ray_pool
    from leukopy.studies.compare import CompareSettings, compare
    from leukopy.synthesis import draw_cell

    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    rows = []
    for number, code in enumerate(("SNE", "EO", "LY") * 8):
        Image.fromarray(draw_cell(code, seed=number, size=64).image).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", code, ("train", "train", "val", "test")[number // 3 % 4]))
    pl.DataFrame(rows, schema=["path", "label", "split"], orient="row").write_csv(tmp_path / "cells.csv")
    common = {
        "title": "T",
        "description": "For tests.",
        "sources": [{"dataset": "manifest", "root": "cells.csv", "share": 1}],
    }
    own = {
        "net": {"backbone": {"name": "lenet"}, "preprocess": {"size": 48}, "optimisation": {"epochs": 1}},
        "forest": {"kind": "shallow", "features": {"preprocess": {"size": 32}}, "classifier": "random_forest"},
        "wrong": {
            "kind": "shallow", "features": {"preprocess": {"size": 32}}, "classifier": "knn",
            "grid": {"n_neighbors": [500]},
        },
    }  # fmt: skip
    for name, values in own.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **common, **values}))
    settings = CompareSettings(recipes=tuple(tmp_path / f"{name}.yaml" for name in own))
    here = compare(settings, tmp_path / "here")
    there = compare(settings, tmp_path / "there", pool=ray_pool(nodes.address))
    timed = {"images_per_second": None, "minutes": None}
    assert [replace(row, **timed) for row in there.rows] == [replace(row, **timed) for row in here.rows]
    assert [bool(row.failure) for row in there.rows] == [False, False, True]
    for name in ("net", "forest"):
        found, expected = (
            pl.read_parquet(tmp_path / where / name / "test" / "predictions.parquet") for where in ("there", "here")
        )
        assert found.equals(expected)


def test_a_big_case_of_the_station_on_ray_has_the_rows_of_the_station(nodes, tmp_path, colour_model, monkeypatch):
    from leukopy.cluster.pool import ray_pool_apart
    from leukopy.review import on_cluster
    from leukopy.review.records import CaseDraft, JobState
    from leukopy.review.settings import ReviewSettings
    from leukopy.review.store import NewImage, Store
    from leukopy.review.worker import Worker
    from support.waiting import until

    monkeypatch.setattr(on_cluster, "PART", 20)
    pictures = [
        NewImage(
            f"c{number}.png", colour_model.draw(tmp_path / f"c{number}.png", code).read_bytes(), 64, 64, "image/png"
        )
        for number, code in enumerate(("SNE", "LY", "MO") * 20)
    ]

    def analyse(folder: str, address: str | None):
        settings = ReviewSettings(folder=tmp_path / folder, model=str(colour_model.path), cluster_from=10)
        store = Store.open(settings)
        user = store.users.single_user()
        case = store.cases.open(user, CaseDraft(slide="S1"))
        store.cells.add_images(user, case.id, pictures)
        store.jobs.start(user, case.id)
        worker = Worker(store, settings, partial(ray_pool_apart, address) if address else None)
        worker.start()
        running = (JobState.QUEUED, JobState.RUNNING)
        job = until(lambda: job if (job := store.jobs.latest(user, case.id)).state not in running else None)
        worker.stop()
        rows = [one.model_dump(exclude={"id"}) for one in store.cells.all(user, case.id)]
        store.close()
        return job, rows

    expected = analyse("alone", None)[1]
    job, found = analyse("ray", nodes.address)
    assert (job.state, job.message) == (JobState.FINISHED, "")
    assert found == expected
    assert len(found) == 60
    job, found = analyse("lost", "127.0.0.1:1")
    assert job.state == JobState.FINISHED
    assert job.message.startswith("The cluster failed, and this machine did the rest")
    assert found == expected
