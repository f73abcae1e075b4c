"""A small cell model whose right answers are known: it names a cell by its mean colour."""

from __future__ import annotations

import hashlib
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
    OutsideClasses,
    Thresholds,
    write_bundle,
)
from leukopy.imaging.preprocess import Preprocess


@dataclass(frozen=True)
class ColourModel:
    """A whole bundle whose network names a cell by the class colour that is nearest to its mean colour.

    So a picture of one plain colour has a known answer, in milliseconds and without training.
    """

    path: Path

    def draw(self, path: Path, code: str, *, width: int = 64, height: int = 64) -> Path:
        """Write a plain picture that the model takes for fine class ``code``; the suffix decides the format.

        Pictures of other names differ in one pixel.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(int(value) for value in class_colours()[taxonomy.fine_members(code)[0]])
        picture = Image.new("RGB", (width, height), colour)
        mark = hashlib.sha256(path.name.encode()).digest()  # so that no picture is a copy of another
        picture.putpixel((0, 0), (mark[0], mark[1], mark[2]))
        picture.save(path)
        return path

    def draw_pale(self, path: Path, *, width: int = 64, height: int = 64) -> Path:
        """Write a plain picture that the model takes for a lymphocyte, less green than those of `draw`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (30, 190, 30)).save(path)
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
        romanowsky=False,
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
    from leukopy.training.attribute_heads import card_for

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


OUTSIDE_COLOURS = {"BLAST": (127, 127, 127), "SMUDGE": (225, 225, 127)}
"""Colours that `outside_model` takes for classes outside."""


def with_stages(network: bytes) -> bytes:
    """A colour network with the convolutions of `leukopy.network.wide_head`, each from 3 channels to the same 3."""
    import onnx
    from onnx import helper, numpy_helper

    from leukopy.network.wide_head import STAGES

    model = onnx.load_from_string(network)
    at, pool = next((at, node) for at, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    kernel = np.eye(3, dtype=np.float32)[:, :, None, None]
    for index, stage in enumerate(STAGES):
        model.graph.initializer.append(numpy_helper.from_array(kernel, f"net.{stage}.weight"))
        conv = helper.make_node("Conv", [pool.input[0], f"net.{stage}.weight"], [f"map{index}"], name=stage)
        model.graph.node.insert(at + index, conv)
        pool.input[0] = f"map{index}"
    return model.SerializeToString()


@pytest.fixture(scope="session")
def outside_model(tmp_path_factory: pytest.TempPathFactory) -> ColourModel:
    """`colour_model` with the classes outside of `OUTSIDE_COLOURS`."""
    import onnx

    from leukopy.network.outside import with_outside
    from leukopy.network.wide_head import STAGES

    colours = (np.concatenate([class_colours(), list(OUTSIDE_COLOURS.values())]) - 127) / 128
    weights = np.concatenate([8 * colours, np.zeros((len(colours), 6 * len(STAGES)))], axis=1)
    head = (weights.astype(np.float32), (-4 * (colours**2).sum(axis=1)).astype(np.float32))
    content = with_outside(onnx.load_from_string(with_stages(colour_network(32))), head).SerializeToString()
    outside = OutsideClasses(
        classes=tuple(OUTSIDE_COLOURS), prior=(0.5, 0.3, 0.2), prior_cells=200, method="made for tests",
        fitted_on="nothing", extends="0" * 64, metrics=(Metric(name="auroc, BLAST", value=0.9, data="nothing"),),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "outside"
    card = colour_card(content, 32)
    write_bundle(folder, card.model_copy(update={"outside": outside}), content)
    return ColourModel(folder)


def draw_outside(folder: Path, code: str, count: int) -> list[Path]:
    """Plain pictures that `outside_model` takes for a class outside."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{code}_{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        picture = Image.new("RGB", (64, 64), OUTSIDE_COLOURS[code])
        picture.putpixel((0, 0), (number, 0, 0))  # so that no picture is a copy of another
        picture.save(path)
    return paths
