"""One battery for every data set: whoever adds one gets these tests by adding a builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from leukopy.datasets import DATASETS, MANIFEST_SCHEMA, open_dataset, probe_file
from leukopy.taxonomy import LABEL_MAPS, label_map
from support.cards import year_of

OWN = ("folders", "images", "manifest")


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_card_is_complete(name: str) -> None:
    card = DATASETS[name].card
    for field in fields(card):
        if field.name not in ("images", "classes", "notes"):
            assert getattr(card, field.name).strip(), field.name
    if name not in OWN:
        assert card.images is not None
        assert card.images > 0
        assert card.url.startswith("https://")
        assert year_of(card.citation)
    assert all(note.endswith(".") for note in card.notes)


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_class_of_the_card_has_a_code(name: str) -> None:
    labels = label_map(DATASETS[name].labels)
    codes = [labels.code(label, where="card") for label in DATASETS[name].card.classes]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_reader_yields_a_manifest_of_images_that_exist(name: str, false_copy: Callable[[str], Path]) -> None:
    manifest = open_dataset(name, false_copy(name))
    assert dict(manifest.schema) == MANIFEST_SCHEMA
    assert not manifest.is_empty()
    assert manifest["cell_id"].is_unique().all()
    assert manifest["cell_id"].str.starts_with(f"{name}/").all()
    assert manifest["source"].unique().to_list() == [name]
    for path in manifest["path"]:
        assert Path(path).is_absolute()
        assert probe_file(Path(path), pixels=True).width == 48


@pytest.mark.parametrize("name", list(DATASETS))
def test_an_empty_folder_is_an_error_that_says_what_was_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"Expected for '" + name) as caught:
        open_dataset(name, tmp_path)
    assert DATASETS[name].card.layout in str(caught.value)


def test_bloodmnist_has_a_label_map_though_it_is_no_folder_of_images() -> None:
    assert "bloodmnist" in LABEL_MAPS
    assert "bloodmnist" not in DATASETS
