"""What a user may point at, and in which order its cells come."""

from __future__ import annotations

from pathlib import Path

import pytest

from leukopy.core.errors import ImageError, InputError, ManifestError
from leukopy.imaging.decode import read_image
from leukopy.inference.inputs import inputs_digest, list_inputs
from leukopy.inference.rows import CellInput


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def ids(path):
    return [cell.cell_id for cell in list_inputs(path).cells]


def test_a_folder_with_its_sub_folders_in_order(tmp_path):
    touch(*(tmp_path / name for name in ("b.png", "a/z.JPG", "a/b/c.Tiff", "c10.bmp", "c9.webp", "é, 1\n.jpeg")))
    assert ids(tmp_path) == ["a/b/c.Tiff", "a/z.JPG", "b.png", "c10.bmp", "c9.webp", "é, 1\n.jpeg"]
    assert all(Path(cell.path).exists() for cell in list_inputs(tmp_path).cells)


def test_hidden_files_and_tables_are_no_cells(tmp_path):
    touch(*(tmp_path / name for name in (".a.png", ".thumbs/b.png", "notes.txt", "labels.csv", "Thumbs.db", "c.png")))
    assert ids(tmp_path) == ["c.png"]


def test_pictures_of_kinds_that_are_not_read_are_not_passed_over(tmp_path):
    touch(tmp_path / "scan.dcm", tmp_path / "old.gif")
    assert ids(tmp_path) == ["old.gif", "scan.dcm"]


def test_links_are_followed_each_folder_once(tmp_path):
    touch(tmp_path / "elsewhere" / "a.png", tmp_path / "slide" / "b.png")
    slide = tmp_path / "slide"
    (slide / "linked").symlink_to(tmp_path / "elsewhere")
    (slide / "linked_again").symlink_to(tmp_path / "elsewhere")
    (slide / "up").symlink_to(tmp_path)
    (slide / "loop").symlink_to(slide)
    assert ids(slide) == ["b.png", "linked/a.png"]


def test_a_link_to_itself_is_a_cell_that_fails(tmp_path):
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (cell,) = list_inputs(tmp_path).cells
    with pytest.raises(ImageError):
        read_image(tmp_path / cell.path)


def test_a_list_is_relative_to_its_folder(tmp_path):
    listing = tmp_path / "cells.txt"
    listing.write_bytes("b.png\r\n\nsub/a, é.jpg\n/abs/c.png".encode())
    assert list_inputs(listing).cells == [
        CellInput("b.png", f"{tmp_path}/b.png"),
        CellInput("sub/a, é.jpg", f"{tmp_path}/sub/a, é.jpg"),
        CellInput("/abs/c.png", "/abs/c.png"),
    ]


def test_a_list_that_names_a_path_twice_is_refused(tmp_path):
    listing = tmp_path / "cells.txt"
    listing.write_text("a.png\nb.png\n./a.png\n")
    with pytest.raises(InputError, match=r"cells\.txt, line 3: '\./a\.png' is already on line 1"):
        list_inputs(listing)


def test_a_manifest_gives_its_own_ids(tmp_path):
    manifest = tmp_path / "cells.csv"
    manifest.write_text("cell_id,path,label\nfirst,a.png,LY\nsecond,b.png,\n")
    assert list_inputs(manifest).cells == [
        CellInput("first", f"{tmp_path}/a.png"),
        CellInput("second", f"{tmp_path}/b.png"),
    ]


def test_one_image(tmp_path):
    touch(tmp_path / "cell.TIF")
    assert list_inputs(tmp_path / "cell.TIF").cells == [CellInput("cell.TIF", str(tmp_path / "cell.TIF"))]


def test_what_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "empty.txt", tmp_path / "slide.pptx")
    (tmp_path / "bad.csv").write_text("file,label\na.png,LY\n")
    with pytest.raises(InputError, match="no such folder or file"):
        list_inputs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no image"):
        list_inputs(tmp_path / "empty")
    with pytest.raises(InputError, match="holds no image"):
        list_inputs(tmp_path / "empty.txt")
    with pytest.raises(InputError, match="neither a folder, an image, a list"):
        list_inputs(tmp_path / "slide.pptx")
    with pytest.raises(ManifestError, match="column 'path' is missing"):
        list_inputs(tmp_path / "bad.csv")


def test_the_digest_knows_ids_paths_and_order():
    first, second = CellInput("a", "/x/a"), CellInput("b", "/x/b")
    digests = {inputs_digest(cells) for cells in ([first, second], [second, first], [first], [CellInput("a/x", "/a")])}
    assert len(digests) == 4
    assert inputs_digest([first, second]) == inputs_digest([first, second])


def test_service_files_are_counted_by_kind_and_named(tmp_path):
    touch(
        *(tmp_path / name for name in (
            "a.png", "b.PNG", "Thumbs.db", "sub/THUMBS.DB", "desktop.ini", ".DS_Store", "._a.png", ".notes.png",
            "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "@eadir/b.png/SYNOPHOTO_THUMB_XL.jpg", ".@__thumb/s800a.png",
            "SYNOPHOTO_THUMB_M.jpg", "__MACOSX/._b.png", "#recycle/old.png", "$RECYCLE.BIN/x.png", "~$counts.xlsx",
        )),
    )  # fmt: skip
    found = list_inputs(tmp_path)
    assert [cell.cell_id for cell in found.cells] == ["a.png", "b.PNG"]
    assert found.others.service_files == {
        "Thumbs.db": 2, "desktop.ini": 1, ".DS_Store": 1, "._*": 1, "hidden": 1, "@eaDir": 3, ".@__thumb": 1,
        "__MACOSX": 1, "#recycle": 1, "$RECYCLE.BIN": 1, "lock files": 1,
    }  # fmt: skip
    assert found.others.not_read == {}
    assert found.others.note.startswith("passed over, made by operating systems and storage boxes: 14 files (@eaDir, ")


def test_names_that_resemble_service_files_are_cells(tmp_path):
    names = ["Thumbs.png", "cell_thumb.png", "eaDir/a.png", "recycle/b.png", "thumbnails/c.png"]
    touch(*(tmp_path / name for name in names))
    found = list_inputs(tmp_path)
    assert sorted(cell.cell_id for cell in found.cells) == sorted(names)
    assert found.others.note == ""


def test_every_other_file_is_named_by_its_suffix(tmp_path):
    touch(*(tmp_path / name for name in ("a.png", "b.czi", "c.CZI", "d.nd2", "b.csv", "readme", "notes.PDF")))
    found = list_inputs(tmp_path)
    assert found.others.not_read == {".czi": 2, ".nd2": 1, ".csv": 1, "": 1, ".pdf": 1}
    assert found.others.note == "not read: 4 files (.czi, .nd2, without suffix); tables and notes: 2 files (.csv, .pdf)"


def test_a_folder_without_an_image_names_what_it_holds(tmp_path):
    touch(tmp_path / "a.czi", tmp_path / "Thumbs.db")
    with pytest.raises(InputError, match=r"holds no image .*not read: 1 file \(\.czi\); passed over.*Thumbs\.db"):
        list_inputs(tmp_path)


def test_a_hidden_folder_that_is_given_is_read(tmp_path):
    touch(tmp_path / ".hidden" / "a.png")
    assert ids(tmp_path / ".hidden") == ["a.png"]
