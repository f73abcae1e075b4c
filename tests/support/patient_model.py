"""A small patient model that can be computed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from leukopy.bundle import DatasetUse, Metric, open_bundle
from leukopy.patients.card import CellNetwork, OperatingPoint, PatientCard, PatientModelFile
from leukopy.patients.store import write_patient_bundle


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
