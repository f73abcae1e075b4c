"""Notes shown with the differential of a case, in English and French."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from leukopy.evaluation.intervals import clopper_pearson
from leukopy.review.attention import look_at
from leukopy.review.plausibility import doubtful_lymphocytes, impossible
from leukopy.review.records import BY_EYE, Case, CellRow
from leukopy.review.records.not_counted import NAMES
from leukopy.taxonomy import BLASTS

LYMPHOCYTES = ("LY", "LYA")
"""Classes that an analyser counts as lymphocytes."""

_TEXTS = {
    "en": {
        "unlike_training": "Stain or scanner unlike the training data: distance {distance} (usually below 1), nearest "
        "laboratory {nearest}. Expect lower accuracy.",
        "class_means": "The cells are unlike those of the reference laboratory: the class means were re-estimated from "
        "{cells} cells of this slide. The class of a cell therefore depends on the other cells.",
        "blasts": "Blasts: {count} of {leukocytes} leukocytes. Look at these cells first.",
        "by_eye": "Counted by eye at the microscope, without pictures and without a model: {count} cells.",
        "none": "No leukocyte was counted: there is no differential.",
        "below": "{leukocytes} of {target} leukocytes counted.",
        "reached": "{leukocytes} leukocytes counted; the target is {target}.",
        "unidentified": "Unidentified cells, not counted: {count}.",
        "no_cell": "Images without a cell, not counted: {count}.",
        "several_cells": "Images of several cells, not counted: {count}.",
        "duplicate": "Duplicate images, not counted: {count}.",
        "void": "Images that a reader made void, not counted: {count}.",
        "NEU": "Neutrophils not divided into segmented and band, counted in their sum only: {count}.",
        "IG": "Immature granulocytes not divided further, counted in their sum only: {count}.",
        "uncertain": "Uncertain cells that keep the model’s class: {count}, of which a reader confirmed {seen}.",
        "looked": "Cells seen by a reader: {seen} of {cells}; of the {queue} cells to look at, {queue_seen}.",
        "corrected": "Absolute counts are shares of {corrected} × 10⁹/L: the leukocytes entered, {entered}, corrected "
        "for {erythroblasts} erythroblasts per 100 leukocytes.",
        "impossible": "The entries of the case cannot be: correct leukocytes, lymphocytes and specimen date.",
        "lymphocytes": "The lymphocytes entered, {entered} × 10⁹/L, hardly fit the count, which gives {low} to {high}. "
        "Check the unit and the patient.",
        "absolute": "Absolute counts are shares of the leukocytes entered, {entered} × 10⁹/L, without any correction "
        "(none for erythroblasts).",
    },
    "fr": {
        "unlike_training": "Coloration ou scanner différents des données d’apprentissage\u202f: distance {distance} "
        "(d’ordinaire inférieure à 1), laboratoire le plus proche {nearest}. S’attendre à une exactitude moindre.",
        "class_means": "Les cellules diffèrent de celles du laboratoire de référence\u202f: les moyennes des "
        "classes ont été réestimées à partir de {cells} cellules de cette lame. La classe d’une cellule dépend donc "
        "des autres.",
        "blasts": "Blastes\u202f: {count} sur {leukocytes} leucocytes. Examiner ces cellules en premier.",
        "by_eye": "Comptées à l’œil au microscope, sans images ni modèle\u202f: {count} cellules.",
        "none": "Aucun leucocyte compté\u202f: il n’y a pas de formule.",
        "below": "{leukocytes} leucocytes comptés sur {target}.",
        "reached": "{leukocytes} leucocytes comptés\u202f; l’objectif est de {target}.",
        "unidentified": "Cellules non identifiées, non comptées\u202f: {count}.",
        "no_cell": "Images sans cellule, non comptées\u202f: {count}.",
        "several_cells": "Images de plusieurs cellules, non comptées\u202f: {count}.",
        "duplicate": "Images en double, non comptées\u202f: {count}.",
        "void": "Images annulées par un lecteur, non comptées\u202f: {count}.",
        "NEU": "Neutrophiles sans distinction segmenté ou non, comptés dans la somme seulement\u202f: {count}.",
        "IG": "Granulocytes immatures sans stade précisé, comptés dans la somme seulement\u202f: {count}.",
        "uncertain": "Cellules incertaines qui gardent la classe du modèle\u202f: {count}, dont {seen} confirmées "
        "par un lecteur.",
        "looked": "Cellules vues par un lecteur\u202f: {seen} sur {cells}\u202f; des {queue} cellules à examiner, "
        "{queue_seen}.",
        "corrected": "Les valeurs absolues sont des parts de {corrected} × 10⁹/L\u202f: leucocytes saisis, {entered}, "
        "corrigés pour {erythroblasts} érythroblastes pour 100 leucocytes.",
        "impossible": "Les données du cas sont impossibles\u202f: corriger leucocytes, lymphocytes et date du "
        "prélèvement.",
        "lymphocytes": "Les lymphocytes saisis, {entered} × 10⁹/L, s’accordent mal avec la formule, qui donne {low} à "
        "{high}. Vérifier l’unité et le patient.",
        "absolute": "Les valeurs absolues sont des parts des leucocytes saisis, {entered} × 10⁹/L, sans aucune "
        "correction (pas de correction pour les érythroblastes).",
    },
}


def notes(
    case: Case,
    cells: Sequence[CellRow],
    leukocytes: int,
    language: Literal["en", "fr"] = "en",
    absolute: float | None = None,
) -> tuple[str, ...]:
    """Notes on the count of a case.

    Args:
        case: its target, entered leukocyte count (10⁹/L), and slide check.
        cells: its cells.
        leukocytes: how many of them make the 100 %.
        language: of the notes.
        absolute: the leukocytes that absolute counts are shares of, 10⁹/L; None: those entered.
    """
    texts = _TEXTS[language]
    point = "," if language == "fr" else "."
    found = (*_notes(case, cells, leukocytes, point), *_entered(case, cells, leukocytes, absolute, point))
    return tuple(texts[key].format(**values) for key, values in found)


def _notes(
    case: Case, cells: Sequence[CellRow], leukocytes: int, point: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """Key and values of each note."""
    counts = Counter(cell.not_counted or cell.code for cell in cells)
    if blasts := sum(counts[code] for code in BLASTS):
        yield "blasts", {"count": blasts, "leukocytes": leukocytes}
    if by_eye := sum(BY_EYE in cell.flags for cell in cells):
        yield "by_eye", {"count": by_eye}
    if case.slide_check and case.slide_check.unlike_training:
        distance = f"{case.slide_check.distance:.1f}".replace(".", point)
        yield "unlike_training", {"distance": distance, "nearest": case.slide_check.nearest}
    if case.slide_check and case.slide_check.cells_used is not None:
        yield "class_means", {"cells": case.slide_check.cells_used}
    counted = "none" if not leukocytes else "below" if leukocytes < case.target else "reached"
    yield counted, {"leukocytes": leukocytes, "target": case.target}
    for key in ("NEU", "IG", *NAMES):
        if counts[key]:
            yield key, {"count": counts[key]}
    uncertain = [
        cell for cell in cells if "uncertain" in cell.flags and not cell.not_counted and cell.code == cell.model_code
    ]
    if uncertain:
        yield "uncertain", {"count": len(uncertain), "seen": sum(cell.seen_by is not None for cell in uncertain)}
    if looked := look_at(cells):
        yield "looked", looked.model_dump()


def _entered(
    case: Case, cells: Sequence[CellRow], leukocytes: int, absolute: float | None, point: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """Notes on the numbers entered."""
    if impossible(case):
        yield "impossible", {}
    if case.leukocytes is None or not leukocytes:
        return
    counts = Counter(cell.code for cell in cells if cell.not_counted is None)
    base = case.leukocytes if absolute is None else absolute
    if base == case.leukocytes:
        yield "absolute", {"entered": _number(case.leukocytes, point)}
    else:
        erythroblasts = 100 * counts["ERB"] / leukocytes
        yield "corrected", {
            "entered": _number(case.leukocytes, point), "corrected": _number(round(base, 2), point),
            "erythroblasts": _number(round(erythroblasts, 1), point),
        }  # fmt: skip
    low, high = (
        base * share for share in clopper_pearson(sum(counts[code] for code in LYMPHOCYTES), leukocytes)
    )  # fmt: skip
    if doubtful_lymphocytes(case.lymphocytes, low, high):
        yield "lymphocytes", {
            "entered": _number(case.lymphocytes or 0, point), "low": _number(round(low, 2), point),
            "high": _number(round(high, 2), point),
        }  # fmt: skip


def _number(value: float, point: str) -> str:
    return f"{value:g}".replace(".", point)
