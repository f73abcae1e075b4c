"""Import torchvision beside a torch that it was not compiled for.

Registries that serve a CPU build of torch still serve torchvision built for CUDA; ``import torchvision`` (and so timm
and lightning) then fails with "operator torchvision::nms does not exist". leukopy calls no compiled operator, so
declaring the two missing schemas is enough. Where torch and torchvision match, this module has no effect.
Imported first by ``leukopy.models.backbones`` and ``leukopy.training``.
"""

from __future__ import annotations

import importlib.metadata

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_definitions: list[torch.library.Library] = []  # garbage collection of a Library removes its schemas


def declare_missing() -> None:
    """Declare ``torchvision::nms`` and ``qnms`` where the compiled operators cannot be loaded."""
    if _definitions or _built_for_this_torch():
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}{_SCHEMA}")  # type: ignore[no-untyped-call]
    _definitions.append(library)


def _built_for_this_torch() -> bool:
    """True where torchvision's own library of operators loads."""
    files = importlib.metadata.files("torchvision") or []
    library = next((file for file in files if file.match("torchvision/_C.*") or file.match("torchvision/_C_*.*")), None)
    if library is None:
        return True
    try:
        torch.ops.load_library(str(library.locate()))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True


declare_missing()
