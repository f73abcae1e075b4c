"""The commands of the documentation for own images and classes, run as they stand on drawn cells."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.files import read_json
from support.drawn import draw_classes
from support.files import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "studies.md").read_text("utf-8")
SECTION = DOCUMENT.partition("## Your own images and classes\n")[2].partition("\n## ")[0]
QUICK = (
    "backbone={name: lenet}", "preprocess={size: 48}", "augmentation=null",
    "optimisation={epochs: 30, batch_size: 8, learning_rate: 0.003}", "sources.0.test_share=0.2",
)  # fmt: skip
FOLDERS = {"linfocito": "LY", "plaqueta": "PLT", "hairy_cell": "EO"}


@pytest.mark.slow
def test_the_commands_for_own_images_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, commands = (match[1] for match in re.finditer(r"```(?:sh)?\n(.*?)```", SECTION, re.DOTALL))
    (tmp_path / "labels.csv").write_text(table, "utf-8")
    for folder, code in FOLDERS.items():
        draw_classes(tmp_path / "drawn", {code: 14}, size=64)
        (tmp_path / "my_cells").mkdir(exist_ok=True)
        (tmp_path / "drawn" / code).rename(tmp_path / "my_cells" / folder)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    for line in commands.splitlines():
        if not line.startswith("leukopy "):
            continue
        words = shlex.split(line)[1:]
        if words[0] == "train":
            words += [part for change in QUICK for part in ("--set", change)]
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 0, (line, answer.output)
    lines = {row["code"]: row["count"] for row in read_json(tmp_path / "runs/own/slide/differential.json")["lines"]}
    assert lines["HAIRY"] >= 10
    figures = read_json(tmp_path / "runs" / "own" / "test" / "report.json")["levels"]["coarse"]["classes"]
    assert figures["HAIRY"]["support"] > 0
