"""``leukopy evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.evaluate import EvaluateSettings

if TYPE_CHECKING:
    from leukopy.evaluation.levels import Evaluation


@options(EvaluateSettings, {"data": argument("DATA")})
def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    given: Given[EvaluateSettings],
    overwrite: Overwrite = False,
    into_card: Annotated[bool, typer.Option("--into-card", help="Write the averages into the model's card.")] = False,
) -> None:
    """Measure a model on labelled images: accuracy, F1, calibration, each with its 95 % interval.

    Labels known only as `neutrophil` or `ig` count at the coarse classes and not at the fine ones. Images without a
    label, and those of other classes (blasts, smudge cells), are left out and counted. The page, `report.html`, shows
    the most frequent confusions and the doubtful labels, with pictures; it stays on this machine. In a manifest,
    `label2` or `code2` holds the labels of a second annotator: agreement is then measured as Cohen's kappa. Examples:

        leukopy evaluate pbc --root data/PBC_dataset_normal_DIB --split all --out results/pbc

        leukopy evaluate my_slides.csv --model runs/default/bundle --split val --out results/mine

        leukopy evaluate --config results/mine/run.json --model runs/other/bundle --out results/other
    """
    from leukopy.workflows.evaluate import evaluate

    if str(given.values.get("data", "")).endswith(".json"):
        raise typer.BadParameter("settings go with --config; DATA is a manifest or a data set.", param_hint="DATA")
    with progress_bar() as progress:
        result = evaluate(given.build(), out, overwrite=overwrite, into_card=into_card, progress=progress)
    _print(result.evaluation)
    say(f"Page: {result.out / 'report.html'}. Figures to keep: {result.out / 'summary.md'}")
    if result.doubtful:
        labels = "1 label deserves" if result.doubtful == 1 else f"{result.doubtful:,} labels deserve"
        say(f"{labels} to review: {result.out / 'label_errors.csv'}")
    if result.failures:
        images = "1 image" if result.failures == 1 else f"{result.failures:,} images"
        say_failures(f"{images} could not be read", result.out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)


def _print(evaluation: Evaluation) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.evaluation import averages, show
    from leukopy.taxonomy import find

    console, counts = Console(), evaluation.counts
    total = Table("", *(level.name for level in evaluation.levels), box=SIMPLE)
    total.title = f"{evaluation.model} on {evaluation.data}, {evaluation.split}"
    total.caption = f"95 % intervals, bootstrapped by {evaluation.drawn_by}"
    total.add_row("images", *(f"{level.classification.images:,}" for level in evaluation.levels))
    for name in averages(evaluation.coarse):
        total.add_row(name, *(show(averages(level)[name]) for level in evaluation.levels))
    console.print(total)
    for level in evaluation.levels:
        table = Table("class", "images", "F1", "precision", "recall", title=level.name, box=SIMPLE, pad_edge=False)
        for score in level.classification.classes:
            if score.support:
                name, images = f"{find(score.code).name} ({score.code})", f"{score.support:,}"
                shares = (
                    "–" if part.value is None else f"{part.value:.3f}" for part in (score.precision, score.recall)
                )
                table.add_row(name, images, show(score.f1, 3), *shares)
        console.print(table)
    if evaluation.agreement:
        table = Table("between", "level", "images", "kappa", "raw agreement", title="agreement", box=SIMPLE)
        for pair in evaluation.agreement:
            who = f"{pair.first} and {pair.second}"
            table.add_row(who, pair.level, f"{pair.images:,}", show(pair.kappa, 3), show(pair.raw, 3))
        console.print(table)
    for note in evaluation.notes:
        say(note)
    if counts["learnt"]:
        say(f"Left out: {counts['learnt']:,} images that the model learnt from; --with-learnt measures on them too.")
    if counts["unlabelled"] or counts["outside"]:
        say(f"Left out: {counts['unlabelled']:,} images without a label, {counts['outside']:,} outside the classes.")
