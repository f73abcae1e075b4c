"""Pictures on disk."""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from leukopy.core.errors import OutputError
from leukopy.review.store import Damaged, ImageStore, NotFound


@pytest.fixture
def images(tmp_path) -> ImageStore:
    (tmp_path / "images").mkdir()
    return ImageStore(tmp_path / "images")


def test_a_picture_lies_under_its_digest(images):
    digests = images.add([b"one", b"two", b"one"])
    assert digests == [hashlib.sha256(data).hexdigest() for data in (b"one", b"two", b"one")]
    assert images.read(digests[1]) == b"two"
    assert images.path(digests[0]) == images.folder / digests[0][:2] / digests[0]
    assert {path.name for path in images.folder.rglob("*") if path.is_file()} == set(digests)


@pytest.mark.parametrize("digest", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 65])
def test_what_is_no_digest_is_no_path(images, digest):
    with pytest.raises(NotFound):
        images.path(digest)


def test_a_picture_that_is_gone_or_changed_is_not_shown(images):
    gone, changed = images.add([b"gone", b"changed"])
    images.path(gone).unlink()
    images.path(changed).write_bytes(b"another")
    with pytest.raises(NotFound, match="backup"):
        images.read(gone)
    with pytest.raises(Damaged, match="backup"):
        images.read(changed)


def test_many_threads_may_keep_the_same_picture(images):
    data = b"x" * 100_000
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: images.add([data])[0], range(40)))
    (digest,) = digests
    assert images.read(digest) == data
    assert [path.name for path in images.folder.rglob("*") if path.is_file()] == [digest]


def test_others_on_the_machine_cannot_read_a_picture(images):
    (digest,) = images.add([b"one"])
    assert stat.S_IMODE(images.path(digest).stat().st_mode) == 0o600


def test_a_picture_that_cannot_be_written_is_an_error_of_one_line(images):
    digest = hashlib.sha256(b"one").hexdigest()
    (images.folder / digest[:2]).write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="could not be written"):
        images.add([b"one"])
