"""One picture is one cell, under however many names, uploads and cases; the digest of its bytes decides."""

from __future__ import annotations

from collections import Counter

from leukopy.review.case_differential import count_case
from leukopy.review.store import NewImage
from leukopy.review.uploads import keep


def copies(count: int, data: bytes = b"one picture") -> list[NewImage]:
    return [NewImage(f"{data.decode()} {number}.png", data, 64, 48, "image/png") for number in range(count)]


def counted(station, case) -> Counter[str | None]:
    return Counter(cell.not_counted for cell in station.store.cells.all(station.reader, case.id))


def test_one_picture_under_120_names_is_one_leukocyte(station):
    case = station.draft()
    first = keep(station.store, station.reader, case.id, copies(120))
    assert (first.added, first.repeated) == (120, 119)
    station.classify(case)
    assert counted(station, case) == {None: 1, "duplicate": 119}
    cells = station.store.cells.all(station.reader, case.id)
    view = count_case(cells, station.store.classes.all(), case, station.store.settings)
    assert view.leukocytes == 1
    assert "Duplicate images, not counted: 119." in view.notes


def test_a_later_upload_of_the_same_picture_counts_nothing_more(station):
    case = station.draft()
    keep(station.store, station.reader, case.id, copies(2))
    station.classify(case)
    again = keep(station.store, station.reader, case.id, [*copies(3), *copies(1, b"another")])
    assert (again.added, again.repeated) == (2, 3)  # two of the names are known
    station.classify(case)
    assert counted(station, case) == {None: 2, "duplicate": 2}


def test_images_that_lie_in_another_case_are_told(station):
    first, second = station.draft(slide="first"), station.draft(slide="second")
    keep(station.store, station.reader, first.id, [*copies(3), *copies(1, b"another")])
    told = keep(station.store, station.reader, second.id, [*copies(1), *copies(1, b"another"), *copies(1, b"own")])
    assert [(other.id, other.slide, other.images) for other in told.elsewhere] == [(first.id, "first", 2)]
    assert told.repeated == 0
    station.classify(second)
    assert counted(station, second) == {None: 3}
    assert station.store.cells.elsewhere(station.reader, first.id)[0].slide == "second"


def test_a_case_that_a_user_may_not_see_is_not_told_of(station):
    hidden, own = station.draft(slide="hidden"), station.draft(station.stranger, slide="own")
    keep(station.store, station.reader, hidden.id, copies(1))
    assert keep(station.store, station.stranger, own.id, copies(1)).elsewhere == ()
    assert [other.slide for other in station.store.cells.elsewhere(station.reviewer, own.id)] == ["hidden"]
