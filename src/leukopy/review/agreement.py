"""Agreement of model and reader, over the cells of one case or of all signed cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from leukopy.evaluation.agreement import MODEL, agreement
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.review.case_differential import own_classes
from leukopy.review.records import Agreement, AgreementView, CellRow, ClassChoice
from leukopy.review.store import SignedCell
from leukopy.taxonomy import COARSE, FINE, find, fine_members

READER = "the reader"

REPLICATES = 1000
"""Of the bootstrap: enough for the two digits that are shown."""


class Reading(NamedTuple):
    """One cell, as reader and model name it."""

    case_id: str
    reader: str
    model: str

    @classmethod
    def of(cls, case_id: str, cells: Iterable[CellRow | SignedCell]) -> list[Reading]:
        """The readings of cells of a case; without a correction, the reader agrees with the model.

        Cells without a class, duplicates and void images are left out.
        """
        return [
            cls(case_id, cell.code, cell.model_code)
            for cell in cells
            if cell.code and cell.model_code and cell.not_counted not in ("duplicate", "void")
        ]


def _compatible(reader: str, model: str) -> str:
    """The model's class where the reader only did not divide it: a neutrophil is no disagreement with a band."""
    undivided = reader in ("NEU", "IG") and model in {FINE[index].code for index in fine_members(reader)}
    return model if undivided else reader


def alike(reader: str, model: str) -> bool:
    """Whether the model's class is the reader's, or one of those that the reader did not divide."""
    return _compatible(reader, model) == model


def agree(read: Sequence[Reading], classes: Sequence[ClassChoice] = ()) -> AgreementView:
    """Raw agreement and Cohen's kappa with 95 % limits, each class, and what is taken for what.

    Limits are bootstrapped: whole cases are drawn where there are several, since the cells of a slide resemble each
    other (of fewer than some twenty the limits are still too narrow). Of a single case cells are drawn, and the limits
    of the raw agreement are exact (Clopper and Pearson). A reader who does not divide neutrophils (NEU) or immature
    granulocytes (IG) agrees with a model that names one of their kinds.

    Args:
        read: the cells; those of several cases come together.
        classes: the classes a reader may give; of them the laboratory's own are needed.

    Raises:
        SettingsError: a class is neither in the taxonomy nor the laboratory's own.
    """
    if not read:
        return AgreementView(
            cases=0, cells=0, raw=None, raw_low=None, raw_high=None, kappa=None, kappa_low=None, kappa_high=None,
            classes=(), confusion=(),
        )  # fmt: skip
    own = own_classes(classes)
    used = {code for reading in read for code in (reading.reader, reading.model)}
    known = {code: own.get(code) or find(code) for code in used}
    order = tuple(dict.fromkeys((*FINE, *COARSE, *own.values())))
    pairs = [(_compatible(reading.reader, reading.model), reading.model) for reading in read]
    groups = [reading.case_id for reading in read]
    cases = len(set(groups))
    found = agreement(pairs, order, (READER, MODEL), groups=groups if cases > 1 else None, replicates=REPLICATES)
    same = sum(reader == model for reader, model in pairs)
    raw_low, raw_high = clopper_pearson(same, len(pairs)) if cases == 1 else (found.raw.low, found.raw.high)
    disagreements = Counter(pair for pair in pairs if pair[0] != pair[1])
    return AgreementView(
        cases=cases,
        cells=len(pairs),
        raw=found.raw.value,
        raw_low=raw_low,
        raw_high=raw_high,
        kappa=found.kappa.value,
        kappa_low=found.kappa.low,
        kappa_high=found.kappa.high,
        classes=tuple(
            Agreement(
                code=one.code,
                name=known[one.code].name,
                french=known[one.code].french,
                reader=one.first,
                model=one.second,
                both=one.both,
                recall=one.both / one.first if one.first else None,
                precision=one.both / one.second if one.second else None,
            )
            for one in found.classes
        ),
        confusion=tuple((*pair, count) for pair, count in disagreements.most_common()),
    )
