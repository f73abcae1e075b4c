"""Backup of a station in one zip, and its restore, also into the other kind of database.

A backup holds patient data: it is written readable by its owner alone; keep it like the station. With a password it is
encrypted (`store.encryption`) and holds the key of the log, too; without one it does not, so that nobody who finds it
can write a log that fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import atomic_path
from leukopy.core.provenance import RESEARCH_USE_ONLY, provenance
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit, audit_log
from leukopy.review.store import tables as t
from leukopy.review.store.database import Database, open_database
from leukopy.review.store.encryption import Encrypted, decrypted
from leukopy.review.store.errors import Damaged, NotAllowed, NotFound
from leukopy.review.store.held import held_files
from leukopy.review.store.images import ImageStore
from leukopy.review.store.store import IMAGES, Store, make_folder

_FORMAT = 1
_FACTS = "backup.json"
_TABLES = [table for table in t.Base.metadata.sorted_tables if table.name != t.Session.__tablename__]
"""All but the log-ins: after a restore everyone logs in again. Each comes after those that it refers to."""
_BATCH = 1000
_IMAGES_AT_ONCE = 100
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, KeyError, TypeError, sa.exc.StatementError
)  # fmt: skip
"""What reading a zip of wrong bytes, or taking rows from it, can raise."""


@dataclass(frozen=True)
class Saved:
    """Contents of a backup."""

    cases: int
    images: int
    entries: int
    """Of the log."""
    damaged: tuple[str, ...] = ()
    """sha256 of images that were absent or no longer what was stored, and are not in the backup."""


def backup(settings: ReviewSettings, path: Path, password: str | None = None) -> Saved:
    """Write a station into one zip; the station may run meanwhile.

    Args:
        settings: of the station.
        path: of the zip.
        password: encrypts it; None: it is not encrypted, and the key of the log is not in it.

    Raises:
        SettingsError: the database cannot be opened.
        OutputError: the zip cannot be written.
    """
    store = Store.open(settings)
    try:
        with store.database.write() as db:
            audit.append(db, None, "station.saved")
        with atomic_path(path) as temporary:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w+b") as stream:
                with (
                    nullcontext(stream) if password is None else Encrypted(stream, password) as target,
                    zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file,
                ):
                    saved = _save(store, file, with_key=password is not None)
                stream.flush()
                os.fsync(stream.fileno())
        return saved
    finally:
        store.close()


def _save(store: Store, file: zipfile.ZipFile, *, with_key: bool) -> Saved:
    tables: dict[str, dict[str, object]] = {}
    with store.database.read() as db:  # one state of all tables
        revision = db.scalar(sa.text("SELECT version_num FROM alembic_version"))
        for table in _TABLES:
            tables[table.name] = _save_table(db, table, file)
        digests = sorted(db.scalars(held_files()))
    damaged = []
    for digest in digests:
        try:
            file.writestr(_image(digest), store.images.read(digest), zipfile.ZIP_STORED)
        except (Damaged, NotFound):
            damaged.append(digest)
    if with_key:
        file.writestr(audit.KEY_FILE, (store.settings.folder / audit.KEY_FILE).read_bytes())
    kept = [digest for digest in digests if digest not in set(damaged)]
    facts = {
        "notice": RESEARCH_USE_ONLY, "format": _FORMAT, "revision": revision, "tables": tables, "images": kept,
        "damaged": damaged, "provenance": provenance(),
    }  # fmt: skip
    file.writestr(_FACTS, json.dumps(facts, indent=1))
    return _saved(facts)


def _save_table(db: Session, table: sa.Table, file: zipfile.ZipFile) -> dict[str, object]:
    """One row a line; returns how many there are and the sha256 of all."""
    rows, digest = 0, hashlib.sha256()
    query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
    with file.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as lines:
        for row in db.execute(query).mappings():
            line = json.dumps({name: _plain(value) for name, value in row.items()}).encode() + b"\n"
            lines.write(line)
            digest.update(line)
            rows += 1
    return {"rows": rows, "sha256": digest.hexdigest()}


def restore(settings: ReviewSettings, path: Path, password: str | None = None, key: Path | None = None) -> Saved:
    """Restore a backup into a new folder and an empty database; every part is verified.

    Args:
        settings: of the new station.
        path: what `backup` wrote.
        password: of an encrypted backup.
        key: a copy of the old station's ``audit.key``, for a backup that is not encrypted.

    Raises:
        InputError: the file is absent, no backup, or damaged; the password is wrong; the key is missing.
        NotAllowed: the folder or the database is in use.
        SettingsError: the backup was written by another version, or the database cannot be opened.
        OutputError: the folder cannot be written.
    """
    if settings.folder.exists() and any(settings.folder.iterdir()):
        raise NotAllowed(f"{settings.folder}: is not empty; restore into a new folder.")
    try:
        with decrypted(path, password) as stream, zipfile.ZipFile(stream) as file:
            facts = json.loads(file.read(_FACTS))
            if facts["format"] != _FORMAT:
                raise SettingsError(f"{path}: was written by another leukopy; restore it with that version.")
            log_key = _key(path, file, key)
            make_folder(settings.folder)
            database = open_database(settings)
            try:
                _restore(settings, database, file, facts, log_key)
            finally:
                database.close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: is no backup of a station, or is damaged.") from error
    return _saved(facts)


def _key(path: Path, file: zipfile.ZipFile, given: Path | None) -> bytes:
    """The key of the log: from the backup, or the file given."""
    if given is not None:
        return audit.read_key(given)
    if audit.KEY_FILE not in file.namelist():
        raise InputError(
            f"{path}: is not encrypted and holds no key of the audit log: give a copy of the old station's "
            f"{audit.KEY_FILE} (--audit-key)."
        )
    return bytes.fromhex(file.read(audit.KEY_FILE).decode("ascii"))


def _restore(
    settings: ReviewSettings, database: Database, file: zipfile.ZipFile, facts: dict[str, Any], key: bytes
) -> None:
    if not database.is_unused():
        raise NotAllowed("the database is in use; restore into an empty one.")
    _restore_images(ImageStore(settings.folder / IMAGES), file, facts["images"])
    audit.write_key(settings.folder, key)
    database.migrate()
    with database.write() as db:
        if db.scalar(sa.text("SELECT version_num FROM alembic_version")) != facts["revision"]:
            raise SettingsError("the backup was written by another leukopy; restore it with that version, then update.")
        audit.use_key(audit.open_key(settings.folder, create=False), database.info, db.info)
        for table in _TABLES:
            _restore_table(db, table, file, facts["tables"][table.name]["sha256"])
        check = audit_log.verify(db)
        if not check.intact:
            raise InputError(f"the log of the backup is not what was written: {check.problem}")
        audit.append(db, None, "station.restored")


def _restore_images(images: ImageStore, file: zipfile.ZipFile, digests: list[str]) -> None:
    for first in range(0, len(digests), _IMAGES_AT_ONCE):
        part = digests[first : first + _IMAGES_AT_ONCE]
        if images.add(file.read(_image(digest)) for digest in part) != part:
            raise InputError("an image of the backup is not what was stored.")


def _restore_table(db: Session, table: sa.Table, file: zipfile.ZipFile, digest: str) -> None:
    with file.open(f"tables/{table.name}.jsonl") as lines:
        if hashlib.file_digest(lines, "sha256").hexdigest() != digest:  # type: ignore[arg-type]
            raise InputError(f"table {table.name} of the backup is damaged.")
    if table.name == t.Head.__tablename__:  # the migration made its one row
        (head,) = next(_batches(table, file))
        db.execute(sa.update(table).values(head))
        return
    for rows in _batches(table, file):
        db.execute(sa.insert(table), rows)


def _batches(table: sa.Table, file: zipfile.ZipFile) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    with file.open(f"tables/{table.name}.jsonl") as lines:
        for line in lines:
            rows.append({name: _typed(table.c[name], value) for name, value in json.loads(line).items()})
            if len(rows) == _BATCH:
                yield rows
                rows = []
    if rows:
        yield rows


def _plain(value: object) -> object:
    """As JSON can say it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def _typed(column: sa.ColumnElement[Any], value: Any) -> object:
    """As the column wants it."""
    if value is None:
        return None
    if isinstance(column.type, t.Moment):
        return datetime.fromisoformat(value)
    if isinstance(column.type, sa.Date):
        return date.fromisoformat(value)
    if isinstance(column.type, sa.Enum) and column.type.enum_class:
        return column.type.enum_class(value)
    return value


def _image(digest: str) -> str:
    return f"images/{digest[:2]}/{digest}"


def _saved(facts: dict[str, Any]) -> Saved:
    tables = facts["tables"]
    return Saved(
        cases=tables["cases"]["rows"],
        images=len(facts["images"]),
        entries=tables["audit"]["rows"],
        damaged=tuple(facts["damaged"]),
    )
