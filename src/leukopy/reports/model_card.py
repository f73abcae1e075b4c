"""A model's card as a page of Markdown: architecture, training data, performance, limits.

Everything on it stands in the bundle's ``card.json``, so that the page cannot say more than the model carries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import yaml

from leukopy.bundle import Card, DatasetUse, Metric


def model_card(card: Card) -> str:
    """Markdown, after Mitchell et al., "Model Cards for Model Reporting" (FAccT 2019)."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Card) -> Iterator[str]:
    yield f"# {card.title}"
    yield f"\n{card.description}\n\n**{card.intended_use}**"
    if card.limits:
        yield "\n## Limits and unintended use\n"
        yield from (f"- {limit}" for limit in card.limits)
    if card.metrics:
        yield "\n## Performance\n"
        yield from measured(card.metrics)
    if card.attributes:
        yield "\n## Attributes in words\n"
        yield f"{card.attributes.method}\n"
        yield from measured(card.attributes.metrics)
    if card.open_set:
        yield "\n## Out-of-distribution cells\n"
        kept = f"{card.open_set.keep_rate:.0%} of these stay below it: {card.open_set.fitted_on}."
        yield f"{card.open_set.method} {kept}\n"
        yield from measured(card.open_set.metrics)
    if card.outside:
        yield "\n## Classes outside\n"
        yield f"{card.outside.method} Fitted on {card.outside.fitted_on}.\n"
        yield from measured(card.outside.metrics)
    if card.count_error:
        yield "\n## Classification error of a count\n"
        of = [one.fitted_on for one in (card.count_error.unseen, card.count_error.home) if one]
        yield f"{card.count_error.method} Measured on {'; and on '.join(of)}.\n"
        yield from measured(card.count_error.metrics)
    if card.slide_check:
        yield "\n## Out-of-distribution slides\n"
        yield f"{card.slide_check.method} Known: {', '.join(one.name for one in card.slide_check.laboratories)}.\n"
        yield from measured(card.slide_check.metrics)
    yield "\n## Data and licences\n"
    attributes = (card.attributes.trained_on,) if card.attributes else ()
    yield from used((*card.trained_on, *attributes, *(card.outside.trained_on if card.outside else ())))
    yield "\n## The network\n"
    yield from table(("", ""), _facts(card))
    yield "\n## The recipe\n\n```yaml"
    yield yaml.safe_dump(card.recipe, sort_keys=False, allow_unicode=True, width=110).rstrip() + "\n```"


def measured(metrics: Sequence[Metric]) -> Iterator[str]:
    """Rows of figures."""
    commands = any(metric.command for metric in metrics)
    rows = [
        (metric.name, _value(metric), metric.data, *([f"`{metric.command}`" if metric.command else ""] * commands))
        for metric in metrics
    ]
    yield from table(("figure", "value (95 % interval)", "measured on", *["command"] * commands), rows)


def _value(metric: Metric) -> str:
    known = metric.low is not None and metric.high is not None
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})" if known else f"{metric.value:.3f}"


def used(uses: Iterable[DatasetUse]) -> Iterator[str]:
    """Rows of data sets."""
    rows = [(use.name, f"{use.images:,}", use.licence, f"{use.citation} {use.note}".strip()) for use in uses]
    yield from table(("data", "images", "licence", "source"), rows)


def _facts(card: Card) -> list[tuple[str, str]]:
    side, mean, std = card.preprocess.size, card.preprocess.mean, card.preprocess.std
    return [
        ("architecture", f"{card.model.architecture}, {card.model.parameters:,} parameters"),
        ("first weights", card.model.pretrained or "random"),
        ("input", f"{side} x {side} px, RGB, the centred {card.preprocess.crop:.0%} of the side; (x - {mean}) / {std}"),
        ("classes", " ".join(card.answers)),
        ("calibration", f"temperature {card.calibration.temperature:.3f}, fitted on {card.calibration.fitted_on}"),
        *_warmth(card),
        *_class_means(card),
        ("flagged uncertain", f"below a probability of {card.thresholds.uncertain_below:.3f}"),
        *_sets(card),
        ("licence of the model", card.licence),
        ("file", f"model.onnx, sha256 `{card.model.sha256}`"),
        ("made", f"{card.provenance.get('created', 'unknown')}, commit {card.provenance.get('commit', 'unknown')}"),
    ]


def _warmth(card: Card) -> list[tuple[str, str]]:
    factor = card.calibration.foreign_temperature_factor
    return [] if factor is None else [("temperature of foreign cells", f"up to {factor:g} times as high")]


def _class_means(card: Card) -> list[tuple[str, str]]:
    how = card.slide_classes
    if how is None:
        return []
    found = (
        f"re-estimated from the slide, regularised towards the means of {how.fitted_on}; their weight against the "
        f"logits is {how.weight:g}, and the temperature then up to {how.foreign_temperature_factor:g} times as high"
    )
    return [("class means of a foreign slide", found)]


def _sets(card: Card) -> list[tuple[str, str]]:
    limit = card.thresholds.set_from
    return [] if limit is None else [("in the set of 90 %", f"fine classes from a probability of {limit:.3f} on")]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; no cell can end itself."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(_cell(text) for text in row)} |"


def _cell(text: str) -> str:
    """On one line, with no mark that would end the cell or begin a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
