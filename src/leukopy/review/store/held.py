"""Files of the image folder that the database names."""

from __future__ import annotations

import sqlalchemy as sa

from leukopy.review.store import tables as t

_COLUMNS = (
    (t.Cell.case_id, t.Cell.digest),
    (t.Field.case_id, t.Field.digest),
    (t.Field.case_id, t.Field.detections),
    (t.Overview.case_id, t.Overview.digest),
)
"""Columns that name a file by its digest, and the case that holds it."""


def held_files(case_id: str | None = None, *, others: bool = False) -> sa.CompoundSelect[str]:
    """The digests of all files that cases hold, each once.

    Args:
        case_id: those of one case; None: of all cases.
        others: those of all cases but this one.
    """
    return sa.union(
        *(
            sa.select(digest).where(
                digest.is_not(None),
                sa.true() if case_id is None else case != case_id if others else case == case_id,
            )
            for case, digest in _COLUMNS
        )
    )
