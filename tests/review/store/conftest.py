"""A station with its users on each kind of database, and cases whose right classes are known."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import polars as pl
import pytest
import sqlalchemy as sa

from leukopy.inference.rows import ATTRIBUTE_SCHEMA, CELL_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.review.records import (
    AgreementView,
    Case,
    CaseDraft,
    CellRow,
    Correction,
    Corrections,
    DifferentialView,
    NewUser,
    Role,
    SignedContent,
    User,
)
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import CorrectionOutcome, ModelFacts, NewImage, Store, database
from leukopy.review.store import tables as t
from support.passwords import PASSWORD, quick_passwords

MODEL = ModelFacts("colours", "c" * 64)
CODES = ("SNE", "LY", "MO", "EO", "BNE", "BA")


@dataclass(frozen=True)
class Station:
    """A store with one user of each kind; ``reader`` and ``stranger`` know nothing of each other's cases."""

    store: Store
    administrator: User
    reviewer: User
    second_reviewer: User
    reader: User
    stranger: User

    def with_settings(self, **values: object) -> Station:
        """The same station under other settings."""
        settings = self.store.settings.model_copy(update=values)
        return replace(self, store=Store(settings, self.store.database, self.store.users.passwords))

    def draft(self, user: User | None = None, **values: object) -> Case:
        """An empty case of the reader's."""
        return self.store.cases.open(user or self.reader, CaseDraft.model_validate({"slide": "S1", **values}))

    def add(self, case: Case, names: Sequence[str], user: User | None = None) -> int:
        """Add a picture for each name; each has other bytes."""
        images = [NewImage(name, f"picture of {name}".encode(), 64, 48, "image/png") for name in names]
        return self.store.cells.add_images(user or self.reader, case.id, images)

    def classified(self, cells: int = 6, user: User | None = None, **values: object) -> Case:
        """A case whose cell n has class ``CODES[n - 1]`` (and so on in turn), less and less certain."""
        case = self.draft(user, **values)
        self.add(case, [f"c{number}.png" for number in range(1, cells + 1)], user)
        self.classify(case)
        return self.store.cases.get(user or self.reader, case.id)

    def classify(self, case: Case) -> int:
        """Let the model speak of all images that wait for it."""
        waiting = [image.cell for image in self.store.predictions.pending(case.id)]
        return self.store.predictions.write(case.id, predictions(waiting), MODEL)

    def cell(self, case: Case, number: int) -> CellRow:
        """A cell as it is now."""
        return next(cell for cell in self.store.cells.all(self.administrator, case.id) if cell.id == number)

    def correct(self, user: User, case: Case, *moves: tuple[int, str]) -> CorrectionOutcome:
        """Give cells other classes, knowing them as they are now."""
        now = {cell.id: cell.version for cell in self.store.cells.all(self.administrator, case.id)}
        changes = tuple(Correction(cell=number, version=now[number], code=code) for number, code in moves)
        return self.store.corrections.correct(user, case.id, Corrections(changes=changes))

    def content(self, case: Case) -> SignedContent:
        """What would be signed of a case as it is now."""
        case = self.store.cases.get(self.administrator, case.id)
        return SignedContent(
            case=case.model_copy(update={"signatures": ()}),
            differential=DifferentialView(
                cells=case.cells, leukocytes=case.cells, target=100, lines=(), beside=(), outside=(), notes=(),
                reference_name="adults",
            ),
            cells=self.store.cells.all(self.administrator, case.id),
            agreement=AgreementView(
                cases=1, cells=case.cells, raw=1.0, raw_low=0.9, raw_high=1.0, kappa=1.0, kappa_low=0.9,
                kappa_high=1.0, classes=(), confusion=(),
            ),
            patient=None, model=MODEL.name, model_sha256=MODEL.sha256, leukopy="0",
            pictures=self.store.cells.pictures(self.administrator, case.id),
        )  # fmt: skip

    def signed(self, **values: object) -> Case:
        """A case that the reviewer has signed."""
        case = self.classified(**values)  # type: ignore[arg-type]
        case = self.store.signing.mark_reviewed(self.reader, case.id, case.version)
        return self.store.signing.sign(self.reviewer, case.id, case.version, self.content(case))

    def age_sessions(self, seen: timedelta, expires: timedelta) -> None:
        """Let all sessions have been seen, and have to end, so much earlier than they did."""
        with self.store.database.write() as db:
            for session in db.query(t.Session):
                session.seen -= seen
                session.expires -= expires

    def drop_triggers(self) -> None:
        """What somebody does who may do anything with the database, but has not the key."""
        if not self.store.database.sqlite:
            self.sql("DROP FUNCTION only_grows CASCADE")
            return
        with self.store.database.read() as db:
            names = list(db.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
        self.sql(*(f"DROP TRIGGER {name}" for name in names))

    def sql(self, *statements: str) -> None:
        """What somebody does who works on the database past the station."""
        with self.store.database.write() as db:
            for statement in statements:
                db.execute(sa.text(statement))


def predictions(
    cells: Sequence[int], failed: Sequence[int] = (), flags: Mapping[int, str] = MappingProxyType({})
) -> Predictions:
    """Rows as a classifier gives them; those flagged ``no_cell`` or ``several_cells`` have no class."""
    rows = []
    for number in cells:
        code, sure = CODES[(number - 1) % len(CODES)], 1 - number / 10_000
        values: dict[str, object] = {name: 0.0 if kind == pl.Float32 else "" for name, kind in CELL_SCHEMA.items()}
        values |= {"width": 64, "height": 48, "coarse": code, "fine": code, "flags": "uncertain;not_square"}
        values |= {"cell_id": str(number), "confidence": sure, "fine_confidence": sure, f"p_{code}": sure}
        values |= dict.fromkeys(ATTRIBUTE_SCHEMA)
        values |= {"why": "round nucleus", "attr_nucleus_shape": "round", "attr_nucleus_shape_p": 0.75}
        if number in flags:
            values["flags"] = flags[number]
        if {"no_cell", "several_cells"} & set(values["flags"].split(";")):
            values |= dict.fromkeys(("coarse", "fine", "confidence", "fine_confidence", "why", *ATTRIBUTE_SCHEMA))
            values |= dict.fromkeys(name for name in CELL_SCHEMA if name.startswith("p_"))
        rows.append(values)
    failures = [(str(number), f"{number}.png", "truncated", "the file ends too early") for number in failed]
    return Predictions(
        pl.DataFrame(rows, schema={**CELL_SCHEMA, **ATTRIBUTE_SCHEMA}),
        pl.DataFrame(failures, schema=FAILURE_SCHEMA, orient="row"),
    )


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power; waiting for the disk would be half of their time."""
    monkeypatch.setattr(database, "SQLITE", (*database.SQLITE, "synchronous=OFF"))
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables; copying it is quicker than making one."""
    settings = ReviewSettings(folder=tmp_path_factory.mktemp("empty"))
    opened = database.open_database(settings)
    opened.migrate()
    opened.close()
    return settings.folder / "review.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_settings(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path) -> Callable[[str], ReviewSettings]:
    """Settings of a new station, by the name of its folder: every test that uses it runs on both databases."""
    if request.param == "sqlite":

        def make(name: str) -> ReviewSettings:
            (tmp_path / name).mkdir()
            shutil.copy(empty_sqlite, tmp_path / name)
            return ReviewSettings(folder=tmp_path / name, before_signing="nothing")

        return make
    new_database = request.getfixturevalue("postgres")
    return lambda name: ReviewSettings(folder=tmp_path / name, database=new_database(), before_signing="nothing")


@pytest.fixture
def settings(new_settings: Callable[[str], ReviewSettings]) -> ReviewSettings:
    """Of the station of `station`."""
    return new_settings("station")


@pytest.fixture
def station(settings: ReviewSettings) -> Iterator[Station]:
    """A new station with its users."""
    with_users = populate(Store.open(settings, quick_passwords()))
    yield with_users
    with_users.store.close()


def populate(store: Store) -> Station:
    """Add the users."""

    def new(name: str, role: Role) -> NewUser:
        return NewUser(name=name, full_name=f"Dr {name}", role=role, password=PASSWORD)

    administrator = store.users.add(None, new("ada", Role.ADMINISTRATOR))
    others = [("rita", Role.REVIEWER), ("saul", Role.REVIEWER), ("ron", Role.READER), ("eve", Role.READER)]
    return Station(store, administrator, *(store.users.add(administrator, new(*other)) for other in others))
