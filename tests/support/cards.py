"""What every card must tell."""

from __future__ import annotations

import re


def year_of(citation: str) -> int:
    """The year of publication that a citation names; 0: none."""
    years = re.findall(r"\b(?:19|20)\d\d\b", citation)
    return int(years[-1]) if years else 0
