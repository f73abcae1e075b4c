"""``leukopy model list`` and ``model show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from leukopy.cli.options import clash

if TYPE_CHECKING:
    from leukopy.bundle import Card, Metric


def list_() -> None:
    """List the bundled models.

    Example:

        leukopy model list
    """
    from rich.console import Console
    from rich.table import Table

    from leukopy.workflows.models import list_models

    table = Table("name", "title", "input", "licence")
    for card in list_models():
        side = card.preprocess.size
        table.add_row(card.name, card.title, f"{side} x {side} px", card.licence)
    Console().print(table)


def show(
    model: Annotated[str, typer.Argument(help="A bundled model, or a bundle folder.")] = "default",
    json: Annotated[bool, typer.Option("--json", help="The whole card as JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The card as a page.")] = False,
) -> None:
    """Show a model's card: architecture, training data, performance, limits.

    Examples:

        leukopy model show default

        leukopy model show runs/new/bundle --json

        leukopy model show default --markdown > default.md
    """
    from leukopy.workflows.models import card_page, show_model

    if json and markdown:
        raise clash("--json", "--markdown")
    card = show_model(model)
    if json:
        typer.echo(card.model_dump_json(indent=2))
    elif markdown:
        typer.echo(card_page(card), nl=False)
    else:
        _print(card)


def _print(card: Card) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{escape(card.title)}[/bold] ({escape(card.name)})\n{escape(card.description)}\n")
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(card).items():
        facts.add_row(f"[bold]{name}[/bold]", escape(str(value)))
    console.print(facts)
    trained = Table("trained on", "images", "licence", "citation", title="Data")
    for use in (*card.trained_on, *([card.attributes.trained_on] if card.attributes else [])):
        trained.add_row(*map(escape, (use.name, f"{use.images:,}", use.licence, use.citation)))
    console.print(trained)
    figures = (*card.metrics, *(card.attributes.metrics if card.attributes else ()))
    if figures:
        metrics = Table("figure", "value", "measured on", title="Performance")
        for metric in figures:
            metrics.add_row(escape(metric.name), _value(metric), escape(metric.data))
        console.print(metrics)
    for limit in card.limits:
        console.print(f"- {escape(limit)}")


def _facts(card: Card) -> dict[str, Any]:
    return {
        "use": card.intended_use,
        "licence": card.licence,
        "network": f"{card.model.architecture}, {card.model.parameters:,} parameters",
        "first weights": card.model.pretrained or "random",
        "input": f"{card.preprocess.size} x {card.preprocess.size} px",
        "classes": " ".join(card.classes),
        "temperature": f"{card.calibration.temperature:.3f}, fitted on {card.calibration.fitted_on}",
        "uncertain below": f"{card.thresholds.uncertain_below:.3f}",
    }


def _value(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4f}"
    return f"{metric.value:.4f} ({metric.low:.4f} to {metric.high:.4f})"
