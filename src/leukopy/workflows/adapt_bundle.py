"""The bundle of an adapted model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.workflows.adapt_gain import Judged

if TYPE_CHECKING:
    from leukopy.bundle import Bundle, Card, Metric
    from leukopy.evaluation.intervals import Estimate


def write_adapted(
    bundle: Bundle,
    fitted: tuple[bytes, float],
    labels: str,
    out: Path,
    measured: tuple[str, int, tuple[Judged, Judged, Estimate]],
) -> Card:
    """Write the new bundle, with the neighbours of the old one, whose embeddings it shares; returns its card.

    Args:
        bundle: the old one.
        fitted: the new network, and its temperature.
        labels: name of the table of labelled cells.
        out: receives ``bundle/``.
        measured: how the models were measured, number of labelled cells, and both models with the gain.

    Raises:
        OutputError: the disk is full, or not permitted.
    """
    import hashlib

    from leukopy.bundle import Calibration, Card, DatasetUse, carry_over, write_bundle
    from leukopy.core.provenance import provenance

    (content, temperature), (how, count, (_, after, _)) = fitted, measured
    card = bundle.card
    use = DatasetUse(
        name=f"Labelled cells of {labels}", licence="yours", citation="none: your own images",
        images=count, note="Fitted to the last layer alone, which may read the maps inside the network too.",
    )  # fmt: skip
    limit = f"Its last layer was fitted to {count:,} cells of one laboratory; elsewhere, use the original model."
    changes = {
        "title": f"{card.title}, adapted",
        "limits": [*card.limits, limit],
        "model": card.model.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()}).model_dump(mode="json"),
        "calibration": Calibration(temperature=temperature, fitted_on=how).model_dump(mode="json"),
        "slide_classes": None,  # labels weigh more for this laboratory
        "count_error": None,  # of another head
        "trained_on": [*(one.model_dump(mode="json") for one in card.trained_on), use.model_dump(mode="json")],
        "metrics": [metric.model_dump(mode="json") for metric in _metrics(after, how)],
        "provenance": {**provenance(), "adapted_from": {"name": card.name, "sha256": card.model.sha256}},
    }
    new = Card.build(card.model_dump(mode="json") | changes, where="the adapted bundle")
    carry_over(bundle, write_bundle(out / "bundle", new, content))
    return new


def _metrics(after: Judged, how: str) -> list[Metric]:
    """Metrics of the new head alone; the old head's metrics do not apply to it."""
    from leukopy.bundle import Metric

    figures = {
        "balanced accuracy, coarse classes": after.classes.balanced_accuracy,
        "accuracy, coarse classes": after.classes.accuracy,
        "expected calibration error, coarse classes": after.calibration.ece,
    }
    return [
        Metric(name=name, value=figure.value, low=figure.low, high=figure.high, data=how)
        for name, figure in figures.items()
        if figure.value is not None
    ]
