"""Whatever is wrong with the input: one clear line, the right exit code, a row per failure, and nothing lost.

Through the real command line; what needs a process of its own (signals, a full disk, permissions) gets one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app

COMMAND = (sys.executable, "-c", "from leukopy.cli.main import main; main()")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def analyze(colour_model, out):
    """Run ``leukopy analyze PATH --out OUT`` with the small model."""

    def run(path, *options, model=colour_model.path):
        return CliRunner().invoke(app, ["analyze", str(path), "--out", str(out), "--model", str(model), *options])

    return run


def process(*command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def one_line(result) -> str:
    """What the user is told, after checking that it is one line and that the exit code is 1."""
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("leukopy: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def blank_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compressobj(9)
    body = b"".join(rows.compress(bytes(1 + width // 8)) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_every_bad_image_is_a_row_beside_the_good_ones(analyze, colour_model, tmp_path, out):
    slide = tmp_path / "slide"
    good = ["plain.jpg", "a, b.png", "ünï ć.png", "two\nlines.png", 'quo"te.png', "-dash.png"]
    for name in good:
        colour_model.draw(slide / name, "EO", width=300, height=300)
    (slide / "text.jpg").write_text("cell_id,label\n")
    (slide / "cut.jpg").write_bytes((slide / "plain.jpg").read_bytes()[:900])
    (slide / "empty.png").touch()
    (slide / "bomb.png").write_bytes(blank_png(30_000, 30_000))
    (slide / "self.png").symlink_to(slide / "self.png")
    (slide / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (slide / "again").symlink_to(slide)
    (slide / "scan.gif").write_bytes(b"GIF89a")

    result = analyze(slide)

    assert result.exit_code == 3
    *shown, counted = result.stderr.splitlines()[-4:]
    assert counted == f"7 of 13 images failed: {out / 'failures.csv'}"
    assert shown == pl.read_csv(out / "failures.csv")["message"][:3].to_list()
    assert pl.read_parquet(out / "cells.parquet")["cell_id"].to_list() == sorted(good)
    assert pl.read_csv(out / "cells.csv")["cell_id"].to_list() == sorted(good)
    assert dict(pl.read_csv(out / "failures.csv").select("cell_id", "reason").iter_rows()) == {
        "text.jpg": "not_an_image",
        "cut.jpg": "truncated",
        "empty.png": "empty_file",
        "bomb.png": "too_large",
        "self.png": "unreadable",
        "gone.png": "not_found",
        "scan.gif": "unsupported_format",
    }


def test_an_empty_folder(analyze, tmp_path, out):
    (tmp_path / "empty").mkdir()
    assert "empty: holds no image" in one_line(analyze(tmp_path / "empty"))
    assert not out.exists()


def test_a_path_that_is_not_there(analyze, tmp_path, out):
    assert "nowhere: there is no such folder or file" in one_line(analyze(tmp_path / "nowhere"))
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("file,label\na.png,LY\n", "column 'path' is missing"),
        ("path,label\na.png,LY\nb.png,gremlin\n", "line 3: label 'gremlin' is unknown in 'leukopy'; known labels: "),
        ("path\n", "holds no rows"),
        ("path\na.png\na.png\n", "line 3: its image is on line 2 too"),
    ],
)
def test_a_manifest_that_is_wrong(analyze, tmp_path, out, content, told):
    (tmp_path / "cells.csv").write_text(content)
    line = one_line(analyze(tmp_path / "cells.csv"))
    assert "cells.csv" in line
    assert told in line
    assert not out.exists()


def test_a_list_with_the_same_path_twice(analyze, tmp_path, out):
    (tmp_path / "cells.txt").write_text("a.png\na.png\n")
    assert "cells.txt, line 2: 'a.png' is already on line 1" in one_line(analyze(tmp_path / "cells.txt"))
    assert not out.exists()


@pytest.fixture
def cell(colour_model, tmp_path):
    return colour_model.draw(tmp_path / "cell.png", "LY")


def _other_classes(bundle: Path) -> None:
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps({**card, "taxonomy": "0123456789abcdef"}))


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (shutil.rmtree, "no model of this name and no bundle folder"),
        (lambda bundle: (bundle / "card.json").write_text("{"), "not a JSON file"),
        (lambda bundle: (bundle / "card.json").write_text('{"name": "cat or dog"}'), "broken or foreign"),
        (lambda bundle: (bundle / "model.onnx").unlink(), "cannot be read"),
        (lambda bundle: (bundle / "model.onnx").write_bytes(b"cut"), "is not the file its card describes"),
        (_other_classes, "made for other classes"),
    ],
)
def test_a_bundle_that_is_broken_or_foreign(analyze, build_bundle, cell, harm, expected):
    bundle = build_bundle(cell.parent / "bundle")
    harm(bundle)
    line = one_line(analyze(cell, model=bundle))
    assert "bundle" in line
    assert expected in line
    assert not (cell.parent / "out").exists()


def test_an_output_folder_that_exists(analyze, cell, out):
    out.mkdir()
    (out / "thesis.docx").touch()
    assert "is not empty and holds no leukopy results" in one_line(analyze(cell))
    assert "is not empty and holds no leukopy results" in one_line(analyze(cell, "--overwrite"))
    assert [path.name for path in out.iterdir()] == ["thesis.docx"]
    (out / "thesis.docx").unlink()
    assert analyze(cell).exit_code == 0
    assert "Add --resume to continue that run, --overwrite to replace it" in one_line(analyze(cell))
    assert analyze(cell, "--resume").exit_code == 0
    assert analyze(cell, "--overwrite").exit_code == 0


def test_an_output_that_is_a_file(analyze, cell, out):
    out.touch()
    assert "is a file; --out needs a folder" in one_line(analyze(cell))


def test_settings_that_are_wrong(analyze, cell, tmp_path):
    (tmp_path / "run.yaml").write_text("inputs: cells\n")
    line = one_line(analyze(cell, "--config", str(tmp_path / "run.yaml")))
    assert "run.yaml: inputs: Extra inputs are not permitted" in line
    result = analyze(cell, "--threads", "0")
    assert result.exit_code == 2
    assert "Invalid value for '--threads': Input should be greater than or equal to 1" in result.stderr


def test_no_input_at_all_is_wrong_usage(out):
    result = CliRunner().invoke(app, ["analyze", "--out", str(out)])
    assert result.exit_code == 2
    assert "PATH" in result.stderr


def _bound_by_permissions(folder: Path) -> list[str]:
    """What to put before a command so that permissions bind it, even where the tests run as root."""
    locked = folder / "locked"
    locked.mkdir(mode=0)
    if not os.access(locked, os.R_OK):
        return []
    prefix = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or not process(*prefix, "ls", locked).returncode:
        pytest.skip("this user reads folders without permission, and setpriv cannot take that away")
    return prefix


def test_a_folder_without_permission(colour_model, tmp_path, out):
    prefix = _bound_by_permissions(tmp_path)
    slide = tmp_path / "slide"
    colour_model.draw(slide / "a.png", "LY")
    colour_model.draw(slide / "closed" / "b.png", "LY")
    colour_model.draw(slide / "secret.png", "LY").chmod(0)
    (slide / "closed").chmod(0)
    options = ["--out", out, "--model", colour_model.path]
    try:
        part = process(*prefix, *COMMAND, "analyze", slide, *options)
        all_of_it = process(*prefix, *COMMAND, "analyze", slide / "closed", *options)
    finally:
        (slide / "closed").chmod(0o755)
    assert part.returncode == 3, part.stderr
    failures = pl.read_csv(out / "failures.csv")
    assert dict(failures.select("cell_id", "reason").iter_rows()) == {
        "closed": "no_permission",
        "secret.png": "no_permission",
    }
    assert pl.read_parquet(out / "cells.parquet")["cell_id"].to_list() == ["a.png"]
    assert all_of_it.returncode == 1
    assert all_of_it.stderr.count("\n") == 1
    assert "closed: cannot be read (Permission denied)" in all_of_it.stderr


@pytest.fixture(scope="module")
def long_run(colour_model, tmp_path_factory):
    """A manifest of thousands of links to one image, and the rows of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("long")
    cell = colour_model.draw(folder / "cell.png", "LY", width=32, height=32)
    for index in range(6144):
        if index % 100:
            (folder / f"{index}.png").hardlink_to(cell)
    rows = "".join(f"c{index:05d},{index}.png\n" for index in range(6144))
    (folder / "cells.csv").write_text("cell_id,path\n" + rows)
    command = ["analyze", folder / "cells.csv", "--model", colour_model.path, "--threads", "1"]
    whole = process(*COMMAND, *command, "--out", folder / "whole")
    assert whole.returncode == 3, whole.stderr
    return command, (folder / "whole" / "cells.parquet").read_bytes(), (folder / "whole" / "failures.csv").read_bytes()


STRUCK = """
import os
from leukopy.cli.main import main
from leukopy.slides.result_parts import ResultParts

flush = ResultParts.flush

def struck(self):
    ResultParts.flush = flush
    flush(self)
    os.kill(os.getpid(), {blow:d})

ResultParts.flush = struck
main()
"""
"""The command, which is sent a signal once its first rows are written."""


@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ctrl_c_or_a_kill_in_the_middle(long_run, out, blow, code):
    command, cells, failures = long_run
    struck = process(sys.executable, "-c", STRUCK.format(blow=blow), *command, "--out", out)
    told = struck.stderr
    assert struck.returncode == code, told
    assert (out / "parts" / "part-00000.parquet").exists()
    assert not (out / "cells.parquet").exists()
    if blow == signal.SIGINT:
        assert told.startswith("leukopy: interrupted; ")
        assert "of 6144 cells are done and saved. Run the same command with --resume to continue." in told
        assert told.count("\n") == 1
    resumed = process(*COMMAND, *command, "--out", out, "--resume")
    assert resumed.returncode == 3, resumed.stderr
    assert (out / "cells.parquet").read_bytes() == cells
    assert (out / "failures.csv").read_bytes() == failures


FULL_DISK = """
mount -t tmpfs -o size={size} small {disk} || exit 99
"$@"; echo first $?
mount -o remount,size=50m {disk}
"$@" --resume; echo second $?
cp {disk}/out/cells.parquet {disk}/out/failures.csv {kept}
"""


@pytest.mark.parametrize("size", ["4k", "32k", "200k"])
def test_a_disk_that_is_full(long_run, tmp_path, size):
    """A real small disk: full at the first part, at the third, at the merged table."""
    command, cells, failures = long_run
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    script = FULL_DISK.format(size=size, disk=disk, kept=kept)
    wrapped = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if not shutil.which("unshare"):
        pytest.skip("no unshare here to make a small disk with")
    run = process(*wrapped, *COMMAND, *command, "--out", disk / "out")
    if run.returncode == 99 or "unshare failed" in run.stderr:
        pytest.skip("this system does not let a test mount a small disk")
    assert "first 1\n" in run.stdout, run.stderr
    assert "second 3\n" in run.stdout, run.stderr
    first_line = run.stderr.splitlines()[0]
    assert first_line.startswith("leukopy: ")
    assert "the disk is full. Free some space, then run again (with --resume" in first_line
    assert (kept / "cells.parquet").read_bytes() == cells
    assert (kept / "failures.csv").read_bytes() == failures
