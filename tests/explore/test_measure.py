"""Each picture is measured once, failures are rows, and what was done before Ctrl-C is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.progress import silent
from leukopy.explore import measure as measuring
from leukopy.explore.features import measure
from leukopy.explore.means import unpack
from leukopy.explore.measure import embed_all, measure_all
from leukopy.inference import embeddings, workers
from support.waiting import until

Draw = Callable[..., list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were measured."""
    seen: list[Path] = []

    def counted(path: Path) -> object:
        seen.append(path)
        return measure(path)

    monkeypatch.setattr(measuring, "measure", counted)
    return seen


def test_a_second_run_measures_nothing(draw_cells: Draw, tmp_path: Path, calls: list[Path]) -> None:
    paths = draw_cells(tmp_path, {"LY": 3, "PLT": 2})
    first = measure_all(paths, silent)
    assert len(calls) == 5
    second = measure_all(paths[::-1], silent)
    assert len(calls) == 5
    assert np.array_equal(second.values, first.values[::-1], equal_nan=True)
    assert second.sizes.tolist() == [[96, 96]] * 5
    for path, picture in zip(paths, first.pictures(range(5)), strict=True):
        assert np.array_equal(unpack(picture), unpack(measure(Path(path)).picture))


def test_a_file_with_other_content_is_measured_anew(draw_cells: Draw, tmp_path: Path, calls: list[Path]) -> None:
    paths = draw_cells(tmp_path, {"LY": 1, "PLT": 1})
    before = measure_all(paths, silent)
    Path(paths[0]).write_bytes(Path(paths[1]).read_bytes())
    after = measure_all(paths, silent)
    assert np.array_equal(after.values[0], before.values[1], equal_nan=True)
    assert len(calls) == 2  # the bytes were known


def test_a_failure_is_a_row_with_its_reason_each_time(draw_cells: Draw, tmp_path: Path) -> None:
    paths = draw_cells(tmp_path, {"LY": 2})
    (tmp_path / "letter.png").write_text("not a picture")
    for _ in range(2):
        found = measure_all([paths[0], str(tmp_path / "letter.png"), str(tmp_path / "gone.png"), paths[1]], silent)
        assert {row: reason for row, (reason, _) in found.failures.items()} == {1: "not_an_image", 2: "not_found"}
        assert np.isnan(found.values[1:3]).all()
        assert not np.isnan(found.values[[0, 3], 0]).any()


def test_interrupted_it_goes_on_where_it_stopped(
    draw_cells: Draw, tmp_path: Path, calls: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw_cells(tmp_path, {"LY": 12})
    monkeypatch.setattr(workers, "_BATCH", 4)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "measuring" and done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all(paths, stop)
    measure_all(paths, silent)
    assert [Path(path) for path in paths] == calls


@pytest.mark.slow
def test_processes_measure_what_one_process_does(
    draw_cells: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = draw_cells(tmp_path, {"LY": 6, "EO": 6})
    (tmp_path / "letter.png").write_text("not a picture")
    paths.insert(3, str(tmp_path / "letter.png"))
    alone = measure_all(paths, silent)
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(workers, "_FEW", 0)
    monkeypatch.setattr(workers, "_BATCH", 2)
    monkeypatch.setattr(workers, "cpu_count", lambda: 2)
    together = measure_all(paths, silent)
    assert np.array_equal(together.values, alone.values, equal_nan=True)
    assert together.failures == alone.failures


def test_embeddings_are_kept_by_model_and_digest(
    draw_cells: Draw, tmp_path: Path, build_bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(build_bundle(tmp_path / "bundle"))
    paths = draw_cells(tmp_path, {"LY": 2, "EO": 1})
    digests = measure_all(paths, silent).digests
    expected, _ = embeddings(bundle, paths)
    assert np.array_equal(embed_all(bundle, paths, digests, silent), expected)
    monkeypatch.setattr(measuring, "embeddings", None)  # nothing is left to be computed
    assert np.array_equal(embed_all(bundle, paths[::-1], digests[::-1], silent), expected[::-1])
    other = open_bundle(build_bundle(tmp_path / "other", sharpness=2.0))
    with pytest.raises(TypeError):
        embed_all(other, paths, digests, silent)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_or_killed_it_leaves_no_worker_behind(
    sign: signal.Signals, code: int, draw_cells: Draw, tmp_path: Path, build_bundle
) -> None:
    """Through the real command: its workers end with it, and what they measured is in the cache."""
    draw_cells(tmp_path / "cells", {"LY": 30, "EO": 30, "MO": 30})
    bundle, out = build_bundle(tmp_path / "bundle"), tmp_path / "out"
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell's `&` would ignore it
    command = (sys.executable, "-c", f"{heed}; from leukopy.cli.main import main; main()")
    running = subprocess.Popen(
        [*command, "study", "explore", str(tmp_path / "cells"), "--model", str(bundle), "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LEUKOPY_CACHE": str(tmp_path / "cache")},
    )
    cache = tmp_path / "cache" / "explore"
    until(lambda: kept(cache) > 0)
    running.send_signal(sign)
    _, said = running.communicate()  # ends only once no worker holds standard error
    assert running.returncode == code
    assert "Traceback" not in said
    if sign == signal.SIGINT:
        assert said == "leukopy: interrupted; finished measures are cached; the same command resumes.\n"
    assert 0 < kept(cache) <= 90


def kept(cache: Path) -> int:
    """Cells in the cache."""
    found = list(cache.glob("cells-*.sqlite"))
    if not found:
        return 0
    with closing(sqlite3.connect(found[0])) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet
            return 0
