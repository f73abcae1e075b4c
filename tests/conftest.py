"""What all tests share: the real images, and a small model whose right answers are known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukopy import taxonomy
from leukopy.bundle import (
    AttributeHead,
    Attributes,
    Calibration,
    Card,
    DatasetUse,
    Metric,
    ModelFile,
    Thresholds,
    open_bundle,
    write_bundle,
)
from leukopy.imaging.preprocess import Preprocess
from leukopy.patients.card import CellNetwork, OperatingPoint, PatientCard, PatientModelFile
from leukopy.patients.store import write_patient_bundle


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; the test is skipped where it is absent."""
    root = Path(os.environ.get("LEUKOPY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (root / "cells").is_dir():
        pytest.skip(f"the real images are not at {root}; set LEUKOPY_DATA to where they lie")
    return root


@dataclass(frozen=True)
class ColourModel:
    """A whole bundle whose network names a cell by the class colour that is nearest to its mean colour.

    So a picture of one plain colour has a known answer, in milliseconds and without training.
    """

    path: Path

    def draw(self, path: Path, code: str, *, width: int = 64, height: int = 64) -> Path:
        """Write a plain picture that the model takes for fine class ``code``; the suffix decides the format."""
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(int(value) for value in class_colours()[taxonomy.fine_members(code)[0]])
        Image.new("RGB", (width, height), colour).save(path)
        return path

    def draw_folder(self, folder: Path, count: int) -> list[str]:
        """Write ``count`` pictures, class after class in turn; returns the class of each, in the order of their ids."""
        codes = [taxonomy.FINE[index % len(taxonomy.FINE)].code for index in range(count)]
        for index, code in enumerate(codes):
            self.draw(folder / f"c{index:05d}.png", code)
        return codes


def class_colours() -> NDArray[np.float64]:
    """One colour per fine class, shape (11, 3), all far from each other."""
    steps = np.array([[r, g, b] for r in (30, 128, 225) for g in (30, 128, 225) for b in (30, 225)], dtype=float)
    return steps[: len(taxonomy.FINE)]


def colour_network(size: int, sharpness: float = 4.0) -> bytes:
    """ONNX with a bundle's contract: logits are minus the squared distance of the mean colour to each class colour."""
    from onnx import TensorProto, helper, numpy_helper

    colours = (class_colours() - 127) / 128
    constants = {
        "mean": np.float32(127),
        "std": np.float32(128),
        "weights": (2 * sharpness * colours.T).astype(np.float32),
        "bias": (-sharpness * (colours**2).sum(axis=1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["channels"], ["feature_map"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("GlobalAveragePool", ["feature_map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "nearest class colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", size, size, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(taxonomy.FINE)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["batch", 3, size // 8, size // 8]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def colour_card(network: bytes, size: int) -> Card:
    return Card(
        name="colours",
        title="Nearest class colour",
        description="Names a cell by its mean colour. Made for tests.",
        licence="Apache-2.0",
        taxonomy=taxonomy.digest(),
        classes=tuple(cell.code for cell in taxonomy.FINE),
        preprocess=Preprocess(size=size),
        model=ModelFile(architecture="mean colour", parameters=44, sha256=hashlib.sha256(network).hexdigest()),
        calibration=Calibration(temperature=0.5, fitted_on="nothing"),
        thresholds=Thresholds(uncertain_below=0.6),
        trained_on=(DatasetUse(name="drawn colours", licence="Apache-2.0", citation="none", images=11),),
    )


def build_colour_bundle(folder: Path, *, size: int = 32, sharpness: float = 4.0, network: bytes | None = None) -> Path:
    """Write a bundle whose card fits its network's bytes; ``network`` replaces the network by any other bytes."""
    content = colour_network(size, sharpness) if network is None else network
    write_bundle(folder, colour_card(content, size), content)
    return folder


@pytest.fixture(scope="session")
def build_bundle() -> Callable[..., Path]:
    """`build_colour_bundle`, for bundles that are not quite right."""
    return build_colour_bundle


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> ColourModel:
    """A small bundle whose right answers are known."""
    return ColourModel(build_colour_bundle(tmp_path_factory.mktemp("models") / "colours"))


@pytest.fixture(scope="session")
def judging_model(tmp_path_factory: pytest.TempPathFactory) -> ColourModel:
    """`colour_model` with attribute heads: the first value of each where green is low, the last where it is high."""
    import onnx

    from leukopy.network.outputs import with_attributes
    from leukopy.training.attributes import card_for

    sizes = [len(attribute.values) for attribute in taxonomy.ATTRIBUTES]
    weights, bias = np.zeros((sum(sizes), 6), np.float32), np.full(sum(sizes), -20, np.float32)
    ends = np.cumsum(sizes)
    weights[ends - sizes, 1], weights[ends - 1, 1] = -8, 8  # the second of the six statistics is the mean of green
    bias[ends - sizes] = bias[ends - 1] = 0
    content = with_attributes(
        onnx.load_from_string(colour_network(32)), {"channels": 3}, [(weights, bias)]
    ).SerializeToString()
    heads = [
        AttributeHead(name=each.name, values=each.values, temperature=2.0, min_confidence=0.9)
        for each in taxonomy.ATTRIBUTES
    ]
    attributes = Attributes(
        heads=tuple(heads),
        classes=taxonomy.ATTRIBUTE_CLASSES,
        method="made for tests",
        trained_on=DatasetUse(name="drawn colours", licence="Apache-2.0", citation="none", images=0),
        metrics=(Metric(name="macro F1, nucleus shape", value=0.7, data="nothing"),),
    )
    folder = tmp_path_factory.mktemp("models") / "judging"
    write_bundle(folder, card_for(colour_card(content, 32), content, attributes=attributes), content)
    return ColourModel(folder)


def patient_network(
    directions: NDArray[np.float32], focus: NDArray[np.float32], clinical: NDArray[np.float32], bias: float = 0.0
) -> bytes:
    """ONNX with a patient bundle's contract, small enough to be computed by hand.

    ``weights`` = softmax(cells @ focus); ``logits`` = weights @ cells @ directions + clinical @ (age - 60,
    log2(lymphocytes / 8)) + bias, where what is unknown of the clinical numbers adds nothing.

    Args:
        directions: (D, M), one column for each member.
        focus: (D,), what the pooling looks at; zeros: the mean over the cells.
        clinical: (2,), what a year and a doubling of the count add.
        bias: added to each logit.
    """
    from onnx import TensorProto, helper, numpy_helper

    features, members = directions.shape
    constants = {
        "focus": focus.reshape(-1, 1),
        "directions": directions,
        "nought": np.float32(0),
        "only_age": np.array([1, 0], np.float32),
        "only_count": np.array([0, 1], np.float32),
        "sixty": np.float32(60),
        "least": np.float32(0.001),
        "log_base": np.float32(np.log(2)),
        "log_eight": np.float32(3),
        "clinical_weights": clinical,
        "bias": np.float32(bias),
        "flat": np.array([-1], np.int64),
        "row": np.array([1, -1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["cells", "focus"], ["appearance"]),
        helper.make_node("Softmax", ["appearance"], ["shares"], axis=0),
        helper.make_node("Reshape", ["shares", "flat"], ["weights"]),
        helper.make_node("Reshape", ["shares", "row"], ["share_row"]),
        helper.make_node("MatMul", ["share_row", "cells"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "directions"], ["cell_logits"]),
        helper.make_node("Reshape", ["cell_logits", "flat"], ["of_cells"]),
        helper.make_node("Sub", ["clinical", "sixty"], ["years"]),
        helper.make_node("Max", ["clinical", "least"], ["positive"]),
        helper.make_node("Log", ["positive"], ["logs"]),
        helper.make_node("Div", ["logs", "log_base"], ["doublings"]),
        helper.make_node("Sub", ["doublings", "log_eight"], ["above_eight"]),
        helper.make_node("Mul", ["years", "only_age"], ["age_part"]),
        helper.make_node("Mul", ["above_eight", "only_count"], ["count_part"]),
        helper.make_node("Add", ["age_part", "count_part"], ["known_or_not"]),
        helper.make_node("IsNaN", ["clinical"], ["unknown"]),
        helper.make_node("Where", ["unknown", "nought", "known_or_not"], ["known"]),
        helper.make_node("Mul", ["known", "clinical_weights"], ["terms"]),
        helper.make_node("ReduceSum", ["terms"], ["of_clinical"], keepdims=0),
        helper.make_node("Add", ["of_cells", "of_clinical"], ["both"]),
        helper.make_node("Add", ["both", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "patient",
        [
            helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["cells", features]),
            helper.make_tensor_value_info("clinical", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [members]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["cells"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def build_patients_bundle(folder: Path, network: bytes, cell_model: Path | str, /, **changes: object) -> Path:
    """Write a patient bundle around ``network`` that reads the embedding of ``cell_model``; returns its folder."""
    import onnx

    cells = open_bundle(cell_model)
    graph = onnx.load_from_string(network).graph
    features, members = (value.type.tensor_type.shape.dim[-1].dim_value for value in (graph.input[0], graph.output[0]))
    rate = Metric(name="sensitivity", value=0.9, low=0.8, high=0.95, data="drawn patients")
    card = PatientCard(
        name="drawn",
        title="Drawn patients",
        description="Weighs the colours of cells. Made for tests.",
        limits=("Knows no patient at all.",),
        licence="Apache-2.0",
        network=CellNetwork(
            model=str(cell_model),
            sha256=cells.card.model.sha256,
            outputs=("embedding",),
            preprocess=cells.card.preprocess,
        ),
        model=PatientModelFile(
            architecture="attention pooling and a line",
            features=features,
            members=members,
            sha256=hashlib.sha256(network).hexdigest(),
        ),
        operating_points=(
            OperatingPoint(
                name="balanced",
                title="Balanced",
                threshold=0.5,
                sensitivity=rate,
                specificity=rate.model_copy(update={"name": "specificity", "value": 0.85}),
            ),
            OperatingPoint(
                name="triage",
                title="Triage",
                threshold=0.2,
                sensitivity=rate.model_copy(update={"value": 0.97}),
                specificity=rate.model_copy(update={"name": "specificity", "value": 0.6}),
            ),
        ),
        trained_on=(DatasetUse(name="drawn patients", licence="Apache-2.0", citation="none", images=0),),
        prevalence=0.6,
        ages=(20, 90),
        counts=(4, 300),
    )
    write_patient_bundle(folder, card.model_copy(update=changes), network)
    return folder


@pytest.fixture(scope="session")
def build_patient_model() -> Callable[..., Path]:
    """Writes a patient bundle, by a folder, the arguments of `patient_network` and a cell model."""

    def build(
        folder: Path,
        cell_model: Path | str,
        directions: NDArray[np.float32],
        focus: NDArray[np.float32] | None = None,
        bias: float = 0.0,
        **changes: object,
    ) -> Path:
        nowhere = np.zeros(len(directions), np.float32)
        clinical = np.array([0.02, 0.5], np.float32)
        network = patient_network(directions, nowhere if focus is None else focus, clinical, bias)
        return build_patients_bundle(folder, network, cell_model, **changes)

    return build
