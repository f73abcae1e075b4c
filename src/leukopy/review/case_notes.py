"""What a reader must know before trusting a count, in English and French."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from leukopy.inference.rows import DUPLICATE
from leukopy.review.records import Case, CellRow

_TEXTS = {
    "en": {
        "strange": "Stain or scanner unlike any that the model learnt from: distance {distance} (1 is usual at most), "
        "nearest {nearest}. Expect lower accuracy.",
        "own": "Its cells are unlike those of the laboratory that validated the model: its classes were found again "
        "from {cells} cells of this slide, so that what is said of one depends on the others.",
        "none": "No leukocyte was counted: there is no differential.",
        "below": "{leukocytes} of {target} leukocytes counted.",
        "reached": "{leukocytes} leukocytes counted; the target is {target}.",
        "unidentified": "Unidentified cells, not part of the 100 %: {count}.",
        "NEU": "Neutrophils not divided into segmented and band, only in their sum: {count}.",
        "IG": "Immature granulocytes not divided further, only in their sum: {count}.",
        "empty": "Pictures that hold no single cell, in no count: {count}.",
        "copies": "Files that are copies of others, byte for byte, counted once: {count}.",
        "uncertain": "Cells of which the model was uncertain and which still have its class: {count}.",
        "absolute": "Absolute counts are shares of the leukocytes entered, {entered} × 10⁹/L, which are corrected for "
        "nothing (not for erythroblasts either).",
    },
    "fr": {
        "strange": "Coloration ou scanner différents de tout ce que le modèle a appris\u202f: distance {distance} "
        "(d’ordinaire 1 au plus), le plus proche {nearest}. S’attendre à une exactitude moindre.",
        "own": "Ses cellules diffèrent de celles du laboratoire qui a validé le modèle\u202f: ses classes ont été "
        "retrouvées à partir de {cells} cellules de cette lame, si bien que ce qui est dit de l’une dépend des autres.",
        "none": "Aucun leucocyte compté\u202f: il n’y a pas de formule.",
        "below": "{leukocytes} leucocytes comptés sur {target}.",
        "reached": "{leukocytes} leucocytes comptés\u202f; l’objectif est de {target}.",
        "unidentified": "Cellules non identifiées, hors des 100\u202f%\u202f: {count}.",
        "NEU": "Neutrophiles sans distinction segmenté ou non, comptés dans la somme seulement\u202f: {count}.",
        "IG": "Granulocytes immatures sans stade précisé, comptés dans la somme seulement\u202f: {count}.",
        "empty": "Images sans cellule unique, hors de tout compte\u202f: {count}.",
        "copies": "Fichiers qui sont des copies d’autres, octet pour octet, comptés une fois\u202f: {count}.",
        "uncertain": "Cellules dont le modèle n’était pas sûr et qui ont gardé sa classe\u202f: {count}.",
        "absolute": "Les valeurs absolues sont des parts des leucocytes saisis, {entered} × 10⁹/L, sans aucune "
        "correction (ni pour les érythroblastes).",
    },
}


def notes(
    case: Case, cells: Sequence[CellRow], leukocytes: int, language: Literal["en", "fr"] = "en"
) -> tuple[str, ...]:
    """Notes on the count of a case.

    Args:
        case: its target, entered leukocyte count (10⁹/L), and how far its slide is from what the model has learnt.
        cells: its cells.
        leukocytes: how many of them make the 100 %.
        language: of the notes.
    """
    texts = _TEXTS[language]
    said = _said(case, cells, leukocytes, "," if language == "fr" else ".")
    return tuple(texts[key].format(**values) for key, values in said)


def _said(case: Case, cells: Sequence[CellRow], leukocytes: int, point: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Key of each sentence, and what it is filled with."""
    if case.slide_check and case.slide_check.strange:
        distance = f"{case.slide_check.distance:.1f}".replace(".", point)
        yield "strange", {"distance": distance, "nearest": case.slide_check.nearest}
    if case.slide_check and case.slide_check.cells_used is not None:
        yield "own", {"cells": case.slide_check.cells_used}
    counted = "none" if not leukocytes else "below" if leukocytes < case.target else "reached"
    yield counted, {"leukocytes": leukocytes, "target": case.target}
    counts = Counter(cell.code for cell in cells if cell.counted)
    copies = sum(DUPLICATE in cell.flags for cell in cells)
    if empty := sum(not cell.counted for cell in cells) - copies:
        yield "empty", {"count": empty}
    if copies:
        yield "copies", {"count": copies}
    for code, key in (("NEU", "NEU"), ("IG", "IG"), ("UNIDENTIFIED", "unidentified")):
        if counts[code]:
            yield key, {"count": counts[code]}
    if uncertain := sum("uncertain" in cell.flags and cell.changed_by is None and cell.counted for cell in cells):
        yield "uncertain", {"count": uncertain}
    if case.leukocytes is not None and leukocytes:
        yield "absolute", {"entered": f"{case.leukocytes:g}".replace(".", point)}
