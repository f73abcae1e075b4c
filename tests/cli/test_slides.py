"""`leukopy slides check` on the command line."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from leukopy.cli.main import app
from support.slides import levels_of, smear, write_slide


def test_findings_are_shown_and_the_exit_code_tells_of_problems(tmp_path):
    good = write_slide(tmp_path / "good.tif", levels_of(smear(2100, 2100)))
    cut = tmp_path / "cut.tif"
    cut.write_bytes(good.read_bytes()[:5000])
    result = CliRunner().invoke(app, ["slides", "check", str(good)])
    assert result.exit_code == 0, result.output
    assert "0.25 µm per pixel, from the file" in result.output
    assert "esearch use only" in result.output
    result = CliRunner().invoke(app, ["slides", "check", str(good), str(cut)])
    assert result.exit_code == 3
    assert "Copy it again" in result.output
    result = CliRunner().invoke(app, ["slides", "check", str(good), str(cut), "--json"])
    assert [each["format"] for each in json.loads(result.stdout)] == ["TIFF", None]
