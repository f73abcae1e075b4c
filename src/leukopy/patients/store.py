"""Read and write the bundles of patient models."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from leukopy.bundle.store import CARD_FILE, MODEL_FILE, NetworkFile
from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.core.files import atomic_path, file_digest, read_json, write_json
from leukopy.patients.card import PatientCard

CELLS_FILE = "cells.onnx"

DEFAULT_PATIENT_MODEL = "lymphocytosis"
"""The bundled model that is used unless another is named."""


@dataclass(frozen=True)
class PatientBundle:
    """An opened bundle of a patient model: its folder and its card. No network is loaded yet."""

    path: Path
    card: PatientCard

    @property
    def model_path(self) -> Path:
        """The ONNX file; `PatientModelFile` says what it takes and gives."""
        return self.path / MODEL_FILE

    @property
    def cells_path(self) -> Path | None:
        """The ONNX file of the cell network; None where that is a bundled cell model."""
        return self.path / CELLS_FILE if self.card.network.model is None else None

    @property
    def network(self) -> NetworkFile:
        """Its own network of cells, as the engine loads it.

        Raises:
            BundleError: it has none.
        """
        if self.cells_path is None:
            raise BundleError(f"{self.path}: has no cell network of its own. Open the cell model that its card names.")
        return NetworkFile(self.cells_path, self.card.network.sha256, self.card.network.preprocess)


def _patient_assets() -> Path:
    return Path(str(files("leukopy"))) / "assets" / "patients"


def bundled_patient_models() -> list[str]:
    """Names of the patient models that ship with the package."""
    return sorted(card.parent.name for card in _patient_assets().glob(f"*/{CARD_FILE}"))


def open_patient_bundle(model: str | Path = DEFAULT_PATIENT_MODEL) -> PatientBundle:
    """Open the bundle of a patient model and check that it is whole.

    Args:
        model: the name of a bundled patient model, or a bundle folder.

    Raises:
        BundleError: absent, broken, changed since it was written, or the bundle of a cell model.
    """
    folder = Path(model)
    if str(model) in bundled_patient_models():
        folder = _patient_assets() / str(model)
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            f"{model}: no patient model of this name and no bundle folder (card.json, model.onnx) of this path; "
            f"bundled patient models: {', '.join(bundled_patient_models()) or 'none'}."
        )
    card = _read_card(folder / CARD_FILE)
    bundle = PatientBundle(folder, card)
    _check_digest(bundle.model_path, card.model.sha256)
    if bundle.cells_path is not None:
        _check_digest(bundle.cells_path, card.network.sha256)
    return bundle


def _read_card(path: Path) -> PatientCard:
    try:
        values = read_json(path)
        if isinstance(values, dict) and "taxonomy" in values:
            raise BundleError(
                f"{path.parent}: is the bundle of a cell model, not of a patient model. Give a patient model's bundle."
            )
        return PatientCard.build(values, where=str(path))
    except (InputError, SettingsError) as error:
        raise BundleError(
            f"{error} The bundle is broken or foreign: write it again with 'leukopy patients train'."
        ) from error


def _check_digest(path: Path, sha256: str) -> None:
    try:
        digest = file_digest(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). Copy the bundle again.") from error
    if digest != sha256:
        raise BundleError(f"{path}: is not the file its card describes. Copy the bundle again.")


def write_patient_bundle(folder: Path, card: PatientCard, model: bytes, cells: bytes | None = None) -> PatientBundle:
    """Write the bundle of a patient model; the card goes last, so that a folder with a card is whole.

    Args:
        folder: where; made if absent.
        card: with the digests of ``model`` and, where its network has no name, of ``cells``.
        model: the bytes of ``model.onnx``.
        cells: the bytes of ``cells.onnx``, where the cell network is the bundle's own.

    Raises:
        BundleError: the card names a bundled cell model and ``cells`` is given, or it names none and it is not.
        OutputError: it cannot be written.
    """
    if (cells is None) != (card.network.model is not None):
        raise BundleError(f"{folder}: the card must name a bundled cell model, or the bundle must hold one of its own.")
    for name, content in ((MODEL_FILE, model), (CELLS_FILE, cells)):
        if content is not None:
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    return PatientBundle(folder, card)
