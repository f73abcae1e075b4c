"""Bundles of networks that work on fields: a network and its card, opened and checked alike."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field

from leukopy.bundle.card import DatasetUse, Metric, ModelFile
from leukopy.bundle.store import CARD_FILE, MODEL_FILE
from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.core.files import file_digest, read_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings


class FieldCard(Settings):
    """What every such card states: identity, training data, metrics and limits."""

    name: str
    title: str
    description: str
    model: ModelFile
    trained_on: tuple[DatasetUse, ...] = ()
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    notice: str = RESEARCH_USE_ONLY
    recipe: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)


Card = TypeVar("Card", bound=FieldCard)


@dataclass(frozen=True)
class FieldBundle(Generic[Card]):
    """An opened bundle: its network and its card. The network is not loaded yet."""

    model_path: Path
    card: Card


def bundled(shelf: str) -> list[str]:
    """Names of the bundles that ship with the package on a shelf of its assets."""
    return sorted(card.parent.name for card in _shelf(shelf).glob(f"*/{CARD_FILE}"))


def open_field_bundle(name: str | Path, shelf: str, card_type: type[Card], noun: str) -> FieldBundle[Card]:
    """Open a bundle and check that it is complete.

    Args:
        name: of a bundle that ships with the package, or a bundle folder.
        shelf: where such bundles lie in the package's assets.
        card_type: of its card.
        noun: the bundle in messages, as "detector".

    Raises:
        BundleError: absent, broken, of another kind, or changed since it was written.
    """
    shipped = bundled(shelf)
    folder = _shelf(shelf) / str(name) if str(name) in shipped else Path(name)
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            f"{name}: no {noun} of this name and no bundle folder (card.json, model.onnx) of this path; "
            f"bundled: {', '.join(shipped) or 'none'}."
        )
    try:
        card = card_type.build(read_json(folder / CARD_FILE), where=str(folder / CARD_FILE))
    except (InputError, SettingsError) as error:
        raise BundleError(f"{error} It is no {noun}: export it again with 'leukopy train'.") from error
    path = folder / MODEL_FILE
    try:
        digest = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). Copy the bundle again.") from error
    if digest != card.model.sha256:
        raise BundleError(f"{path}: is not the file its card describes. Copy the bundle again.")
    return FieldBundle(path, card)


def _shelf(name: str) -> Path:
    return Path(str(files("leukopy"))) / "assets" / name
