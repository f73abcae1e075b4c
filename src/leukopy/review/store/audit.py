"""The append-only audit log: actions with their users, each entry chained to the one before.

``hash`` = HMAC-SHA256(key, hash before + canonical JSON of the entry). The key lies in a file beside the images, not in
the database, so that who can write to the database alone cannot write a log that fits. A head row, sealed with the same
key, knows where the log ends. An entry is written in the transaction of the change it tells of. Database triggers
refuse to change or delete entries; the chain finds it where someone did so all the same. What it cannot find is that
the whole database was put back to an earlier state: keep the number and hash of the last entry elsewhere for that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.core.errors import SettingsError
from leukopy.core.files import output_error
from leukopy.review.records import User
from leukopy.review.store import seals
from leukopy.review.store import tables as t

KEY_FILE = "audit.key"
_KEY = "audit key"
"""Where `Session.info` holds the key."""
_STATION = "station"
"""Acting user of entries written by the command line or a worker."""


def open_key(folder: Path, *, create: bool) -> bytes:
    """The key of a station's log; created on request if absent.

    Raises:
        SettingsError: the file is absent and must not be created (the log was written with this key), or holds no key.
        OutputError: it cannot be written.
    """
    path = folder / KEY_FILE
    if create and not path.exists():
        write_key(folder, secrets.token_bytes(32))
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key that a file holds.

    Raises:
        SettingsError: it is absent, or holds no key.
    """
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: the key of the audit log is missing or broken; take it from a backup.") from error
    if len(key) != 32:
        raise SettingsError(f"{path}: not a key of an audit log; take it from a backup.")
    return key


def open_log(db: Session, info: dict[Any, Any], folder: Path) -> None:
    """Load the key into ``info``, which all transactions share; begin the log of a new station.

    Raises:
        SettingsError, OutputError: as `open_key`.
    """
    head = db.get_one(t.Head, 1, with_for_update=True)
    use_key(open_key(folder, create=head.number == 0), info, db.info)
    # With users, a log without entries was emptied: no new log is begun.
    used = db.scalar(sa.select(t.User.id).limit(1)) is not None
    sealed = db.scalar(sa.select(t.Entry.number).where(t.Entry.subject.is_not(None)).limit(1)) is not None
    if head.number == 0 and not used:
        append(db, None, "station.made")
    elif head.number and used and not sealed:
        _adopt(db)


def _adopt(db: Session) -> None:
    """Seal all that a station of 0.1.0 holds, whose log tells no states; everyone logs in again."""
    db.execute(sa.delete(t.Session))
    for subject in seals.subjects(db):
        seals.adopt(db, subject)
        kind, _, key = subject.partition("/")
        append(db, None, f"{kind}.sealed", key if kind == "case" else None, subject=subject)


def write_key(folder: Path, key: bytes) -> None:
    """Write the key, readable by the station's own account only.

    Raises:
        OutputError: there is one already, or it cannot be written.
    """
    path = folder / KEY_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(key.hex())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise output_error(path, error) from error


def use_key(key: bytes, *infos: dict[Any, Any]) -> None:
    """Give the key to transactions through their `Session.info`."""
    for info in infos:
        info[_KEY] = key


def secret(db: Session) -> bytes:
    """The key."""
    key: bytes = db.info[_KEY]
    return key


def append(
    db: Session,
    user: User | None,
    action: str,
    case_id: str | None = None,
    *,
    subject: str | None = None,
    **detail: object,
) -> None:
    """Write an entry; the last thing that a transaction does, for the others wait for the head of the log.

    An entry on a subject that the transaction holds (`seals.hold`) carries the state of the subject.

    Args:
        db: the transaction of the change.
        user: who acts; None: the command line or a worker.
        action: a fixed word.
        case_id: what it was done to.
        subject: of `seals`, where it is no case.
        detail: ids, codes, versions, digests; no patient data.
    """
    if subject is None and case_id is not None:
        subject = seals.case_subject(case_id)
    state = None if subject is None else seals.renew(db, subject)
    head = db.get_one(t.Head, 1, with_for_update=True)  # at last: all other writers wait for it
    entry = t.Entry(
        number=head.number + 1,
        at=t.now(),
        user=user.name if user else _STATION,
        action=action,
        case_id=case_id,
        detail=_canonical(detail),
        subject=None if state is None else subject,
        state=None if state is None else _canonical(state),
    )
    entry.hash = entry_hash(secret(db), head.hash, entry)
    db.add(entry)
    head.number, head.hash = entry.number, entry.hash
    head.seal = head_seal(secret(db), head.number, head.hash)


def wait_turn(db: Session) -> None:
    """Lock the head of the log: no other transaction writes before this one ends."""
    db.get_one(t.Head, 1, with_for_update=True)


def _canonical(value: object) -> str:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def entry_hash(key: bytes, before: str, entry: t.Entry) -> str:
    """Keyed hash of an entry and of ``before``, the hash of the entry before."""
    fields = [entry.number, _iso(entry.at), entry.user, entry.action, entry.case_id, entry.detail]
    if (entry.subject, entry.state) != (None, None):  # entries of 0.1.0 have neither
        fields += [entry.subject, entry.state]
    return hmac.new(key, (before + _canonical(fields)).encode(), hashlib.sha256).hexdigest()


def head_seal(key: bytes, number: int, last: str) -> str:
    """Seal of the number and hash of the last entry; computing it needs the key."""
    return hmac.new(key, f"head {number} {last}".encode(), hashlib.sha256).hexdigest()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
