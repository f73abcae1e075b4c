"""The morphological attributes of a mature leukocyte, and their wording.

Names and values are those of WBCAtt (Tsutsui, Pang and Wen, "WBCAtt: a white blood cell dataset annotated with detailed
morphological attributes", NeurIPS 2023), which defines them for neutrophils, eosinophils, basophils, lymphocytes and
monocytes only. This module is the sole owner of their order, and of the values' order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ATTRIBUTE_CLASSES: tuple[str, ...] = ("NEU", "EO", "BA", "LY", "MO")
"""Coarse codes of the cells that have attributes; other cells have none."""


@dataclass(frozen=True)
class Attribute:
    """One attribute: a cell has exactly one of its values."""

    name: str
    """Name of WBCAtt's column."""
    values: tuple[str, ...]
    """Values in WBCAtt's spelling."""

    @property
    def title(self) -> str:
        """The title for people: ``nuclear cytoplasmic ratio``."""
        return self.name.replace("_", " ")


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("cell_size", ("small", "big")),
    Attribute("cell_shape", ("round", "irregular")),
    Attribute(
        "nucleus_shape",
        (
            "unsegmented-round", "unsegmented-indented", "unsegmented-band", "segmented-bilobed",
            "segmented-multilobed", "irregular",
        ),
    ),
    Attribute("nuclear_cytoplasmic_ratio", ("low", "high")),
    Attribute("chromatin_density", ("loosely", "densely")),
    Attribute("cytoplasm_vacuole", ("no", "yes")),
    Attribute("cytoplasm_texture", ("clear", "frosted")),
    Attribute("cytoplasm_colour", ("light blue", "blue", "purple blue")),
    Attribute("granule_type", ("nil", "small", "round", "coarse")),
    Attribute("granule_colour", ("nil", "pink", "red", "purple")),
    Attribute("granularity", ("no", "yes")),
)  # fmt: skip
"""The attributes, in the order of every vector of them."""

_NUCLEUS = {
    "unsegmented-round": "round nucleus",
    "unsegmented-indented": "indented nucleus",
    "unsegmented-band": "band-shaped nucleus",
    "segmented-bilobed": "bilobed nucleus",
    "segmented-multilobed": "multi-lobed nucleus",
    "irregular": "irregular nucleus",
}
_CHROMATIN = {"loosely": "loose chromatin", "densely": "dense chromatin"}
_ABSENT = ("nil", "no", None)


def describe(values: Mapping[str, str | None]) -> str:
    """A cell in the words of a morphologist: ``multi-lobed nucleus, small pink granules, dense chromatin``.

    Args:
        values: attribute name -> value; absent and None values are omitted.

    Returns:
        Phrases joined by commas, the nucleus first; empty where no value is given.
    """
    said = [_NUCLEUS.get(values.get("nucleus_shape") or ""), _granules(values)]
    if ratio := values.get("nuclear_cytoplasmic_ratio"):
        said.append(f"{ratio} nucleus-to-cytoplasm ratio")
    said.append(_CHROMATIN.get(values.get("chromatin_density") or ""))
    said.append(_phrase(values.get("cytoplasm_texture"), values.get("cytoplasm_colour"), "cytoplasm"))
    said.append("vacuoles" if values.get("cytoplasm_vacuole") == "yes" else None)
    said.append(_phrase(values.get("cell_size"), values.get("cell_shape"), "cell"))
    return ", ".join(filter(None, said))


def _granules(values: Mapping[str, str | None]) -> str | None:
    kind, colour = values.get("granule_type"), values.get("granule_colour")
    if values.get("granularity") == "no":
        return "no granules"
    if kind in _ABSENT and colour in _ABSENT:
        return "granules" if values.get("granularity") == "yes" else None
    return _phrase(None if kind in _ABSENT else kind, None if colour in _ABSENT else colour, "granules")


def _phrase(first: str | None, second: str | None, noun: str) -> str | None:
    """Phrase such as ``big round cell``; None where neither word is known."""
    words = [word for word in (first, second) if word]
    return " ".join([*words, noun]) if words else None
