"""The ``leukopy`` command: its menu, and what all commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from leukopy import __version__
from leukopy.cli.console import one_line_errors, say
from leukopy.cli.lazy import Entry, LazyGroup

_CLI = "leukopy.cli"

_MODEL = {
    "build": Entry(f"{_CLI}.model.build:build", "Make a complete model: train, fit its parts, index it."),
    "evaluate-detector": Entry(
        f"{_CLI}.model.detector:evaluate_detector", "Measure a detector on fields with marked cells."
    ),
    "fit-attributes": Entry(f"{_CLI}.model.attributes:fit_attributes", "Add morphological attributes to a model."),
    "fit-ood": Entry(f"{_CLI}.model.ood:fit_ood", "Add an out-of-distribution score to a model."),
    "fit-outside": Entry(f"{_CLI}.model.outside:fit_outside", "Add blasts and smudge cells to a model."),
    "fit-count-error": Entry(f"{_CLI}.model.count_error:fit_count_error", "Add the classification error of a count."),
    "fit-slide-check": Entry(
        f"{_CLI}.model.slide_check:fit_slide_check", "Add the warning about unfamiliar slides to a model."
    ),
    "index": Entry(f"{_CLI}.model.index:index", "Write an index of training cells into a bundle."),
    "list": Entry(f"{_CLI}.model.cards:list_", "List the bundled models."),
    "show": Entry(f"{_CLI}.model.cards:show", "Show the card of a model."),
}

_STUDY = {
    "datasets": Entry(f"{_CLI}.study.datasets:datasets", "List the data sets that leukopy reads, or show a card."),
    "scan": Entry(f"{_CLI}.study.datasets:scan", "List the images of a data set as a manifest; audit and split them."),
    "explore": Entry(f"{_CLI}.study.explore:explore", "Show light, colour, stain and shape of cells on one page."),
    "clean": Entry(f"{_CLI}.study.clean:clean", "List labels that the cells of other patients contradict."),
    "consensus": Entry(
        f"{_CLI}.study.consensus:consensus", "Several annotators: agreement, consensus, cells to adjudicate."
    ),
    "compare": Entry(f"{_CLI}.study.compare:compare", "Train and measure several recipes on the same images."),
    "stack": Entry(f"{_CLI}.study.stack:stack", "Stack the features of several networks, beside each alone."),
    "transfer": Entry(f"{_CLI}.study.transfer:transfer", "Train in some laboratories, test in the others."),
    "leave-out": Entry(
        f"{_CLI}.study.leave_out:leave_out", "Train without one class; test whether its cells are found."
    ),
    "generate": Entry(f"{_CLI}.study.generate:generate", "Train a generator of cells; make pictures and judge them."),
    "ablate": Entry(f"{_CLI}.study.ablate:ablate", "Try training settings on the folds of a cohort of patients."),
}

_DRAW = {
    "cells": Entry(f"{_CLI}.draw.cells:cells", "Draw pictures of single cells with known classes."),
    "fields": Entry(f"{_CLI}.draw.fields:fields", "Draw fields of view with known cells, red cells and platelets."),
    "slide": Entry(f"{_CLI}.draw.slide:slide", "Draw a whole slide as a pyramidal TIFF, with its truth."),
}

_WHOLE_SLIDES = {
    "check": Entry(f"{_CLI}.slides.check:check", "Check slides: format, levels, scale, missing and broken parts."),
}

_CLUSTER = {
    "plan": Entry(f"{_CLI}.cluster.plan:plan", "List the pictures of many slides, packed into shards."),
    "run": Entry(f"{_CLI}.cluster.run:run", "Analyse the shards of a plan: here, in a job array, or on Ray."),
    "status": Entry(f"{_CLI}.cluster.status:status", "Show the progress of a plan."),
    "merge": Entry(f"{_CLI}.cluster.merge:merge", "Write the results of a finished plan."),
}

_EXCHANGE = {
    "export": Entry(f"{_CLI}.exchange:export", "Write results as pre-labels for Label Studio."),
    "import": Entry(f"{_CLI}.exchange:import_", "Read corrections from Label Studio, CVAT or QuPath."),
}

_PATIENTS = {
    "predict": Entry(f"{_CLI}.patients.predict:predict", "Estimate probability and decision, with the decisive cells."),
    "report": Entry(f"{_CLI}.patients.predict:report", "Write the pages of a finished run again."),
    "scan": Entry(f"{_CLI}.patients.data:scan", "Count a cohort's patients and cells, and list its problems."),
    "train": Entry(f"{_CLI}.patients.train:train", "Cross-validate a recipe, and train its model on all patients."),
    "crossval": Entry(f"{_CLI}.patients.train:crossval", "Measure recipes by nested, repeated cross-validation."),
    "cohorts": Entry(f"{_CLI}.patients.data:cohorts", "List the cohorts that leukopy reads, or show a card."),
    "draw": Entry(f"{_CLI}.patients.data:draw", "Draw patients with known truth."),
    "demo": Entry(f"{_CLI}.patients.demo:demo", "Draw patients, classify them, and write their pages."),
}

_BEGIN, _SLIDES, _MODELS = "Begin", "Slides and patients", "Models and studies"

MENU = {
    "demo": Entry(f"{_CLI}.demo:demo", "Draw fields, find and classify their cells, compare with the truth.", _BEGIN),
    "doctor": Entry(f"{_CLI}.doctor:doctor", "Check this machine: speed, extras, missing parts.", _BEGIN),
    "draw": Entry(_DRAW, "Draw cells, fields or a whole slide with known truth.", _BEGIN),
    "analyze": Entry(
        f"{_CLI}.analyze:analyze", "From cells, fields or slides to differential count and report.", _SLIDES
    ),
    "watch": Entry(f"{_CLI}.watch:watch", "Analyse pictures as a camera saves them.", _SLIDES),
    "predict": Entry(f"{_CLI}.predict:predict", "Classify cell images, one row each.", _SLIDES),
    "slides": Entry(_WHOLE_SLIDES, "Check whole slides before they are analysed.", _SLIDES),
    "explain": Entry(f"{_CLI}.explain:explain", "Show heat maps of the evidence in each cell.", _SLIDES),
    "review": Entry(f"{_CLI}.review:app", "Check, correct and sign differentials in the browser.", _SLIDES),
    "patients": Entry(
        _PATIENTS, "Reactive or tumoral lymphocytosis: from a patient's cells, age and lymphocyte count.", _SLIDES
    ),
    "cluster": Entry(_CLUSTER, "Analyse millions of pictures on many machines: plan, run, status, merge.", _SLIDES),
    "exchange": Entry(_EXCHANGE, "Exchange labels with Label Studio, CVAT and QuPath.", _SLIDES),
    "mcp": Entry(f"{_CLI}.mcp:mcp", "Let an assistant read slides (MCP, read-only).", _SLIDES),
    "evaluate": Entry(f"{_CLI}.evaluate:evaluate", "Measure a model on labelled images.", _MODELS),
    "adapt": Entry(f"{_CLI}.adapt:adapt", "Fit a model to your laboratory, from 20 to 200 labelled cells.", _MODELS),
    "train": Entry(f"{_CLI}.train:train", "Train a classifier from a recipe.", _MODELS),
    "model": Entry(_MODEL, "Build models, fit their parts, list them and show their cards.", _MODELS),
    "study": Entry(_STUDY, "Data sets and experiments: explore, clean, consensus, compare, stack, transfer.", _MODELS),
}

_MOVED = {
    ("datasets", "list"): ("study", "datasets"),
    ("datasets", "show"): ("study", "datasets"),
    ("datasets", "scan"): ("study", "scan"),
    ("study", "draw"): ("draw", "cells"),
    ("explore",): ("study", "explore"),
    ("compare",): ("study", "compare"),
    ("patients", "ablate"): ("study", "ablate"),
    ("models",): ("model",),
    ("fit-attributes",): ("model", "fit-attributes"),
    ("fit-open-set",): ("model", "fit-ood"),
    ("fit-slide-check",): ("model", "fit-slide-check"),
}
"""Former names of commands, which still run."""


class _Root(LazyGroup):
    """The errors of every command, and Ctrl-C, end in one line: here, since typer answers Ctrl-C without a word."""

    entries = MENU

    def invoke(self, ctx: Any) -> Any:
        with one_line_errors():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] == "draw" and args[1:] and args[1].startswith("-") and args[1] != "--help":  # as 0.1.0 had it
            args = ["study", *args]
        for old, new in _MOVED.items():
            if tuple(args[: len(old)]) == old:
                say(f"leukopy: '{' '.join(old)}' is now '{' '.join(new)}'.")
                return super().resolve_command(ctx, [*new, *args[len(old) :]])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Root,
    name="leukopy",
    help="Blood-cell microscopy: from fields, whole slides or cells to a signed differential count. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """The options of ``leukopy`` itself."""


def main() -> None:
    """Run the command line."""
    app()
