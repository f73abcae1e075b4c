"""Export of trained weights to a bundle: ONNX, checked against torch; temperature and threshold from validation."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import polars as pl
import torch
from joblib import cpu_count
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from leukopy import taxonomy
from leukopy.bundle import (
    Bundle,
    Calibration,
    Card,
    Metric,
    ModelFile,
    OutsideClasses,
    SlideClasses,
    Thresholds,
    inherit_learnt,
    open_bundle,
    write_bundle,
    write_learnt,
)
from leukopy.core.errors import TrainingError
from leukopy.core.files import file_digest
from leukopy.core.provenance import provenance
from leukopy.evaluation.calibration import fit_temperature
from leukopy.evaluation.conformal import set_threshold
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_net import CellNet, Outputs
from leukopy.network.head import Head
from leukopy.network.outputs import with_class_activation
from leukopy.network.outside import with_outside
from leukopy.network.quantise import quantised
from leukopy.network.session import exact_options
from leukopy.slides.magnification import diameters, typical_sizes
from leukopy.taxonomy import FINE
from leukopy.training.class_means import fit_traits, known_cells, with_traits
from leukopy.training.data import CellData, Pictures
from leukopy.training.domain_classifier import FOREIGN, cells_to_tell, fit_boundary, with_foreign_probability
from leukopy.training.lightning_module import CellModule, validation_figures
from leukopy.training.settings import SlideClassesChoice, TrainSettings
from leukopy.training.sources import DRAWN, sampling_weights, uses

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
        teacher = open_bundle(settings.distillation.teacher) if settings.distillation else None
        if teacher:
            checked["teacher"] = f"{teacher.card.title}, network sha256 {teacher.card.model.sha256[:16]}"
        own = _own_rows(module, data)
        logits, members = _logits(path, own, data), data.val_set.members
        if settings.deploy == "int8":
            exact = logits
            path.write_bytes(quantised(path.read_bytes(), _training_pictures(data)))
            logits = _logits(path, own, data)
            checked["int8_against_float32"] = _agreement(logits, exact, members, settings.level)
        if own is not None:
            _add_own(path, (_linear(net.head), own), fit_temperature(logits, members))
        if settings.foreign_temperature_factor > 1:
            logits = logits / _foreign_temperature(path, settings, data)
        classes = _slide_classes(path, settings.slide_classes, data) if settings.slide_classes else None
        card = _card(settings, data, net, logits, file_digest(path), teacher)
        card = card.model_copy(
            update={
                "provenance": card.provenance | checked,
                "cell_sizes": _cell_sizes(settings, data),
                "slide_classes": classes,
                "outside": _own_classes(settings, data),
            }
        )
        write_learnt(folder, _digests(data.train_set.cells))
        for origin in (settings.backbone.run and settings.backbone.run / "bundle", teacher and teacher.path):
            if origin:
                inherit_learnt(folder, origin)
        return write_bundle(folder, card, path.read_bytes())


def _digests(cells: pl.DataFrame) -> Iterator[str]:
    """Digests of the files of the training cells."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(file_digest, map(Path, cells.filter(pl.col("source") != DRAWN)["path"]))


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
    session = onnxruntime.InferenceSession(path, exact_options(), providers=["CPUExecutionProvider"])
    embedding, feature_map = session.run(["embedding", "feature_map"], {"images": images})
    if feature_map.ndim != 4 or feature_map.shape[:2] != embedding.shape:
        return False
    return bool(np.allclose(feature_map.mean(axis=(2, 3)), embedding, atol=TOLERANCE))


def _difference(net: CellNet, path: Path, images: NDArray[np.uint8]) -> float:
    """Largest difference between the logits of ONNX and of torch."""
    with torch.inference_mode():
        expected = net(torch.from_numpy(images)).logits.numpy()
    session = onnxruntime.InferenceSession(path, exact_options(), providers=["CPUExecutionProvider"])
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


def _logits(path: Path, own: Head | None, data: CellData) -> NDArray[np.float32]:
    """Validation logits (N, F + K) by the deployed engine, so that temperatures are fitted on what is served."""
    logits = _output(path, data.val_set, "logits")
    if own is None:
        return logits
    weights, bias = own
    return np.concatenate([logits, _output(path, data.val_set, "embedding") @ weights.T + bias], axis=1)


def _linear(layer: nn.Linear) -> Head:
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def _own_rows(module: CellModule, data: CellData) -> Head | None:
    """Rows of the K own classes, the last of the classes outside; None without any."""
    if module.outside is None or not data.own:
        return None
    weights, bias = _linear(module.outside.float())
    return weights[-len(data.own) :], bias[-len(data.own) :]


def _add_own(path: Path, layers: tuple[Head, Head], temperature: float) -> None:
    """Add the output ``outside`` to the network: the own classes against the fine ones, calibrated."""
    weights, bias = (np.concatenate(parts) / np.float32(temperature) for parts in zip(*layers, strict=True))
    onnx.save(with_outside(onnx.load(path), (weights, bias), stages=()), path)


def _own_classes(settings: TrainSettings, data: CellData) -> OutsideClasses | None:
    """Card entry of the laboratory's own classes; their prior is how often training met them."""
    if not data.own:
        return None
    codes = [cell.code for cell in data.own]
    cells, chance = data.train_set.cells, sampling_weights(data.train_set.cells, settings)
    known = chance[(~cells["code"].is_in(settings.outside)).to_numpy()].sum()
    shares = [float(chance[(cells["code"] == code).to_numpy()].sum() / known) for code in codes]
    return OutsideClasses(
        classes=tuple(codes),
        own=data.own,
        prior=(1 - sum(shares), *shares),
        method="Further outputs of the network's last layer, learnt together with the fine classes.",
        fitted_on=f"{cells['code'].is_in(codes).sum():,} of the network's training images",
    )


def _output(path: Path, pictures: Pictures, name: str) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, exact_options(), providers=["CPUExecutionProvider"])
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
    outside = [*settings.outside, *(cell.code for cell in data.own)]
    cells = data.train_set.cells.filter(
        pl.col("crop").is_null(), pl.col("source") != DRAWN, ~pl.col("code").is_in(outside)
    )
    cells = cells.with_columns(coarse=pl.col("code").map_elements(lambda code: taxonomy.find(code).coarse, pl.String()))
    parts = cells.partition_by("coarse", maintain_order=True)
    cells = pl.concat(part[_spread(len(part), MEASURED_CELLS)] for part in parts)
    found = diameters([Path(path) for path in cells["path"]], cpu_count())
    return typical_sizes(found, cells["coarse"].to_list(), settings.preprocess.crop)


def _card(
    settings: TrainSettings,
    data: CellData,
    net: CellNet,
    logits: NDArray[np.float32],
    sha256: str,
    teacher: Bundle | None,
) -> Card:
    members = data.val_set.members
    figures = validation_figures(logits, members, settings.level)
    inside = members[:, : len(FINE)].any(axis=1)
    logits, members = logits[inside, : len(FINE)], members[inside, : len(FINE)]
    temperature = fit_temperature(logits, members)
    scaled = logits / temperature
    probability = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    confidence = (probability @ taxonomy.coarse_matrix()).max(axis=1)
    known = members.sum(axis=1) == 1  # NEU and IG say nothing about the fine class
    set_from = set_threshold(probability[known], members[known].argmax(axis=1)) if known.any() else None
    validation = f"validation split of {', '.join(data.val_set.cells['source'].unique(maintain_order=True))}"
    chosen = "" if settings.optimisation.epoch == "last" else "; the epoch was chosen on it"
    validation += f", {len(data.val_set)} images{chosen}"
    entry = BACKBONES[settings.backbone.name]
    origins = [card for card in (settings.backbone.earlier, teacher and teacher.card) if card]
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
        trained_on=uses(data.train_set.cells, tuple(use for card in origins for use in card.trained_on)),
        metrics=tuple(
            Metric(name=f"{name} (validation)", value=value, data=validation) for name, value in figures.items()
        ),
        recipe=settings.model_dump(mode="json"),
        provenance=provenance(),
    )
