"""Tables of orders in a folder: read once they are whole, moved away, refused rows with their reasons."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from leukopy.review.exchange.drop_folder import DropFolder
from leukopy.review.records import CaseSearch, NewUser, Role
from leukopy.review.settings import Exchange, ReviewSettings
from leukopy.review.store import Store
from support.passwords import PASSWORD, quick_passwords

HEAD = "order;patient;age;sex;priority;requester;specimen date;slide\n"


@pytest.fixture
def store(tmp_path):
    settings = ReviewSettings(folder=tmp_path / "station", exchange=Exchange(orders_folder=tmp_path / "orders"))
    store = Store.open(settings, quick_passwords())
    store.users.add(None, NewUser(name="ada", full_name="Ada", role=Role.ADMINISTRATOR, password=PASSWORD))
    yield store
    store.close()


@pytest.fixture
def folder(store):
    return DropFolder(store, store.settings.exchange.orders_folder)


def cases(store):
    return {case.slide: case for case in store.cases.search(store.users.for_maintenance(), CaseSearch()).cases}


def look_twice(folder):
    folder.look()
    folder.look()


def test_a_table_is_taken_once_it_no_longer_grows(store, folder, tmp_path):
    table = tmp_path / "orders" / "monday.csv"
    table.write_text(HEAD + "A1;P1;61,5;f;Urgent;Dr X;20260102;S9\n", "utf-8")
    folder.look()
    table.write_text(table.read_text("utf-8") + "A2;Müller;;M;;;2026-01-02;\n", "utf-8")
    folder.look()
    assert cases(store) == {}, "it was still growing"
    folder.look()
    found = cases(store)
    assert set(found) == {"S9", "A2"}
    assert (found["S9"].age, found["S9"].sex, found["S9"].priority) == (61.5, "female", "urgent")
    assert str(found["S9"].specimen_date) == "2026-01-02"
    assert (tmp_path / "orders" / "taken" / "monday.csv").is_file()
    assert not table.exists()


def test_the_same_table_again_opens_no_second_case(store, folder, tmp_path):
    for _ in range(2):  # as after a crash between the last case and the move
        (tmp_path / "orders" / "monday.csv").write_text(HEAD + "A1;P1;;;;;;\n", "utf-8")
        look_twice(folder)
    assert len(cases(store)) == 1
    assert len(list((tmp_path / "orders" / "taken").iterdir())) == 2
    assert not list((tmp_path / "orders" / "refused").iterdir())


def test_refused_rows_come_back_with_their_reasons(store, folder, tmp_path):
    rows = "A1;P1;;;;;;\nA1;P2;;;;;;\n;P3;;;;;;\nA4;P4;900;;;;;\nA5;P5;;x;;;;\nA6;P6;;;soon;;;\nA7;P7;;;;;2999-01-01;\n"
    (tmp_path / "orders" / "monday.csv").write_text(HEAD + rows, "utf-8")
    look_twice(folder)
    assert set(cases(store)) == {"A1"}
    with (tmp_path / "orders" / "refused" / "monday.csv").open(encoding="utf-8") as stream:
        refused = list(csv.DictReader(stream))
    assert [row["patient"] for row in refused] == ["P2", "P3", "P4", "P5", "P6", "P7"]
    assert all(len(row["reason"]) > 10 for row in refused)
    assert "came before" in refused[0]["reason"]


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 500, b"a;b\n1;2\n", HEAD.encode() + b'"A1;P1\n'])
def test_what_is_no_table_of_orders_is_put_aside_with_its_reason(store, folder, tmp_path, content):
    (tmp_path / "orders" / "odd.csv").write_bytes(content)
    look_twice(folder)
    assert cases(store) == {}
    assert (tmp_path / "orders" / "refused" / "odd.csv").read_bytes() == content
    assert len((tmp_path / "orders" / "refused" / "odd.txt").read_text("utf-8")) > 10


def test_links_and_other_files_stay_where_they_are(store, folder, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text(HEAD + "A1;P1;;;;;;\n", "utf-8")
    (tmp_path / "orders" / "link.csv").symlink_to(secret)
    (tmp_path / "orders" / "notes.txt").write_text("x")
    look_twice(folder)
    assert cases(store) == {}
    assert {path.name for path in Path(tmp_path / "orders").iterdir()} == {"link.csv", "notes.txt", "taken", "refused"}
