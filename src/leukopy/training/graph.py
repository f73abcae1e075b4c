"""Outputs added to a network that is ONNX already: nothing is trained again, and what was there stays bit for bit."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.core.errors import TrainingError
from leukopy.taxonomy import FINE

CLASS_ACTIVATION = "class_activation"


def with_class_activation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add ``class_activation`` (N, 11, h, w): the linear head, bias included, at each position of the feature map.

    Where the embedding is the mean of the feature map, its mean over the positions is the logits: class activation
    mapping (Zhou et al., Learning deep features for discriminative localization, CVPR 2016). Whether it is, is for the
    caller to know. A model that has the output already comes back as it is.

    Raises:
        TrainingError: the logits are no linear function of the embedding.
    """
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    if CLASS_ACTIVATION in (output.name for output in model.graph.output):
        return extended
    weights, bias = linear_head(model)
    graph = extended.graph
    graph.initializer.extend([
        numpy_helper.from_array(weights[:, :, None, None], f"{CLASS_ACTIVATION}.weight"),
        numpy_helper.from_array(bias, f"{CLASS_ACTIVATION}.bias"),
    ])  # fmt: skip
    inputs = ["feature_map", f"{CLASS_ACTIVATION}.weight", f"{CLASS_ACTIVATION}.bias"]
    graph.node.append(helper.make_node("Conv", inputs, [CLASS_ACTIVATION], name=CLASS_ACTIVATION))
    feature_map = next(output for output in graph.output if output.name == "feature_map")
    batch, _, *sides = [side.dim_param or side.dim_value for side in feature_map.type.tensor_type.shape.dim]
    shape = [batch, len(FINE), *sides]
    graph.output.append(helper.make_tensor_value_info(CLASS_ACTIVATION, TensorProto.FLOAT, shape))
    return extended


def linear_head(model: onnx.ModelProto) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (11, D) and bias (11,) of the head that makes the logits of the embedding.

    Raises:
        TrainingError: the logits are no linear function of the embedding.
    """
    constants = {constant.name: constant for constant in model.graph.initializer}
    node = next((node for node in model.graph.node if "logits" in node.output), None)
    if node is None or node.op_type != "Gemm" or node.input[0] != "embedding":
        raise TrainingError("the network's logits are no linear function of its embedding: it has no class activation.")
    weights, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return np.ascontiguousarray(weights if transposed else weights.T), bias
