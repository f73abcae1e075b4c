"""Export of a trained detector: ONNX, checked against torch, and its card."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.nn import functional

from leukopy.bundle.card import DatasetUse, ModelFile
from leukopy.bundle.detector import DetectorCard
from leukopy.core.errors import TrainingError
from leukopy.core.files import atomic_path, file_digest, write_json
from leukopy.core.provenance import provenance
from leukopy.datasets.boxes import BOX_SOURCES, DRAWN
from leukopy.models.backbones import BACKBONES
from leukopy.models.detector import MULTIPLE, STRIDE, FieldNet, Peaks, ServedNet
from leukopy.taxonomy.objects import OBJECTS
from leukopy.training.detector.fit import Sources
from leukopy.training.detector.settings import DetectorSettings
from leukopy.training.export import forget_sources

TOLERANCE = 1e-3
"""Largest difference allowed between ONNX and torch, relative to 1 (scores) or a red cell (sides)."""


def to_onnx(net: FieldNet, path: Path) -> None:
    """Write ``ServedNet`` for pictures of any number and of sides that are multiples of ``MULTIPLE``."""
    served = ServedNet(net.float().eval()).eval()
    example = torch.zeros((2, 8 * MULTIPLE, 12 * MULTIPLE, 3), dtype=torch.uint8)
    dim = torch.export.Dim
    sizes = {0: dim("pictures"), 1: MULTIPLE * dim("rows", min=2), 2: MULTIPLE * dim("columns", min=2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        torch.onnx.export(
            served,
            (example,),
            path,
            input_names=["images"],
            output_names=list(Peaks._fields),
            dynamic_shapes={"images": sizes},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    forget_sources(path)


def difference(net: FieldNet, path: Path, images: NDArray[np.uint8]) -> float:
    """Largest difference between ONNX and torch: of the scores, and of the sides in units of 28 pixels.

    Infinite where a cell that is clearly a peak, or clearly none, is not so in ONNX; cells that tie with a neighbour
    within ``TOLERANCE`` may be either.
    """
    served = ServedNet(net.float().eval())
    with torch.inference_mode():
        maps = net(torch.from_numpy(images))
        expected, sides = served.scores(maps), maps.sides.numpy()
        around = functional.unfold(functional.pad(expected, (1, 1, 1, 1), value=-1), 3)
    count, kinds, height, width = expected.shape
    others = around.reshape(count, kinds, 9, height, width)[:, :, [0, 1, 2, 3, 5, 6, 7, 8]].amax(2).numpy()
    raw = expected.numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores, found = session.run(list(Peaks._fields), {"images": images})
    peaks = scores > 0
    if (~peaks & (raw > others + TOLERANCE)).any() or (peaks & (raw < others - TOLERANCE)).any():
        return float("inf")
    return max(float(np.abs(scores - raw)[peaks].max(initial=0)), float(np.abs(found - sides).max()) / 28)


def export(net: FieldNet, settings: DetectorSettings, train: Sources, images: NDArray[np.uint8], folder: Path) -> None:
    """Write ``model.onnx`` and ``card.json``.

    Args:
        net: trained.
        settings: the recipe.
        train: the pictures that it was trained on.
        images: (N, H, W, 3), for the check against torch.
        folder: receives both files.

    Raises:
        TrainingError: ONNX and torch differ by more than ``TOLERANCE``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    with atomic_path(path) as temporary:
        to_onnx(net, temporary)
    found = difference(net, path, images)
    if not found <= TOLERANCE:
        raise TrainingError(f"ONNX and torch differ by {found:.2g} (allowed: {TOLERANCE}); no card is written.")
    card = DetectorCard(
        kind="detector",
        name=settings.name,
        title=settings.title,
        description=settings.description,
        model=ModelFile(
            architecture="EfficientNet-lite0 to stride 16, feature pyramid, centre heads",
            parameters=sum(weight.numel() for weight in net.parameters()),
            sha256=file_digest(path),
            pretrained=BACKBONES["tf_efficientnet_lite0"].pretrained if settings.pretrained else None,
        ),
        kinds=OBJECTS,
        red_cell_px=settings.red_cell_px,
        stride=STRIDE,
        multiple=MULTIPLE,
        thresholds=dict.fromkeys(OBJECTS, 0.5),
        trained_on=tuple(_use(name, len(pictures)) for name, pictures in train.items()),
        limits=settings.limits,
        recipe=settings.model_dump(mode="json"),
        provenance=provenance() | {"onnx_against_torch": f"largest difference {found:.1e} over {len(images)} pictures"},
    )
    write_json(folder / "card.json", card.model_dump(mode="json"))


def _use(name: str, count: int) -> DatasetUse:
    if name == DRAWN:
        return DatasetUse(
            name="fields drawn by leukopy", licence="Apache-2.0", citation="leukopy.synthesis", images=count
        )
    entry = BOX_SOURCES[name]
    return DatasetUse(name=entry.title, licence=entry.licence, citation=entry.citation, images=count)
