"""Types of the values in records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""Random; says nothing of a patient, so that it may stand in an address."""
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,15}$")]
"""Of a class: fine, coarse, outside the taxonomy, or the laboratory's own."""
# Control characters have no place in text for people, and PostgreSQL stores no NUL.
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RequiredText = Annotated[ShortText, Field(min_length=1)]
LongText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]
Number = Annotated[int, Field(ge=0, lt=2**31)]
"""Of a cell, or a version: what a database's integer holds."""
