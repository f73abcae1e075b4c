"""The cell models of a station: that of the settings, and copies of those that the laboratory switched to.

A copy lies in ``models/<sha256>``, so that each case is finished, and its errors are stated, by the model that began
it. The file ``models/current`` names the one for new cases. The audit log tells of each change, and of the model that
classified each cell.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from leukopy.bundle import open_bundle
from leukopy.core.errors import LeukopyError
from leukopy.core.files import output_error, read_json, write_text
from leukopy.review.records import Case, Gain, ModelUse, Role, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import require
from leukopy.review.store.database import Database

_CURRENT = "current"
_REPORT = "adapt.json"
"""Of `leukopy adapt`, beside its bundle: kept with the copy."""
_CHOSEN = "model.chosen"
_SIGNED = ("signed", "amended")


@dataclass(frozen=True)
class ModelStore:
    """Chooses models, and finds those of cases."""

    database: Database
    settings: ReviewSettings

    @property
    def folder(self) -> Path:
        """Holds the copies."""
        return self.settings.folder / "models"

    def current(self) -> str:
        """The model for new cases: a bundled model, or a bundle folder."""
        try:
            chosen = (self.folder / _CURRENT).read_text("ascii").strip()
        except OSError:
            return self.settings.model
        return str(self.folder / chosen) if re.fullmatch(r"[0-9a-f]{64}", chosen) else self.settings.model

    def path_for(self, sha256: str | None) -> str:
        """The model that goes on with a case.

        Args:
            sha256: of the model that began it; None: none did.
        """
        if sha256 is None:
            return self.current()
        copy = self.folder / sha256
        return str(copy) if copy.is_dir() else self.settings.model

    def path_of(self, case: Case) -> str:
        """The model that classified a case, by the first digits of its digest; that of the settings before that."""
        digits = (case.model or "").rpartition(" ")[2]
        known = sorted(self.folder.glob(digits + 52 * "?")) if re.fullmatch(r"[0-9a-f]{12}", digits) else []
        return str(known[0]) if known else self.settings.model

    def use(self, user: User, bundle: Path | None) -> ModelUse:
        """Switch to a model for new cases.

        Args:
            user: an administrator.
            bundle: a bundle folder, which is copied; None: the model of the settings again.

        Raises:
            Forbidden: the user is no administrator.
            BundleError: no bundle, a broken one, or one for other classes.
            OutputError: it cannot be copied.
        """
        require(user, Role.ADMINISTRATOR)
        opened = open_bundle(self.settings.model if bundle is None else bundle)
        sha256 = opened.card.model.sha256
        if bundle is not None:
            self._copy(opened.path, sha256)
        try:
            self.folder.mkdir(exist_ok=True)
            write_text(self.folder / _CURRENT, sha256 if bundle is not None else "")
        except OSError as error:
            raise output_error(self.folder, error) from error
        with self.database.write() as db:
            audit.append(db, user, _CHOSEN, name=opened.card.name, model=sha256)
        return next(one for one in self.uses(user) if one.current)

    def uses(self, user: User) -> tuple[ModelUse, ...]:
        """The models of the station and of its cases, the current one first.

        Raises:
            Forbidden: the user is no reviewer.
        """
        require(user, Role.REVIEWER)
        card = open_bundle(self.current()).card
        current = (card.name, card.model.sha256)
        with self.database.read() as db:
            signed = sa.func.sum(sa.case((t.Case.status.in_(_SIGNED), 1), else_=0))
            judged = sa.select(t.Case.model, t.Case.model_sha256, sa.func.count(), signed)
            judged = judged.where(t.Case.model_sha256.is_not(None)).group_by(t.Case.model, t.Case.model_sha256)
            found = {(name, digest): (cases, ended or 0) for name, digest, cases, ended in db.execute(judged)}
            chosen = sa.select(t.Entry).where(t.Entry.action == _CHOSEN).order_by(t.Entry.number)
            since = {json.loads(entry.detail)["model"]: entry.at for entry in db.scalars(chosen)}
        found.setdefault(current, (0, 0))
        uses = [
            ModelUse(
                name=name, sha256=sha256, current=(name, sha256) == current, cases=cases, signed=ended,
                since=since.get(sha256), gain=self._gain(sha256),
            )
            for (name, sha256), (cases, ended) in found.items()
        ]  # fmt: skip
        return tuple(sorted(uses, key=lambda one: (not one.current, -one.cases)))

    def _copy(self, bundle: Path, sha256: str) -> None:
        """Copy a bundle whole or not at all."""
        goal, part = self.folder / sha256, self.folder / f"{sha256}.part"
        if goal.is_dir():
            return
        try:
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(bundle, part)
            with suppress(FileNotFoundError):
                shutil.copy(bundle.parent / _REPORT, part / _REPORT)
            part.rename(goal)
        except OSError as error:
            raise output_error(goal, error) from error

    def _gain(self, sha256: str) -> Gain | None:
        """What `leukopy adapt` measured on the model; None for another."""
        try:
            found: dict[str, Any] = read_json(self.folder / sha256 / _REPORT)
            gain, before, after = found["gain"], found["before"], found["after"]
            return Gain(
                cells=found["cells"], held_out=found["held_out"],
                before=before["balanced_accuracy"]["value"], after=after["balanced_accuracy"]["value"],
                low=gain["low"], high=gain["high"],
            )  # fmt: skip
        except (LeukopyError, KeyError, TypeError, ValueError):
            return None
