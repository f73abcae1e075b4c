"""Rendering of a template to one self-contained HTML file.

Every page holds its own styles and pictures, runs no script, and its content security policy forbids any request.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from leukopy.core.provenance import RESEARCH_USE_ONLY


def render(template: str, *, package: str = "leukopy.reports", **values: Any) -> str:
    """Fill in a template of ``package`` or of this one. Values are escaped; a missing value is an error."""
    return _environment(package).get_template(template).render(notice=RESEARCH_USE_ONLY, **values)


@cache
def _environment(package: str) -> Environment:
    """The templates of a package, each compiled once."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("leukopy.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, one=_one, chance=chance, three=_three, figure=_figure)
    return environment


def embedded(picture: bytes) -> str:
    """Base64, as a ``data:`` address holds it."""
    return base64.b64encode(picture).decode()


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as dotted names and their values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)


def chance(probability: float) -> str:
    """In whole per cent, never the certainty of 0 or 100."""
    percent = 100 * probability
    return "> 99 %" if percent > 99 else "< 1 %" if percent < 1 else f"{percent:.0f} %"


def _number(value: int) -> str:
    return f"{value:,}"


def _one(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _figure(value: float | None) -> str:
    """To three significant digits."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
