"""Fit the classes outside that a model answers (blasts, smudge cells) to labelled cells of one laboratory.

The head of the output ``outside`` is fitted as the last layer is: regularised towards the shipped head, on the cells of
these classes and the known cells together, so that each is the other's negative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card
    from leukopy.inference.adaptation import Labelled
    from leukopy.network.head import Head


@dataclass(frozen=True)
class OutsideGain:
    """Classes outside before and after the fit, on held-out cells."""

    cells: int
    """Labelled cells of classes outside that the head was fitted to."""
    recall: dict[str, tuple[float, float]]
    """By class code: share of its cells that are called so, before and after."""
    known_called_outside: tuple[float, float]
    """Share of the known cells that are called a class outside, before and after."""


def answered_outside(card: Card) -> tuple[str, ...]:
    """Codes of the taxonomy's classes outside that a model answers."""
    own = {cell.code for cell in card.learnt_outside}
    return tuple(code for code in (card.outside.classes if card.outside else ()) if code not in own)


def head_outside(bundle: Bundle, width: int) -> Head | None:
    """The head of a bundle's output ``outside`` on so many columns; None where it has none of this width."""
    import onnx

    from leukopy.network.outside import read_outside
    from leukopy.taxonomy import FINE

    head = read_outside(onnx.load(bundle.model_path))
    classes = len(FINE) + len(answered_outside(bundle.card))
    return head if head is not None and head[0].shape == (classes, width) else None


def join_cells(known: Labelled, beside: Labelled, folds: NDArray[np.intp]) -> Labelled:
    """Known cells and cells of classes outside as one table, with their folds.

    Args:
        known: members (N, F and more); cells of no fine class are no known cells, and stay out.
        beside: members (M, F + K).
        folds: of both, (N + M,).
    """
    import numpy as np

    from leukopy.taxonomy import FINE

    fine = known.members[:, : len(FINE)]
    others = np.zeros((len(fine), beside.members.shape[1] - len(FINE)), bool)
    joined = replace(
        known,
        embeddings=np.concatenate([known.embeddings, beside.embeddings]),
        members=np.concatenate([np.concatenate([fine, others], axis=1), beside.members]),
        folds=folds,
        variants=_joined(known.variants, beside.variants),
    )
    return joined[np.asarray(joined.members.any(axis=1))]


def _joined(first: NDArray[np.float32] | None, second: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """The variants of two tables, as many as both have."""
    import numpy as np

    if first is None or second is None:
        return None
    count = min(first.shape[1], second.shape[1])
    return np.concatenate([first[:, :count], second[:, :count]])


def fit_outside_cells(head: Head, cells: Labelled, classes: Sequence[str], penalty: float) -> tuple[Head, OutsideGain]:
    """The head that fits the cells, and its gain on cells held out by their folds.

    Args:
        head: of `head_outside`.
        cells: of `join_cells`.
        classes: codes of the K classes outside.
        penalty: as `inference.adaptation.fit_head`.
    """

    import numpy as np

    from leukopy.inference.adaptation import fit_head, held_out, logits_of
    from leukopy.network.outside import outside_logits
    from leukopy.slides.outside import with_fine
    from leukopy.taxonomy import FINE

    evidence = logits_of(head, cells.embeddings), held_out(head, cells, penalty)
    answers = [with_fine(outside_logits(one)).argmax(axis=1) for one in evidence]
    known = np.asarray(cells.members[:, : len(FINE)].any(axis=1))
    own = {code: cells.members[:, len(FINE) + place] for place, code in enumerate(classes)}

    def shares(rows: NDArray[np.bool_], called: list[NDArray[np.bool_]]) -> tuple[float, float]:
        before, after = (float(one[rows].mean()) if rows.any() else 0.0 for one in called)
        return before, after

    recall = {
        code: shares(rows, [one == 1 + place for one in answers])
        for place, (code, rows) in enumerate(own.items())
        if rows.any()
    }
    gain = OutsideGain(int((~known).sum()), recall, shares(known, [one > 0 for one in answers]))
    return fit_head(head, cells, penalty), gain


def with_fitted_outside(
    bundle: Bundle, content: bytes, head: Head, gain: OutsideGain, how: str
) -> tuple[Bundle, bytes]:
    """The bundle whose card states the gain, and the content of its network with the fitted head.

    Args:
        bundle: the adapted bundle.
        content: of its network.
        head: the fitted head.
        gain: of it.
        how: origin of the cells.
    """
    import onnx

    from leukopy.network.outside import replace_outside

    outside = bundle.card.outside
    assert outside is not None
    changed = outside.model_copy(
        update={
            "method": f"{outside.method} Then fitted to labelled cells of one laboratory.",
            "fitted_on": f"{outside.fitted_on}; {gain.cells:,} labelled cells of classes outside, {how}",
            "metrics": tuple(_metrics(gain, how)),
        }
    )
    card = bundle.card.model_copy(update={"outside": changed})
    new = replace_outside(onnx.load_from_string(content), head)
    return replace(bundle, card=card), bytes(new.SerializeToString())


def _metrics(gain: OutsideGain, how: str) -> list[Any]:
    from leukopy.bundle import Metric

    rows = [(f"recall, {code}", after) for code, (_, after) in gain.recall.items()]
    rows.append(("known cells called a class outside", gain.known_called_outside[1]))
    return [Metric(name=name, value=value, data=f"held-out cells, {how}") for name, value in rows]
