"""Read and write bundles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from leukopy import taxonomy
from leukopy.bundle.card import Card, Metric
from leukopy.bundle.learnt import LEARNT_FILE
from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.core.files import atomic_path, file_digest, read_json, write_json
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.imaging.preprocess import Preprocess

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class NetworkFile:
    """A network of cells on disk, and its preprocessing."""

    path: Path
    sha256: str
    preprocess: Preprocess
    outputs: frozenset[str] = frozenset()
    """Required outputs of fine classes, each (N, F)."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its card. The network is not loaded yet."""

    path: Path
    card: Card

    @property
    def model_path(self) -> Path:
        """The ONNX file. Input ``images``: uint8 (N, size, size, 3). Outputs: ``logits`` float32 (N, F),
        ``embedding`` float32 (N, D), ``feature_map`` float32 (N, K, h, w); and where the embedding is the mean of the
        feature map, ``class_activation`` float32 (N, F, h, w), whose mean over the positions is the logits;
        and where ``card.attributes`` says so, ``attributes`` float32 (N, K), the logits of its heads;
        and where ``card.open_set`` says so, ``ood_score`` float32 (N,), how unlike every class a cell is, and
        ``ood_score.far`` float32 (N,), that part of it;
        and where ``card.calibration`` says so, ``foreign_probability`` float32 (N,), the chance that a
        cell is of another laboratory than the one that validated the network;
        and where ``card.outside`` says so, ``outside`` float32 (N, K), the logit of each class outside against all fine
        classes together (whose own is 0);
        and where ``card.slide_classes`` says so, ``traits`` float32 (N, D), the embedding where the covariance within
        classes is the identity, and ``class_traits`` float32 (C, D), the mean of each coarse class there, whatever N.
        """
        return self.path / MODEL_FILE

    def with_preprocess(self, preprocess: Preprocess) -> Bundle:
        """The bundle with another preprocessing, of one slide."""
        return replace(self, card=self.card.model_copy(update={"preprocess": preprocess}))

    @property
    def healthy(self) -> Bundle:
        """The bundle with the fine classes alone: its classes outside are not answered."""
        return replace(self, card=self.card.model_copy(update={"outside": None, "count_error": None}))

    @property
    def network(self) -> NetworkFile:
        """The network, as the engine loads it."""
        return NetworkFile(self.model_path, self.card.model.sha256, self.card.preprocess, frozenset({"logits"}))


def _assets() -> Path:
    return Path(str(files("leukopy"))) / "assets"


def bundled_models() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(card.parent.name for card in _assets().glob(f"*/{CARD_FILE}"))


def open_bundle(model: str | Path = "default") -> Bundle:
    """Open a bundle and check that it is complete and made for this taxonomy.

    Args:
        model: the name of a bundled model, or a bundle folder.

    Raises:
        BundleError: absent, broken, changed since it was written, or made for other classes.
    """
    folder = Path(model)
    if str(model) in bundled_models():
        folder = _assets() / str(model)
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            f"{model}: no model of this name and no bundle folder (card.json, model.onnx) of this path; "
            f"bundled models: {', '.join(bundled_models()) or 'none'}."
        )
    card = read_card(folder)
    _check_attributes(folder, card)
    _check_slide_check(folder, card)
    _check_outside(folder, card)
    bundle = Bundle(folder, card)
    try:
        digest = file_digest(bundle.model_path)
    except OSError as error:
        raise BundleError(f"{bundle.model_path}: cannot be read ({error.strerror}). Copy the bundle again.") from error
    if digest != card.model.sha256:
        raise BundleError(f"{bundle.model_path}: is not the file its card describes. Copy the bundle again.")
    return bundle


def read_card(folder: Path) -> Card:
    """The card of a bundle folder, whose network may be absent.

    Raises:
        BundleError: absent, broken, or made for other classes.
    """
    try:
        card = Card.build(read_json(folder / CARD_FILE), where=str(folder / CARD_FILE))
    except (InputError, SettingsError) as error:
        raise BundleError(f"{error} The bundle is broken or foreign: export it again with 'leukopy train'.") from error
    if card.taxonomy != taxonomy.digest() or card.classes != tuple(cell.code for cell in taxonomy.FINE):
        raise BundleError(
            f"{folder}: made for other classes (taxonomy {card.taxonomy}, this leukopy has {taxonomy.digest()}). "
            "Train it again with this version of leukopy, or install the version that made it."
        )
    return card


def _check_attributes(folder: Path, card: Card) -> None:
    """Refuse attributes without words in this leukopy."""
    known = {attribute.name: attribute.values for attribute in taxonomy.ATTRIBUTES}
    for head in card.attributes.heads if card.attributes else ():
        if known.get(head.name) != head.values:
            raise BundleError(
                f"{folder}: made for other attributes ({head.name}: {', '.join(head.values)}). Fit them again with "
                "'leukopy model fit-attributes', or install the version of leukopy that made it."
            )


def _check_slide_check(folder: Path, card: Card) -> None:
    """Refuse a slide check with other measures than this leukopy's."""
    if card.slide_check and card.slide_check.measures != APPEARANCE_FEATURES:
        raise BundleError(
            f"{folder}: its check of slides was made for other measures ({', '.join(card.slide_check.measures)}). Fit "
            "it again with 'leukopy model fit-slide-check', or install the version of leukopy that made it."
        )


def _check_outside(folder: Path, card: Card) -> None:
    """Declare the laboratory's own classes; refuse classes outside that neither they nor this leukopy hold."""
    if card.outside is None:
        return
    try:
        taxonomy.declare(card.outside.own)
    except SettingsError as error:
        raise BundleError(f"{folder}: {error}") from error
    known = {cell.code for cell in (*taxonomy.OUTSIDE, *card.outside.own)}
    if unknown := [code for code in card.outside.classes if code not in known]:
        raise BundleError(
            f"{folder}: answers classes that this leukopy does not hold ({', '.join(unknown)}). Fit them again with "
            "'leukopy model fit-outside', or install the version of leukopy that made it."
        )


def add_metrics(bundle: Bundle, metrics: Sequence[Metric]) -> Card:
    """Write figures into a bundle's card; they replace those of the same name on the same data.

    Raises:
        OutputError: the card cannot be written.
    """
    measured = {(metric.name, metric.data): metric for metric in (*bundle.card.metrics, *metrics)}
    card = bundle.card.model_copy(update={"metrics": tuple(measured.values())})
    write_json(bundle.path / CARD_FILE, card.model_dump(mode="json"))
    return card


def carry_over(bundle: Bundle, written: Bundle) -> None:
    """Copy to a bundle the files of an earlier one that still hold: neighbours, whose embeddings it shares, and the
    digests of the images learnt from."""
    for name in ("neighbours.npz", LEARNT_FILE):
        if (bundle.path / name).exists():
            with atomic_path(written.path / name) as temporary:
                temporary.write_bytes((bundle.path / name).read_bytes())


def write_bundle(folder: Path, card: Card, model: bytes) -> Bundle:
    """Write a bundle; the card is written last, so a folder with a card is complete."""
    with atomic_path(folder / MODEL_FILE) as temporary:
        temporary.write_bytes(model)
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    return Bundle(folder, card)
