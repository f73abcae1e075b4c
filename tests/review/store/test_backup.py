"""A station saved in one file, and made again from it, on either database."""

from __future__ import annotations

import json
import re
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from leukopy.core.errors import InputError, LeukopyError
from leukopy.review.records import Amendment, CaseSearch, CellComment, Refused
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NotAllowed, Store, backup, restore
from leukopy.review.store import tables as t
from leukopy.review.store.database import open_database
from support.passwords import PASSWORD, quick_passwords

from .conftest import populate


@pytest.fixture
def worked(station):
    """A station in which something of everything was done."""
    case = station.signed(patient="Zoé", comment="two\nlines", age=61.5)
    case = station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason="because"))
    station.correct(station.reader, case, (1, "LY"), (2, "MO"))
    station.store.corrections.comment(station.reader, case.id, 3, CellComment(version=1, comment="Döhle"))
    station.store.cells.add_failures(station.reader, case.id, [Refused(name="x", reason="r", message="m")])
    waiting = station.draft(station.stranger)
    station.add(waiting, ["late"], station.stranger)
    station.store.jobs.start(station.stranger, waiting.id)
    station.store.cases.share(station.stranger, waiting.id, "ron")
    station.store.sessions.start(station.reader)
    return station


@pytest.fixture
def saved(worked, settings, tmp_path) -> Path:
    backup(settings, tmp_path / "station.zip")
    return tmp_path / "station.zip"


def settings_key(station) -> Path:
    """The key of a station's log."""
    return station.store.settings.folder / "audit.key"


def content(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables but the log-ins; the log without the entries of saving and restoring."""
    rows = {}
    with store.database.read() as db:
        for table in t.Base.metadata.sorted_tables:
            found = db.execute(sa.select(table).order_by(*table.primary_key))
            rows[table.name] = [tuple(row) for row in found]
    del rows["sessions"], rows["audit_head"]
    rows["audit"] = [row for row in rows["audit"] if row[3] not in ("station.saved", "station.restored")]
    return rows


def test_what_is_restored_is_what_was_saved(worked, saved, new_settings):
    there = new_settings("restored")
    (there.folder / "review.sqlite").unlink(missing_ok=True)  # the folder must be empty
    result = restore(there, saved, key=settings_key(worked))
    assert (result.cases, result.images, result.damaged) == (2, 7, ())
    restored = Store.open(there, quick_passwords())
    assert content(restored) == content(worked.store)
    assert restored.audit.verify().intact
    for image in worked.store.images.folder.rglob("*"):
        if image.is_file():
            assert restored.images.read(image.name) == image.read_bytes()
    assert restored.users.check_password("ron", PASSWORD) == worked.reader
    case = restored.cases.search(worked.reader, CaseSearch(text="zoé")).cases[0]
    restored.corrections.undo(worked.reader, case.id)
    assert restored.audit.verify().intact
    restored.close()


def test_a_station_moves_from_sqlite_to_postgresql(tmp_path, postgres, empty_sqlite):
    station = populate(Store.open(ReviewSettings(folder=tmp_path / "old", before_signing="nothing"), quick_passwords()))
    station.signed(patient="Zoé")
    backup(station.store.settings, tmp_path / "station.zip")
    there = ReviewSettings(folder=tmp_path / "new", database=postgres())
    restore(there, tmp_path / "station.zip", key=settings_key(station))
    moved = Store.open(there, quick_passwords())
    assert content(moved) == content(station.store)
    assert moved.audit.verify().intact
    moved.close()
    station.store.close()


def test_only_its_owner_can_read_a_backup(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_station_in_use_is_not_overwritten(saved, settings, worked, tmp_path):
    before = content(worked.store)
    with pytest.raises(NotAllowed, match="not empty"):
        restore(settings, saved)
    if settings.database:
        with pytest.raises(NotAllowed, match="in use"):
            restore(
                ReviewSettings(folder=tmp_path / "other", database=settings.database), saved, key=settings_key(worked)
            )
    assert content(worked.store) == before


def test_a_missing_image_is_told_and_the_rest_is_saved(worked, settings, tmp_path):
    images = [path for path in worked.store.images.folder.rglob("*") if path.is_file()]
    images[0].unlink()
    images[1].write_bytes(b"another")
    told = backup(settings, tmp_path / "station.zip")
    assert (told.images, set(told.damaged)) == (len(images) - 2, {images[0].name, images[1].name})


@pytest.mark.parametrize(
    "damage",
    [
        ("tables/users.jsonl", lambda old: old.replace(b"administrator", b"reader")),
        ("tables/audit.jsonl", lambda old: old[:-10]),
        ("tables/cells.jsonl", lambda old: None),
        ("backup.json", lambda old: b"{}"),
        ("backup.json", lambda old: b"no JSON"),
        ("backup.json", lambda old: re.sub(rb'"revision": "\d+"', b'"revision": "9999"', old)),
        ("images", lambda old: b"another picture"),
    ],
)
def test_a_damaged_backup_is_refused_and_a_whole_one_can_be_restored_after_it(
    station, settings, new_settings, tmp_path, damage
):
    station.signed(cells=1)
    backup(settings, tmp_path / "whole.zip")
    name, change = damage
    with zipfile.ZipFile(tmp_path / "whole.zip") as whole, zipfile.ZipFile(tmp_path / "damaged.zip", "w") as damaged:
        for entry in whole.namelist():
            data = whole.read(entry)
            data = change(data) if entry.split("/")[0] == name or entry == name else data
            if data is not None:
                damaged.writestr(entry, data)
    there = new_settings("restored")
    (there.folder / "review.sqlite").unlink(missing_ok=True)
    with pytest.raises(LeukopyError) as refused:
        restore(there, tmp_path / "damaged.zip", key=settings_key(station))
    assert "\n" not in str(refused.value)
    database = open_database(there)
    assert database.is_unused()
    database.close()
    if there.folder.exists():
        shutil.rmtree(there.folder)
    restore(there, tmp_path / "whole.zip", key=settings_key(station))


def test_a_backup_with_a_wrong_byte_anywhere_is_refused_or_still_whole(tmp_path):
    station = populate(Store.open(ReviewSettings(folder=tmp_path / "old", before_signing="nothing"), quick_passwords()))
    station.signed(cells=2)
    backup(station.store.settings, tmp_path / "station.zip")
    data, before = (tmp_path / "station.zip").read_bytes(), content(station.store)
    station.store.close()
    refused = 0
    for number, place in enumerate(range(7, len(data), len(data) // 16)):
        (tmp_path / "wrong.zip").write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        there = ReviewSettings(folder=tmp_path / f"new{number}")
        try:
            restore(there, tmp_path / "wrong.zip", key=settings_key(station))
        except LeukopyError:
            refused += 1
            continue
        restored = Store.open(there, quick_passwords())
        assert content(restored) == before
        restored.close()
    assert refused > 8


def test_the_key_of_the_log_is_in_no_backup_in_clear(worked, settings, saved, tmp_path):
    key = settings_key(worked).read_bytes()
    backup(settings, tmp_path / "secret.zip", "a long password")
    for path in (saved, tmp_path / "secret.zip"):
        data = path.read_bytes()
        assert key not in data
        assert bytes.fromhex(key.decode()) not in data
    assert "audit.key" not in zipfile.ZipFile(saved).namelist()
    assert b"patient" not in (tmp_path / "secret.zip").read_bytes()
    assert not zipfile.is_zipfile(tmp_path / "secret.zip")


def test_a_backup_without_a_password_needs_the_key_and_no_other(worked, saved, tmp_path):
    with pytest.raises(InputError, match="audit-key"):
        restore(ReviewSettings(folder=tmp_path / "there"), saved)
    (tmp_path / "wrong.key").write_text(settings_key(worked).read_text()[::-1])
    with pytest.raises(InputError, match="not what was written"):
        restore(ReviewSettings(folder=tmp_path / "there"), saved, key=tmp_path / "wrong.key")
    (tmp_path / "none.key").write_text("no key")
    with pytest.raises(LeukopyError, match="key"):
        restore(ReviewSettings(folder=tmp_path / "elsewhere"), saved, key=tmp_path / "none.key")


def test_an_encrypted_backup_is_restored_with_its_password_alone(worked, settings, new_settings, tmp_path):
    path = tmp_path / "secret.zip"
    backup(settings, path, "a long password")
    there = new_settings("restored")
    (there.folder / "review.sqlite").unlink(missing_ok=True)
    for password in (None, "another password"):
        with pytest.raises(InputError, match="password"):
            restore(there, path, password)
    restore(there, path, "a long password")
    restored = Store.open(there, quick_passwords())
    assert content(restored) == content(worked.store)
    assert restored.audit.verify().intact
    restored.close()


def test_an_encrypted_backup_that_was_changed_or_cut_off_is_refused(worked, settings, tmp_path):
    from leukopy.review.store.encryption import MAGIC, Encrypted, decrypted

    clear = bytes(range(256)) * 1000  # several chunks
    with (tmp_path / "file").open("wb") as stream, Encrypted(stream, "pass") as target:
        target.write(clear[:100])
        target.write(clear[100:])
    data = (tmp_path / "file").read_bytes()
    with decrypted(tmp_path / "file", "pass") as stream:
        assert stream.read() == clear
    head, chunk = len(MAGIC) + 23, 2**16 + 16
    chunks = [data[head:][place : place + chunk] for place in range(0, len(data) - head, chunk)]
    assert len(chunks) == 4
    for wrong in (
        [*chunks[:3]], [chunks[1], chunks[0], *chunks[2:]], [*chunks, chunks[3]], [b"x" + chunks[0][1:], *chunks[1:]],
    ):  # fmt: skip
        (tmp_path / "wrong").write_bytes(data[:head] + b"".join(wrong))
        with pytest.raises(InputError, match="changed or cut off"), decrypted(tmp_path / "wrong", "pass") as stream:
            pass


@pytest.mark.parametrize("data", [None, b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_backup_is_refused(tmp_path, data):
    if data is not None:
        (tmp_path / "file.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"file\.zip"):
        restore(ReviewSettings(folder=tmp_path / "there"), tmp_path / "file.zip")
    assert not (tmp_path / "there").exists()


def test_a_backup_tells_what_it_is(saved):
    with zipfile.ZipFile(saved) as file:
        facts = json.loads(file.read("backup.json"))
    assert "Research use only" in facts["notice"]
    assert facts["tables"]["cases"]["rows"] == 2
    assert "sessions" not in facts["tables"]
