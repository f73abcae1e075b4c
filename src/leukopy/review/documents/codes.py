"""Codes and units of the numbers of a count, for laboratory systems.

LOINC codes stand in ``loinc.csv``, to be edited there; a class without one has leukopy's own code and its name. (That
table contains content from LOINC, http://loinc.org, copyright Regenstrief Institute, Inc., available at no cost under
the licence at http://loinc.org/license.) Units are UCUM's.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from leukopy.review.documents.rows import Row

OWN = "urn:x-leukopy:quantity"
"""Code system of what has no LOINC code: ``SNE.percent``, ``low95`` …"""

PERCENT = ("%", "%")
PER_100 = ("per 100 leukocytes", "/100{WBCs}")
ABSOLUTE = ("10⁹/L", "10*9/L")
CELLS = ("cells", "{cells}")
"""Units: for people, and UCUM's code."""


@lru_cache(maxsize=1)
def loinc() -> Mapping[tuple[str, str], tuple[str, str]]:
    """LOINC code and its name by class and quantity."""
    text = (files("leukopy.review.documents") / "loinc.csv").read_text(encoding="utf-8")
    table = csv.DictReader(text.splitlines())
    return {(row["class"], row["quantity"]): (row["loinc"], row["display"]) for row in table}


def title(row: Row) -> str:
    """The name of a line."""
    if row.kind == "not_counted":
        return f"Not counted: {row.name}"
    name = f"All {row.name}s" if row.sums else row.name[:1].upper() + row.name[1:]
    return f"{name}s" if row.kind == "total" else name
