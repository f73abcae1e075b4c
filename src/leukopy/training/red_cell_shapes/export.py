"""Export of a trained network for shapes of red cells: ONNX, checked against torch, its decisions and its card."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import f1_score

from leukopy.bundle.card import DatasetUse, Metric, ModelFile
from leukopy.bundle.red_cell_shapes import RedCellShapesCard, ShapeRule
from leukopy.bundle.store import CARD_FILE, MODEL_FILE
from leukopy.core.errors import TrainingError
from leukopy.core.files import atomic_path, file_digest, write_json
from leukopy.core.provenance import provenance
from leukopy.datasets.boxes import BOX_SOURCES
from leukopy.evaluation.calibration import fit_temperature
from leukopy.fields.red_cell_crops import SIDE
from leukopy.models.red_cell_net import RedCellNet, Served, ServedRedCellNet
from leukopy.taxonomy.red_cell_shapes import NORMAL, SHAPE_NAMES, SHAPES
from leukopy.training.export import forget_sources
from leukopy.training.red_cell_shapes.cells import Cells
from leukopy.training.red_cell_shapes.fit import embed, logits
from leukopy.training.red_cell_shapes.settings import RedCellSettings

TOLERANCE = 1e-3
"""Largest difference allowed between ONNX and torch logits."""
_RIDGE = 1e-3
"""Share of the features' mean variance that is added to each of them."""
_NORMAL = SHAPE_NAMES.index(NORMAL)


def with_reference(net: RedCellNet, train: Cells) -> ServedRedCellNet:
    """The network with the means and the common covariance of its features within each shape of the training cells."""
    features = embed(net, train).double().numpy()
    present = np.unique(train.shapes)
    means = np.stack([features[train.shapes == shape].mean(axis=0) for shape in present])
    within = features - means[np.searchsorted(present, train.shapes)]
    covariance = np.cov(within.T) + _RIDGE * np.cov(features.T).trace() / features.shape[1] * np.eye(features.shape[1])
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    return ServedRedCellNet(net, *(torch.tensor(each, dtype=torch.float32) for each in (whitening, means @ whitening)))


def to_onnx(net: ServedRedCellNet, path: Path) -> None:
    """Write the network for any number of pictures."""
    example = torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        torch.onnx.export(
            net.float().eval(),
            (example,),
            path,
            input_names=["images"],
            output_names=list(Served._fields),
            dynamic_shapes={"images": {0: torch.export.Dim("cells")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    forget_sources(path)


def decide(
    probabilities: NDArray[np.float64], near: NDArray[np.bool_], shapes: NDArray[np.int64], settings: RedCellSettings
) -> list[ShapeRule]:
    """The decision on each shape, from validation cells.

    Args:
        probabilities: (N, len(SHAPES)), calibrated.
        near: (N,), near enough to the training cells to be named.
        shapes: (N,), the marked shapes.
        settings: the recipe.
    """
    best, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    scores = f1_score(shapes, best, labels=range(len(SHAPES)), average=None, zero_division=0)
    rules = []
    for place, shape in enumerate(SHAPES):
        others = shapes != _NORMAL if place == _NORMAL else shapes == _NORMAL
        wrong = np.sort(highest[others & near & (best == place)])[::-1]
        rate = min(settings.false_rate, shape.grading.moderate / 500) if shape.grading else settings.false_rate
        allowed = len(wrong) if place == _NORMAL else int(rate * others.sum())
        least = float(np.floor(1e4 * wrong[allowed] + 1) / 1e4) if len(wrong) > allowed else 0.0
        least = min(1.0, max(least, settings.least_probability))
        named = near & (best == place) & (highest >= least)
        rules.append(
            ShapeRule(
                least_probability=least,
                found=_share(named[shapes == place]),
                false=_share(named[others]),
                f1=round(float(scores[place]), 3),
                graded=shape.grading is not None and scores[place] >= settings.least_f1,
            )
        )
    return rules


def _share(chosen: NDArray[np.bool_]) -> float:
    return round(float(chosen.mean()), 4) if len(chosen) else 0.0


def export(net: RedCellNet, settings: RedCellSettings, train: Cells, val: Cells, folder: Path) -> RedCellShapesCard:
    """Write ``model.onnx`` and ``card.json``.

    Args:
        net: trained.
        settings: the recipe.
        train: the cells that it was trained on.
        val: validation cells: they give temperature, decisions and figures.
        folder: receives both files.

    Raises:
        TrainingError: ONNX and torch differ by more than ``TOLERANCE``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_FILE
    with atomic_path(path) as temporary:
        to_onnx(with_reference(net, train), temporary)
    found = logits(net, val)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    served, distance = session.run(list(Served._fields), {"images": val.plain})
    difference = float(np.abs(served - found).max())
    if not difference <= TOLERANCE:
        raise TrainingError(f"ONNX and torch differ by {difference:.2g} (allowed: {TOLERANCE}); no card is written.")
    temperature = fit_temperature(found, np.eye(len(SHAPES), dtype=bool)[val.shapes])
    far = float(np.quantile(distance, settings.near))
    probabilities = softmax(found.astype(np.float64) / temperature, axis=1)
    rules = decide(probabilities, distance <= far, val.shapes, settings)
    source = BOX_SOURCES["rbc12"]
    data = f"validation fields of Chula RBC-12, {len(val.shapes):,} cells of {len(np.unique(val.fields))} fields"
    accuracy = float((found.argmax(axis=1) == val.shapes).mean())
    macro = f1_score(val.shapes, found.argmax(axis=1), average="macro", zero_division=0)
    card = RedCellShapesCard(
        kind="red_cell_shapes",
        name=settings.name,
        title=settings.title,
        description=settings.description,
        model=ModelFile(
            architecture="convolutions and depthwise separable residual blocks",
            parameters=sum(weight.numel() for weight in net.parameters()),
            sha256=file_digest(path),
        ),
        shapes=SHAPE_NAMES,
        temperature=round(temperature, 4),
        far=round(far, 3),
        rules=dict(zip(SHAPE_NAMES, rules, strict=True)),
        least_red_cell_px=settings.least_red_cell_px,
        least_focus=settings.least_focus,
        trained_on=(
            DatasetUse(name=source.title, licence=source.licence, citation=source.citation, images=len(train.shapes),
                       note="red cells of its training split by field"),
        ),
        metrics=(
            Metric(name="accuracy (validation)", value=round(accuracy, 4), data=data),
            Metric(name="macro F1 (validation)", value=round(float(macro), 4), data=data),
        ),
        limits=settings.limits,
        recipe=settings.model_dump(mode="json"),
        provenance=provenance() | {"onnx_against_torch": f"largest difference {difference:.1e}"},
    )  # fmt: skip
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    return card
