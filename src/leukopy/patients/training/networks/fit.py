"""Fit a patient's network on some patients, and follow what it says of others."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.models.cell_net import CellNet
from leukopy.models.weights import load_file
from leukopy.patients.card import Bag
from leukopy.patients.models import BAG_NETS, Experts, ImagePatientNet, PatientNet
from leukopy.patients.training.networks.lightning_module import BagModule
from leukopy.patients.training.networks.settings import PatientNetSettings, PictureSettings
from leukopy.patients.training.networks.visits import Visit, Visits, as_tensor
from leukopy.training.allocator import keep_large_blocks


@dataclass(frozen=True, eq=False)
class BagFit:
    """A fitted network and how it came about."""

    net: PatientNet | Experts | ImagePatientNet
    """After the last epoch, on the CPU, in evaluation mode."""
    logits: NDArray[np.float64]
    """Shape (epochs, W): the log-odds of the W watched patients after every epoch."""
    losses: NDArray[np.float64]
    """Shape (epochs,): the mean training loss."""


def fit_bags(
    settings: PatientNetSettings,
    train: Sequence[Bag],
    watch: Sequence[Bag],
    seed: int,
    epochs: int | None = None,
    progress: Progress = silent,
) -> BagFit:
    """Fit a network on ``train``; ``watch`` is only looked at. On a CPU the same seed gives the same fit.

    Args:
        settings: the network and how it is fitted.
        train: patients with a label.
        watch: patients whose log-odds are wanted after every epoch; may be none. Their labels are not read.
        seed: of the first weights, the order, and all that is drawn. The random state outside stays as it is.
        epochs: in place of the settings' own, as for a refit up to the epoch that inner folds chose.
        progress: told of each epoch.

    Raises:
        TrainingError: the patients do not fit the network, lack a label or one of the two labels, or the loss is no
            number any more.
        KeyboardInterrupt: at Ctrl-C.
    """
    _check(settings, train, watch)
    if settings.pictures:
        keep_large_blocks()
    epochs = settings.epochs if epochs is None else epochs
    cuda = settings.pictures is not None and torch.cuda.is_available()  # features are quicker where they are
    cells = None if settings.pictures else [as_tensor(bag) for bag in train]
    watched = [(as_tensor(bag), torch.tensor(bag.clinical, dtype=torch.float32)) for bag in watch]
    moments = _moments(cells) if cells and settings.standardise else None
    if cells and moments:  # once, rather than at each visit
        for features in (*cells, *(part for part, _ in watched)):
            features.sub_(moments[0]).div_(moments[1])
    with _seeded(seed, cuda), _threads(None if settings.pictures else 1), _quiet():
        net = build_net(settings, train)
        module = BagModule(net, settings, watched, epochs, progress)
        trainer = lightning.Trainer(max_epochs=epochs, accelerator="gpu" if cuda else "cpu", devices=1, barebones=True)
        try:
            # One batch an epoch, which is all its steps.
            trainer.fit(module, _Epochs(Visits(train, cells, settings, seed)))
        except SystemExit as stop:  # Lightning's answer to Ctrl-C, once it has shut down in order
            raise KeyboardInterrupt from stop
    if moments and not isinstance(net, ImagePatientNet):
        net.encoder.take_raw(*moments)
    return BagFit(net.cpu().eval(), np.array(module.logits).reshape(epochs, len(watch)), np.array(module.losses))


def build_net(settings: PatientNetSettings, train: Sequence[Bag]) -> PatientNet | Experts | ImagePatientNet:
    """A fresh network for standardised features, with the clinical means and deviations of the training's patients; its
    weights come from torch's random state.
    """
    clinical = torch.from_numpy(np.stack([bag.clinical for bag in train]).astype(np.float32))
    entry = BAG_NETS[settings.net]
    if settings.pictures is not None:
        network = _cell_network(settings.pictures)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bag = entry.build(settings.shape(network.backbone.embedding_size))
        net: PatientNet | Experts | ImagePatientNet = ImagePatientNet(
            network, bag, settings.pictures.preprocess.size, mixed=_mixed(settings.pictures)
        )
    else:
        net = entry.build(settings.shape(train[0].cells.shape[1]))
    net.standardise(clinical)
    return net


def _moments(cells: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, float (D,); the deviation of a constant is 1."""
    deviation, mean = torch.std_mean(torch.cat(list(cells)), dim=0, correction=0)
    return mean, torch.where(deviation > 1e-6, deviation, 1.0)


def _cell_network(pictures: PictureSettings) -> CellNet:
    choice = pictures.backbone
    network = CellNet(choice.name, pictures.preprocess, pretrained=choice.pretrained)
    if choice.weights:
        load_file(network.backbone, choice.weights)
    return network


def _mixed(pictures: PictureSettings) -> bool:
    return pictures.precision == "bf16" or (pictures.precision == "auto" and torch.cuda.is_available())


def _check(settings: PatientNetSettings, train: Sequence[Bag], watch: Sequence[Bag]) -> None:
    """Refuse patients that the network cannot take, by name."""
    if {bag.label for bag in train} != {0, 1}:
        raise TrainingError("training needs reactive and tumoral patients, and all with their label; check the table.")
    pictures = settings.pictures is not None
    if settings.pictures is None:
        row, what = train[0].cells.shape[1:], f"features (N, {train[0].cells.shape[1]})"
    else:
        side = settings.pictures.preprocess.size
        row, what = (side, side, 3), f"uint8 pictures (N, {side}, {side}, 3)"
    for bag in (*train, *watch):
        if bag.cells.shape[1:] != row or not len(bag.cells) or (bag.cells.dtype == np.uint8) != pictures:
            raise TrainingError(
                f"patient {bag.patient_id}: holds {bag.cells.dtype} {bag.cells.shape}, and the network takes {what} of "
                "at least one cell. Make all bags with one cell network."
            )


class _Epochs:
    """What Lightning iterates: one item, all steps of the epoch."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Iterator[list[Visit]]]:
        yield iter(self._visits)


@contextmanager
def _seeded(seed: int, cuda: bool) -> Iterator[None]:
    """Torch's random state as ``seed`` says, inside; as it was, afterwards."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if cuda else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Torch on ``count`` threads, inside; None: as it is. A step on features is too small to be shared between cores:
    two of them would take longer than one, and round differently.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on hardware and data loading; its errors still show."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
