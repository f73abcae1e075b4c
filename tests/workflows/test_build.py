"""A complete model from one recipe of its steps: interrupted, it resumes; finished, nothing is done again."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

import leukopy
from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import OutputError, SettingsError
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import ATTRIBUTES
from leukopy.workflows import build as module
from leukopy.workflows.build import BuildSettings, build, read_build
from support.files import CONFIGS

pytestmark = pytest.mark.slow

CODES = (("EO", "eosinophil"), ("LY", "lymphocyte"), ("MO", "monocyte"))
STAGES = ["features.3"]
STEPS = ["train first", "train second", "fit attributes", "fit ood", "fit slide_check", "index"]


def recipe(name: str, **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "title": name,
        "description": "For tests.",
        "backbone": {"name": "lenet"},
        "preprocess": {"size": 48},
        "sources": [{"dataset": "pbc", "root": "cells/pbc", "share": 1}],
        "optimisation": {"epochs": 1, "batch_size": 16},
        **changes,
    }


def write_recipes(folder: Path, **changes: object) -> Path:
    (folder / "first.yaml").write_text(yaml.safe_dump(recipe("first")))
    values = {
        "trainings": ["first.yaml", recipe("second")],
        "attributes": {"heads": {"stages": STAGES, "epochs": 2, "hidden": 4}},
        "ood": {"keep_rate": 0.9, "ood_score": {"stages": STAGES}},
        "slide_check": {"images": 60},
        "index": {"data": "pbc", "root": "cells/pbc", "per_class": 2},
    }
    (folder / "build.yaml").write_text(yaml.safe_dump(values | changes))
    return folder / "build.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """A small PBC of drawn cells with its split, a WBCAtt of it, and a build file."""
    root = tmp_path_factory.mktemp("data")
    pbc = root / "cells" / "pbc"
    (root / "cells" / "wbcatt").mkdir(parents=True)
    listed, tables = ["file,split"], {"train": [], "val": [], "test": []}
    for number in range(90):
        code, label = CODES[number % 3]
        split = ("train", "train", "train", "val", "test")[number // 3 % 5]
        file = f"{label}/{code}_{number}.png"
        (pbc / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_cell(code, seed=number, size=96).image).save(pbc / file)
        listed.append(f"{file},{split}")
        words = {attribute.name: attribute.values[-1 if code == "EO" else 0] for attribute in ATTRIBUTES}
        tables[split].append({"img_name": f"{code}_{number}.jpg", "label": label.capitalize(), **words})
    (pbc / "labels.csv").write_text("\n".join(listed))
    for split, rows in tables.items():
        pl.DataFrame(rows).write_csv(root / "cells" / "wbcatt" / f"pbc_attr_v1_{split}.csv")
    write_recipes(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(root))
        patch.setenv("LEUKOPY_CACHE", str(root / "cache"))
        yield root


@pytest.fixture(scope="module")
def built(place: Path):
    """A build that was interrupted in its third step, and then resumed; and the steps that the first run finished."""
    settings, out = read_build(place / "build.yaml"), place / "out"
    finished: list[str] = []

    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit_attributes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(settings, out, told=lambda step: finished.append(step.name))
    return settings, out, finished, build(settings, out)


def test_an_interrupted_build_resumes_after_its_last_step(built) -> None:
    _, _, finished, result = built
    assert finished == STEPS[:2]
    assert [step.name for step in result.steps] == STEPS
    assert [step.name for step in result.steps if step.kept] == STEPS[:2]


def test_the_model_is_complete(built, place: Path) -> None:
    _, out, _, result = built
    card = open_bundle(result.bundle).card
    assert card.attributes is not None
    assert card.open_set is not None
    assert card.open_set.keep_rate == 0.9
    assert card.slide_check is not None
    assert (result.bundle / "neighbours.npz").exists()
    first = open_bundle(out / "first" / "bundle").card
    assert first.model.sha256[:16] in (card.model.pretrained or "")  # the chain
    cells = leukopy.load(str(result.bundle)).predict(sorted((place / "cells" / "pbc" / "eosinophil").iterdir())).cells
    assert {"ood_score", "why"} <= set(cells.columns)


def test_done_again_it_does_nothing(built) -> None:
    settings, out, _, _ = built
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.onnx")}
    assert all(step.kept for step in build(settings, out).steps)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.onnx")} == before


def test_a_fit_with_other_settings_is_done_again_and_what_rests_on_it(built, tmp_path: Path) -> None:
    settings, out, _, _ = built
    shutil.copytree(out, tmp_path / "out")
    other = settings.model_copy(update={"ood": {**settings.ood, "keep_rate": 0.8}})
    steps = build(other, tmp_path / "out").steps
    assert [step.name for step in steps if not step.kept] == STEPS[3:]
    assert open_bundle(tmp_path / "out" / "bundle").card.open_set.keep_rate == 0.8


def test_a_training_of_another_recipe_is_refused(built, tmp_path: Path) -> None:
    settings, out, _, _ = built
    longer = recipe("second", optimisation={"epochs": 2, "batch_size": 16})
    with pytest.raises(SettingsError, match=r"second: was trained by another recipe"):
        build(settings.model_copy(update={"trainings": (settings.trainings[0], longer)}), out)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no leukopy results"):
        build(settings, tmp_path)


def test_wrong_recipes_are_told_before_anything_is_trained(place: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a name of its own"):
        BuildSettings.build({"trainings": [recipe("ood")]})
    settings = read_build(place / "build.yaml")
    with pytest.raises(SettingsError, match="keep_rate"):
        build(settings.model_copy(update={"ood": {"keep_rate": 7}}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_names_each_step(built, place: Path) -> None:
    result = CliRunner().invoke(app, ["model", "build", str(place / "build.yaml"), "--out", str(place / "out")])
    assert result.exit_code == 0, result.output
    for name in STEPS:
        assert f"{name}: finished before" in result.stderr


def test_the_recipe_that_ships_names_trainings_and_fits_that_exist() -> None:
    settings = read_build(CONFIGS / "build_default.yaml")
    assert [training["name"] for training in settings.trainings] == ["base", "base_whole", "base_near", "default"]
    assert [name for name, _ in module._fits(settings)] == [
        "attributes",
        "ood",
        "outside",
        "count_error",
        "slide_check",
    ]
