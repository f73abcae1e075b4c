"""Bundles of kind red_cell_shapes: a network that names the shapes of red cells, and its card."""

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
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES


class ShapeRule(Settings):
    """Decision on one shape, set on validation cells."""

    least_probability: float = Field(ge=0, le=1)
    """A cell whose likeliest shape has a lower probability is left unsure."""
    found: float = Field(ge=0, le=1)
    """Share of the cells of this shape that are named so."""
    false: float = Field(ge=0, le=1)
    """Share of normal cells that are named so; for ``normal``, of all other cells."""
    f1: float = Field(ge=0, le=1)
    """Without the threshold."""
    graded: bool
    """False for a shape that is told from others too poorly: it is counted, and has no grade."""


class RedCellShapesCard(Settings):
    """Identity of a network for shapes of red cells, training data, scale, and metrics."""

    kind: Literal["red_cell_shapes"]
    name: str
    title: str
    description: str
    model: ModelFile
    """Input ``images``: uint8 (N, S, S, 3), as `fields.red_cell_crops` cuts them; outputs ``logits``: (N, K),
    and ``distance``: (N,), squared Mahalanobis distance from the training cells of the nearest shape."""
    shapes: tuple[str, ...] = Field(min_length=2)
    """In the order of the network's outputs."""
    temperature: float = Field(gt=0)
    """Probabilities are softmax(logits / temperature), fitted on validation cells."""
    far: float = Field(ge=0)
    """Distance above which a cell is unlike the training cells, and left unsure."""
    rules: dict[str, ShapeRule]
    """Shape -> its decision."""
    least_red_cell_px: float = Field(gt=0)
    """Diameter of a red cell, in pixels of the field, below which no shape is named."""
    least_focus: float = Field(ge=0)
    """Focus of a field (`fields.quality.FieldQuality`) below which no shape is named."""
    trained_on: tuple[DatasetUse, ...] = ()
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    notice: str = RESEARCH_USE_ONLY
    recipe: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class RedCellShapesBundle:
    """An opened bundle: its network and its card. The network is not loaded yet."""

    model_path: Path
    card: RedCellShapesCard


def _assets() -> Path:
    return Path(str(files("leukopy"))) / "assets" / "red_cell_shapes"


def bundled_red_cell_shapes() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(card.parent.name for card in _assets().glob(f"*/{CARD_FILE}"))


def open_red_cell_shapes(name: str | Path = "default") -> RedCellShapesBundle:
    """Open a bundle and check that it is complete.

    Args:
        name: of a bundle that ships with the package, or its folder.

    Raises:
        BundleError: absent, broken, changed since it was written, or made for other shapes.
    """
    folder = _assets() / str(name) if str(name) in bundled_red_cell_shapes() else Path(name)
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            f"{name}: no network for shapes of red cells of this name and no bundle folder (card.json, model.onnx) of "
            f"this path; bundled: {', '.join(bundled_red_cell_shapes()) or 'none'}."
        )
    try:
        card = RedCellShapesCard.build(read_json(folder / CARD_FILE), where=str(folder / CARD_FILE))
    except (InputError, SettingsError) as error:
        raise BundleError(f"{error} It names no shapes of red cells: export it again with 'leukopy train'.") from error
    if card.shapes != SHAPE_NAMES or set(card.rules) != set(SHAPE_NAMES):
        raise BundleError(f"{folder}: made for other shapes. Train it again with this version of leukopy.")
    path = folder / MODEL_FILE
    try:
        digest = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). Copy the bundle again.") from error
    if digest != card.model.sha256:
        raise BundleError(f"{path}: is not the file its card describes. Copy the bundle again.")
    return RedCellShapesBundle(path, card)
