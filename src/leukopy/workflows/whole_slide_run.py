"""The part of an analysis that only whole slides have: choice of the fields, overview, notes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leukopy.fields.choose import SlideChoice

OVERVIEW_FILE, SQUARES_FILE = "overview.png", "squares.csv"


def choose_on(path: Path, um_per_px: float | None, progress: Progress) -> SlideChoice:
    """Choose the fields of a whole slide.

    Raises:
        InputError: no slide, incomplete, without a scale, or without a monolayer; also as
            `fields.choose.choose_fields`.
    """
    from leukopy.fields.check import missing_parts
    from leukopy.fields.choose import choose_fields

    if missing := next(missing_parts(path), None):
        raise InputError(missing)
    choice = choose_fields(path, um_per_px=um_per_px, progress=progress)
    if not choice.fields:
        left_out = _left_out(choice_facts(choice)["squares"])
        raise InputError(
            f"{path}: shows no monolayer ({left_out}). Scan the zone where red cells lie side by side, or photograph "
            "fields there."
        )
    return choice


def choice_facts(choice: SlideChoice) -> dict[str, Any]:
    """A choice in ``run.json``."""
    from leukopy.fields.choose import VERDICTS

    return {
        "squares": {verdict: choice.count(verdict) for verdict in VERDICTS if choice.count(verdict)},
        "um_per_px": choice.um_per_px,
        "scale_source": choice.scale_source,
    }


def choice_note(facts: Mapping[str, Any], wanted: int) -> str:
    """What is searched, in words."""
    squares, left_out = facts["squares"], _left_out(facts["squares"])
    return (
        f"A whole slide, {facts['um_per_px']:.3g} µm per pixel from the {facts['scale_source']}: the "
        f"{squares['chosen']:,} squares of its monolayer are searched until {wanted:,} leukocytes are found. Left out: "
        f"{left_out or 'none'}."
    )


def few_note(wanted: int | None, fields: int, searched: int, found: int) -> tuple[str, ...]:
    """The warning about fewer leukocytes than wanted."""
    if wanted is None or found >= wanted or searched < fields:
        return ()
    return (f"All {searched:,} squares of the monolayer show {found:,} leukocytes, fewer than the {wanted:,} wanted.",)


def write_choice(choice: SlideChoice, analysed: int, out: Path) -> tuple[bytes, str]:
    """Write the squares and the overview of a slide of which the first ``analysed`` fields were analysed.

    Returns:
        The overview as PNG, and its legend in words.

    Raises:
        OutputError: they cannot be written.
    """
    from PIL import Image

    from leukopy.fields.slide_overview import draw_overview

    with atomic_path(out / SQUARES_FILE) as temporary:
        choice.table(analysed).write_csv(temporary, float_precision=4)
    overview = draw_overview(choice, analysed)
    stream = BytesIO()
    Image.fromarray(overview.pixels).save(stream, "PNG")
    with atomic_path(out / OVERVIEW_FILE) as temporary:
        temporary.write_bytes(stream.getvalue())
    return stream.getvalue(), overview.words


def _left_out(squares: Mapping[str, int]) -> str:
    from leukopy.fields.choose import VERDICTS

    counts = {words: squares.get(verdict, 0) for verdict, words in VERDICTS.items() if verdict != "chosen"}
    return "; ".join(f"{count:,} squares {words}" for words, count in counts.items() if count)
