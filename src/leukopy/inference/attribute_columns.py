"""Attribute logits to values, probabilities, and the words that explain a cell's class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Attributes
from leukopy.taxonomy import ATTRIBUTES, describe


def attribute_columns(
    logits: NDArray[np.float32], coarse: NDArray[np.str_], attributes: Attributes
) -> dict[str, list[Any]]:
    """The columns of ``ATTRIBUTE_SCHEMA`` for N cells.

    Args:
        logits: float (N, K), the ``attributes`` output.
        coarse: coarse codes (N,); a class without attributes gets nulls.
        attributes: their entry in the bundle's card.
    """
    has = np.isin(coarse, attributes.classes)
    columns: dict[str, list[Any]] = {}
    said: dict[str, NDArray[np.object_]] = {}
    for head, probability in head_probabilities(logits, attributes).items():
        best = probability.argmax(axis=1)
        height = probability[np.arange(len(best)), best]
        values = np.array(head.values, dtype=object)[best]
        values[~has] = None
        columns[f"attr_{head.name}"] = values.tolist()
        columns[f"attr_{head.name}_p"] = [p if it_has else None for p, it_has in zip(height, has, strict=True)]
        values[height < head.min_confidence] = None
        said[head.name] = values
    rows = zip(*(said.get(each.name, np.full(len(has), None)) for each in ATTRIBUTES), strict=True)
    columns["why"] = [_describe(row) if it_has else None for row, it_has in zip(rows, has, strict=True)]
    return columns


def head_probabilities(logits: NDArray[np.float32], attributes: Attributes) -> dict[Any, NDArray[np.float64]]:
    """Calibrated probabilities (N, number of values) by head."""
    ends = np.cumsum([len(head.values) for head in attributes.heads])
    found = {}
    for head, own in zip(attributes.heads, np.split(logits, ends[:-1], axis=1), strict=True):
        powers = np.exp((own - own.max(axis=1, keepdims=True)) / head.temperature)
        found[head] = powers / powers.sum(axis=1, keepdims=True)
    return found


def words(row: Mapping[str, Any]) -> str | None:
    """Words that explain a cell's class: ``multi-lobed nucleus, small pink granules``.

    Args:
        row: a cell of `Classifier.predict`.

    Returns:
        Its ``why``; None without attributes of the bundle or of the cell's class, or where all are uncertain.
    """
    return row.get("why") or None


@lru_cache(maxsize=4096)
def _describe(values: tuple[str | None, ...]) -> str:
    return describe({each.name: value for each, value in zip(ATTRIBUTES, values, strict=True)})
