"""Attribute heads on a network that stays as it is: a small network on the channel statistics of its stages.

Early stages encode colour and texture, late ones parts. The last map alone, trained to separate classes, lacks part of
this information: with it, the mean macro F1 on validation is .878, with all stages .900.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import f1_score
from torch import Tensor, nn

from leukopy.bundle import AttributeHead, Bundle, Card, write_bundle
from leukopy.core.progress import Progress
from leukopy.core.settings import Settings
from leukopy.evaluation.calibration import fit_temperature
from leukopy.inference import file_activations
from leukopy.network.outputs import STATISTICS, Layer, inputs_of, with_statistics, without_attributes
from leukopy.taxonomy import ATTRIBUTES


class HeadSettings(Settings):
    """Settings of the fit of attribute heads: AdamW, one cycle of the learning rate (Smith, 2018)."""

    stages: tuple[str, ...] = ("blocks.3.0.conv_pw", "blocks.4.0.conv_pw", "blocks.5.0.conv_pw", "blocks.6.0.conv_pw")
    """Convolutions, by the name of their weights, whose inputs are used: those that follow a stage. With the
    stages before and after these too, the network took 2 % longer and the F1 on validation was the same."""
    hidden: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    epochs: int = Field(default=15, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-3, ge=0)
    class_balance: float = Field(default=0.5, ge=0, le=1)
    """0: each cell weighs the same; 1: each value of an attribute does."""
    target_precision: float = Field(default=0.8, gt=0, lt=1)
    """Target precision of each attribute on validation; less certain values are omitted. At .9 the nucleus, the
    hardest, would be named in 39 % of cells; at .8 in 81 %."""
    seed: int = 0


def statistics(
    bundle: Bundle, stages: Sequence[str], paths: Sequence[str], progress: Progress
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Channel statistics (N, F) of the stages of a bundle's network, as `file_activations` gives outputs.

    Raises:
        TrainingError: the network has no such stages.
    """
    model = without_attributes(onnx.load(bundle.model_path))
    content = with_statistics(model, inputs_of(model, stages)).SerializeToString()
    with tempfile.TemporaryDirectory() as scratch:
        looking = write_bundle(Path(scratch), card_for(bundle.card, content), content)
        return file_activations(looking, paths, STATISTICS, progress)


def card_for(card: Card, content: bytes, **changes: object) -> Card:
    """``card`` for a network that was extended, with ``changes``."""
    file = card.model.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    return card.model_copy(update={"model": file, **changes})


def fit_heads(
    train: NDArray[np.float32],
    train_values: NDArray[np.intp],
    val: NDArray[np.float32],
    val_values: NDArray[np.intp],
    settings: HeadSettings,
) -> list[Layer]:
    """Fit the heads of all attributes together; keep the epoch with the best mean macro F1 on validation.

    Args:
        train: float (N, F), the `statistics` of the training cells.
        train_values: int (N, A), the index of each attribute's value, in the order of ``taxonomy.ATTRIBUTES``.
        val: float (M, F).
        val_values: int (M, A).
        settings: how.

    Returns:
        Two linear layers, for `graph.with_attributes`; the first takes statistics as they are.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-4
    inputs, seen = torch.from_numpy((train - mean) / deviation), torch.from_numpy((val - mean) / deviation)
    targets = torch.from_numpy(train_values)
    sizes = [len(attribute.values) for attribute in ATTRIBUTES]
    weights = [_value_weights(train_values[:, i], size, settings.class_balance) for i, size in enumerate(sizes)]
    first, last = nn.Linear(inputs.shape[1], settings.hidden), nn.Linear(settings.hidden, sum(sizes))
    net = nn.Sequential(nn.Dropout(settings.dropout), first, nn.ReLU(), nn.Dropout(settings.dropout), last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    batches = -(-len(targets) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.epochs * batches
    )
    best, layers = -1.0, []
    for _ in range(settings.epochs):
        net.train()
        for rows in np.array_split(rng.permutation(len(targets)), batches):
            logits = net(inputs[rows]).split(sizes, dim=1)
            optimiser.zero_grad()
            _loss(logits, targets[rows], weights).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        net.eval()
        with torch.inference_mode():
            reached = mean_macro_f1(net(seen).numpy(), val_values)
        if reached > best:
            best, layers = reached, [_unscaled(first, mean, deviation), _layer(last)]
    return layers


def _value_weights(values: NDArray[np.intp], size: int, balance: float) -> Tensor:
    """One weight per value, 1 on average over the cells."""
    counts = np.bincount(values, minlength=size).clip(min=1)
    weights = counts ** -float(balance)
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def _loss(logits: Sequence[Tensor], targets: Tensor, weights: Sequence[Tensor]) -> Tensor:
    heads = zip(logits, targets.unbind(dim=1), weights, strict=True)
    return torch.stack([nn.functional.cross_entropy(own, truth, weight) for own, truth, weight in heads]).sum()


def _layer(linear: nn.Linear) -> Layer:
    return linear.weight.detach().numpy().copy(), linear.bias.detach().numpy().copy()


def _unscaled(linear: nn.Linear, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> Layer:
    """The layer that does to statistics what ``linear`` does to standardised ones."""
    weights, bias = _layer(linear)
    weights = weights / deviation
    return weights, bias - weights @ mean


def mean_macro_f1(logits: NDArray[np.float32], values: NDArray[np.intp]) -> float:
    """Macro F1 of each attribute over the values that its truth or its answers hold, averaged over the attributes."""
    scores = [
        f1_score(truth, own.argmax(axis=1), average="macro", zero_division=0)
        for own, truth in zip(split_heads(logits), values.T, strict=True)
    ]
    return float(np.mean(scores))


def split_heads(logits: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Logits (N, K) to one array (N, number of values) per attribute."""
    ends = np.cumsum([len(attribute.values) for attribute in ATTRIBUTES])
    return np.split(logits, ends[:-1], axis=1)


def calibrated_heads(
    logits: NDArray[np.float32], values: NDArray[np.intp], target_precision: float
) -> tuple[AttributeHead, ...]:
    """Temperature and minimum confidence of each head, from validation logits (N, K)."""
    heads = []
    for attribute, own, truth in zip(ATTRIBUTES, split_heads(logits), values.T, strict=True):
        members = truth[:, None] == np.arange(len(attribute.values))
        # A temperature of at least 1: a head without an error on validation would become certain of everything.
        temperature = max(1.0, fit_temperature(own, members))
        powers = np.exp((own - own.max(axis=1, keepdims=True)) / temperature)
        confidence = powers.max(axis=1) / powers.sum(axis=1)
        min_confidence = _min_confidence(confidence, own.argmax(axis=1) == truth, target_precision)
        heads.append(
            AttributeHead(
                name=attribute.name, values=attribute.values, temperature=temperature, min_confidence=min_confidence
            )
        )
    return tuple(heads)


def _min_confidence(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], share: float) -> float:
    """The lowest confidence, at least one half, above which ``share`` of the answers are right; else 1."""
    order = np.argsort(-confidence)
    holds = np.flatnonzero(np.cumsum(right[order]) >= share * np.arange(1, len(order) + 1))
    return max(0.5, float(confidence[order[holds[-1]]])) if len(holds) else 1.0


def apply(layers: Sequence[Layer], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear layers with a ReLU between them, as `graph.with_attributes` adds them: (N, F) to (N, K)."""
    *inner, (weights, bias) = layers
    for inner_weights, inner_bias in inner:
        values = np.maximum(values @ inner_weights.T + inner_bias, 0)
    return values @ weights.T + bias
