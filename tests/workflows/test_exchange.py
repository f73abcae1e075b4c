"""Results leave for a labelling program, are corrected there, and come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError
from leukopy.datasets.manifest import read_manifest
from leukopy.synthesis import draw_field
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.exchange import export_prelabels, read_labels
from support.found import save_pixels


@pytest.fixture(scope="module")
def fields(colour_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two fields."""
    folder = tmp_path_factory.mktemp("fields")
    for seed in (1, 2):
        drawn = draw_field({"LY": 2, "EO": 1}, seed=seed, size=(480, 640))
        save_pixels(folder / "photographs" / f"f{seed}.png", drawn.image)
    settings = AnalyzeSettings(
        input=folder / "photographs", input_kind="fields", model=str(colour_model.path), fields_shown=0, per_class=0
    )
    analyze(settings, folder / "results")
    return folder / "results"


@pytest.fixture
def cells(colour_model: Any, tmp_path: Path) -> Path:
    """Results of 22 pictures of single cells."""
    colour_model.draw_folder(tmp_path / "slide", 22)
    analyze(AnalyzeSettings(input=tmp_path / "slide", model=str(colour_model.path), per_class=0), tmp_path / "results")
    return tmp_path / "results"


def annotated(tasks: Any) -> Any:
    """The tasks as Label Studio exports them when a person submits the predictions as they are."""
    return [{"data": task["data"], "annotations": [{"result": task["predictions"][0]["result"]}]} for task in tasks]


def test_single_cells_return_as_a_manifest(cells: Path, tmp_path: Path) -> None:
    assert export_prelabels(cells, tmp_path / "out") == 22
    tasks = annotated(json.loads((tmp_path / "out" / "tasks.json").read_text("utf-8")))
    changed = tasks[3]["annotations"][0]["result"][0]["value"]
    before, changed["choices"] = changed["choices"], ["Blast"]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    found = read_labels(cells, tmp_path / "export.json")
    assert (found.count("same"), found.count("class"), found.table.height) == (21, 1, 22)
    assert before != ["Blast"]
    done = CliRunner().invoke(
        app, ["exchange", "import", str(cells), str(tmp_path / "export.json"), "--out", str(tmp_path / "corrected.csv")]
    )
    assert done.exit_code == 0, done.output
    manifest = read_manifest(tmp_path / "corrected.csv")
    assert manifest.height == 22
    assert manifest.filter(cell_id=tasks[3]["data"]["picture"])["code"].to_list() == ["BLAST"]


def test_the_interface_holds_every_class(fields: Path, cells: Path, tmp_path: Path) -> None:
    for results, kind in ((fields, "Label"), (cells, "Choice")):
        export_prelabels(results, tmp_path / kind)
        names = {each.get("value") for each in ElementTree.parse(tmp_path / kind / "interface.xml").iter(kind)}
        assert {"lymphocyte", "eosinophil", "blast", "platelet"} <= names
        assert ("red cell" in names) == (kind == "Label")


def test_fields_go_round_through_label_studio(fields: Path, tmp_path: Path) -> None:
    export_prelabels(fields, tmp_path)
    (tmp_path / "export.json").write_text(json.dumps(annotated(json.loads((tmp_path / "tasks.json").read_text()))))
    found = read_labels(fields, tmp_path / "export.json")
    assert found.count("same") == found.table.height == pl.read_parquet(fields / "objects.parquet").height


def test_a_box_that_was_removed_added_or_renamed_in_cvat_is_told(fields: Path, tmp_path: Path) -> None:
    content = json.loads((fields / "boxes.coco.json").read_text("utf-8"))
    numbers = {one["name"]: one["id"] for one in content["categories"]}
    removed = content["annotations"].pop(0)
    content["annotations"][0]["category_id"] = numbers["monocyte"]
    content["annotations"].append({**removed, "bbox": [1, 1, 4, 4], "category_id": numbers["platelet"]})
    for one in content["annotations"]:
        one.pop("counted", None)  # CVAT keeps no keys of others
    (tmp_path / "instances.json").write_text(json.dumps(content))
    found = read_labels(fields, tmp_path / "instances.json")
    assert [found.count(change) for change in ("class", "added", "removed")] == [1, 1, 1]
    assert found.table.filter(change="added")["code"].to_list() == ["platelet"]
    assert found.table.filter(change="removed")["code"].null_count() == 1


def test_a_class_that_was_changed_in_qupath_comes_back(fields: Path, tmp_path: Path) -> None:
    (path, *_) = sorted((fields / "qupath").glob("*.geojson"))
    content = json.loads(path.read_text("utf-8"))
    content["features"][0]["properties"]["classification"]["name"] = "Artefact"
    (tmp_path / path.name).write_text(json.dumps(content))
    found = read_labels(fields, tmp_path / path.name)
    assert (found.count("class"), found.count("removed"), found.count("added")) == (1, 0, 0)
    assert found.table["picture"].unique().to_list() == [path.stem]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "cannot be read as JSON"),
        ('{"images": []}', "is no export"),
        ('[{"data": {"picture": "x"}}]', "is no export"),
        ('[{"data": {"picture": "x"}, "annotations": [{"result": [{"value": {"choices": ["lymphocyte"]}}]}]}]',
         "picture x is not among the results"),
        ('[{"data": {"picture": "x"}, "annotations": [{"result": [{"value": {"choices": ["zebra"]}}]}]}]',
         "'zebra' is unknown"),
    ],
)  # fmt: skip
def test_a_wrong_export_is_refused(text: str, said: str, cells: Path, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_labels(cells, tmp_path / "export.json")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Name the folder of one slide"):
        export_prelabels(tmp_path, tmp_path / "out")
