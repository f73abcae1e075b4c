"""Networks whose reasons are known: they look at colour alone, so that heat belongs where the colour is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.network.outputs import with_class_activation
from leukopy.taxonomy import fine_members
from support.colour_model import class_colours as colours_of_classes
from support.training_run import SIDE, write_run


@pytest.fixture(scope="session")
def plain_bundle(colour_model) -> Bundle:
    """Names a cell by its mean colour; without the output ``class_activation``."""
    return open_bundle(colour_model.path)


@pytest.fixture(scope="session")
def bundle(plain_bundle: Bundle, build_bundle: Callable[..., Path], tmp_path_factory) -> Bundle:
    """The same with ``class_activation``."""
    network = with_class_activation(onnx.load(plain_bundle.model_path)).SerializeToString()
    return open_bundle(build_bundle(tmp_path_factory.mktemp("models") / "cam", network=network))


@pytest.fixture(scope="session")
def class_colours() -> NDArray[np.uint8]:
    """The colour of each fine class for that network, (11, 3)."""
    return colours_of_classes().astype(np.uint8)


@pytest.fixture(scope="session")
def quarter(class_colours) -> Callable[[str], tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """A picture that is the network's zero, but for the upper right quarter in the colour of a class; and that mask."""

    def make(code: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        mask = np.zeros((SIDE, SIDE), dtype=bool)
        mask[: SIDE // 2, SIDE // 2 :] = True
        colour = class_colours[fine_members(code)[0]]
        return np.where(mask[..., None], colour, 127).astype(np.uint8), mask

    return make


@pytest.fixture(scope="session")
def lenet_run(tmp_path_factory) -> Path:
    """The folder of a training run: a LeNet for 32 px, its weights as they begin."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    write_run(folder)
    return folder
