"""Pictures that a trained generator makes, and the features in which they are judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.evaluation.generated import CellPictures
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_generator import CellGenerator
from leukopy.models.cell_net import CellNet
from leukopy.training.data import Pictures
from leukopy.training.generator import GeneratorSettings
from leukopy.training.lightning_module import shrink
from leukopy.training.sources import member_matrix

_BATCH = 50
_JUDGE = "tf_efficientnet_lite0"
_JUDGE_SIZE = 112
"""Pixels to which pictures are brought for the network that judges them."""

Pixels = NDArray[np.uint8]


def real_pictures(pictures: Pictures) -> CellPictures:
    """All pictures of a split, as they are served."""
    pixels = np.stack([pictures[row][0].numpy() for row in range(len(pictures))])
    cells = pictures.cells
    return CellPictures(pixels, cells["code"].to_numpy().astype(str), cells["source"].to_numpy().astype(str))


def make_pictures(
    net: CellGenerator, settings: GeneratorSettings, train: CellPictures, progress: Progress = silent
) -> CellPictures:
    """Pictures out of noise, of each class in each laboratory that shows enough of it.

    Raises:
        TrainingError: no laboratory does.
    """
    how = settings.made
    kinds = sorted(set(zip(train.laboratories.tolist(), train.codes.tolist(), strict=True)))
    shown = [kind for kind in kinds if train.of(*kind).sum() >= how.least]
    if not shown:
        raise TrainingError(
            f"no class has {how.least} training pictures in one laboratory. Add pictures, or lower made.least."
        )
    laboratories, codes = np.repeat(np.array(shown), how.per_class, axis=0).T
    found = []
    for start in range(0, len(codes), _BATCH):
        progress("making pictures", start, len(codes))
        told = _conditions(codes[start : start + _BATCH], laboratories[start : start + _BATCH], settings)
        seed = settings.seed * 1_000_003 + start
        made = net.draw(told, settings.preprocess.size, steps=how.steps, guidance=how.guidance, seed=seed)
        found.append(made.numpy())
    progress("making pictures", len(codes), len(codes))
    return CellPictures(np.concatenate(found), codes, laboratories)


def move_pictures(
    net: CellGenerator, settings: GeneratorSettings, train: CellPictures, progress: Progress = silent
) -> CellPictures:
    """Training cells of the first source in the look of each other source; none where ``made.moved`` is 0."""
    first, *others = settings.laboratories
    rng = np.random.default_rng(settings.seed)
    chosen, looks = list[NDArray[np.intp]](), list[str]()
    for code in sorted(set(train.codes[train.laboratories == first])):
        for look in others:
            chosen.append(rng.permutation(np.flatnonzero(train.of(first, code)))[: settings.made.moved])
            looks += [look] * len(chosen[-1])
    rows = np.concatenate([np.empty(0, np.intp), *chosen])
    found = [np.empty((0, *train.pixels.shape[1:]), np.uint8)]
    for start in range(0, len(rows), _BATCH):
        progress("moving cells", start, len(rows))
        part = rows[start : start + _BATCH]
        before, after = (
            _conditions(train.codes[part], names, settings)
            for names in (train.laboratories[part], np.array(looks[start : start + _BATCH]))
        )
        found.append(net.move(torch.from_numpy(train.pixels[part]), before, after, steps=settings.made.steps).numpy())
    progress("moving cells", len(rows), max(1, len(rows)))
    return CellPictures(np.concatenate(found), train.codes[rows], np.array(looks, dtype=train.laboratories.dtype))


def _conditions(codes: NDArray[np.str_], laboratories: NDArray[np.str_], settings: GeneratorSettings) -> Tensor:
    """Float (N, K + L)."""
    own = laboratories[:, None] == np.array(settings.laboratories)
    return torch.from_numpy(np.hstack([member_matrix(pl.Series(codes.tolist())), own])).float()


class Judge:
    """Features of a network that learnt from ImageNet alone, never from a cell."""

    def __init__(self, progress: Progress = silent) -> None:
        """Load the network.

        Raises:
            MissingExtraError: the package of its weights is not installed.
        """
        card = BACKBONES[_JUDGE]
        spec = Preprocess(size=_JUDGE_SIZE, mean=card.mean, std=card.std)
        self._net = CellNet(_JUDGE, spec, pretrained=True).eval()
        self._progress = progress

    @torch.inference_mode()
    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """float (N, D) of pictures (N, S, S, 3)."""
        found = [np.empty((0, self._net.backbone.embedding_size), np.float32)]
        for start in range(0, len(pixels), _BATCH):
            self._progress("measuring pictures", start, len(pixels))
            images = shrink(torch.from_numpy(pixels[start : start + _BATCH]), _JUDGE_SIZE)
            found.append(self._net(images).embedding.numpy())
        self._progress("measuring pictures", len(pixels), max(1, len(pixels)))
        return np.concatenate(found)

    def turned(self, pixels: Pixels) -> NDArray[np.float32]:
        """float (8, N, D): of the pictures in all quarter turns and mirror images; a copy may be turned."""
        return np.stack([self.features(view) for view in _turns(pixels)])


def _turns(pixels: Pixels) -> Sequence[Pixels]:
    both = (pixels, pixels[:, :, ::-1])
    return [np.ascontiguousarray(np.rot90(one, quarter, axes=(1, 2))) for one in both for quarter in range(4)]
