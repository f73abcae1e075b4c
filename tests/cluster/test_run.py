"""Runs: the rows of `analyze`, each shard once, resumed, repeated, and whole after damage."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from leukopy.cluster import run as run_module
from leukopy.cluster import tasks as tasks_module
from leukopy.cluster import work as work_module
from leukopy.cluster.merge import merge
from leukopy.cluster.receipts import Receipt
from leukopy.cluster.run import own_shards
from leukopy.cluster.status import read_status
from leukopy.core.errors import BundleError, InputError, OutputError, SettingsError
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from support.files import REPOSITORY

from .conftest import CELLS, NAMES, results, run


def receipts(out: Path) -> dict[str, Receipt]:
    return {path.stem: Receipt.from_json(path.read_bytes()) for path in (out / "receipts").glob("*.json")}


def test_the_rows_are_those_of_analyze(night, plan_of, colour_model, tmp_path):
    plan_of(night, tmp_path / "out")
    done = run(tmp_path / "out")
    assert (done.done, done.shards, done.failures, done.failed_slides, done.complete) == (3, 3, 2, 1, False)
    merged = merge(str(tmp_path / "out"), tmp_path / "merged")
    settings = AnalyzeSettings(input=night, slides=True, model=str(colour_model.path), processes=1)
    alone = analyze(settings, tmp_path / "alone")
    for name in NAMES:
        rows = pl.read_parquet(tmp_path / "merged" / "cells" / f"{name}.parquet")
        assert rows.equals(pl.read_parquet(tmp_path / "alone" / "slides" / name / "cells.parquet"))
    assert merged.slides.drop("folder").equals(alone.slides.drop("folder"))
    assert merged.slides["status"].to_list() == ["analysed"] * 5 + ["failed"]
    failures = pl.read_parquet(tmp_path / "merged" / "failures.parquet")
    assert failures.select("slide", "cell_id", "reason").rows() == [
        ("b", "b/b00.png", "not_an_image"),
        ("b", "b/b01.png", "empty_file"),
    ]
    assert "Research use only" in (tmp_path / "merged" / "slides.html").read_text()
    assert json.loads((tmp_path / "merged" / "run.json").read_text())["status"] == "finished"


def test_shares_of_a_job_array_give_the_same_bytes(night, plan_of, tmp_path):
    plan_of(night, tmp_path / "whole")
    run(tmp_path / "whole")
    plan_of(night, tmp_path / "array")
    for share in (3, 1, 2):
        part = run(tmp_path / "array", part=(share, 3))
        assert part.shards == part.done == 1
    assert results(tmp_path / "array", tmp_path / "b") == results(tmp_path / "whole", tmp_path / "a")
    for share, shares in ((0, 2), (3, 2)):
        with pytest.raises(SettingsError, match="the first number runs from 1"):
            run(tmp_path / "array", part=(share, shares))


def test_every_shard_is_in_one_share(night, plan_of, tmp_path):
    made = plan_of(night, tmp_path / "out", shard_images=1)
    for shares in (1, 2, 4, 9):
        numbers = sorted(shard.number for share in range(shares) for shard in own_shards(made, (share + 1, shares)))
        assert numbers == list(range(len(made.shards)))


def test_a_run_that_was_interrupted_goes_on(night, plan_of, tmp_path, monkeypatch):
    plan_of(night, tmp_path / "out")
    worked = []

    def work(store, plan, shard, classifier):
        if worked:
            raise KeyboardInterrupt
        worked.append(shard.number)
        return work_module.work_shard(store, plan, shard, classifier)

    monkeypatch.setattr(tasks_module, "work_shard", work)
    with pytest.raises(KeyboardInterrupt, match="pictures are done and saved"):
        run(tmp_path / "out")
    status = read_status(str(tmp_path / "out"))
    assert (status.rounds[0].done, status.rounds[0].shards, status.finished) == (1, 3, False)
    with pytest.raises(InputError, match=r"2 of 3 shards are not done.*leukopy cluster run"):
        merge(str(tmp_path / "out"), tmp_path / "merged")
    monkeypatch.undo()
    before = receipts(tmp_path / "out")
    assert run(tmp_path / "out").done == 3
    after = receipts(tmp_path / "out")
    assert before.items() <= after.items()
    assert read_status(str(tmp_path / "out")).finished
    plan_of(night, tmp_path / "whole")
    run(tmp_path / "whole")
    assert results(tmp_path / "out", tmp_path / "a") == results(tmp_path / "whole", tmp_path / "b")


def test_a_shard_done_twice_gives_one_result(night, plan_of, tmp_path, monkeypatch):
    plan_of(night, tmp_path / "out")
    monkeypatch.setattr(tasks_module, "receipt_of", lambda *_: None)  # as two runs that begin at the same time
    run(tmp_path / "out")
    first, parts = receipts(tmp_path / "out"), sorted((tmp_path / "out" / "parts").rglob("*.parquet"))
    rounds = tasks_module._plan.__wrapped__(str(tmp_path / "out"), read_id(tmp_path / "out"))
    for shard in rounds[1].shards:
        again = work_module.work_shard(*rounds, shard, work_module.open_classifier(rounds[1]))
        assert again == first[shard.id]
    assert receipts(tmp_path / "out") == first
    assert sorted((tmp_path / "out" / "parts").rglob("*.parquet")) == parts


def read_id(out: Path) -> str:
    from leukopy.cluster.plan import Plan
    from leukopy.cluster.storage import open_store

    return Plan.load(open_store(str(out)), out).id


def test_of_two_different_results_the_first_receipt_counts(night, plan_of, tmp_path):
    plan_of(night, tmp_path / "out")
    run(tmp_path / "out")
    first = next(iter(receipts(tmp_path / "out").values()))
    name = "parts/cells/other.parquet"
    (tmp_path / "out" / name).write_bytes(b"x")
    other = {**first.parts, "cells": first.parts["cells"]._replace(name=name, sha256="0" * 64)}
    from dataclasses import replace

    from leukopy.cluster.storage import open_store

    assert work_module.commit(open_store(str(tmp_path / "out")), replace(first, parts=other)) == first
    assert not (tmp_path / "out" / name).exists()
    assert (tmp_path / "out" / first.parts["cells"].name).exists()


def test_only_failed_slides_are_repeated(night, plan_of, colour_model, tmp_path):
    plan_of(night, tmp_path / "out")
    run(tmp_path / "out")
    for name in ("b00.png", "b01.png"):
        colour_model.draw(night / "b" / name, "LY")
    colour_model.draw(night / "empty" / "new.png", "LY")  # not of the plan: its slide fails again
    again = run(tmp_path / "out", retry_failed=True)
    assert (again.failures, again.failed_slides, again.done, again.shards) == (0, 1, 4, 4)
    merged = merge(str(tmp_path / "out"), tmp_path / "merged")
    assert merged.slides["slide"].to_list() == [*NAMES, "empty"]
    assert merged.slides["failures"].to_list() == [0] * 5 + [None]
    assert merged.cells == CELLS * 5 + 1
    assert merged.failures == 0
    rows = pl.read_parquet(tmp_path / "merged" / "cells" / "b.parquet")
    assert len(rows) == CELLS + 1
    status = read_status(str(tmp_path / "out"))
    assert [one.slides for one in status.rounds] == [6, 2]


def test_damage_is_found_and_mended(night, plan_of, tmp_path):
    plan_of(night, tmp_path / "out")
    run(tmp_path / "out")
    whole = results(tmp_path / "out", tmp_path / "whole")
    cells = sorted((tmp_path / "out" / "parts" / "cells").iterdir())
    content = bytearray(cells[0].read_bytes())
    content[len(content) // 2] ^= 1
    cells[0].write_bytes(content)  # of the same size
    with pytest.raises(InputError, match=r"damaged; its digest differs.*--verify"):
        merge(str(tmp_path / "out"), tmp_path / "merged")
    mended = run(tmp_path / "out", verify=True)
    assert len(mended.damaged) == 1
    assert results(tmp_path / "out", tmp_path / "a") == whole

    cells[1].write_bytes(b"short")
    next((tmp_path / "out" / "receipts").iterdir()).write_text("{")
    damaged = read_status(str(tmp_path / "out"))
    assert 1 <= len(damaged.rounds[0].damaged) <= 2
    assert not damaged.finished
    with pytest.raises(InputError, match="not done"):
        merge(str(tmp_path / "out"), tmp_path / "b")
    assert run(tmp_path / "out").done == 3
    assert results(tmp_path / "out", tmp_path / "c") == whole


def test_a_full_disk_leaves_a_shard_open(night, plan_of, tmp_path, monkeypatch):
    plan_of(night, tmp_path / "out")
    run_slide = work_module.run_slide

    def full(job, *arguments, **named):
        if job.title == "b":
            raise OutputError("the disk is full")
        return run_slide(job, *arguments, **named)

    monkeypatch.setattr(work_module, "run_slide", full)
    stopped = run(tmp_path / "out")
    assert (stopped.done, stopped.errors) == (2, ("the disk is full",))
    monkeypatch.undo()
    assert run(tmp_path / "out").done == 3


def test_an_unexpected_error_is_of_one_slide(night, plan_of, tmp_path, monkeypatch):
    plan_of(night, tmp_path / "out")
    run_slide = work_module.run_slide

    def broken(job, *arguments, **named):
        if job.title == "d":
            raise ZeroDivisionError("by nothing")
        return run_slide(job, *arguments, **named)

    monkeypatch.setattr(work_module, "run_slide", broken)
    assert run(tmp_path / "out").failed_slides == 2
    found = merge(str(tmp_path / "out"), tmp_path / "merged").slides.filter(slide="d")
    assert found["message"].to_list() == ["unexpected ZeroDivisionError: by nothing"]


def test_another_model_is_refused(night, plan_of, colour_model, tmp_path, monkeypatch):
    made = plan_of(night, tmp_path / "out")
    monkeypatch.setattr(work_module, "model_facts", lambda *_: {**made.model, "sha256": "other"})
    with pytest.raises(BundleError, match=r"is not the model of the plan \(other sha256\)"):
        run(tmp_path / "out")
    with pytest.raises(InputError, match="no plan of leukopy"):
        run(tmp_path)


@pytest.mark.slow
def test_processes_change_nothing(night, plan_of, tmp_path):
    """More shards than are handed out at first."""
    for name, processes in (("one", 1), ("two", 2)):
        plan_of(night, tmp_path / name, shard_images=1)
        assert run(tmp_path / name, processes=processes).done == 6
    assert results(tmp_path / "one", tmp_path / "a") == results(tmp_path / "two", tmp_path / "b")


def test_tasks_of_killed_workers_are_given_out_again(monkeypatch):
    tasks = [run_module.Task("x", "p", number) for number in range(9)]
    given = []

    def killing(work, waiting, workers):
        given.append(len(waiting))
        for number, task in enumerate(waiting):
            if number == 4:
                raise InputError("a worker process was killed")
            yield run_module.Outcome(run_module.Task(*task), None, "")

    monkeypatch.setattr("leukopy.inference.workers.in_processes", killing)
    found = [outcome.task for outcome in run_module._in_processes(tasks, 2)]
    assert found == tasks
    assert given == [9, 5, 1]


def test_workers_that_are_killed_again_and_again_end_the_run(monkeypatch):
    def killing(*_):
        raise InputError("a worker process was killed")
        yield

    monkeypatch.setattr("leukopy.inference.workers.in_processes", killing)
    with pytest.raises(InputError, match="was killed"):
        list(run_module._in_processes([run_module.Task("x", "p", number) for number in range(3)], 2))


def test_the_page_reads_the_results(night, plan_of, tmp_path, monkeypatch, capsys):
    """The example of docs/cluster.md, with polars and DuckDB."""
    pytest.importorskip("duckdb")
    plan_of(night, tmp_path / "out")
    run(tmp_path / "out")
    merge(str(tmp_path / "out"), tmp_path / "results" / "merged")
    monkeypatch.chdir(tmp_path)
    example = (REPOSITORY / "docs" / "cluster.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    exec(compile(example, "docs/cluster.md", "exec"), {})
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)
