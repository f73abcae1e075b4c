"""Bundles of kind detector: a network that finds cells on fields, and its card."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from leukopy.bundle.card import DatasetUse, Metric, ModelFile
from leukopy.bundle.store import CARD_FILE, MODEL_FILE
from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.core.files import file_digest, read_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings
from leukopy.taxonomy.objects import OBJECTS


class DetectorCard(Settings):
    """Identity of a detector, training data, scale, and metrics."""

    kind: Literal["detector"]
    name: str
    title: str
    description: str
    model: ModelFile
    """Input ``images``: uint8 (N, H, W, 3); outputs ``scores``: (N, K, h, w), 0 off the peaks, and ``sides``:
    (N, K, 4, h, w), pixels from the middle of a cell of the map to left, top, right and bottom."""
    kinds: tuple[str, ...] = Field(min_length=1)
    """In the order of the network's outputs."""
    red_cell_px: float = Field(gt=0)
    """Diameter of a red cell, in pixels, to which a field is scaled."""
    stride: int = Field(ge=1)
    """Pixels of the input per cell of the outputs."""
    multiple: int = Field(ge=1)
    """Height and width of the input are multiples of this."""
    thresholds: dict[str, float]
    """Kind -> least score of an object that is reported."""
    trained_on: tuple[DatasetUse, ...] = ()
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    notice: str = RESEARCH_USE_ONLY
    recipe: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class DetectorBundle:
    """An opened bundle: its network and its card. The network is not loaded yet."""

    model_path: Path
    card: DetectorCard


def _assets() -> Path:
    return Path(str(files("leukopy"))) / "assets" / "detectors"


def bundled_detectors() -> list[str]:
    """Names of the detectors that ship with the package."""
    return sorted(card.parent.name for card in _assets().glob(f"*/{CARD_FILE}"))


def open_detector(name: str | Path = "default") -> DetectorBundle:
    """Open a detector and check that it is complete.

    Args:
        name: of a detector that ships with the package, or the folder of a bundle.

    Raises:
        BundleError: absent, broken, changed since it was written, or made for other kinds of objects.
    """
    folder = _assets() / str(name) if str(name) in bundled_detectors() else Path(name)
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            f"{name}: no detector of this name and no bundle folder (card.json, model.onnx) of this path; "
            f"bundled detectors: {', '.join(bundled_detectors()) or 'none'}."
        )
    try:
        card = DetectorCard.build(read_json(folder / CARD_FILE), where=str(folder / CARD_FILE))
    except (InputError, SettingsError) as error:
        raise BundleError(f"{error} It is not a detector: export it again with 'leukopy train'.") from error
    if card.kinds != OBJECTS or set(card.thresholds) != set(OBJECTS):
        raise BundleError(f"{folder}: made for other kinds of objects. Train it again with this version of leukopy.")
    path = folder / MODEL_FILE
    try:
        digest = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). Copy the bundle again.") from error
    if digest != card.model.sha256:
        raise BundleError(f"{path}: is not the file its card describes. Copy the bundle again.")
    return DetectorBundle(path, card)
