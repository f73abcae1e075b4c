"""Reactive or tumoral: the patient's model on the cells that the reader calls lymphocytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import open_patient_bundle
from leukopy.bundle.patient import Bag
from leukopy.core.errors import InputError
from leukopy.inference.patient_cells import CellReader, CellReading
from leukopy.inference.patient_rows import DECISIONS, weighed_most
from leukopy.inference.patients import PatientModel, PatientResult
from leukopy.inference.rows import CellInput
from leukopy.review.records import Case, CellRow, InfluentialCell, PatientView

LYMPHOCYTES = frozenset({"LY", "LYA"})
"""Classes whose cells are judged."""

SHOWN = 8
"""Cells that weighed most, towards each side."""

_KEPT = 64
"""Results in memory."""

_AT_ONCE = 64
"""Pictures measured at a time: with more, measuring would start processes of its own, which a server must not."""


class PatientJudge:
    """A patient's model in a station; opened when it is first asked, and asked one case at a time."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._lock = Lock()
        self._results: OrderedDict[object, PatientView] = OrderedDict()

    @cached_property
    def _tools(self) -> tuple[PatientModel, CellReader]:
        bundle = open_patient_bundle(self._name)
        return PatientModel(bundle), CellReader(bundle)

    def judge(self, case: Case, cells: Sequence[CellRow], path_of: Callable[[int], Path]) -> PatientView:
        """The result of a case.

        Args:
            case: its age (years) and lymphocyte count (10⁹/L).
            cells: its cells; those of ``LYMPHOCYTES`` are judged.
            path_of: where the picture of a cell lies, by the cell's id.

        Raises:
            InputError: age, count or lymphocytes are missing, or none of their pictures can be read.
            BundleError: the model, or the cell model that it reads, is absent, broken or foreign.
        """
        age, count = case.age, case.lymphocytes
        if age is None or count is None:
            missing = " and ".join(name for name, value in (("age", age), ("lymphocyte count", count)) if value is None)
            raise InputError(f"the patient's {missing} is not known. Enter it in the case to get this result.")
        chosen = [cell.id for cell in cells if cell.code in LYMPHOCYTES]
        if not chosen:
            raise InputError("no cell of this case is a lymphocyte. Classify some as LY or LYA to get this result.")
        paths = [path_of(cell) for cell in chosen]
        key = (age, count, tuple(chosen), tuple(paths))
        with self._lock:
            if key not in self._results:
                self._results[key] = self._judge(age, count, dict(zip(chosen, paths, strict=True)))
            self._results.move_to_end(key)
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)
            return self._results[key]

    def _judge(self, age: float, count: float, paths: dict[int, Path]) -> PatientView:
        model, reader = self._tools
        reading = self._read(reader, [CellInput(str(cell), str(path)) for cell, path in paths.items()])
        if reading.cells.is_empty():
            raise InputError("none of the pictures of this case's lymphocytes can be read. Upload them again.")
        bag = Bag("case", reading.values, np.array([age, count], np.float32))
        result = model.predict(bag, classes=reading.cells["class8"].to_list())
        name = f"{model.card.name} {model.card.model.sha256[:12]}"
        return _view(result, [int(cell) for cell in reading.cells["cell_id"]], name)

    def _read(self, reader: CellReader, inputs: Sequence[CellInput]) -> CellReading:
        paths = [one.path for one in inputs]
        measured: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(paths), _AT_ONCE):
            measured |= reader.measure(paths[start : start + _AT_ONCE])
        return reader.read(inputs, measured)


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
