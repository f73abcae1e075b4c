"""``leukopy evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from leukopy.evaluation.levels import Evaluation


def evaluate(  # noqa: PLR0913, PLR0917 (one option per setting)
    data: Annotated[
        str,
        typer.Argument(help="A manifest (CSV, Parquet), the name of a data set, or the run.json of an evaluation."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    model: Annotated[
        str | None, typer.Option(help="A bundled model, or a bundle folder.", show_default="default")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all.", show_default="test; all without splits")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the data set lies.")] = None,
    examples: Annotated[
        int | None, typer.Option(help="Pictures of each confusion in the page; 0: none.", show_default="6")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the figures that OUT holds.")] = False,
    into_card: Annotated[bool, typer.Option("--into-card", help="Write the averages into the model's card.")] = False,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="DATA says where to train and test: one model for each arm and seed.")
    ] = False,
    open_set: Annotated[
        bool, typer.Option("--open-set", help="DATA says which classes to leave out of the training, and to look for.")
    ] = False,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="With --transfer or --open-set: only this arm, or left-out class; may be repeated."),
    ] = None,
) -> None:
    """Measure a model on labelled images: accuracy, F1, calibration, each with its 95 % interval.

    Labels known only as `neutrophil` or `ig` count at the 8 classes and are left out of the 11. Images without a label,
    and those of other classes (blasts, smudge cells), are left out and counted. The page, `report.html`, shows the
    most frequent confusions and the labels that deserve a second look, with pictures; it stays on this machine. In a
    manifest, `label2` or `code2` holds the labels of a second annotator: agreement is then measured as Cohen's kappa.
    With `--transfer`, models are trained in some laboratories and tested in the others; with `--open-set`, without one
    class each, whose cells they should find strange; what is finished is kept, and the same command goes on. Examples:

        leukopy evaluate pbc --root data/PBC_dataset_normal_DIB --split all --out results/pbc

        leukopy evaluate my_slides.csv --model runs/default/bundle --split val --out results/mine

        leukopy evaluate results/mine/run.json --model runs/other/bundle --out results/other

        leukopy evaluate configs/transfer.yaml --transfer --out runs/transfer --arm pbc

        leukopy evaluate configs/open_set.yaml --open-set --out runs/open_set
    """
    if transfer:
        from leukopy.cli.study.transfer import run_transfer

        run_transfer(Path(data), out, arm or [])
        return
    if open_set:
        from leukopy.cli.model.ood import run_left_out

        run_left_out(Path(data), out, arm or [])
        return
    if arm:
        raise typer.BadParameter("goes with --transfer or --open-set.", param_hint="--arm")
    from leukopy.workflows.evaluate import EvaluateSettings, evaluate

    changes = {"root": root, "model": model, "split": split, "examples": examples}
    if data.endswith(".json"):
        settings = EvaluateSettings.read(Path(data), **changes)
    else:
        given = {name: value for name, value in changes.items() if value is not None}
        settings = EvaluateSettings.build({"data": data, **given})
    with progress_bar() as progress:
        result = evaluate(settings, out, overwrite=overwrite, into_card=into_card, progress=progress)
    _print(result.evaluation)
    say(f"Page: {result.out / 'report.html'}. Figures to keep: {result.out / 'summary.md'}")
    if result.doubtful:
        labels = "1 label deserves" if result.doubtful == 1 else f"{result.doubtful:,} labels deserve"
        say(f"{labels} a second look: {result.out / 'label_errors.csv'}")
    if result.failures:
        images = "1 image" if result.failures == 1 else f"{result.failures:,} images"
        say(f"{images} could not be read: {result.out / 'failures.csv'}")
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
    if counts["unlabelled"] or counts["outside"]:
        say(f"Left out: {counts['unlabelled']:,} images without a label, {counts['outside']:,} outside the classes.")
