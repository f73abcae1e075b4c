"""What ``analyze`` writes for laboratory systems: preliminary, with the numbers of its differential."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from typer.testing import CliRunner

from leukopy.cli.main import app
from support.laboratory import segments_of, valid


@pytest.fixture
def folder(colour_model: Any, tmp_path: Path) -> Path:
    for number in range(24):
        colour_model.draw(tmp_path / "slide" / f"c{number}.png", ("SNE", "LY", "MO")[number % 3])
    words = ["--model", str(colour_model.path), "--as", "cells", "--write", "hl7", "--write", "fhir"]
    result = CliRunner().invoke(app, ["analyze", str(tmp_path / "slide"), "--out", str(tmp_path / "out"), *words])
    assert result.exit_code == 0, result.output
    return tmp_path / "out"


def test_both_are_valid_preliminary_and_hold_the_differential(folder: Path) -> None:
    message = (folder / "result.hl7").read_bytes().decode()
    valid(message)
    lines = {line["code"]: line["percent"] for line in json.loads((folder / "differential.json").read_text())["lines"]}
    observed = {
        fields[3].split("^")[-3].partition(".")[0]: fields
        for fields in segments_of(message)
        if fields[0] == "OBX" and ".percent^" in fields[3]
    }
    assert {code: float(observed[code][5]) for code in ("SNE", "LY", "MO")} == {
        code: pytest.approx(lines[code], abs=0.05) for code in ("SNE", "LY", "MO")
    }
    assert {fields[25] for fields in segments_of(message) if fields[0] == "OBR"} == {"P"}
    text = (folder / "result.fhir.json").read_text("utf-8")
    Bundle.model_validate_json(text)
    assert '"status": "preliminary"' in text
    assert '"status": "final"' not in text
