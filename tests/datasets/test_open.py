"""What each public layout says of its images, and what is said of a layout that is not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leukopy.core.errors import InputError, ManifestError, SettingsError, UnknownLabelError
from leukopy.datasets import leftovers, open_dataset, write_manifest

FalseCopy = Callable[[str], Path]


def by_file(name: str, root: Path, column: str) -> dict[str, str | None]:
    """Last part of the cell id -> value of a column."""
    manifest = open_dataset(name, root)
    return {
        cell_id.removeprefix(f"{name}/"): value for cell_id, value in manifest.select("cell_id", column).iter_rows()
    }


def test_pbc_reads_the_sub_class_from_the_file_name(false_copy: FalseCopy) -> None:
    codes = by_file("pbc", false_copy("pbc") / "PBC_dataset_normal_DIB", "code")
    assert codes == {
        "basophil/BA_1.jpg": "BA",
        "eosinophil/EO_2.jpg": "EO",
        "erythroblast/ERB_3.jpg": "ERB",
        "ig/IG_4.jpg": "IG",
        "ig/MMY_5.jpg": "MMY",
        "ig/MY_6.jpg": "MY",
        "ig/PMY_7.jpg": "PMY",
        "lymphocyte/LY_8.jpg": "LY",
        "monocyte/MO_9.jpg": "MO",
        "neutrophil/BNE_10.jpg": "BNE",
        "neutrophil/NEUTROPHIL_11.jpg": "NEU",
        "neutrophil/SNE_12.jpg": "SNE",
        "platelet/PLATELET_13.jpg": "PLT",
    }


def test_pbc_believes_the_folder_where_the_name_says_otherwise(false_copy: FalseCopy) -> None:
    root = false_copy("pbc") / "PBC_dataset_normal_DIB"
    (root / "neutrophil/SNE_12.jpg").rename(root / "eosinophil/SNE_12.jpg")
    (root / "neutrophil/BNE_10.jpg").rename(root / "neutrophil/corrected.jpg")
    codes = by_file("pbc", root, "code")
    assert codes["eosinophil/SNE_12.jpg"] == "EO"
    assert codes["neutrophil/corrected.jpg"] == "NEU"


def test_pbc_takes_the_split_from_labels_csv_where_there_is_one(false_copy: FalseCopy) -> None:
    root = false_copy("pbc") / "PBC_dataset_normal_DIB"
    (root / "labels.csv").write_text("file,split\nig/MY_6.jpg,test\nneutrophil/SNE_12.jpg,train\n")
    assert by_file("pbc", root, "split") == {"ig/MY_6.jpg": "test", "neutrophil/SNE_12.jpg": "train"}
    assert by_file("pbc", root, "code") == {"ig/MY_6.jpg": "MY", "neutrophil/SNE_12.jpg": "SNE"}


@pytest.mark.parametrize("suffix", ["jfif", "heic", "JPE", "avif", "dib", "gif", "jp2"])
def test_class_folders_of_every_kind_of_picture_are_listed(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "LY").mkdir()
    for name in (f"c1.{suffix}", "c2.png", "slide.czi", "notes.txt"):
        (tmp_path / "LY" / name).touch()
    assert by_file("folders", tmp_path, "code") == {f"LY/c1.{suffix}": "LY", "LY/c2.png": "LY"}


def test_cellavision_reads_the_numbered_classes_and_passes_over_masks(false_copy: FalseCopy) -> None:
    codes = by_file("cellavision", false_copy("cellavision"), "code")
    assert codes == {
        f"Dataset 2/00{number}.bmp": code for number, code in enumerate(("LY", "NEU", "MO", "EO", "BA"), 1)
    }


def test_raabin_takes_the_split_from_the_folder_and_the_slide_from_the_name(false_copy: FalseCopy) -> None:
    root = false_copy("raabin")
    assert by_file("raabin", root, "split") == {
        "TestA/Basophil/95-5-4-1_20_2.jpg": "test",
        "TestB/Lymphocyte/20190526_163446_1.jpg": "test",
        "Train/Basophil/95-5-4-1_20_2.jpg": "train",
        "Train/Neutrophil/95-5-4-1_21_1.jpg": "train",
    }
    assert set(by_file("raabin", root, "group").values()) == {"95-5-4-1", "20190526"}
    assert by_file("raabin", root, "code")["Train/Neutrophil/95-5-4-1_21_1.jpg"] == "NEU"


def test_aml_munich_keeps_the_five_codes_that_are_outside(false_copy: FalseCopy) -> None:
    codes = by_file("aml-munich", false_copy("aml-munich"), "code")
    assert len(codes) == 15
    assert {"SMUDGE", "LYA", "MOB", "MYO", "PMB"} < set(codes.values())


def test_bcisc_passes_over_masks_and_groups_by_slide(false_copy: FalseCopy) -> None:
    root = false_copy("bcisc")
    groups = by_file("bcisc", root, "group")
    assert groups == {
        f"original-images/{name}/2-1.jpg": f"{name}-2" for name in ("baso", "eosi", "lymp", "mono", "neut")
    }
    assert set(by_file("bcisc", root, "code").values()) == {"BA", "EO", "LY", "MO", "NEU"}


def test_folders_are_named_by_code_or_name_and_may_lie_below_splits(false_copy: FalseCopy) -> None:
    root = false_copy("folders")
    assert by_file("folders", root, "code") == {
        "IG/deep/IG/1.webp": "IG",
        "test/neutrophils/1.TIF": "NEU",
        "train/segmented_neutrophil/1.png": "SNE",
        "valid/LY/1.png": "LY",
    }
    assert list(by_file("folders", root, "split").values()) == [None, "test", "train", "val"]


def test_folders_may_be_named_as_another_source_names_its_classes(false_copy: FalseCopy) -> None:
    codes = open_dataset("folders", false_copy("aml-munich"), labels="aml-munich")["code"]
    assert "PMY" in codes.to_list()


def test_the_source_may_be_named(false_copy: FalseCopy) -> None:
    manifest = open_dataset("images", false_copy("images"), source="lab A")
    assert manifest["cell_id"].to_list() == ["lab A/a.png", "lab A/deep/er/a.png"]


def test_a_manifest_stands_for_the_folder(false_copy: FalseCopy, tmp_path: Path) -> None:
    manifest = open_dataset("pbc", false_copy("pbc"))
    write_manifest(tmp_path / "m.parquet", manifest)
    assert open_dataset("pbc", tmp_path / "m.parquet").equals(manifest)


def test_a_folder_of_an_unknown_class_is_named(false_copy: FalseCopy) -> None:
    root = false_copy("folders")
    (root / "train/segmented_neutrophil").rename(root / "train/odd ones")
    with pytest.raises(
        UnknownLabelError, match=r"train/odd ones/1.png: label 'odd ones' is unknown in 'leukopy'; known"
    ):
        open_dataset("folders", root)


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        open_dataset("pbc", tmp_path / "nowhere")


def test_an_unknown_data_set_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'pcb' is unknown; known: pbc, cellavision"):
        open_dataset("pcb", tmp_path)


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_a_gap(
    false_copy: FalseCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, list_folder = false_copy("folders"), os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("LY"):
            raise PermissionError(13, "Permission denied", str(folder))
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"valid/LY: cannot be read \(Permission denied\)"):
        open_dataset("folders", root)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name,label\nx.png,neutrophil\n", "line 1: column 'file' is missing"),
        (b"file,label\n,neutrophil\n", "line 2: has no file"),
        (
            b"file,label\nx.png,neutrophil\n\x81.png,neutrophil\n",
            "line 3: not a table in UTF-8, UTF-16 or Windows-1252",
        ),
        (b"file,label,split\nx.png,neutrophil,dev\n", "line 2: has a split that is not train, val or test"),
    ],
)
def test_a_broken_list_of_images_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=rf"labels.csv, {told}"):
        open_dataset("chula", tmp_path)


def test_an_image_that_is_listed_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\nx.png,neutrophil\n.\\x.png,monocyte\n")
    with pytest.raises(ManifestError, match=r"labels.csv, line 3: its image is on line 2 too"):
        open_dataset("chula", tmp_path)


def test_a_file_name_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(InputError, match="a file name is not UTF-8"):
        open_dataset("images", tmp_path)


def test_other_files_are_named_and_service_files_are_no_cells(tmp_path: Path) -> None:
    folder = tmp_path / "neutrophil"
    for name in ("a.czi", "b.nd2", "notes.txt", "Thumbs.db", "@eaDir/SYNOPHOTO_THUMB_M.jpg", "@eaDir/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"no image found \(not read: 2 files \(.czi, .nd2\); tables and notes: 1 file"
    ):
        open_dataset("folders", tmp_path)
    (folder / "cell.png").write_bytes(b"x")
    assert open_dataset("folders", tmp_path)["cell_id"].to_list() == ["folders/neutrophil/cell.png"]
    found = leftovers(tmp_path)
    assert found.not_read == {".czi": 1, ".nd2": 1, ".txt": 1}
    assert sum(found.service_files.values()) == 3
    assert found.pictures_note == "not read: 2 files (.czi, .nd2)"
