"""The network of a training run, from its folder, for methods that need gradients.

Reading requires nothing of ``training`` and executes nothing in the file: only tensors and plain values are
unpickled.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leukopy.core.errors import InputError
from leukopy.core.files import read_json
from leukopy.core.runs import RUN_FILE
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet

CHECKPOINT = Path("checkpoints") / "best.ckpt"
_PREFIX = "net."
_AGAIN = "Give the folder of a run of 'leukopy train'."


def load_net(run: Path) -> CellNet:
    """The trained network of a run, in evaluation mode, on the CPU.

    Args:
        run: holds ``run.json`` and ``checkpoints/best.ckpt``, written by `leukopy train`.

    Raises:
        InputError: the run is absent, of another command, or its checkpoint is damaged, foreign or hostile.
        SettingsError: its backbone is unknown here.
    """
    net = _build(run)
    path = run / CHECKPOINT
    found = _read(path)
    weights = {name.removeprefix(_PREFIX): value for name, value in found.items() if name.startswith(_PREFIX)}
    try:
        net.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{path}: does not hold the weights of the network that {RUN_FILE} describes "
            f"({' '.join(str(error).split())[:200]}). {_AGAIN}"
        ) from error
    return net.eval()


def load_run(net: CellNet, run: Path) -> None:
    """Give a network the weights of an earlier run, head included; the size of the pictures may differ.

    Raises:
        InputError: as `load_net`; or the run is of another backbone.
    """
    try:
        net.load_state_dict(load_net(run).state_dict())
    except RuntimeError as error:
        raise InputError(f"{run}: is of another network. Start from a run of the same backbone.") from error


def fresh_net(run: Path, seed: int) -> CellNet:
    """A network of the same architecture with fresh random weights: the start of a run without pretrained ones.

    Raises:
        InputError: the run is absent or of another command.
        SettingsError: its backbone is unknown here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(run).eval()


def _build(run: Path) -> CellNet:
    """The network described by ``run.json``, before any weight is loaded."""
    path = run / RUN_FILE
    record = read_json(path)
    if not isinstance(record, dict) or record.get("command") != "train":
        raise InputError(f"{path}: is not the record of a training. {_AGAIN}")
    try:
        settings = record["settings"]
        name, preprocess = str(settings["backbone"]["name"]), dict(settings["preprocess"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: names no backbone or no preprocessing. {_AGAIN}") from error
    return CellNet(name, Preprocess.build(preprocess, where=str(path)), pretrained=False)


def _read(path: Path) -> dict[str, Tensor]:
    """The ``state_dict`` of a checkpoint."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint. {_AGAIN}")
    refused = f"{path}: is damaged, or holds more than weights and is not opened. Copy it again, or train again."
    if not zipfile.is_zipfile(path):  # torch's format; its reader of older formats is unused
        raise InputError(refused)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, LookupError) as error:
        raise InputError(refused) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no weights of leukopy ('state_dict' is missing). {_AGAIN}")
    return state
