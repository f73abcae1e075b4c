"""The pages of the Python API, made from docstrings by mkdocstrings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

PAGES = {
    "classify": (
        "Classify",
        "Open a model, classify cells and fields.",
        (
            "leukopy",
            "leukopy.slides.classifier",
            "leukopy.slides.record",
            "leukopy.slides.differential",
            "leukopy.fields.detector",
            "leukopy.fields.choose",
            "leukopy.fields.read",
            "leukopy.inference.rows",
        ),
    ),
    "workflows": (
        "Commands as functions",
        "Each command is a function that takes settings and returns a record.",
        (
            "leukopy.workflows.analyze",
            "leukopy.workflows.predict",
            "leukopy.workflows.explain",
            "leukopy.workflows.evaluate",
            "leukopy.workflows.adapt",
            "leukopy.workflows.train",
            "leukopy.workflows.watch",
            "leukopy.workflows.check_slides",
            "leukopy.patients.workflows.predict",
            "leukopy.patients.workflows.train",
            "leukopy.patients.workflows.crossval",
        ),
    ),
    "contracts": (
        "Classes, bundles, tables",
        "The contracts between training and everything else.",
        (
            "leukopy.taxonomy.classes",
            "leukopy.taxonomy.objects",
            "leukopy.taxonomy.attributes",
            "leukopy.bundle.card",
            "leukopy.bundle.detector",
            "leukopy.bundle.store",
            "leukopy.datasets.manifest",
            "leukopy.core.errors",
            "leukopy.core.settings",
        ),
    ),
    "numbers": (
        "Measures and figures",
        "Functions of arrays.",
        (
            "leukopy.evaluation.classification",
            "leukopy.evaluation.calibration",
            "leukopy.evaluation.intervals",
            "leukopy.evaluation.detection",
            "leukopy.imaging.decode",
            "leukopy.imaging.segmentation",
            "leukopy.imaging.measures",
            "leukopy.imaging.stains",
            "leukopy.synthesis",
        ),
    ),
}


def pages() -> dict[str, Callable[[], str]]:
    """A page for each part of the API, by its place in the site."""
    return {f"api/{name}.md": partial(page, *content) for name, content in PAGES.items()}


def page(title: str, sentence: str, modules: tuple[str, ...]) -> str:
    """The directives that mkdocstrings reads."""
    return "\n".join([f"# {title}", "", sentence, "", *(f"::: {module}\n" for module in modules)])
