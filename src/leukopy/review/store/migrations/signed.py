"""Reads signed contents of earlier versions: their digests are signed, so that the database keeps their names."""

from __future__ import annotations

import json

from leukopy.review.records import SignedContent

SLIDE_CHECK = {"strange": "unlike_training", "found_again": "cells_used"}
"""Names of 0.1.0 in the slide check of a case, and today's."""


def read_signed(content: str) -> SignedContent:
    """A signed content of this or an earlier version."""
    values = json.loads(content)
    check = values["case"]["slide_check"]
    if check is not None:
        values["case"]["slide_check"] = renamed(check)
    return SignedContent.model_validate_json(json.dumps(values))


def renamed(check: dict[str, object]) -> dict[str, object]:
    """A slide check with today's names."""
    return {SLIDE_CHECK.get(name, name): value for name, value in check.items()}
