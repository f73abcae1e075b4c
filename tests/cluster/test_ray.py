"""Ray: nodes of their own on this machine, the rows of a local run, a killed node and a killed actor."""

from __future__ import annotations

import os
import signal
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
