"""Outputs added to an ONNX network: no retraining; existing outputs stay bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.core.errors import TrainingError
from leukopy.network.head import linear_head
from leukopy.network.statistics import add_statistics, convolutions
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

CLASS_ACTIVATION, STATISTICS, ATTRIBUTES = "class_activation", "statistics", "attributes"
OOD_SCORE, CENTRE, FAR = "ood_score", "ood_score.centre", "ood_score.far"

if TYPE_CHECKING:
    from leukopy.network.ood_reference import OodReference

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def with_class_activation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add ``class_activation`` (N, F, h, w): the linear head, bias included, at each position of the feature map.

    Where the embedding is the mean of the feature map, its mean over the positions is the logits: class activation
    mapping (Zhou et al., Learning deep features for discriminative localization, CVPR 2016). The caller must know that
    it is. A model that has the output already is returned unchanged.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
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


def inputs_of(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, int]:
    """The maps read by convolutions, with their number of channels.

    Args:
        model: a network, in floating point or as `quantise.quantised` gives it.
        names: of convolutions: the end of the name of their weights, as ``blocks.2.0.conv_pw``.

    Raises:
        TrainingError: the network has no such convolution, or several.
    """
    sizes = {weights.name: weights.dims for weights in model.graph.initializer}
    maps = {}
    for wanted in names:
        found = convolutions(model.graph, wanted)
        if len(found) != 1:
            raise TrainingError(f"the network has {len(found)} convolutions named {wanted!r}, not one. Name others.")
        weights, node = found[0]
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        maps[node.input[0]] = sizes[weights][1] * groups
    return maps


def with_statistics(model: onnx.ModelProto, maps: Mapping[str, int]) -> onnx.ModelProto:
    """Add ``statistics`` (N, F): `network.statistics` of the maps."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    add_statistics(graph, list(maps), STATISTICS)
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


def with_centre(model: onnx.ModelProto, maps: Mapping[str, int], window: float) -> onnx.ModelProto:
    """Add ``ood_score.centre`` (N, F): statistics of maps in the middle of the picture.

    Each map gives the mean and the deviation of its channels, weighted by a bell around the middle, and together
    normalised to length 1. Positions beyond two deviations of the bell are cut off: two thirds of the positions, and of
    the time.

    Args:
        model: a network without out-of-distribution score, as `without_ood_score` gives it.
        maps: of it, as `inputs_of` gives them.
        window: deviation of the bell, in sides of the map.

    Raises:
        TrainingError: the network does not state the size of a map.
    """
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    sides = _sides(model)
    _constants(extended.graph, epsilon=np.array(1e-5), axes=np.array([2, 3], np.int64))
    for index, name in enumerate(maps):
        if name not in sides:
            raise TrainingError(f"the network does not state the size of its map {name!r}. Name other stages.")
        (top, rows), (left, columns) = (_bell(side, window) for side in sides[name])
        _constants(
            extended.graph,
            **{
                f"{index}.window": np.outer(rows, columns),
                f"{index}.from": np.array([top, left], np.int64),
                f"{index}.to": np.array([top + len(rows), left + len(columns)], np.int64),
            },
        )
        outside = {name: name, "epsilon": _inner("epsilon"), "axes": _inner("axes")}
        steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
            ("Slice", [name, "from", "to", "axes"], "middle", {}),
            ("Mul", ["middle", "window"], "weighted", {}),
            ("Mul", ["middle", "weighted"], "square", {}),
            ("GlobalAveragePool", ["weighted"], "mean", {}),
            ("GlobalAveragePool", ["square"], "mean_square", {}),
            ("Mul", ["mean", "mean"], "square_mean", {}),
            ("Sub", ["mean_square", "square_mean"], "variance", {}),
            ("Relu", ["variance"], "positive", {}),  # rounding can bring a constant channel below zero
            ("Add", ["positive", "epsilon"], "raised", {}),
            ("Sqrt", ["raised"], "deviation", {}),
            ("Concat", ["mean", "deviation"], "both", {"axis": 1}),
            ("Flatten", ["both"], "row", {}),
            ("LpNormalization", ["row"], "unit", {"axis": 1, "p": 2}),
        )
        for operator, inputs, output, settings in steps:
            read = [outside.get(part, _inner(f"{index}.{part}")) for part in inputs]
            made = _inner(f"{index}.{output}")
            extended.graph.node.append(helper.make_node(operator, read, [made], name=made, **settings))
    units = [_inner(f"{index}.unit") for index in range(len(maps))]
    extended.graph.node.append(helper.make_node("Concat", units, [CENTRE], name=CENTRE, axis=1))
    shape: list[str | int | None] = ["batch", 2 * sum(maps.values())]
    extended.graph.output.append(helper.make_tensor_value_info(CENTRE, TensorProto.FLOAT, shape))
    return extended


def _sides(model: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    """Height and width of the maps in a network."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    return {name: (shape[2], shape[3]) for name, shape in shapes.items() if len(shape) == 4 and all(shape[2:])}


def _bell(side: int, deviation: float) -> tuple[int, NDArray[np.float64]]:
    """Weights, 1 on average, of the positions along a side within two deviations of its middle: a Gaussian.

    Also the index of the first of these positions.
    """
    out = max(0, round(side * (0.5 - 2 * deviation)))
    away = (np.arange(out, side - out) + 0.5) / side - 0.5
    weights = np.exp(-(away**2) / (2 * deviation**2))
    return out, weights / weights.mean()


def with_ood_score(
    model: onnx.ModelProto, maps: Mapping[str, int], window: float, reference: OodReference
) -> onnx.ModelProto:
    """Add ``ood_score`` (N,): `training.ood_score.ood_score_of` the `with_centre` of ``maps`` and the embedding.

    And ``ood_score.far`` (N,), `training.ood_score.far_of` the same.

    Raises:
        TrainingError: the network does not state the size of a map.
    """
    extended = with_centre(model, maps, window)
    graph = extended.graph
    del graph.output[-1]  # the statistics stay inside
    weights, bias = (part / reference.temperature for part in reference.head)
    signs = np.array([[1], [-1], [-1], [-reference.doubt]]) / reference.spreads[[0, 1, 2, 2], None]
    _constants(
        graph,
        projection=reference.projection, offset=reference.offset,
        towards=-2 * reference.means.T, lengths=(reference.means**2).sum(axis=1),
        features=np.ones((len(reference.offset), 1), np.float32),
        discriminants=reference.discriminants, cells=reference.cells.T,
        one=np.array([1], np.int64), neighbours=np.array([reference.neighbours], np.int64),
        last=np.array([reference.neighbours - 1], np.int64),
        weights=weights.T, bias=bias, classes=coarse_matrix(), every=np.ones((len(COARSE), 1), np.float32),
        unit=1 / reference.spreads[:1], signs=signs,
        middle=-np.sum(reference.middles / reference.spreads, keepdims=True),
    )  # fmt: skip
    steps: tuple[tuple[str, list[str], list[str], dict[str, Any]], ...] = (
        ("Gemm", ["centre", "projection", "offset"], ["projected"], {}),
        ("Gemm", ["projected", "towards", "lengths"], ["apart"], {}),
        ("TopK", ["apart", "one"], ["nearest", "class"], {"largest": 0}),
        ("Mul", ["projected", "projected"], ["squares"], {}),
        ("MatMul", ["squares", "features"], ["length"], {}),
        ("Add", ["nearest", "length"], ["distance"], {}),
        ("Mul", ["distance", "unit"], ["units"], {}),
        ("Squeeze", ["units", "one"], [FAR], {}),
        ("MatMul", ["projected", "discriminants"], ["discriminated"], {}),
        ("LpNormalization", ["discriminated"], ["direction"], {"axis": 1, "p": 2}),
        ("MatMul", ["direction", "cells"], ["alike"], {}),
        ("TopK", ["alike", "neighbours"], ["most_alike", "cell"], {}),
        ("Gather", ["most_alike", "last"], ["old"], {"axis": 1}),
        ("Gemm", ["embedding", "weights", "bias"], ["evidence"], {}),
        ("Exp", ["evidence"], ["fine"], {}),
        ("MatMul", ["fine", "classes"], ["coarse"], {}),
        ("MatMul", ["coarse", "every"], ["total"], {}),
        ("TopK", ["coarse", "one"], ["highest", "place"], {}),
        ("Div", ["highest", "total"], ["probability"], {}),
        ("Log", ["total"], ["energy"], {}),
        ("Log", ["probability"], ["sureness"], {}),
        ("Concat", ["distance", "old", "energy", "sureness"], ["parts"], {"axis": 1}),
        ("Gemm", ["parts", "signs", "middle"], ["sum"], {}),
        ("Softplus", ["sum"], ["positive"], {}),
        ("Squeeze", ["positive", "one"], [OOD_SCORE], {}),
    )
    for operator, inputs, outputs, settings in steps:
        read, made = ([_inner(name) for name in names] for names in (inputs, outputs))
        graph.node.append(helper.make_node(operator, read, made, name=made[0], **settings))
    for name in (OOD_SCORE, FAR):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]))
    return extended


def _constants(graph: onnx.GraphProto, **values: NDArray[Any]) -> None:
    """Add the constants of `with_ood_score` to the graph: integers unchanged, others in single precision."""
    for name, value in values.items():
        single = value if value.dtype == np.int64 else value.astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(single, _inner(name)))


def _inner(name: str) -> str:
    """Name of a part of `with_ood_score`."""
    return name if name in ("embedding", OOD_SCORE, FAR) else f"{OOD_SCORE}.{name}"


def without_attributes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the parts of `with_attributes`, so that attributes can be fitted again."""
    return _without(model, STATISTICS, ATTRIBUTES)


def without_ood_score(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the parts of `with_ood_score`, so that it can be fitted again."""
    return _without(model, OOD_SCORE)


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
