"""Classes outside on a slide: the output ``outside`` to probabilities, by the slide's own shares.

A blast is common on one slide and absent from the next, so one threshold for all slides calls too few on the first and
too many on the second. The shares of a slide are estimated from a sample of its cells, regularised towards the prior of
the card, by expectation-maximisation (Saerens, Latinne and Decaestecker, Neural Computation 14, 2002). The logits are
shifted by the ratio of these shares to the prior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import OutsideClasses
from leukopy.network.probabilities import softmax

_ROUNDS = 20


def with_fine(logits: NDArray[np.floating], shift: tuple[float, ...] = ()) -> NDArray[np.float32]:
    """Probabilities (N, 1 + K): of the fine classes together, then of each class outside.

    Args:
        logits: the network's output ``outside``, (N, K).
        shift: of the slide, K numbers; empty: none.
    """
    shifted = logits + np.array(shift, np.float32) if shift else logits
    return softmax(np.concatenate([np.zeros((len(logits), 1), np.float32), shifted.astype(np.float32)], axis=1))


def is_outside(probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Cells (N,) of `with_fine` for which a class outside is more probable than the fine classes together."""
    return np.asarray(probabilities.argmax(axis=1) > 0)


def estimate_shift(logits: NDArray[np.floating], how: OutsideClasses) -> tuple[float, ...]:
    """Shift of a slide's logits, K numbers, from a sample of its cells.

    Args:
        logits: the network's output ``outside`` for them, (N, K).
        how: the settings in the model's card.
    """
    prior = np.array(how.prior)
    shares, given = prior, with_fine(logits).astype(np.float64)
    for _ in range(_ROUNDS):
        own = given * (shares / prior)
        own /= own.sum(axis=1, keepdims=True)
        shares = (own.sum(axis=0) + how.prior_cells * prior) / (len(logits) + how.prior_cells)
    ratio = np.log(shares / prior)
    return tuple(round(float(one - ratio[0]), 4) for one in ratio[1:])
