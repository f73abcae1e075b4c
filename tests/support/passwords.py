"""Passwords of the users of a station."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukopy.review.store.users import Passwords

PASSWORD = "correct horse battery"


def quick_passwords() -> Passwords:
    """argon2 with the least work that it allows: nearly all tests are about other things."""
    from argon2 import PasswordHasher

    from leukopy.review.store.users import Passwords

    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
