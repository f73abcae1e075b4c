"""The card of a network for shapes of red cells as a page of Markdown: all of it stands in ``card.json``."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from leukopy.bundle.red_cell_shapes import RedCellShapesCard
from leukopy.reports.model_card import measured, table, used
from leukopy.taxonomy.red_cell_shapes import SHAPES


def red_cell_shapes_card(card: RedCellShapesCard) -> str:
    """Markdown, as `model_card`."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: RedCellShapesCard) -> Iterator[str]:
    yield f"# {card.title}"
    yield f"\n{card.description}\n\n**{card.notice}**"
    yield "\n## Limits and unintended use\n"
    yield from (f"- {limit}" for limit in card.limits)
    yield "\n## Performance\n"
    yield from measured(card.metrics)
    yield "\n## Shapes\n\nFigures of the validation cells; the thresholds were set on them.\n"
    rules = ((shape.title, card.rules[shape.name]) for shape in SHAPES)
    rows = [
        (title, f"{rule.f1:.2f}", f"{rule.least_probability:.2f}", f"{rule.found:.2f}", f"{100 * rule.false:.1f} %",
         "yes" if rule.graded else "no")
        for title, rule in rules
    ]  # fmt: skip
    head = ("shape", "F1", "sure from a probability of", "then found", "of normal cells, by error", "graded")
    yield from table(head, rows)
    yield "\n## Data and licences\n"
    yield from used(card.trained_on)
    yield "\n## The network\n"
    facts = [
        ("architecture", f"{card.model.architecture}, {card.model.parameters:,} parameters"),
        ("calibration", f"temperature {card.temperature:.3f}, fitted on validation cells"),
        ("unlike the training cells", f"Mahalanobis distance above {card.far:.1f} (squared)"),
        ("fields", f"red cells of {card.least_red_cell_px:g} pixels or more; focus of {card.least_focus:g} or more"),
        ("file", f"model.onnx, sha256 `{card.model.sha256}`"),
        ("made", f"{card.provenance.get('created', 'unknown')}, commit {card.provenance.get('commit', 'unknown')}"),
    ]
    yield from table(("", ""), facts)
    yield "\n## The recipe\n\n```yaml"
    yield yaml.safe_dump(card.recipe, sort_keys=False, allow_unicode=True, width=110).rstrip() + "\n```"
