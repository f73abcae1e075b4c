"""Work in several processes: each result once; a process that is killed is told, and none outlives its starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from leukopy.core.errors import InputError
from leukopy.inference import workers
from leukopy.inference.workers import in_batches, in_processes


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cpu_count", lambda: 2)


def test_few_images_stay_in_this_process(two_cores: None) -> None:
    seen: list[str] = []

    def work(paths: Sequence[str]) -> list[str]:
        seen.extend(paths)
        return list(paths)

    paths = [f"{number}.png" for number in range(100)]
    found = list(in_batches(work, paths, range(10, 90)))
    assert [row for rows, _ in found for row in rows] == list(range(10, 90))
    assert [path for _, results in found for path in results] == seen == paths[10:90]


@pytest.mark.slow
def test_each_of_many_images_comes_once_with_its_row(two_cores: None) -> None:
    paths = [f"{number}.png" for number in range(500)]
    rows = list(range(499, 99, -1))
    found = [pair for batch, results in in_batches(list, paths, rows) for pair in zip(batch, results, strict=True)]
    assert sorted(found) == [(row, paths[row]) for row in range(100, 500)]
    assert os.getpid() not in set(in_processes(os.getpid, [()] * 4, 4))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_killed_worker_is_an_error_that_says_what_to_do(two_cores: None) -> None:
    tasks = [(signal.SIGCONT,)] * 3 + [(signal.SIGKILL,)] + [(signal.SIGCONT,)] * 20
    with pytest.raises(InputError, match="a worker process was killed, most often because memory ran out"):
        list(in_processes(signal.raise_signal, tasks, len(tasks)))
    assert list(in_processes(signal.raise_signal, tasks[:3], 3)) == [None] * 3  # other workers are started


@pytest.mark.slow
def test_closed_early_it_ends_without_a_warning(two_cores: None) -> None:
    found = in_processes(time.sleep, ((0.3,) for _ in range(1000)), 1000)
    assert next(found) is None
    found.close()


_SCRIPT = """
import time
from leukopy.inference.workers import in_processes

def work(number):
    time.sleep(0.2)
    return bytes(1_000_000)  # more than a pipe holds

for result in in_processes(work, ((number,) for number in range(10_000)), 10_000):
    print(len(result), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_no_worker_outlives_a_killed_starter() -> None:
    """Their standard output is that of the process that started them: it is closed once all are gone."""
    running = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "LOKY_MAX_CPU_COUNT": "2"},
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "1000000\n"
    running.kill()
    _, said = running.communicate(timeout=240)
    assert "Traceback" not in said
