"""From an ensemble of fitted networks of patients to ONNX, checked against torch."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from leukopy.core.errors import TrainingError
from leukopy.patients.models.encoder import Standardise
from leukopy.training.export import TOLERANCE, forget_sources

CHECKED_CELLS = (1, 2, 7, 500)
"""Sizes of the bags on which ONNX must agree with torch."""


class _Ensemble(nn.Module):
    """Members side by side: their logits (M,), and the mean of their weights (N,)."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, cells: Tensor, clinical: Tensor) -> tuple[Tensor, Tensor]:
        answers = [member(cells, clinical) for member in self.members]
        logits = torch.stack([logit for logit, _ in answers])
        return logits, torch.stack([weights for _, weights in answers]).mean(dim=0)


def export_patient_model(members: Sequence[nn.Module], features: int) -> bytes:
    """One ONNX graph for an ensemble, as `leukopy.patients.card.PatientModelFile` says.

    Args:
        members: modules that take cells (N, D) and clinical (2,) and give a `BagOutput`.
        features: D.

    Raises:
        TrainingError: ONNX and torch differ by more than ``TOLERANCE``.
    """
    ensemble = _Ensemble(members).eval()
    example = (torch.zeros(2, features), torch.zeros(2))
    cells = torch.export.Dim("cells")
    content = _to_onnx(ensemble, example, ["logits", "weights"], {"cells": {0: cells}, "clinical": None})
    drawn = _drawer(ensemble, features)
    unknown = [torch.tensor(numbers) for numbers in ((60.0, 8.0), (torch.nan, 8.0), (torch.nan, torch.nan))]
    _check(ensemble, content, [(drawn(count), numbers) for count in CHECKED_CELLS for numbers in unknown])
    return content


def _drawer(ensemble: nn.Module, features: int) -> Callable[[int], Tensor]:
    """Draws cells (N, D) such as the members were fitted on, as far as their means and deviations tell."""
    moments = [part for part in ensemble.modules() if isinstance(part, Standardise) and len(part.mean) == features]
    mean, deviation = (moments[0].mean, moments[0].deviation) if moments else (torch.zeros(()), torch.ones(()))
    generator = torch.Generator().manual_seed(0)
    return lambda count: mean + deviation * torch.randn(count, features, generator=generator)


def _to_onnx(net: nn.Module, example: tuple[Tensor, ...], outputs: list[str], dynamic: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts
        path = Path(scratch) / "model.onnx"
        torch.onnx.export(
            net,
            example,
            path,
            input_names=list(dynamic),
            output_names=outputs,
            dynamic_shapes=dynamic,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        forget_sources(path)
        return path.read_bytes()


def _check(net: nn.Module, content: bytes, cases: Sequence[tuple[Tensor, ...]]) -> None:
    """Refuse a graph that does not do what the network does."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    for case in cases:
        with torch.inference_mode():
            answer = net(*case)
        found = session.run(None, {name: value.numpy() for name, value in zip(names, case, strict=True)})
        for own, theirs in zip(found, answer, strict=True):
            expected = theirs.numpy()
            difference = float((np.abs(own - expected) / np.maximum(1, np.abs(expected))).max())
            if not difference <= TOLERANCE:
                raise TrainingError(f"ONNX and torch differ by {difference:.2g} (allowed: {TOLERANCE}); not exported.")
