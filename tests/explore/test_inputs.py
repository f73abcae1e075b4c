"""What the command line may name: data sets, manifests, folders; and what it is told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from leukopy.core.errors import InputError, SettingsError, UnknownLabelError
from leukopy.explore.inputs import open_inputs

Draw = Callable[..., list[str]]


def test_data_sets_manifests_and_folders_together(draw_cells: Draw, tmp_path: Path) -> None:
    draw_cells(tmp_path / "pbc", {"SNE": 1, "PLT": 1})
    draw_cells(tmp_path / "mine", {"LY": 2})
    draw_cells(tmp_path / "slide3", {"slide": 0, "MO": 1})
    (tmp_path / "slide3" / "MO").rename(tmp_path / "slide3" / "taken on monday")
    (tmp_path / "table.csv").write_text("path,label\nmine/LY/LY_00.png,lymphocyte\n")
    found = open_inputs([
        f"folders={tmp_path / 'pbc'}", str(tmp_path / "table.csv"), str(tmp_path / "mine"), str(tmp_path / "slide3"),
    ])  # fmt: skip
    assert found.select("cell_id", "source", "code").rows() == [
        ("folders/PLT/PLT_00.png", "folders", "PLT"),
        ("folders/SNE/SNE_00.png", "folders", "SNE"),
        ("table/mine/LY/LY_00.png", "table", "LY"),
        ("mine/LY/LY_00.png", "mine", "LY"),
        ("mine/LY/LY_01.png", "mine", "LY"),
        ("slide3/taken on monday/MO_00.png", "slide3", None),
    ]


def test_a_folder_with_one_strange_class_name_is_not_taken_for_unlabelled(draw_cells: Draw, tmp_path: Path) -> None:
    draw_cells(tmp_path / "mine", {"LY": 1, "MO": 1})
    (tmp_path / "mine" / "MO").rename(tmp_path / "mine" / "monocites")
    with pytest.raises(UnknownLabelError, match="monocites"):
        open_inputs([str(tmp_path / "mine")])


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("pcb=somewhere", SettingsError, "'pcb' is no data set; known: pbc, "),
        ("pbc=nowhere", InputError, "there is no such folder"),
        ("nowhere", InputError, "no such manifest or folder. A data set is written as in pbc=data/pbc"),
    ],
)
def test_what_is_not_there_is_said(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        open_inputs([text])


def test_the_same_input_twice_is_refused(draw_cells: Draw, tmp_path: Path) -> None:
    draw_cells(tmp_path / "mine", {"LY": 1})
    with pytest.raises(InputError, match="'mine' are there twice"):
        open_inputs([str(tmp_path / "mine")] * 2)


def test_an_equals_sign_in_a_folder_is_no_data_set(draw_cells: Draw, tmp_path: Path, monkeypatch) -> None:
    draw_cells(tmp_path / "dose=3", {"LY": 1})
    monkeypatch.chdir(tmp_path)
    assert open_inputs(["dose=3"])["source"].to_list() == ["dose=3"]
