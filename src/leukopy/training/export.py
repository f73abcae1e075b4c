"""Export of trained weights to a bundle: ONNX, checked against torch; temperature and threshold from validation."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import polars as pl
import torch
from joblib import cpu_count
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from leukopy import taxonomy
from leukopy.bundle import Bundle, Calibration, Card, Metric, ModelFile, SlideClasses, Thresholds, write_bundle
from leukopy.core.errors import TrainingError
from leukopy.core.files import file_digest
from leukopy.core.provenance import provenance
from leukopy.evaluation.calibration import fit_temperature
from leukopy.evaluation.conformal import set_threshold
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_net import CellNet, Outputs
from leukopy.network.outputs import with_class_activation
from leukopy.network.quantise import quantised
from leukopy.slides.magnification import diameters, typical_sizes
from leukopy.training.class_means import fit_traits, known_cells, with_traits
from leukopy.training.data import CellData, Pictures
from leukopy.training.domain_classifier import FOREIGN, cells_to_tell, fit_boundary, with_foreign_probability
from leukopy.training.lightning_module import CellModule, validation_figures
from leukopy.training.settings import SlideClassesChoice, TrainSettings
from leukopy.training.sources import DRAWN, uses

TOLERANCE = 1e-4
"""Largest difference allowed between ONNX and torch logits, on real images."""

MEASURED_CELLS = 40
"""Number of training cells of each class that give the size of the class."""

CALIBRATION_PICTURES = 400
"""Number of training pictures that calibrate the quantiser."""


def export(module: CellModule, settings: TrainSettings, data: CellData, folder: Path) -> Bundle:
    """Write the bundle of a trained module.

    Raises:
        TrainingError: ONNX and torch disagree by more than ``TOLERANCE`` on validation images.
    """
    net = module.net.float().eval()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        _to_onnx(net, settings.preprocess.size, path)
        images = np.stack([data.val_set[i][0].numpy() for i in _spread(len(data.val_set), 64)])
        if averages_its_map(path, images):
            onnx.save(with_class_activation(onnx.load(path)), path)
        difference = _difference(net, path, images)
        checked = {"onnx_against_torch": f"largest difference {difference:.1e} over {len(images)} validation images"}
        logits = _logits(path, data)
        if settings.deploy == "int8":
            exact = logits
            path.write_bytes(quantised(path.read_bytes(), _training_pictures(data)))
            logits = _logits(path, data)
            checked["int8_against_float32"] = _agreement(logits, exact, data.val_set.members, settings.level)
        if settings.foreign_temperature_factor > 1:
            logits = logits / _foreign_temperature(path, settings, data)
        classes = _slide_classes(path, settings.slide_classes, data) if settings.slide_classes else None
        card = _card(settings, data, net, logits, file_digest(path))
        card = card.model_copy(
            update={
                "provenance": card.provenance | checked,
                "cell_sizes": _cell_sizes(settings, data),
                "slide_classes": classes,
            }
        )
        return write_bundle(folder, card, path.read_bytes())


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` indices, evenly over ``count``: every class and source is met."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, wanted))})


def _to_onnx(net: CellNet, size: int, path: Path) -> None:
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        torch.onnx.export(
            net,
            (example,),
            path,
            input_names=["images"],
            output_names=list(Outputs._fields),
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    forget_sources(path)


def forget_sources(path: Path) -> None:
    """Take out the exporter's stack traces, which name files of the machine that trained."""
    model = onnx.load(path)
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.initializer,
        *model.graph.input,
        *model.graph.output,
        *model.functions,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def averages_its_map(path: Path, images: NDArray[np.uint8]) -> bool:
    """Test whether the embedding is the mean of the feature map over its positions, on these images (N, S, S, 3).

    Measured rather than declared, so that it holds for every backbone, whatever its neck is called.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    embedding, feature_map = session.run(["embedding", "feature_map"], {"images": images})
    if feature_map.ndim != 4 or feature_map.shape[:2] != embedding.shape:
        return False
    return bool(np.allclose(feature_map.mean(axis=(2, 3)), embedding, atol=TOLERANCE))


def _difference(net: CellNet, path: Path, images: NDArray[np.uint8]) -> float:
    """Largest difference between the logits of ONNX and of torch."""
    with torch.inference_mode():
        expected = net(torch.from_numpy(images)).logits.numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images})
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise TrainingError(f"ONNX and torch logits differ by {difference:.2g} (allowed: {TOLERANCE}); not exported.")
    return difference


def _training_pictures(data: CellData) -> NDArray[np.uint8]:
    """Augmented training images, so that the range of each activation holds in other laboratories."""
    return np.stack([data.train_set[i][0].numpy() for i in _spread(len(data.train_set), CALIBRATION_PICTURES)])


def _agreement(
    found: NDArray[np.float32], exact: NDArray[np.float32], members: NDArray[np.bool_], level: Literal["fine", "coarse"]
) -> str:
    """Loss by quantisation, in words."""
    same = float((found.argmax(axis=1) == exact.argmax(axis=1)).mean())
    before, after = (validation_figures(logits, members, level) for logits in (exact, found))
    costs = ", ".join(f"{name} {before[name]:.4f} to {after[name]:.4f}" for name in before)
    return f"the same class for {same:.4f} of {len(found)} validation images; {costs}"


def _logits(path: Path, data: CellData) -> NDArray[np.float32]:
    """Validation logits by the deployed engine, so that the temperature is fitted on what is served."""
    return _output(path, data.val_set, "logits")


def _output(path: Path, pictures: Pictures, name: str) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batches = DataLoader(pictures, batch_size=64)
    return np.concatenate([session.run([name], {"images": images.numpy()})[0] for images, _ in batches])


def _foreign_temperature(path: Path, settings: TrainSettings, data: CellData) -> NDArray[np.float32]:
    """Add ``foreign_probability`` to the network; the temperature factor of each validation cell, (N, 1)."""
    pictures = data.as_served(cells_to_tell(data.train_set.cells, settings.seed))
    home = data.val_set.cells["source"].unique().to_list()
    foreign = ~pictures.cells["source"].is_in(home).to_numpy()
    boundary = fit_boundary(_output(path, pictures, "embedding"), foreign)
    onnx.save(with_foreign_probability(onnx.load(path), boundary), path)
    return 1 + np.float32(settings.foreign_temperature_factor - 1) * _output(path, data.val_set, FOREIGN)[:, None]


def _slide_classes(path: Path, chosen: SlideClassesChoice, data: CellData) -> SlideClasses:
    """Add ``traits`` to the network, learnt in the validating laboratory; return their settings for the card."""
    home = data.val_set.cells["source"].unique(maintain_order=True).to_list()
    pictures = data.as_served(known_cells(data.train_set.cells, home, data.settings.seed))
    traits = fit_traits(_output(path, pictures, "embedding"), pictures.cells["code"].to_list())
    onnx.save(with_traits(onnx.load(path), traits), path)
    known = f"{len(pictures):,} training cells of {', '.join(home)}"
    return SlideClasses(**chosen.model_dump(), spread=traits.spread, fitted_on=known)


def _cell_sizes(settings: TrainSettings, data: CellData) -> dict[str, float] | None:
    """Cell sizes of the sources without an own crop; None where no source has one."""
    if not any(source.crop for source in settings.sources):
        return None
    cells = data.train_set.cells.filter(pl.col("crop").is_null(), pl.col("source") != DRAWN)
    cells = cells.with_columns(coarse=pl.col("code").map_elements(lambda code: taxonomy.find(code).coarse, pl.String()))
    parts = cells.partition_by("coarse", maintain_order=True)
    cells = pl.concat(part[_spread(len(part), MEASURED_CELLS)] for part in parts)
    found = diameters([Path(path) for path in cells["path"]], cpu_count())
    return typical_sizes(found, cells["coarse"].to_list(), settings.preprocess.crop)


def _card(settings: TrainSettings, data: CellData, net: CellNet, logits: NDArray[np.float32], sha256: str) -> Card:
    members = data.val_set.members
    temperature = fit_temperature(logits, members)
    scaled = logits / temperature
    probability = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    confidence = (probability @ taxonomy.coarse_matrix()).max(axis=1)
    known = members.sum(axis=1) == 1  # NEU and IG say nothing about the fine class
    set_from = set_threshold(probability[known], members[known].argmax(axis=1)) if known.any() else None
    validation = f"validation split of {', '.join(data.val_set.cells['source'].unique(maintain_order=True))}"
    chosen = "" if settings.optimisation.epoch == "last" else "; the epoch was chosen on it"
    validation += f", {len(members)} images{chosen}"
    entry, earlier = BACKBONES[settings.backbone.name], settings.backbone.earlier
    return Card(
        name=settings.name,
        title=settings.title,
        description=settings.description,
        limits=settings.limits,
        licence=settings.licence,
        taxonomy=taxonomy.digest(),
        classes=tuple(cell.code for cell in taxonomy.FINE),
        preprocess=settings.preprocess,
        cell_sizes=_cell_sizes(settings, data),
        model=ModelFile(
            architecture=f"{settings.backbone.name} ({entry.paper})",
            parameters=sum(p.numel() for p in net.parameters()),
            sha256=sha256,
            pretrained=settings.backbone.first_weights,
        ),
        calibration=Calibration(
            temperature=temperature,
            fitted_on=validation,
            foreign_temperature_factor=settings.foreign_temperature_factor
            if settings.foreign_temperature_factor > 1
            else None,
        ),
        thresholds=Thresholds(
            uncertain_below=float(np.quantile(confidence, settings.uncertain_share)), set_from=set_from
        ),
        trained_on=uses(data.train_set.cells, earlier.trained_on if earlier else ()),
        metrics=tuple(
            Metric(name=f"{name} (validation)", value=value, data=validation)
            for name, value in validation_figures(logits, members, settings.level).items()
        ),
        recipe=settings.model_dump(mode="json"),
        provenance=provenance(),
    )
