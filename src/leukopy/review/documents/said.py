"""What a reader says of a smear beside the count, for laboratory systems."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from leukopy.review.records import SignedContent

PRESENT = ("52101004", "Present")
"""Code of SNOMED CT, and its name."""
BY_READER = "Judged by the reader"
"""The method."""


class Said(NamedTuple):
    """One statement."""

    code: str
    quantity: str
    """``finding``, ``grade`` or ``estimate``."""
    name: str
    value: Decimal | str
    """Platelets in 10⁹/L; a grade of the ICSH; of a finding, `PRESENT`."""


def said(content: SignedContent) -> Iterator[Said]:
    """The coded findings; then platelets, clumps and graded shapes of red cells as the reader gave them."""
    for one in content.findings:
        yield Said(one.code, "finding", one.english, PRESENT[1])
    if content.smear is None:
        return
    smear = content.smear.findings
    if smear.platelets is not None:
        yield Said("PLT", "estimate", "Platelets, estimated on the smear", Decimal(str(smear.platelets)))
    if smear.clumps:
        yield Said("PLT_CLUMPS", "finding", "Platelet clumps", PRESENT[1])
    for shape, grade in smear.shapes.items():
        yield Said(shape.upper(), "grade", f"Red cells: {shape.replace('_', ' ')}", grade)
