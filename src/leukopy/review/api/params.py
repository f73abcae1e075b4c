"""Parameters of several routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

MOST = 2**31 - 1
"""What a database's integer holds."""

CellNumber = Annotated[int, Path(ge=1, le=MOST)]
