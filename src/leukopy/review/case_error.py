"""Classification error of a case: by its model's card, for the cells that no reader has seen."""

from __future__ import annotations

from functools import lru_cache

from leukopy.bundle import Card, open_bundle
from leukopy.core.errors import BundleError
from leukopy.review.records import Case
from leukopy.slides.count_error import SlideError, error_of_slide


def error_of_case(case: Case, model: str) -> SlideError | None:
    """Classification error of the model's classes; None where its card states none, or another model classified.

    Args:
        case: the case.
        model: of the station: a bundled model, or a bundle folder.
    """
    card = _card(model)
    if card is None or case.model != f"{card.name} {card.model.sha256[:12]}":
        return None
    foreign = case.slide_check.foreign_probability if case.slide_check else None
    survey = {} if foreign is None else {"class_cells": {}, "foreign_probability": foreign}
    return error_of_slide(card.count_error, survey)


@lru_cache(maxsize=4)
def _card(model: str) -> Card | None:
    try:
        return open_bundle(model).card
    except BundleError:  # the analysis of the next case says so
        return None
