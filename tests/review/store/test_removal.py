"""Void cases, images and patients; erased patients, with a log that still verifies."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from leukopy.review.case_differential import count_case
from leukopy.review.export import training_zip
from leukopy.review.records import Amendment, CaseChange, CaseSearch, CellComment, Status, VoidCase, VoidCell
from leukopy.review.store import Conflict, Damaged, Forbidden, NotAllowed, NotFound, Store
from leukopy.review.store import tables as t

WORD = "Xanthippe"


def signed_twice(station, **values):
    case = station.signed(**values)
    case = station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason=f"of {WORD}"))
    case = station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    return station.store.signing.second_sign(station.second_reviewer, case.id, case.version)


def everything(station) -> str:
    """All rows of all tables, as text."""
    with station.store.database.read() as db:
        return "\n".join(str(row) for table in t.Base.metadata.sorted_tables for row in db.execute(sa.select(table)))


def test_a_void_case_is_kept_and_changes_no_more(station):
    case = station.signed(patient="P1")
    store = station.store
    void = store.removal.void_case(station.reviewer, case.id, VoidCase(version=case.version, reason="another's blood"))
    assert (void.status, void.void_reason) == (Status.VOID, "another's blood")
    assert len(void.signatures) == 1
    for attempt in (
        lambda: station.correct(station.reader, case, (1, "LY")),
        lambda: store.cases.change(station.reader, case.id, CaseChange(version=void.version, comment="x")),
        lambda: store.signing.amend(station.reviewer, case.id, Amendment(version=void.version, reason="again")),
        lambda: store.removal.void_case(station.reviewer, case.id, VoidCase(version=void.version, reason="again")),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    assert store.labels.signed_cells(station.reviewer) == ()
    assert store.signing.content(station.reader, case.id).case.patient == "P1"
    assert store.cases.search(station.reader, CaseSearch(status=Status.VOID)).total == 1
    assert store.audit.verify().intact


def test_a_case_is_void_by_a_reviewer_at_the_version_they_saw(station):
    case = station.classified()
    with pytest.raises(Forbidden):
        station.store.removal.void_case(station.reader, case.id, VoidCase(version=case.version, reason="wrong"))
    with pytest.raises(Conflict):
        station.store.removal.void_case(station.reviewer, case.id, VoidCase(version=case.version + 1, reason="wrong"))


def test_a_void_image_is_in_no_count_until_that_is_taken_back(station, settings):
    case = station.classified(12)
    store = station.store

    def counted() -> int:
        cells = store.cells.all(station.reader, case.id)
        return count_case(cells, (), store.cases.get(station.reader, case.id), settings).leukocytes

    assert counted() == 12
    void = store.removal.void_cell(station.reader, case.id, 3, VoidCell(version=1, reason="a stain"))
    assert (void.not_counted, void.void_reason, void.changed_by) == ("void", "a stain", "Dr ron")
    assert counted() == 11
    with pytest.raises(Conflict):
        store.removal.void_cell(station.reader, case.id, 3, VoidCell(version=1, reason="x"))
    station.correct(station.reader, case, (3, "LY"))  # does not bring it back
    assert counted() == 11
    back = store.removal.void_cell(
        station.reader, case.id, 3, VoidCell(version=station.cell(case, 3).version, reason="")
    )
    assert (back.not_counted, back.void_reason) == (None, None)
    assert counted() == 12
    assert store.audit.verify().intact


def test_a_void_image_is_no_label(station):
    case = station.classified()
    station.store.removal.void_cell(station.reader, case.id, 1, VoidCell(version=1, reason="a stain"))
    case = station.store.signing.mark_reviewed(
        station.reader, case.id, station.store.cases.get(station.reader, case.id).version
    )
    station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    exported = b"".join(training_zip(station.store.labels.signed_cells(station.reviewer), station.store.images))
    assert b"void: a reader took it out" in exported or exported.count(b"images/") == 2 * 5


def test_a_void_patient_has_only_void_cases(station):
    for patient in ("P1", "P1", "P12"):
        station.classified(patient=patient)
    with pytest.raises(Forbidden):
        station.store.removal.void_patient(station.reviewer, "P1", "mixed up")
    assert station.store.removal.void_patient(station.administrator, "P1", "mixed up") == 2
    statuses = {
        (one.patient, one.status) for one in station.store.cases.search(station.administrator, CaseSearch()).cases
    }
    assert statuses == {("P1", Status.VOID), ("P12", Status.DRAFT)}
    with pytest.raises(NotFound):
        station.store.removal.void_patient(station.administrator, "P1", "mixed up")


def test_nothing_of_an_erased_patient_is_left_and_the_log_verifies(station, settings):
    case = signed_twice(station, patient=WORD, slide=f"slide of {WORD}", comment=WORD, age=33.25)
    kept = station.classified(patient="another")
    with pytest.raises(Forbidden):
        station.store.removal.erase_patient(station.reviewer, WORD)
    with pytest.raises(NotFound):
        station.store.removal.erase_patient(station.administrator, "nobody")
    digests = [signature.digest for signature in case.signatures]
    erased = station.store.removal.erase_patient(station.administrator, WORD)
    assert (erased.cases, erased.images) == (1, 0)  # both cases hold the same pictures
    left = everything(station)
    assert WORD.lower() not in left.lower()
    assert "33.25" not in left
    assert all(digest in left for digest in digests)
    assert station.store.audit.verify().intact
    for user in (station.administrator, station.reviewer, station.reader):
        with pytest.raises(NotFound):
            station.store.cases.get(user, case.id)
        assert case.id not in {one.id for one in station.store.cases.search(user, CaseSearch()).cases}
    assert station.store.cells.all(station.reader, kept.id)
    if settings.database is None:
        files = b"".join(path.read_bytes() for path in settings.folder.glob("review.sqlite*"))
        assert WORD.encode() not in files
    again = Store.open(settings, station.store.users.passwords)
    assert again.audit.verify().intact
    again.close()


def test_the_images_that_no_other_case_holds_are_erased(station):
    case = station.draft(patient=WORD)
    station.add(case, ["own.png", "c1.png"])
    station.classified()  # holds c1.png too
    own, shared = station.store.cells.images.add([b"picture of own.png", b"picture of c1.png"])
    assert station.store.removal.erase_patient(station.administrator, WORD).images == 1
    assert not station.store.images.path(own).exists()
    assert station.store.images.path(shared).exists()
    assert station.store.audit.verify().intact


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE signed_contents SET content = ''",
        "UPDATE signed_contents SET content = 'another'",
        "UPDATE cases SET status = 'erased'",
        "DELETE FROM cells WHERE number = 6",
    ],
)
def test_an_erasure_past_the_station_is_found(station, write):
    station.signed(patient=WORD)
    station.drop_triggers()
    station.sql(write)
    assert not station.store.audit.verify().intact


def test_a_tombstone_that_is_filled_again_is_found(station):
    station.signed(patient=WORD)
    station.store.removal.erase_patient(station.administrator, WORD)
    with pytest.raises(sa.exc.DatabaseError, match="only"):  # the trigger stands again
        station.sql("UPDATE signed_contents SET content = 'x'")
    station.drop_triggers()
    station.sql("UPDATE signed_contents SET content = '{}'")
    assert not station.store.audit.verify().intact


def test_a_case_that_was_tampered_with_is_not_erased_in_silence(station):
    station.signed(patient=WORD)
    station.sql("UPDATE cells SET code = 'BLAST' WHERE number = 1", "UPDATE cases SET corrected = 7")
    with pytest.raises(Damaged):
        station.store.removal.erase_patient(station.administrator, WORD)


def test_cases_are_due_after_the_time_of_retention(station):
    signed, open_ = station.signed(patient="old"), station.classified(patient="open")
    year = timedelta(days=365)
    due = station.store.removal.due
    assert due(station.administrator, None) == ()
    assert due(station.administrator, year) == ()
    later = t.now() + 2 * year
    assert [case.id for case in due(station.administrator, year, later)] == [signed.id]
    with pytest.raises(Forbidden):
        due(station.reviewer, year)
    erased = station.store.removal.erase(station.administrator, [signed.id], "retention")
    assert erased.cases == 1
    entry = station.store.audit.entries(station.administrator)[0]
    assert (entry.action, entry.detail["why"]) == ("case.erased", "retention")
    assert station.store.cases.get(station.reader, open_.id).patient == "open"


def test_a_station_with_tombstones_is_backed_up_and_restored(station, settings, new_settings, tmp_path):
    from leukopy.review.store import backup, restore

    signed_twice(station, patient=WORD)
    station.store.corrections.comment(station.reader, station.classified().id, 1, CellComment(version=1, comment="x"))
    station.store.removal.erase_patient(station.administrator, WORD)
    backup(settings, tmp_path / "station.zip")
    there = new_settings("restored")
    (there.folder / "review.sqlite").unlink(missing_ok=True)
    restore(there, tmp_path / "station.zip", key=settings.folder / "audit.key")
    restored = Store.open(there, station.store.users.passwords)
    assert restored.audit.verify().intact
    restored.close()
