"""Digests of the images that a bundle learnt from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from leukopy.bundle import LEARNT_FILE, is_learnt, read_learnt, write_learnt
from leukopy.core.errors import BundleError


def digests(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, stop)]


def test_learnt_images_are_found_and_no_other(tmp_path: Path) -> None:
    write_learnt(tmp_path, digests(0, 5000))
    learnt = read_learnt(tmp_path)
    assert learnt is not None
    assert is_learnt(learnt, digests(0, 5000)).all()
    assert not is_learnt(learnt, digests(5000, 50_000)).any()
    assert (tmp_path / LEARNT_FILE).stat().st_size < 8 * 5000 + 200


def test_a_second_training_adds_to_the_first(tmp_path: Path) -> None:
    write_learnt(tmp_path, digests(0, 10))
    write_learnt(tmp_path, digests(5, 20))
    learnt = read_learnt(tmp_path)
    assert learnt is not None
    assert len(learnt) == 20
    assert (np.diff(learnt.astype(object)) > 0).all()


def test_a_broken_list_is_refused(tmp_path: Path) -> None:
    assert read_learnt(tmp_path) is None
    (tmp_path / LEARNT_FILE).write_bytes(b"broken")
    with pytest.raises(BundleError, match="Copy the bundle again"):
        read_learnt(tmp_path)
    np.save(tmp_path / LEARNT_FILE, np.zeros((2, 2)))
    with pytest.raises(BundleError, match="is no list of digests"):
        read_learnt(tmp_path)
