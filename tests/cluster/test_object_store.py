"""Object stores: the rows of a disk, calls repeated and counted, receipts last, no credential written anywhere."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from leukopy.cluster import retries as retries_module
from leukopy.cluster.merge import merge
from leukopy.cluster.retries import TRIES, Retries, redacted
from leukopy.cluster.status import read_status
from leukopy.cluster.storage import LocalStore, open_store
from leukopy.core.errors import InputError, OutputError
from support.object_store import SECRET

from .conftest import results, run


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(retries_module, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retries_module, "LONGEST_WAIT", 0.002)


def upload(folder: Path, uri: str) -> None:
    store = open_store(uri)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.write(path.relative_to(folder).as_posix(), path.read_bytes())


@pytest.fixture(params=["disk", "bucket"])
def store(request, tmp_path):
    return open_store(
        str(tmp_path / "store") if request.param == "disk" else request.getfixturevalue("bucket") + "/a b"
    )


def test_stores_do_the_same(store, tmp_path):
    assert store.files("") == {}
    store.write("x/1", b"one")
    assert store.create("x/2", b"two")
    assert not store.create("x/2", b"other")
    store.write("x/1", b"more")
    assert store.read("x/1") == b"more"
    assert store.read("x/2") == b"two"
    assert store.files("x") == {"1": 4, "2": 3}
    assert store.below("x").read("2") == b"two"
    assert store.fetch("x/1", tmp_path / "copy").read_bytes() == b"more"
    store.remove("x/1")
    store.remove("x/1")
    assert store.files("") == {"x/2": 3}
    with pytest.raises(FileNotFoundError):
        store.read("x/1")


def test_pictures_and_results_in_a_store_are_those_of_a_disk(night, plan_of, bucket, object_server, tmp_path):
    (night / "empty").rmdir()  # object stores have no empty folders
    upload(night, f"{bucket}/night")
    plan_of(night, tmp_path / "disk")
    run(tmp_path / "disk")
    on_disk = results(tmp_path / "disk", tmp_path / "a")
    plan_of(f"{bucket}/night", f"{bucket}/run")
    _, faulty = object_server
    faulty.every, before = 10, faulty.refused
    done = run(f"{bucket}/run")
    assert (done.done, done.failures, done.errors) == (3, 2, ())
    merged = results(f"{bucket}/run", tmp_path / "b")
    faulty.every = 0
    assert {
        name: text.replace(f"{bucket}/night".encode(), str(night).encode()) for name, text in merged.items()
    } == on_disk
    assert faulty.refused - before > 3
    assert 0 < done.retries <= faulty.refused - before
    assert read_status(f"{bucket}/run").rounds[0].retries == done.retries
    written = b"".join(open_store(f"{bucket}/run").read(name) for name in open_store(f"{bucket}/run").files(""))
    assert SECRET.encode() not in written


def test_a_manifest_in_a_store_names_its_neighbours(night, plan_of, bucket, tmp_path):
    upload(night, f"{bucket}/all/night")
    rows = [(f"night/{name}/{name}{index:02}.png", f"slide {name}") for name in "cd" for index in range(6)]
    pl.DataFrame(rows, schema=["path", "slide"], orient="row").write_parquet(tmp_path / "m.parquet")
    open_store(f"{bucket}/all").write("m.parquet", (tmp_path / "m.parquet").read_bytes())
    plan_of(f"{bucket}/all/m.parquet", tmp_path / "out")
    assert run(tmp_path / "out").complete
    merged = merge(str(tmp_path / "out"), tmp_path / "merged")
    assert merged.slides["slide"].to_list() == ["slide c", "slide d"]
    assert merged.cells == 12
    paths = pl.read_parquet(tmp_path / "merged" / "cells" / "*.parquet")["path"]
    assert sorted(paths) == sorted(f"{bucket}/all/{path}" for path, _ in rows)
    with pytest.raises(InputError, match="there is no such object"):
        plan_of(f"{bucket}/all/other.parquet", tmp_path / "other")


def test_an_object_that_is_gone_is_a_failure(night, plan_of, bucket, tmp_path):
    upload(night, f"{bucket}/night")
    plan_of(f"{bucket}/night", tmp_path / "out")
    open_store(f"{bucket}/night").remove("e/e03.png")
    assert run(tmp_path / "out").failures == 3
    merge(str(tmp_path / "out"), tmp_path / "merged")
    found = pl.read_parquet(tmp_path / "merged" / "failures.parquet").filter(slide="e")
    assert found.select("path", "reason").rows() == [(f"{bucket}/night/e/e03.png", "not_found")]
    assert f"{bucket}/night/e/e03.png" in found["message"][0]


def test_a_store_that_refuses_all_leaves_shards_open(night, plan_of, bucket, object_server, tmp_path):
    upload(night, f"{bucket}/night")
    plan_of(f"{bucket}/night", tmp_path / "out")
    _, faulty = object_server
    faulty.every = 1
    stopped = run(tmp_path / "out")
    assert stopped.done == 0
    assert len(stopped.errors) == 3
    assert all(f"refused {TRIES} calls" in text and SECRET not in text for text in stopped.errors)
    faulty.every = 0
    assert run(tmp_path / "out").done == 3


def test_a_receipt_whose_answer_was_lost_counts_once(bucket, object_server):
    store = open_store(bucket)
    _, faulty = object_server
    faulty.lose_answers, faulty.every = True, 2
    assert [store.create(f"r/{number}", b"mine") for number in range(6)] == [True] * 6
    faulty.every = 0
    assert faulty.refused
    assert not store.create("r/0", b"other")
    assert store.read("r/0") == b"mine"


def test_calls_are_repeated_with_growing_waits():
    waits: list[float] = []
    retries = Retries(waits.append)
    failing = iter([OSError("busy")] * 5)

    def work() -> str:
        error = next(failing, None)
        if error:
            raise error
        return "done"

    assert retries.call("s3://x", work) == "done"
    assert retries.count == 5 == len(waits)
    assert all(0.5 * 2**n <= wait / retries_module.FIRST_WAIT <= 2**n or wait <= 0.002 for n, wait in enumerate(waits))
    with pytest.raises(FileNotFoundError):
        retries.call("s3://x", lambda: (_ for _ in ()).throw(FileNotFoundError()), (FileNotFoundError,))
    assert retries.count == 5


def test_messages_hold_no_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    assert redacted("the key hush-hush is wrong") == "the key *** is wrong"


def test_a_file_is_created_once_though_many_try(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    store = LocalStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: store.create("one", str(number).encode()), range(40)))
    assert made.count(True) == 1
    assert store.read("one") == str(made.index(True)).encode()
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        store.write("file/below", b"x")
