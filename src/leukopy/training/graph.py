"""Outputs added to a network that is ONNX already: nothing is trained again, and what was there stays bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.bundle.head import Head, linear_head
from leukopy.core.errors import TrainingError
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

CLASS_ACTIVATION, STATISTICS, ATTRIBUTES = "class_activation", "statistics", "attributes"
STRANGENESS = "strangeness"

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def with_class_activation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add ``class_activation`` (N, 11, h, w): the linear head, bias included, at each position of the feature map.

    Where the embedding is the mean of the feature map, its mean over the positions is the logits: class activation
    mapping (Zhou et al., Learning deep features for discriminative localization, CVPR 2016). Whether it is, is for the
    caller to know. A model that has the output already comes back as it is.

    Raises:
        BundleError: the logits are no linear function of the embedding.
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


def inputs_of(model: onnx.ModelProto, convolutions: Sequence[str]) -> dict[str, int]:
    """The maps that convolutions read, with their number of channels.

    In a network in 8-bit integers these are the maps in floating point that integers were read back into, so that what
    reads them too leaves the integers, and with them the classes, as they were.

    Args:
        model: a network, in floating point or as `quantise.quantised` gives it.
        convolutions: by the end of the name of their weights, as ``blocks.2.0.conv_pw``.

    Raises:
        TrainingError: the network has no such convolution, or several.
    """
    sizes = {weights.name: weights.dims for weights in model.graph.initializer}
    rounded = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [(rounded.get(node.input[1], node.input[1]), node) for node in model.graph.node if node.op_type == "Conv"]
    maps = {}
    for wanted in convolutions:
        found = [
            (weights, node)
            for weights, node in layers
            if f".{weights}".removesuffix("_quantized").endswith(f".{wanted}.weight")
        ]
        if len(found) != 1:
            raise TrainingError(f"the network has {len(found)} convolutions named {wanted!r}, not one. Name others.")
        weights, node = found[0]
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        maps[node.input[0]] = sizes[weights][1] * groups
    return maps


def with_statistics(model: onnx.ModelProto, maps: Mapping[str, int]) -> onnx.ModelProto:
    """Add ``statistics`` (N, F): of each map the mean of its channels over the positions, then their deviations.

    What a picture is made of, whatever the place: texture and colour from the early maps, parts from the later ones
    (channel statistics as in Gatys et al., CVPR 2016, and Huang and Belongie, ICCV 2017).
    """
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    graph.initializer.append(numpy_helper.from_array(np.array(1e-5, np.float32), f"{STATISTICS}.epsilon"))
    parts = []
    for index, name in enumerate(maps):
        made = [f"{STATISTICS}.{index}.{part}" for part in ("square", "mean", "mean_square", "square_mean", "variance",
                                                            "positive", "raised", "deviation")]  # fmt: skip
        square, mean, mean_square, square_mean, variance, positive, raised, deviation = made
        for operator, inputs, output in (
            ("Mul", [name, name], square),
            ("GlobalAveragePool", [name], mean),
            ("GlobalAveragePool", [square], mean_square),
            ("Mul", [mean, mean], square_mean),
            ("Sub", [mean_square, square_mean], variance),
            ("Relu", [variance], positive),  # rounding can bring a constant channel below zero
            ("Add", [positive, f"{STATISTICS}.epsilon"], raised),
            ("Sqrt", [raised], deviation),
        ):
            graph.node.append(helper.make_node(operator, inputs, [output], name=output))
        parts += [mean, deviation]
    graph.node.append(helper.make_node("Concat", parts, [f"{STATISTICS}.all"], name=f"{STATISTICS}.all", axis=1))
    graph.node.append(helper.make_node("Flatten", [f"{STATISTICS}.all"], [STATISTICS], name=STATISTICS))
    graph.output.append(helper.make_tensor_value_info(STATISTICS, TensorProto.FLOAT, ["batch", 2 * sum(maps.values())]))
    return extended


def with_attributes(model: onnx.ModelProto, maps: Mapping[str, int], layers: Sequence[Layer]) -> onnx.ModelProto:
    """Add ``attributes`` (N, K): a small network on the `with_statistics` of ``maps``.

    Args:
        model: a network without attributes, as `without_attributes` gives it.
        maps: of it, as `inputs_of` gives them.
        layers: weights (F', F) and bias (F',) of each linear layer; between two layers stands a ReLU.
    """
    extended = with_statistics(model, maps)
    graph = extended.graph
    del graph.output[-1]  # the statistics stay inside
    value = STATISTICS
    for index, (weights, bias) in enumerate(layers):
        last = index == len(layers) - 1
        output = ATTRIBUTES if last else f"{ATTRIBUTES}.{index}"
        names = [f"{ATTRIBUTES}.{index}.weight", f"{ATTRIBUTES}.{index}.bias"]
        graph.initializer.extend(map(numpy_helper.from_array, (weights, bias), names))
        graph.node.append(helper.make_node("Gemm", [value, *names], [output], name=output, transB=1))
        value = output
        if not last:
            value = f"{output}.positive"
            graph.node.append(helper.make_node("Relu", [output], [value], name=value))
    shape: list[str | int | None] = ["batch", len(layers[-1][1])]
    graph.output.append(helper.make_tensor_value_info(ATTRIBUTES, TensorProto.FLOAT, shape))
    return extended


def with_strangeness(model: onnx.ModelProto, head: Head, temperature: float, doubt: float) -> onnx.ModelProto:
    """Add ``strangeness`` (N,): `training.open_set.strangeness_of` the embedding.

    It has a copy of the head of its own, so that it means the same when the head is fitted to a laboratory.

    Args:
        model: a network without strangeness, as `without_strangeness` gives it.
        head: weights (11, D) and bias (11,).
        temperature: as in `training.open_set.StrangenessSettings`.
        doubt: likewise.
    """
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    constants: dict[str, NDArray[Any]] = {
        "weight": (head[0].T / temperature).astype(np.float32),
        "bias": (head[1] / temperature).astype(np.float32),
        "classes": coarse_matrix().astype(np.float32),
        "every": np.ones(len(COARSE), np.float32),
        "doubt": np.array(doubt, np.float32),
        "one": np.array([1], np.int64),
    }
    graph.initializer.extend(
        numpy_helper.from_array(value, f"{STRANGENESS}.{name}") for name, value in constants.items()
    )
    for operator, inputs, outputs in (
        ("Gemm", ["embedding", "weight", "bias"], ["evidence"]),
        ("Exp", ["evidence"], ["fine"]),
        ("MatMul", ["fine", "classes"], ["coarse"]),
        ("MatMul", ["coarse", "every"], ["total"]),
        ("TopK", ["coarse", "one"], ["highest", "place"]),
        ("Squeeze", ["highest", "one"], ["best"]),
        ("Div", ["best", "total"], ["probability"]),
        ("Pow", ["probability", "doubt"], ["sureness"]),
        ("Mul", ["total", "sureness"], ["familiarity"]),
        ("Reciprocal", ["familiarity"], [STRANGENESS]),
    ):
        read, made = ([_inner(name) for name in names] for names in (inputs, outputs))
        graph.node.append(helper.make_node(operator, read, made, name=made[0]))
    graph.output.append(helper.make_tensor_value_info(STRANGENESS, TensorProto.FLOAT, ["batch"]))
    return extended


def _inner(name: str) -> str:
    """Of what `with_strangeness` adds."""
    return name if name in ("embedding", STRANGENESS) else f"{STRANGENESS}.{name}"


def without_attributes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out what `with_attributes` added, so that attributes can be fitted again."""
    return _without(model, STATISTICS, ATTRIBUTES)


def without_strangeness(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out what `with_strangeness` added, so that it can be fitted again."""
    return _without(model, STRANGENESS)


def _without(model: onnx.ModelProto, *added: str) -> onnx.ModelProto:
    """The network without the parts whose name begins with one of ``added``."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    for field in (graph.node, graph.initializer, graph.output):
        kept = [part for part in field if part.name.split(".")[0] not in added]
        del field[:]
        field.extend(kept)
    return extended
