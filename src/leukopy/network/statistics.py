"""Statistics of the maps inside a network, independent of position: mean and deviation of each channel.

They describe the picture: texture and colour in the early maps, parts in the later ones (Gatys et al., CVPR
2016; Huang and Belongie, ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx


def convolutions(graph: onnx.GraphProto, ending: str) -> list[tuple[str, onnx.NodeProto]]:
    """The convolutions whose weights' names have this ending, as ``blocks.2.0.conv_pw``, each with its whole name.

    In a network in 8-bit integers, the input of such a convolution is also available in floating point, read back from
    integers. Further readers leave the integers, and with them the classes, unchanged.
    """
    rounded = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    named = [(rounded.get(node.input[1], node.input[1]), node) for node in graph.node if node.op_type == "Conv"]
    return [(name, node) for name, node in named if f".{name}".removesuffix("_quantized").endswith(f".{ending}.weight")]


def add_statistics(graph: onnx.GraphProto, maps: Sequence[str], prefix: str) -> str:
    """Add nodes, named under ``prefix``, that join the statistics of maps: the means of each, then its deviations.

    Returns:
        The name of their output, (N, F).
    """
    from onnx import numpy_helper  # noqa: PLC0415

    epsilon = f"{prefix}.epsilon"
    graph.initializer.append(numpy_helper.from_array(np.array(1e-5, np.float32), epsilon))
    parts = []
    for index, read in enumerate(maps):
        made = f"{prefix}.{index}"
        square = add_node(graph, "Mul", [read, read], f"{made}.square")
        mean = add_node(graph, "GlobalAveragePool", [read], f"{made}.mean")
        mean_square = add_node(graph, "GlobalAveragePool", [square], f"{made}.mean_square")
        square_mean = add_node(graph, "Mul", [mean, mean], f"{made}.square_mean")
        variance = add_node(graph, "Sub", [mean_square, square_mean], f"{made}.variance")
        positive = add_node(graph, "Relu", [variance], f"{made}.positive")  # rounding can bring it below zero
        raised = add_node(graph, "Add", [positive, epsilon], f"{made}.raised")
        parts += [mean, add_node(graph, "Sqrt", [raised], f"{made}.deviation")]
    joined = add_node(graph, "Concat", parts, f"{prefix}.all", axis=1)
    return add_node(graph, "Flatten", [joined], prefix)


def add_node(
    graph: onnx.GraphProto, operator: str, inputs: Sequence[str], output: str, *, name: str = "", **settings: Any
) -> str:
    """Append a node; return the name of its output."""
    from onnx import helper  # noqa: PLC0415

    graph.node.append(helper.make_node(operator, inputs, [output], name=name or output, **settings))
    return output
