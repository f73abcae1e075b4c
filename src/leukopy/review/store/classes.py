"""The classes of the taxonomy and of the laboratory."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import ClassChoice, Role, User
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import require
from leukopy.review.store.database import Database
from leukopy.review.store.errors import AlreadyExists, NotAllowed, NotFound
from leukopy.taxonomy import COARSE, DISPLAY_ORDER, FINE, OUTSIDE, Place, find, outside_classes

_KEYS = {
    "SNE": "s", "BNE": "b", "NEU": "n", "EO": "e", "BA": "a", "LY": "l", "LYA": "v", "MO": "m", "MMY": "t", "MY": "y",
    "PMY": "p", "IG": "i", "PMB": "w", "MYO": "o", "MOB": "h", "BLAST": "k", "PLASMA": "c", "ERB": "r", "SMUDGE": "g",
    "GIANT_PLT": "j", "PLT": "q", "ARTEFACT": "0", "UNIDENTIFIED": "u",
}  # fmt: skip
"""A letter of the name where it was free."""

_UNDIVIDED = {"BNE": "NEU", "PMY": "IG"}
"""After which class a coarse one stands, for cells that a reader does not divide further."""

_PLACES = list(Place)


def _known() -> tuple[ClassChoice, ...]:
    codes = [code for each in DISPLAY_ORDER for code in (each, _UNDIVIDED.get(each)) if code]
    return tuple(
        ClassChoice(
            code=code,
            name=find(code).name,
            french=find(code).french,
            colour=find(code).colour,
            key=_KEYS[code],
            place=find(code).place.value,
        )
        for code in codes
    )


KNOWN = _known()
"""Those of the taxonomy, in display order."""


def classes(db: Session) -> tuple[ClassChoice, ...]:
    """All classes in display order; the laboratory's own are the last of their place."""
    own = tuple(_record(row) for row in db.scalars(sa.select(t.OwnClass).order_by(t.OwnClass.created, t.OwnClass.code)))
    return tuple(sorted((*KNOWN, *own), key=lambda choice: _PLACES.index(Place(choice.place))))


@dataclass(frozen=True)
class ClassStore:
    """Lists and adds the classes that a reader may give."""

    database: Database

    def all(self) -> tuple[ClassChoice, ...]:
        """All classes in display order."""
        with self.database.read() as db:
            return classes(db)

    def add(self, user: User, choice: ClassChoice) -> ClassChoice:
        """Add a class of the laboratory's own.

        Raises:
            Forbidden: the user is no administrator.
            AlreadyExists: the code or the key is taken.
        """
        with self.database.write() as db:
            require(user, Role.ADMINISTRATOR)
            audit.wait_turn(db)
            known = classes(db)
            if _in_taxonomy(choice.code) or any(choice.code == each.code for each in known):
                raise AlreadyExists(f"class code {choice.code} is taken; choose another.")
            if choice.key and any(choice.key == each.key for each in known):
                raise AlreadyExists(f"key {choice.key} is taken; choose another, or none.")
            return _record(_insert(db, user, t.OwnClass(**choice.model_dump(exclude={"own"}))))


def _insert(db: Session, user: User | None, row: t.OwnClass) -> t.OwnClass:
    """Add a class, and tell the log."""
    db.add(row)
    subject = seals.class_subject(row.code)
    seals.hold(db, subject, new=True)
    audit.append(db, user, "class.added", subject=subject, code=row.code, place=row.place)
    return row


def keep_own(db: Session, codes: set[str]) -> None:
    """Add a model's own classes among these codes to those of the station.

    Raises:
        NotAllowed: the station has another class of this code.
    """
    known = {row.code: row.name for row in db.scalars(sa.select(t.OwnClass))}
    for cell in outside_classes():
        if cell in OUTSIDE or cell.code not in codes:
            continue
        if known.get(cell.code, cell.name) != cell.name:
            raise NotAllowed(
                f"class {cell.code} is {cell.name!r} for the model and {known[cell.code]!r} in this station. Train the "
                "model with another code."
            )
        if cell.code not in known:
            place = cell.place.value
            row = t.OwnClass(
                code=cell.code, name=cell.name, french=cell.french, colour=cell.colour, key="", place=place
            )
            _insert(db, None, row)


def check_codes(db: Session, codes: set[str]) -> None:
    """Raises NotFound: one of the codes is of no class."""
    unknown = codes - {choice.code for choice in KNOWN}
    if unknown:
        unknown -= set(db.scalars(sa.select(t.OwnClass.code).where(t.OwnClass.code.in_(unknown))))
    if unknown:
        raise NotFound(f"class code {min(unknown)} is unknown; an administrator can add it.")


def _in_taxonomy(code: str) -> bool:
    return code in {cell.code for cell in (*FINE, *COARSE, *OUTSIDE)}


def _record(row: t.OwnClass) -> ClassChoice:
    return ClassChoice.model_validate(
        {"code": row.code, "name": row.name, "french": row.french, "colour": row.colour, "key": row.key,
         "place": row.place, "own": True}
    )  # fmt: skip
