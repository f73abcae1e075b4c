"""The users of a station."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from leukopy.core.settings import Settings
from leukopy.review.records.values import Id, RequiredText, ShortText


class Role(StrEnum):
    """Role of a user; each role includes the roles before it."""

    READER = "reader"
    """Reads and corrects the cases that are theirs or shared with them, and marks them reviewed."""
    REVIEWER = "reviewer"
    """Reads all cases, signs and amends."""
    ADMINISTRATOR = "administrator"
    """Keeps users, classes and the audit log."""


class User(Settings):
    """A user."""

    id: Id
    name: ShortText
    """For logging in."""
    full_name: ShortText
    """As it stands under a signature."""
    role: Role
    active: bool = True


class NewUser(Settings):
    """A user to be added."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,49}$")]
    full_name: RequiredText
    role: Role
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)]


class UserChange(Settings):
    """Other values for some fields of a user."""

    full_name: RequiredText | None = None
    role: Role | None = None
    active: bool | None = None
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)] | None = None


class Login(Settings):
    """Name and password."""

    name: ShortText
    password: Annotated[str, StringConstraints(max_length=200)]


class NewPassword(Settings):
    """Another password of one's own."""

    present: Annotated[str, StringConstraints(max_length=200)]
    new: Annotated[str, StringConstraints(min_length=10, max_length=200)]


class Me(Settings):
    """Who is logged in, and what their page must send back."""

    user: User
    csrf: str
    """To be sent as the header ``X-CSRF-Token`` with every request that changes something."""
    single_user: bool
    expires: datetime
