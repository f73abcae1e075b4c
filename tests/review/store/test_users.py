"""Users, passwords and sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest
import sqlalchemy as sa
from argon2 import Parameters, PasswordHasher, extract_parameters

from leukopy.review.records import NewUser, Role, UserChange
from leukopy.review.store import AlreadyExists, Forbidden, NotAllowed, NotFound, Store
from leukopy.review.store.users import Passwords
from support.passwords import PASSWORD, quick_passwords


def new(name: str, role: Role = Role.READER) -> NewUser:
    return NewUser(name=name, full_name=f"Dr {name}", role=role, password=PASSWORD)


def stored(station, columns: str, table: str) -> list[tuple[object, ...]]:
    with station.store.database.read() as db:
        return [tuple(row) for row in db.execute(sa.text(f"SELECT {columns} FROM {table}"))]


def test_the_command_line_makes_the_first_administrator_and_no_more(settings):
    store = Store.open(settings, quick_passwords())
    with pytest.raises(Forbidden, match="must be an administrator"):
        store.users.add(None, new("ron"))
    store.users.single_user()  # has no password: nobody can log in as them
    first = store.users.add(None, new("ada", Role.ADMINISTRATOR))
    with pytest.raises(Forbidden, match="has an administrator"):
        store.users.add(None, new("bob", Role.ADMINISTRATOR))
    assert store.users.add(first, new("bob")).role is Role.READER
    store.close()


def test_only_administrators_add_and_change_users(station):
    for user in (station.reader, station.reviewer):
        with pytest.raises(Forbidden):
            station.store.users.add(user, new("mallory", Role.ADMINISTRATOR))
        for change in (UserChange(role=Role.ADMINISTRATOR), UserChange(full_name="x"), UserChange(active=True)):
            with pytest.raises(Forbidden):
                station.store.users.change(user, user.id, change)
        with pytest.raises(Forbidden):
            station.store.users.change(user, station.administrator.id, UserChange(password="my own choice"))
    with pytest.raises(AlreadyExists):
        station.store.users.add(station.administrator, new("ron"))
    with pytest.raises(NotFound):
        station.store.users.change(station.administrator, "0" * 32, UserChange(active=False))


def test_users_change_their_own_password_which_ends_their_sessions(station):
    sessions = [station.store.sessions.start(user) for user in (station.reader, station.stranger)]
    station.store.users.set_password(station.reader, "another password")
    assert station.store.users.check_password("ron", PASSWORD) is None
    assert station.store.users.check_password("ron", "another password") == station.reader
    assert station.store.sessions.get(sessions[0].token) is None
    assert station.store.sessions.get(sessions[1].token) is not None


def test_a_user_who_leaves_is_out_at_once(station):
    session = station.store.sessions.start(station.reader)
    left = station.store.users.change(station.administrator, station.reader.id, UserChange(active=False))
    assert not left.active
    assert station.store.sessions.get(session.token) is None
    assert station.store.users.check_password("ron", PASSWORD) is None
    assert left in station.store.users.all(station.administrator)
    assert left not in station.store.users.all(station.stranger)


@pytest.mark.parametrize("change", [UserChange(active=False), UserChange(role=Role.READER)])
def test_the_last_administrator_stays(station, change):
    local = station.store.users.single_user()  # cannot log in
    with pytest.raises(NotAllowed, match="at least one"):
        station.store.users.change(station.administrator, station.administrator.id, change)
    station.store.users.add(station.administrator, new("second", Role.ADMINISTRATOR))
    station.store.users.change(station.administrator, station.administrator.id, change)
    station.store.users.change(local, local.id, change)


def test_passwords_are_kept_as_argon2_with_a_salt_each(station):
    hashes = [str(row[0]) for row in stored(station, "password", "users")]
    assert all(each.startswith("$argon2id$") for each in hashes)
    assert len(set(hashes)) == len(hashes) == 5
    assert PASSWORD not in str(hashes)


def test_who_gives_the_right_password_is_known_and_nobody_else(station):
    assert station.store.users.check_password("ron", PASSWORD) == station.reader
    for name, password in (("ron", PASSWORD + "x"), ("ron", ""), ("nobody", PASSWORD), ("", ""), ("RON", PASSWORD)):
        assert station.store.users.check_password(name, password) is None
    refused = [
        entry.user for entry in station.store.audit.entries(station.administrator) if entry.action == "session.refused"
    ]
    assert refused == ["ron", "ron"]  # what was typed for a name may be a password: unknown ones are not told


def test_the_single_user_is_made_once_and_has_no_password(station):
    first = station.store.users.single_user()
    assert first == station.store.users.single_user()
    assert (first.name, first.role) == ("local", Role.ADMINISTRATOR)
    for password in ("", "local", "None"):
        assert station.store.users.check_password("local", password) is None


def test_a_password_of_weaker_parameters_is_hashed_anew_when_it_is_given(station):
    before = dict(stored(station, "name, password", "users"))
    station.store.users.passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert station.store.users.check_password("ron", PASSWORD) == station.reader
    after = dict(stored(station, "name, password", "users"))
    assert "m=16,t=2" in after["ron"]
    assert after["ada"] == before["ada"]
    assert station.store.users.check_password("ron", PASSWORD) == station.reader


class Counting(PasswordHasher):
    """Notes the parameters of each hash that it computes."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[Parameters] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified.append(extract_parameters(str(hash)))
        return super().verify(hash, password)


def test_an_unknown_name_is_as_much_work_as_a_wrong_password():
    passwords = Passwords(hasher := Counting())
    assert not passwords.check(passwords.hash(PASSWORD), "wrong password")
    assert not passwords.check(None, PASSWORD)
    known, unknown = hasher.verified
    assert known == unknown
    assert not passwords.check("no hash at all", PASSWORD)


def test_a_session_is_its_users_until_it_is_ended(station):
    session = station.store.sessions.start(station.reader)
    live = station.store.sessions.get(session.token)
    assert live == (station.reader, session.csrf, session.expires)
    assert session.csrf != session.token
    station.store.sessions.end(session.token)
    station.store.sessions.end(session.token)  # twice is no error
    assert station.store.sessions.get(session.token) is None


@pytest.mark.parametrize("token", ["", "x", "half\udc80pair", "nul\0", "a" * 100_000])
def test_a_forged_token_is_nobodys(station, token):
    station.store.sessions.start(station.reader)
    assert station.store.sessions.get(token) is None
    station.store.sessions.end(token)


def test_tokens_are_not_kept(station):
    session = station.store.sessions.start(station.reader)
    rows = str(stored(station, "*", "sessions")) + str(stored(station, "*", "audit"))
    assert session.token not in rows
    assert session.csrf not in rows
    digest = str(stored(station, "digest", "sessions")[0][0])
    assert station.store.sessions.get(digest) is None  # who reads the database cannot log in with what they find


@pytest.mark.parametrize(
    ("lasts", "idle", "over"),
    [
        (timedelta(hours=8), timedelta(minutes=30), False),
        (timedelta(0), timedelta(minutes=30), True),
        (timedelta(hours=8), timedelta(0), True),
    ],
)
def test_a_session_is_over_after_its_time_and_when_nobody_works(station, lasts, idle, over):
    station = station.with_settings(session=lasts, idle=idle)
    session = station.store.sessions.start(station.reader)
    assert (station.store.sessions.get(session.token) is None) is over


def test_work_keeps_a_session_from_idling_but_not_from_its_end(station):
    session = station.store.sessions.start(station.reader)
    station.age_sessions(seen=timedelta(minutes=29), expires=timedelta(minutes=5))
    live = station.store.sessions.get(session.token)
    assert live is not None
    station.age_sessions(seen=timedelta(minutes=29), expires=timedelta(0))  # 58 minutes, but for the use between
    assert station.store.sessions.get(session.token) is not None
    station.age_sessions(seen=timedelta(minutes=31), expires=timedelta(0))
    assert station.store.sessions.get(session.token) is None
    other = station.store.sessions.start(station.reader)
    station.age_sessions(seen=timedelta(0), expires=timedelta(hours=9))
    assert station.store.sessions.get(other.token) is None
    station.store.sessions.start(station.reader)
    assert len(stored(station, "digest", "sessions")) == 1  # those that are over were cleared away
