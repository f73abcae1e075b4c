"""Reactive or tumoral lymphocytosis: the patients' model on the reader's lymphocytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import InputError
from leukopy.inference.rows import CellInput
from leukopy.patients.card import Bag
from leukopy.patients.data.plausibility import doubt_count
from leukopy.patients.inference.cells import CellReader
from leukopy.patients.inference.model import PatientModel, PatientResult
from leukopy.patients.inference.rows import DECISIONS, weighed_most
from leukopy.patients.store import open_patient_bundle
from leukopy.review.plausibility import impossible
from leukopy.review.records import Case, CellRow, InfluentialCell, PatientView

LYMPHOCYTES = frozenset({"LY", "LYA"})
"""Classes whose cells the model reads."""

SHOWN = 8
"""Number of most influential cells shown, in each direction."""

_RESULTS, _PICTURES = 64, 5000
"""So many are kept in memory; of pictures, some kB each, so that a result after a correction reads none of them again.
A picture lies under its digest: what is seen in it never changes."""

_AT_ONCE = 64
"""Pictures read at a time: with more, measuring would start processes of its own, which a server must not."""

K = TypeVar("K")
V = TypeVar("V")


class LymphocytosisPredictor:
    """The patients' model of a station, opened at its first use; it predicts one case at a time."""

    def __init__(self, model: str) -> None:
        self.name = model
        self._lock = Lock()
        self._results: dict[object, PatientView] = {}
        self._features: dict[Path, NDArray[np.float32]] = {}

    @cached_property
    def _tools(self) -> tuple[PatientModel, CellReader]:
        bundle = open_patient_bundle(self.name)
        return PatientModel(bundle), CellReader(bundle)

    def predict(self, case: Case, cells: Sequence[CellRow], path_of: Callable[[int], Path]) -> PatientView:
        """The result of a case.

        Args:
            case: its age (years) and lymphocyte count (10⁹/L).
            cells: its cells; the model reads those of ``LYMPHOCYTES``.
            path_of: where the picture of a cell lies, by the cell's id.

        Raises:
            InputError: age, count or lymphocytes are missing, the count is doubtful, or none of the pictures can be
                read.
            BundleError: the model, or the cell model that it reads, is absent, broken or foreign.
        """
        age, count = case.age, case.lymphocytes
        if age is None or count is None:
            missing = " and ".join(name for name, value in (("age", age), ("lymphocyte count", count)) if value is None)
            raise InputError(f"the patient's {missing} is not known. Enter it in the case to get this result.")
        if reason := impossible(case):
            raise InputError(f"{reason} Correct the case to get this result.")
        if doubt := doubt_count(count):
            raise InputError(f"the patient's lymphocyte count {doubt}. Correct it in the case to get this result.")
        chosen = {cell.id: cell.model_code for cell in cells if cell.code in LYMPHOCYTES and cell.not_counted is None}
        if not chosen:
            raise InputError("no cell of this case is a lymphocyte. Classify some as LY or LYA to get this result.")
        paths = {cell: path_of(cell) for cell in chosen}
        key = (age, count, tuple(chosen.items()), tuple(paths.values()))
        with self._lock:
            if key not in self._results:
                _keep(self._results, key, self._predict(age, count, chosen, paths), _RESULTS)
            return self._results[key]

    def _predict(self, age: float, count: float, codes: dict[int, str | None], paths: dict[int, Path]) -> PatientView:
        model, reader = self._tools
        known = {path: self._features[path] for path in paths.values() if path in self._features}
        known |= _read(reader, [path for path in dict.fromkeys(paths.values()) if path not in known])
        for path, features in known.items():
            _keep(self._features, path, features, _PICTURES)
        read = {cell: known[path] for cell, path in paths.items() if path in known}
        if not read:
            raise InputError("none of the pictures of this case's lymphocytes can be read. Upload them again.")
        bag = Bag("case", np.stack(list(read.values())), np.array([age, count], np.float32))
        named = [code for cell in read if (code := codes[cell]) not in (None, "UNIDENTIFIED")]
        result = model.predict(bag, classes=named or None)
        name = f"{model.card.name} {model.card.model.sha256[:12]}"
        return _view(result, list(read), name)


def _read(reader: CellReader, paths: Sequence[Path]) -> dict[Path, NDArray[np.float32]]:
    """Features of images; unreadable images are left out."""
    found: dict[Path, NDArray[np.float32]] = {}
    for start in range(0, len(paths), _AT_ONCE):
        read, values = reader.features([CellInput(str(path), str(path)) for path in paths[start : start + _AT_ONCE]])
        found |= {Path(cell.path): features for cell, features in zip(read, values, strict=True)}
    return found


def _keep(kept: dict[K, V], key: K, value: V, most: int) -> None:
    """Add a value to a dictionary of at most ``most`` entries; the oldest are dropped."""
    kept[key] = value
    while len(kept) > most:
        del kept[next(iter(kept))]


def _view(result: PatientResult, cells: Sequence[int], model: str) -> PatientView:
    tumoral, reactive = weighed_most(result.influence, SHOWN)
    return PatientView(
        probability=result.probability,
        threshold=result.point.threshold,
        operating_point=result.point.name,
        sensitivity=result.point.sensitivity.value,
        specificity=result.point.specificity.value,
        decision="tumoral" if DECISIONS[result.tumoral] == "tumoral" else "reactive",
        low=result.low,
        high=result.high,
        flags=tuple(flag.message for flag in result.flags),
        flag_words=tuple(flag.word for flag in result.flags),
        clinical_share=result.clinical_effect,
        cells=tuple(
            InfluentialCell(cell=cells[row], influence=float(result.influence[row])) for row in (*tumoral, *reactive)
        ),
        lymphocytes_read=len(cells),
        model=model,
    )
