"""The fine and coarse classes of the 2021 leukopy study, and the cells outside them.

This module is the sole owner of class order. Codes are those of the study (and of PBC Barcelona's file names).
The display order of a differential, and the cells given per 100 leukocytes rather than in the 100 %, follow the
conventions of haematology laboratories (CLSI H20-A2; ICSH).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import SettingsError


class Place(StrEnum):
    """Place of a class in a differential count."""

    DIFFERENTIAL = "differential"
    """A leukocyte: part of the 100 %."""
    PER_100_LEUKOCYTES = "per_100_leukocytes"
    """Counted beside the differential and given per 100 leukocytes (erythroblasts, smudge cells, giant platelets)."""
    OUTSIDE = "outside"
    """Outside both counts (platelets, artefacts)."""


@dataclass(frozen=True)
class CellClass:
    """One class of cell."""

    code: str
    name: str
    french: str
    coarse: str | None
    """Coarse code that it sums into; None for a cell outside the coarse classes."""
    place: Place
    colour: str
    """Hexadecimal RGB used for this class in every plot and page."""


_IN, _PER, _OUT = Place.DIFFERENTIAL, Place.PER_100_LEUKOCYTES, Place.OUTSIDE

FINE: tuple[CellClass, ...] = (
    CellClass("SNE", "segmented neutrophil", "neutrophile segmenté", "NEU", _IN, "#7b61a8"),
    CellClass("BNE", "band neutrophil", "neutrophile non segmenté (band)", "NEU", _IN, "#a48bd0"),
    CellClass("EO", "eosinophil", "éosinophile", "EO", _IN, "#d9663c"),
    CellClass("BA", "basophil", "basophile", "BA", _IN, "#2f3e8f"),
    CellClass("LY", "lymphocyte", "lymphocyte", "LY", _IN, "#3f8fc4"),
    CellClass("MO", "monocyte", "monocyte", "MO", _IN, "#5f7d8c"),
    CellClass("MMY", "metamyelocyte", "métamyélocyte", "IG", _IN, "#c48bb4"),
    CellClass("MY", "myelocyte", "myélocyte", "IG", _IN, "#b0578f"),
    CellClass("PMY", "promyelocyte", "promyélocyte", "IG", _IN, "#8c2f6b"),
    CellClass("ERB", "erythroblast", "érythroblaste", "ERB", _PER, "#b3413b"),
    CellClass("PLT", "platelet", "plaquette", "PLT", _OUT, "#b59a3c"),
)
"""The fine classes, in the order of every probability vector and of every printed differential."""

COARSE: tuple[CellClass, ...] = (
    CellClass("NEU", "neutrophil", "neutrophile", "NEU", _IN, "#7b61a8"),
    CellClass("EO", "eosinophil", "éosinophile", "EO", _IN, "#d9663c"),
    CellClass("BA", "basophil", "basophile", "BA", _IN, "#2f3e8f"),
    CellClass("LY", "lymphocyte", "lymphocyte", "LY", _IN, "#3f8fc4"),
    CellClass("MO", "monocyte", "monocyte", "MO", _IN, "#5f7d8c"),
    CellClass("IG", "immature granulocyte", "granulocyte immature", "IG", _IN, "#b0578f"),
    CellClass("ERB", "erythroblast", "érythroblaste", "ERB", _PER, "#b3413b"),
    CellClass("PLT", "platelet", "plaquette", "PLT", _OUT, "#b59a3c"),
)
"""The coarse classes: NEU = SNE + BNE, IG = MMY + MY + PMY, the others as in the fine classes."""

OUTSIDE: tuple[CellClass, ...] = (
    CellClass("BLAST", "blast", "blaste", None, _IN, "#1f6f5c"),
    CellClass("MYO", "myeloblast", "myéloblaste", None, _IN, "#1f6f5c"),
    CellClass("MOB", "monoblast", "monoblaste", None, _IN, "#1f6f5c"),
    CellClass("PMB", "bilobed promyelocyte", "promyélocyte bilobé", None, _IN, "#1f6f5c"),
    CellClass("LYA", "atypical lymphocyte", "lymphocyte atypique", "LY", _IN, "#2f7ea8"),
    CellClass("PLASMA", "plasma cell", "plasmocyte", None, _IN, "#1f6f5c"),
    CellClass("SMUDGE", "smudge cell", "ombre nucléaire", None, _PER, "#8a8a8a"),
    CellClass("GIANT_PLT", "giant platelet", "plaquette géante", None, _PER, "#8a8a8a"),
    CellClass("ARTEFACT", "artefact", "artéfact", None, _OUT, "#8a8a8a"),
    CellClass("UNIDENTIFIED", "unidentified", "non identifiée", None, _OUT, "#8a8a8a"),
)
"""Cells that laboratories meet outside the fine classes.

An atypical (reactive) lymphocyte is a kind of lymphocyte: its label trains and tests the coarse class. The others are
in no coarse class. A model answers those that its card names (`leukopy.bundle.OutsideClasses`); it flags the rest where
they are unlike every class.
"""

BLASTS: tuple[str, ...] = ("BLAST", "MYO", "MOB")
"""Codes counted as blasts."""

DISPLAY_ORDER: tuple[str, ...] = (
    "SNE", "BNE", "EO", "BA", "LY", "LYA", "MO", "MMY", "MY", "PMY", "PMB", "MYO", "MOB", "BLAST", "PLASMA",
    "ERB", "SMUDGE", "GIANT_PLT", "PLT", "ARTEFACT", "UNIDENTIFIED",
)  # fmt: skip
"""The order in which a differential lists classes, including those outside."""

_BY_CODE = {cell.code: cell for cell in (*OUTSIDE, *FINE, *COARSE)}
# A code that is both fine and coarse (EO, BA, LY …) is one class.

_OWN: dict[str, CellClass] = {}


def declare(classes: Iterable[CellClass]) -> None:
    """Add a laboratory's own classes to those that `find` knows, for this process.

    Bundles and label tables that hold own classes declare them when they are opened. A class may be declared again; its
    first French name and colour stay.

    Raises:
        SettingsError: the code belongs to the taxonomy, or to another own class.
    """
    for cell in classes:
        known = _BY_CODE.get(cell.code) or _OWN.setdefault(cell.code, cell)
        if (known.name, known.place) != (cell.name, cell.place):
            raise SettingsError(
                f"class code {cell.code!r} stands for {known.name!r} ({known.place.value}) already, and cannot stand "
                f"for {cell.name!r} ({cell.place.value}) beside it. Define it alike, or choose another code."
            )


def outside_classes() -> tuple[CellClass, ...]:
    """``OUTSIDE``, then the laboratory's own classes that were declared."""
    return (*OUTSIDE, *_OWN.values())


def display_order() -> tuple[str, ...]:
    """``DISPLAY_ORDER``, then the laboratory's own classes that were declared."""
    return (*DISPLAY_ORDER, *_OWN)


def find(code: str) -> CellClass:
    """The class of a code, fine, coarse, outside, or a laboratory's own (`declare`).

    Raises:
        SettingsError: no class has this code.
    """
    found = _BY_CODE.get(code) or _OWN.get(code)
    if found is None:
        raise SettingsError(f"class code {code!r} is unknown; known: {', '.join((*_BY_CODE, *_OWN))}.")
    return found


def fine_members(code: str) -> tuple[int, ...]:
    """Indices into ``FINE`` of the fine classes that ``code`` may stand for.

    A fine code stands for one class, ``NEU`` and ``IG`` for several, a class in no coarse class for none. An image
    labelled only ``neutrophil`` thus trains and tests the coarse level, and an atypical lymphocyte is a lymphocyte.
    """
    coarse = find(code).coarse
    exact = tuple(index for index, cell in enumerate(FINE) if cell.code == code)
    return exact or tuple(index for index, cell in enumerate(FINE) if coarse and cell.coarse == coarse)


def level_key(classes: Sequence[CellClass]) -> Literal["coarse", "fine"]:
    """``coarse`` for ``COARSE``, ``fine`` for ``FINE``, each with or without further classes after them: the name of a
    level in files and columns."""
    return "fine" if tuple(classes[: len(FINE)]) == FINE else "coarse"


def coarse_matrix(outside: int = 0) -> NDArray[np.float32]:
    """0/1 matrix, shape (F, C): fine probabilities times it are the coarse probabilities.

    With K classes outside after the fine ones, (F + K, C + K): each is a class of its own at both levels.
    """
    codes = [cell.code for cell in COARSE]
    matrix = np.zeros((len(FINE) + outside, len(COARSE) + outside), dtype=np.float32)
    for row, cell in enumerate(FINE):
        matrix[row, codes.index(str(cell.coarse))] = 1.0
    for place in range(outside):
        matrix[len(FINE) + place, len(COARSE) + place] = 1.0
    return matrix


def digest() -> str:
    """Short fingerprint of the classes and their order; a bundle made for another fingerprint is refused."""
    content = [[cell.code, cell.coarse] for cell in FINE], [cell.code for cell in COARSE]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
