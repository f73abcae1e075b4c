"""Labels that other patients contradict: found, listed with the reason, and left out of the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import InputError
from leukopy.studies.clean import CleanSettings, _members, clean
from leukopy.taxonomy import FINE
from leukopy.training.attribute_heads import card_for
from support.colour_model import class_colours, colour_network, with_stages

pytestmark = pytest.mark.slow

CODES, PATIENTS, EACH = ("LY", "MO", "EO"), 4, 4
WRONG = ("LY_1_0", "EO_3_2")
COLOURS = dict(zip((cell.code for cell in FINE), class_colours(), strict=True))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of three classes of four patients; two cells are drawn as another class, one file is broken."""
    root, rng = tmp_path_factory.mktemp("cells"), np.random.default_rng(0)
    rows = ["path,label,group,split"]
    for code in (*CODES, "BA"):
        for patient in range(PATIENTS if code in CODES else 1):
            for number in range(EACH):
                name = f"{code}_{patient}_{number}"
                drawn = COLOURS["MO" if name in WRONG else code] + rng.integers(-12, 13, 3)
                pixels = np.full((48, 48, 3), drawn).clip(0, 255).astype(np.uint8)
                pixels[0, 0] = rng.integers(0, 256, 3)
                Image.fromarray(pixels).save(root / f"{name}.png")
                rows.append(f"{name}.png,{code},P{patient},train")
    (root / "MO_0_0.png").write_text("no picture")
    (root / "test.png").write_text("never read")
    (root / "cells.csv").write_text("\n".join([*rows, "test.png,LY,P9,test"]))
    return root


@pytest.fixture(scope="module")
def model(place: Path, colour_model) -> str:
    content = with_stages(colour_network(32))
    return str(write_bundle(place / "model", card_for(open_bundle(colour_model.path).card, content), content).path)


def settings(place: Path, model: str, **changes: object) -> CleanSettings:
    return CleanSettings.build({
        "data": "manifest", "root": place / "cells.csv", "model": model, "folds": 4, "fewest": 8, "steps": 400,
        "below": 0.2, **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def result(place: Path, model: str):
    return clean(settings(place, model), place / "out")


def test_labels_that_other_patients_contradict_are_doubtful(result) -> None:
    table = pl.read_csv(result.out / "labels.csv")
    doubtful = table.filter("doubtful")
    assert sorted(Path(path).stem for path in doubtful["path"]) == sorted(WRONG)
    assert doubtful["predicted"].to_list() == ["MO", "MO"]
    assert set(doubtful["reason"]) == {"looks like a monocyte by the cells of others"}
    assert table["label_probability"].drop_nulls().is_sorted()
    assert (result.cells, result.doubtful) == (len(CODES) * PATIENTS * EACH + EACH, 2)


def test_what_is_not_judged_is_listed_with_the_reason(result) -> None:
    table = pl.read_csv(result.out / "labels.csv")
    rest = table.filter(pl.col("label_probability").is_null())
    assert sorted(Path(path).stem for path in rest["path"]) == ["BA_0_0", "BA_0_1", "BA_0_2", "BA_0_3", "MO_0_0"]
    assert rest["reason"].str.starts_with("not judged").all()
    assert result.not_judged == len(rest)


def test_the_manifest_holds_the_others(result) -> None:
    kept = {Path(path).stem for path in pl.read_csv(result.out / "kept.csv")["path"]}
    assert len(kept) == len(CODES) * PATIENTS * EACH - len(WRONG) - 1
    assert not kept & {*WRONG, "test"}
    facts = json.loads((result.out / "clean.json").read_text())
    assert {row["code"]: row["doubtful"] for row in facts["classes"]} == {"LY": 1, "EO": 1, "MO": 0, "BA": 0}


def test_a_coarse_label_stands_for_its_fine_classes() -> None:
    classes, members = _members(np.array(["SNE", "BNE", "NEU", "LY", "LYA"] * 3), fewest=3)
    assert classes.tolist() == ["BNE", "LY", "SNE"]
    assert members[:5].tolist() == [
        [False, False, True], [True, False, False], [True, False, True], [False, True, False], [False, True, False],
    ]  # fmt: skip
    alone, _ = _members(np.array(["NEU", "LY"] * 3), fewest=3)
    assert alone.tolist() == ["LY", "NEU"]


def test_too_few_groups_are_told(place: Path, model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in 4 patients or slides; two classes and 5 of these are needed"):
        clean(settings(place, model, folds=5), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_tells_the_counts(place: Path, model: str, tmp_path: Path) -> None:
    words = ["study", "clean", "manifest", "--root", str(place / "cells.csv"), "--model", model, "--folds", "4",
             "--fewest", "8", "--steps", "20", "--out", str(tmp_path / "out")]  # fmt: skip
    printed = CliRunner().invoke(app, words)
    assert printed.exit_code == 0, printed.output
    assert "5 not judged" in printed.output
    assert str(tmp_path / "out" / "kept.csv") in printed.output.replace("\n", "")
