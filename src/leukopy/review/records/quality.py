"""Quality day by day: model against reader, and the distance of slides from the training data."""

from __future__ import annotations

from datetime import date

from leukopy.core.settings import Settings
from leukopy.review.records.values import Code, ShortText


class DailyQuery(Settings):
    """Which cells are compared; in a body, since addresses hold no names."""

    reader: ShortText | None = None
    """Full name of who gave the class, or signed it."""
    model: ShortText | None = None
    """Name and first 12 digits of the sha256."""
    code: Code | None = None
    """The reader's class."""
    seen_only: bool = False
    """Only cells that a reader has seen: the others keep the model's class."""


class Share(Settings):
    """Cells on which model and reader agree, with exact 95 % limits of their share."""

    name: str
    """Of the day (ISO), reader, model or class."""
    cases: int
    cells: int
    agreed: int
    low: float
    high: float


class SlideDay(Settings):
    """Distances of the slides of a day from the training data (`SlideView.distance`)."""

    day: date
    slides: int
    median: float
    greatest: float
    unlike_training: int


class DailyView(Settings):
    """Model against reader by day, reader, model version and class, over signed cases."""

    days: tuple[Share, ...]
    readers: tuple[Share, ...]
    models: tuple[Share, ...]
    classes: tuple[Share, ...]
    slides: tuple[SlideDay, ...]
    """Of all cases with a distance that are not void, by the day on which they were opened."""
