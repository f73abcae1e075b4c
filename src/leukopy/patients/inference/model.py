"""A patient's model at work: from a bag of cells to a probability, how sure it is, and what it rests on.

All effects are in log-odds, where they add up: log-odds = log-odds of the training's prevalence + what the cells add +
what age and lymphocyte count add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import scipy  # its parts load on first use
from joblib import cpu_count
from numpy.typing import NDArray

from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.inference.sessions import ORT_ERRORS
from leukopy.patients.card import Bag, OperatingPoint, PatientCard
from leukopy.patients.inference.flags import LYMPHOCYTE, Flag, doubts, input_flags
from leukopy.patients.store import PatientBundle, open_patient_bundle

RESAMPLES = 100

_STEP = 0.05
"""Of the numerical derivative, as a share of the cell's features: far above float32's last digit, still straight."""


@dataclass(frozen=True, eq=False)
class PatientResult:
    """What a model says of one patient."""

    patient_id: str
    probability: float
    """Of tumoral: sigmoid of the mean of the members' log-odds."""
    low: float | None
    """Of the 95 % interval over which cells happened to be photographed; None of a single cell."""
    high: float | None
    point: OperatingPoint
    tumoral: bool
    """The decision at ``point``."""
    members: NDArray[np.float64]
    """Log-odds by each member of the ensemble, (M,)."""
    influence: NDArray[np.float64]
    """(N,): log-odds of all cells minus log-odds without this one; not-a-number of a single cell."""
    weights: NDArray[np.float64]
    """(N,): the share each cell has in the pooling."""
    clinical_effect: float
    """Log-odds minus those with age and count unknown."""
    cells_effect: float
    """The rest, above the log-odds of the training's prevalence."""
    other_cells: float | None
    """Share of cells that the cell model calls no lymphocyte; None where it was not asked."""
    flags: tuple[Flag, ...]

    @property
    def log_odds(self) -> float:
        """Mean of the members."""
        return float(self.members.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the members' log-odds."""
        return float(self.members.std())


class PatientModel:
    """A patient's model, loaded. It takes features; `CellReader` makes them from images."""

    def __init__(self, bundle: PatientBundle, threads: int | None = None) -> None:
        """Load the network.

        Args:
            bundle: an opened bundle.
            threads: worker threads; by default one for each core that this process may use.

        Raises:
            BundleError: it cannot be loaded, or does not take and give what `PatientModelFile` says.
        """
        self.bundle = bundle
        self._threads = threads or cpu_count()
        self._session = _open(bundle.model_path)
        _check_contract(self._session, bundle.card, bundle.model_path)

    @classmethod
    def open(cls, model: str | Path | None = None) -> Self:
        """Open a bundled patient model by its name, or a bundle folder by its path; None: the default.

        Raises:
            BundleError: no such model, or the bundle is broken.
        """
        return cls(open_patient_bundle() if model is None else open_patient_bundle(model))

    @property
    def card(self) -> PatientCard:
        """What the model is, what it was trained on, and how well it does."""
        return self.bundle.card

    def point(self, name: str | None = None) -> OperatingPoint:
        """An operating point by its name; None: the card's first.

        Raises:
            SettingsError: the model has none of this name.
        """
        points = {point.name: point for point in self.card.operating_points}
        if name is None:
            return self.card.operating_points[0]
        if name not in points:
            raise SettingsError(f"operating point {name!r}: this model has {', '.join(points)}. Choose one of these.")
        return points[name]

    def predict(self, bag: Bag, point: str | None = None, classes: Sequence[str] | None = None) -> PatientResult:
        """Judge one patient.

        Args:
            bag: its cells as features (N, D), and its clinical numbers.
            point: name of the operating point of the decision; None: the card's first.
            classes: what the cell model calls each cell (coarse codes), for a flag.

        Raises:
            InputError: the bag is empty, or its cells are not what the model takes.
            SettingsError: no such operating point.
            BundleError: the network fails, or gives numbers that are none.
        """
        chosen = self.point(point)
        self._check(bag)
        members, weights = self.run(bag.cells, bag.clinical)
        unknown, _ = self.run(bag.cells, np.full_like(bag.clinical, np.nan))
        low, high = self._interval(bag)
        others = None if classes is None else float(np.mean([code != LYMPHOCYTE for code in classes]))
        probability = float(scipy.special.expit(members.mean()))
        return PatientResult(
            patient_id=bag.patient_id,
            probability=probability,
            low=low,
            high=high,
            point=chosen,
            tumoral=probability >= chosen.threshold,
            members=members,
            influence=self._influence(bag, float(members.mean())),
            weights=weights,
            clinical_effect=float(members.mean() - unknown.mean()),
            cells_effect=float(unknown.mean() - scipy.special.logit(self.card.prevalence)),
            other_cells=others,
            flags=(*input_flags(bag, self.card, others), *doubts(members, (low, high), chosen)),
        )

    def run(
        self, cells: NDArray[np.float32], clinical: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log-odds by each member (M,), and the weight of each cell (N,), of cells (N, D) and clinical numbers (2,).

        Raises:
            BundleError: the network fails, or gives numbers that are none.
        """
        where = self.bundle.model_path
        try:
            found = self._session.run(["logits", "weights"], {"cells": cells, "clinical": clinical})
        except ORT_ERRORS as error:
            raise BundleError(f"{where}: the network fails to run. Export the bundle again.") from error
        if not all(np.isfinite(values).all() for values in found):
            raise BundleError(f"{where}: the network gives numbers that are not finite. Train it again.")
        logits, weights = (np.asarray(values, np.float64) for values in found)
        return logits, weights

    def evidence(self, bag: Bag, cell: int, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Where in a cell the evidence for tumoral lies: Grad-CAM (Selvaraju et al., ICCV 2017) before it is rectified.

        The features of a cell are the mean of ``maps`` over the positions, so that the weight Grad-CAM gives to a map
        is the derivative of the log-odds by its feature (divided by the number of positions), and the sum it takes at
        a position is the derivative of the log-odds along the maps' values there. It is taken numerically, by central
        differences, so that no framework with gradients is needed.

        Args:
            bag: the patient.
            cell: row of the cell in ``bag.cells``.
            maps: (D, h, w), as `CellReader.maps` gives them.

        Returns:
            (h, w): positive where the picture speaks for tumoral, negative where it speaks for reactive.
        """
        directions = maps.reshape(len(maps), -1).T
        size = float(np.linalg.norm(bag.cells[cell])) or 1.0

        def slope(direction: NDArray[np.float32]) -> float:
            length = float(np.linalg.norm(direction))
            if length == 0:
                return 0.0
            step = _STEP * size / length
            ahead, behind = bag.cells.copy(), bag.cells.copy()
            ahead[cell] += step * direction
            behind[cell] -= step * direction
            return (self._log_odds(ahead, bag.clinical) - self._log_odds(behind, bag.clinical)) / (2 * step)

        return self._all(slope, directions).reshape(maps.shape[1:]) / len(directions)

    def occlusion(self, bag: Bag, cell: int, covered: NDArray[np.float32]) -> NDArray[np.float64]:
        """Where in a cell the evidence for tumoral lies, by covering its places (Zeiler & Fergus, ECCV 2014).

        Args:
            bag: the patient.
            cell: row of the cell in ``bag.cells``.
            covered: (h, w, D), features of the cell with each place covered, as `CellReader.covered` gives them.

        Returns:
            (h, w), log-odds of the patient minus those with the place covered: positive where it speaks for tumoral.
        """

        def without(features: NDArray[np.float32]) -> float:
            cells = bag.cells.copy()
            cells[cell] = features
            return self._log_odds(cells, bag.clinical)

        places = covered.reshape(-1, covered.shape[-1])
        return (self._log_odds(bag.cells, bag.clinical) - self._all(without, places)).reshape(covered.shape[:2])

    def feature_effects(self, bag: Bag) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each feature that has a name does to this patient, against one halfway between reactive and tumoral.

        Args:
            bag: the patient.

        Returns:
            Mean over the cells that have the feature, and effect, each (D,) in the order of ``card.features``, or
            (0,) where that is empty. The effect is the log-odds minus those with the feature shifted in all cells
            alike, so that its mean lies in the middle of the means of reactive and of tumoral patients. Both are
            not-a-number where no cell has the feature.
        """
        counts = np.isfinite(bag.cells).sum(axis=0)
        with np.errstate(invalid="ignore"):
            means = np.where(np.isfinite(bag.cells), bag.cells, 0).sum(axis=0, dtype=np.float64) / counts
        middles = [(feature.reactive + feature.tumoral) / 2 for feature in self.card.features]

        def shifted(column: int) -> float:
            distance = np.float32(middles[column] - means[column])
            if np.isnan(distance):
                return np.nan
            cells = bag.cells.copy()
            cells[:, column] += distance
            return self._log_odds(cells, bag.clinical)

        log_odds = self._log_odds(bag.cells, bag.clinical)
        return means[: len(middles)], log_odds - self._all(shifted, range(len(middles)))

    def _log_odds(self, cells: NDArray[np.float32], clinical: NDArray[np.float32]) -> float:
        return float(self.run(cells, clinical)[0].mean())

    def _all(self, compute: Callable[[Any], float], over: Iterable[Any]) -> NDArray[np.float64]:
        """What ``compute`` gives for each, on all threads."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="leukopy") as pool:
            return np.array(list(pool.map(compute, over)))

    def _influence(self, bag: Bag, log_odds: float) -> NDArray[np.float64]:
        if len(bag.cells) == 1:
            return np.array([np.nan])
        return log_odds - self._all(
            lambda row: self._log_odds(np.delete(bag.cells, row, axis=0), bag.clinical), range(len(bag.cells))
        )

    def _interval(self, bag: Bag) -> tuple[float | None, float | None]:
        """95 % percentile limits of the probability where the cells are drawn again with replacement, always alike."""
        count = len(bag.cells)
        if count == 1:
            return None, None
        draws = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
        found = scipy.special.expit(self._all(lambda draw: self._log_odds(bag.cells[draw], bag.clinical), draws))
        low, high = np.quantile(found, (0.025, 0.975))
        return float(low), float(high)

    def _check(self, bag: Bag) -> None:
        features = self.card.model.features
        if bag.cells.dtype != np.float32 or bag.cells.ndim != 2 or bag.cells.shape[1] != features or not len(bag.cells):
            raise InputError(
                f"patient {bag.patient_id}: cells are {bag.cells.dtype} {bag.cells.shape}, but {self.card.name!r} "
                f"takes float32 (N, {features}) of at least one cell. Make the bag with the model's own cell network."
            )


def rectified(evidence: NDArray[np.float64], *, tumoral: bool) -> NDArray[np.float32]:
    """Keep the evidence (h, w) for one side, scaled to at most 1; all zero where no place speaks for it."""
    kept = np.maximum(evidence if tumoral else -evidence, 0)
    highest = kept.max()
    return np.asarray(kept / highest if highest > 0 else kept, np.float32)


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a bag takes a millisecond or less; the workers are the threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; nothing is printed
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise BundleError(f"{path}: not a network that can be run. Export the bundle again.") from error


def _check_contract(session: Any, card: PatientCard, path: Path) -> None:
    """Refuse a network whose inputs or outputs are not what `PatientModelFile` promises."""
    inputs = {node.name: (node.type, len(node.shape), node.shape[-1]) for node in session.get_inputs()}
    outputs = {node.name: (node.type, len(node.shape)) for node in session.get_outputs()}
    expected = {"cells": ("tensor(float)", 2, card.model.features), "clinical": ("tensor(float)", 1, 2)}
    vector = ("tensor(float)", 1)
    if inputs != expected or any(outputs.get(name) != vector for name in ("logits", "weights")):
        raise BundleError(
            f"{path}: takes {inputs} and gives {outputs}, not float32 cells (N, {card.model.features}) and clinical "
            "(2,), and logits (M,) and weights (N,). Export the bundle again."
        )
    if len(card.features) not in (0, card.model.features):
        raise BundleError(
            f"{path}: takes {card.model.features} features of a cell, but its card names {len(card.features)}. "
            "Export the bundle again."
        )
