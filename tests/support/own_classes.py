"""Classes of one's own are known for the process; here, for the tests of one file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leukopy.taxonomy import classes


@pytest.fixture(autouse=True, scope="module")
def own_classes() -> Iterator[None]:
    """The classes of one's own that were declared before the file stay; those that its tests declare go."""
    before = dict(classes._OWN)
    yield
    classes._OWN.clear()
    classes._OWN.update(before)
