"""Small false copies of every data set, laid out as they are published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter


def picture(seed: int, height: int = 40, width: int = 48) -> NDArray[np.uint8]:
    """A picture like no other: soft random spots, RGB."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    soft = gaussian_filter(noise, (1.5, 1.5, 0))
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def _save(root: Path, *files: str, mode: str = "RGB") -> Path:
    for index, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index)).convert(mode).save(path)
    return root


def _text(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pbc(root: Path) -> Path:
    below = "PBC_dataset_normal_DIB"
    _text(_save(root, *(f"{below}/{file}" for file in (
        "basophil/BA_1.jpg", "eosinophil/EO_2.jpg", "erythroblast/ERB_3.jpg", "ig/IG_4.jpg", "ig/MMY_5.jpg",
        "ig/MY_6.jpg", "ig/PMY_7.jpg", "lymphocyte/LY_8.jpg", "monocyte/MO_9.jpg", "neutrophil/BNE_10.jpg",
        "neutrophil/NEUTROPHIL_11.jpg", "neutrophil/SNE_12.jpg", "neutrophil/.DS_12.jpg", "platelet/PLATELET_13.jpg",
    ))) / "readme.txt", "not an image")  # fmt: skip
    return root


def _cellavision(root: Path) -> Path:
    _save(root, *(f"Dataset 2/{number:03d}.{kind}" for number in range(1, 6) for kind in ("bmp", "png")))
    _text(root / "Class Labels of Dataset 2.csv", "image ID,class", "1,2", "2,1", "3,3", "4,4", "5,5")
    return root


def _raabin(root: Path) -> Path:
    return _save(
        root, "Train/Basophil/95-5-4-1_20_2.jpg", "Train/Neutrophil/95-5-4-1_21_1.jpg",
        "TestA/Basophil/95-5-4-1_20_2.jpg", "TestB/Lymphocyte/20190526_163446_1.jpg",
    )  # fmt: skip


def _aml_munich(root: Path) -> Path:
    codes = ["BAS", "EBO", "EOS", "KSC", "LYA", "LYT", "MMZ", "MOB", "MON", "MYB", "MYO", "NGB", "NGS", "PMB", "PMO"]
    _save(root, *(f"AML-Cytomorphology_LMU/{code}/{code}_0001.tiff" for code in codes), mode="RGBA")
    _text(root / "annotations.dat", "MON/MON_0001.tiff MON MON nan")
    return root


def _bcisc(root: Path) -> Path:
    classes = ("neut", "eosi", "baso", "lymp", "mono")
    return _save(root, *(f"original-images/{name}/2-1.{kind}" for name in classes for kind in ("jpg", "png")))


def _chula(root: Path) -> Path:
    _save(root, "neutrophil/a.png", "monocyte/b.png")
    _text(root / "labels.csv", "file,label,field", "neutrophil/a.png,neutrophil,N-1", "monocyte/b.png,monocyte,N-1")
    return root


def _hopkins(root: Path) -> Path:
    return _save(
        root, "Patient_02/Signed slides/Blast/a.jpg", "Patient_02/Signed slides/Lymphocyte, variant form/b.jpg",
        "Patient_77/Signed slides/Smudge cells/c.jpg", "Patient_77/Unsigned slides/Blast/d.jpg",
    )  # fmt: skip


def _lymphocytosis(root: Path) -> Path:
    _save(root, "trainset/P0/000000.jpg", "trainset/P0/000001.jpg", "testset/P7/000000.jpg")
    _text(root / "trainset" / "trainset_true.csv", "ID,LABEL,GENDER,DOB,LYMPH_COUNT")
    return root


def _folders(root: Path) -> Path:
    return _save(
        root, "train/segmented_neutrophil/1.png", "valid/LY/1.png", "test/neutrophils/1.TIF", "IG/deep/IG/1.webp"
    )


def _images(root: Path) -> Path:
    return _save(root, "a.png", "deep/er/a.png")


def _manifest(root: Path) -> Path:
    _save(root, "pictures/a.png", "pictures/b.png")
    _text(root / "cells.csv", "path,label", "pictures/a.png,SNE", "pictures/b.png,")
    return root / "cells.csv"


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "pbc": _pbc,
    "cellavision": _cellavision,
    "raabin": _raabin,
    "aml-munich": _aml_munich,
    "bcisc": _bcisc,
    "chula": _chula,
    "lymphocytosis": _lymphocytosis,
    "hopkins": _hopkins,
    "folders": _folders,
    "images": _images,
    "manifest": _manifest,
}


@pytest.fixture
def false_copy(tmp_path: Path) -> Callable[[str], Path]:
    """Build a small false copy of a data set; returns what ``open_dataset`` takes as its root."""

    def build(name: str) -> Path:
        root = tmp_path / "data"
        root.mkdir()
        return BUILDERS[name](root)

    return build


@pytest.fixture
def draw() -> Callable[..., NDArray[np.uint8]]:
    """``draw(seed, height, width)``: a picture like no other."""
    return picture
