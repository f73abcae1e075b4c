"""The nearest training cells: against a literal search, and refused where they are another network's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import BundleError
from leukopy.explain.neighbours import (
    INDEX_FILE,
    Neighbour,
    make_index,
    nearest,
    picture_path,
    prototypes,
    read_index,
    write_index,
)


@pytest.fixture
def own(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle in a folder of its own, to put an index into."""
    return open_bundle(shutil.copytree(bundle.path, tmp_path / "bundle"))


def embedded(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 7)).astype(np.float32)


def test_the_nearest_equal_a_literal_search(own: Bundle) -> None:
    known, asked = embedded(30), embedded(4, seed=1)
    codes = np.array(["EO", "LY", "MO"] * 10)
    ids = np.array([f"pbc/c{number}.jpg" for number in range(30)])
    found = nearest(make_index(own, known, ids, codes, "pbc", ""), asked, 5)
    for neighbours, one in zip(found, asked, strict=True):
        cosines = [float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) for other in known]
        expected = sorted(range(30), key=lambda number: -cosines[number])[:5]
        assert [n.cell_id for n in neighbours] == [ids[number] for number in expected]
        assert [n.code for n in neighbours] == [codes[number] for number in expected]
        assert [n.similarity for n in neighbours] == pytest.approx([cosines[i] for i in expected], abs=2e-3)


def test_every_class_is_represented() -> None:
    codes = np.array(["LY"] * 50 + ["BA"] * 2 + ["EO"] * 9)
    rows = prototypes(codes, per_class=5)
    assert np.array_equal(rows, np.unique(rows))
    assert [int((codes[rows] == code).sum()) for code in ("LY", "BA", "EO")] == [5, 2, 5]
    assert np.array_equal(rows, prototypes(codes, per_class=5))
    assert not np.array_equal(rows, prototypes(codes, per_class=5, seed=1))


def test_an_index_comes_back_as_it_was_written(own: Bundle) -> None:
    index = make_index(own, embedded(6), np.array(list("abcdef")), np.array(["EO"] * 6), "pbc", "cells/pbc")
    write_index(own.path / INDEX_FILE, index)
    found = read_index(own)
    assert found is not None
    assert np.array_equal(found.embeddings, index.embeddings)
    assert found.embeddings.dtype == np.float16
    assert (found.cell_ids.tolist(), found.codes.tolist()) == (list("abcdef"), ["EO"] * 6)
    assert (found.source, found.root) == ("pbc", "cells/pbc")


def test_an_output_that_is_added_leaves_the_index_valid(own: Bundle, plain_bundle: Bundle) -> None:
    """The same network without ``class_activation``: another file, the same embeddings."""
    index = make_index(plain_bundle, embedded(2), np.array(["a", "b"]), np.array(["EO", "LY"]), "pbc", "")
    write_index(own.path / INDEX_FILE, index)
    assert plain_bundle.card.model.sha256 != own.card.model.sha256
    assert read_index(own) is not None


def test_a_bundle_may_have_no_index(own: Bundle) -> None:
    assert read_index(own) is None


@pytest.mark.parametrize("probe", [np.zeros((2, 3)), np.ones((2, 7)), np.full((2, 3), np.nan)])
def test_the_index_of_another_network_is_refused(own: Bundle, probe: np.ndarray) -> None:
    index = make_index(own, embedded(2), np.array(["a", "b"]), np.array(["EO", "LY"]), "pbc", "")
    write_index(own.path / INDEX_FILE, replace(index, probe=probe.astype(np.float32)))
    with pytest.raises(BundleError, match=r"another network than this bundle's. Make it again"):
        read_index(own)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_index_is_refused(own: Bundle, content: bytes) -> None:
    (own.path / INDEX_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=r"is damaged, or no index"):
        read_index(own)


def test_an_index_is_never_unpickled(own: Bundle) -> None:
    content = {name: np.array([0]) for name in ("embeddings", "codes", "source", "root", "probe")}
    np.savez(own.path / INDEX_FILE, **content, cell_ids=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match=r"is damaged"):
        read_index(own)


def test_a_picture_is_shown_only_where_it_is_at_hand(own: Bundle, tmp_path: Path) -> None:
    neighbour = Neighbour("pbc/basophil/BA_1.jpg", "BA", 0.9)
    index = make_index(own, embedded(1), np.array([neighbour.cell_id]), np.array(["BA"]), "pbc", "cells/pbc")
    assert picture_path(index, neighbour, tmp_path) is None
    picture = tmp_path / "cells" / "pbc" / "basophil" / "BA_1.jpg"
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert picture_path(index, neighbour, tmp_path) == picture
