"""The files that people and programs read of a cross-validation of patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.core.files import write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.intervals import Estimate
from leukopy.patients.evaluation.crossval import (
    PairedDifference,
    PatientFigures,
    TriagePoint,
    at_chance,
    over_permutations,
)
from leukopy.patients.reports.pictures import calibration_png, patients_png, roc_png
from leukopy.reports.rendering import embedded, flat, render

COLUMNS = {
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "brier": "Brier score",
}
"""Field of `PatientFigures` -> its heading, in the order they are printed."""

GAINS = {"balanced_accuracy": "balanced accuracy", "auc": "AUC"}
"""Field of `PairedDifference` -> its heading."""

AVERAGED_GAIN = "gain in AUC, repeats averaged"
"""Heading of the difference that DeLong's test is of."""


@dataclass(frozen=True)
class ModelResult:
    """One model in cross-validation."""

    title: str
    figures: PatientFigures
    paired: PairedDifference | None
    """Against the model of the clinical numbers alone; None for that model itself."""
    oof: pl.DataFrame
    """Rows of ``OOF_SCHEMA``."""
    chosen: Mapping[str, int] = field(default_factory=dict)
    """Candidate settings -> how many outer folds picked them."""


@dataclass(frozen=True)
class CrossvalContent:
    """All that the report shows."""

    title: str
    models: Mapping[str, ModelResult]
    """By name, at least one, all of the same patients."""
    controls: Mapping[str, PatientFigures]
    """Runs whose labels were permuted among the patients before anything was learnt."""
    protocol: Sequence[str]
    """What was done, in whole sentences."""
    notes: Sequence[str]
    """What a reader must know first."""
    provenance: Mapping[str, Any]


def write_crossval(folder: Path, content: CrossvalContent) -> None:
    """Write ``summary.md``, ``report.json`` and ``report.html``.

    Raises:
        OutputError: they cannot be written.
        ValueError: there is no model.
    """
    if not content.models:
        raise ValueError("a report of a cross-validation needs a model")
    write_json(folder / "report.json", _report(content))
    write_text(folder / "summary.md", summary(content))
    write_text(folder / "report.html", _page(content))


def show(estimate: Estimate, signed: bool = False) -> str:
    """``0.913 (0.871 to 0.950)``, or what of it is known; ``+0.052 (…)`` for a difference."""
    if estimate.value is None:
        return "–"
    sign = "+" if signed else ""
    limits = limits_of(estimate, signed)
    return f"{estimate.value:{sign}.3f}" + (f" ({limits})" if limits else "")


def limits_of(estimate: Estimate, signed: bool = False) -> str:
    """``0.871 to 0.950``; empty where the limits are not known."""
    if estimate.low is None or estimate.high is None:
        return ""
    sign = "+" if signed else ""
    return f"{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}"


def p_value(p: float | None) -> str:
    """Three decimals, never the certainty of 0."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def triage_words(triage: TriagePoint) -> str:
    """What the triage point means for a hundred patients of each kind."""
    found, spared = triage.sensitivity, triage.specificity
    if found.value is None or spared.value is None:
        return "Nothing can be said."
    sent, missed = _hundred(found), 100 - round(100 * found.value)
    verb = "is" if missed == 1 else "are"
    return (
        f"Of 100 tumoral patients {sent} are sent on to flow cytometry and {missed} {verb} missed; "
        f"of 100 reactive ones {_hundred(spared)} are spared it."
    )


def control_words(figures: PatientFigures) -> str:
    """What a run on permuted labels came out at, and whether that is chance."""
    found = f"Balanced accuracy {show(figures.balanced_accuracy)}, AUC {show(figures.auc)}: "
    if at_chance(figures):
        return f"{found}one half lies within both intervals."
    return f"{found}one half lies outside an interval, as in about one honest permutation of five."


def chance_words(controls: Mapping[str, PatientFigures]) -> str:
    """What the runs on permuted labels say together; empty of a single one."""
    if len(controls) < 2:
        return ""
    level = over_permutations(list(controls.values()))
    means = (
        f"Mean of {level.permutations} permutations, with its 95 % interval between them: balanced accuracy "
        f"{show(level.balanced_accuracy)}, AUC {show(level.auc)}."
    )
    if level.at_chance:
        return f"{means} At chance, as it must be."
    return f"{means} Not at chance: look for a way by which labels leak into the training."


def summary(content: CrossvalContent) -> str:
    """The tables as Markdown, with the protocol, the command, the commit and the machine."""
    first = next(iter(content.models.values())).figures
    lines = [
        f"# {_text(content.title)}",
        "",
        f"{first.patients} patients, {first.tumoral} tumoral and {first.patients - first.tumoral} reactive; "
        f"{_times(first.repeats)}. In brackets: 95 % intervals, bootstrapped by patient.",
        "",
        *(f"- {_text(note)}" for note in content.notes),
        *([""] if content.notes else []),
        *_table(["model", *COLUMNS.values(), "between repeats"], _figure_rows(content)),
    ]
    if gains := list(_gain_rows(content)):
        head = ["model", "less", *(f"gain in {name}" for name in GAINS.values()), AVERAGED_GAIN, "DeLong p"]
        lines += ["", "## Paired gain, on the same patients", "", *_table(head, gains)]
    lines += ["", "## Triage", ""]
    lines += [f"- {_text(model.title)}: {triage_words(model.figures.triage)}" for model in content.models.values()]
    lines += ["", "## Permuted labels", ""]
    lines += [f"- {_text(name)}: {control_words(figures)}" for name, figures in content.controls.items()]
    if not content.controls:
        lines.append("Not run.")
    elif together := chance_words(content.controls):
        lines += ["", together]
    lines += ["", "## Protocol", "", *(f"- {_text(sentence)}" for sentence in content.protocol)]
    quoted = [name for name in ("command", "commit", "machine", "created") if name in content.provenance]
    lines += ["", *(f"- {name}: `{content.provenance[name]}`" for name in quoted), f"- {RESEARCH_USE_ONLY}", ""]
    return "\n".join(lines)


def _page(content: CrossvalContent) -> str:
    titles = _unique_titles(content)
    figures = {titles[name]: model.figures for name, model in content.models.items()}
    return render(
        "patients_crossval.html.j2",
        package="leukopy.patients.reports",
        content=content,
        first=next(iter(content.models.values())).figures,
        date=str(content.provenance.get("created", ""))[:10],
        columns=COLUMNS,
        gains=GAINS,
        reference=lambda model: _reference(content, model.paired),
        limits_of=limits_of,
        p_value=p_value,
        times=_times,
        triage_words=triage_words,
        control_words=control_words,
        together=chance_words(content.controls),
        averaged_gain=AVERAGED_GAIN,
        roc=embedded(roc_png(figures)),
        calibration=embedded(calibration_png(figures)),
        patients=embedded(patients_png({titles[name]: model.oof for name, model in content.models.items()})),
        provenance=tuple(flat(content.provenance)),
    )


def _report(content: CrossvalContent) -> dict[str, Any]:
    return {
        "notice": RESEARCH_USE_ONLY,
        "title": content.title,
        "intervals": "95 %, bias-corrected and accelerated bootstrap over patients, stratified by label",
        "models": {
            name: {
                "title": model.title,
                "figures": asdict(model.figures),
                "paired": None if model.paired is None else asdict(model.paired),
                "chosen": dict(model.chosen),
            }
            for name, model in content.models.items()
        },
        "chance": asdict(over_permutations(list(content.controls.values()))) if content.controls else None,
        "controls": {
            name: {"at_chance": at_chance(found), "figures": asdict(found)} for name, found in content.controls.items()
        },
        "protocol": list(content.protocol),
        "notes": list(content.notes),
        "provenance": dict(content.provenance),
    }


def _figure_rows(content: CrossvalContent) -> Iterator[list[str]]:
    for model in content.models.values():
        spread = model.figures.deviations["balanced_accuracy"]
        figures = [show(getattr(model.figures, name)) for name in COLUMNS]
        yield [_text(model.title), *figures, "–" if spread is None else f"± {spread:.3f}"]


def _gain_rows(content: CrossvalContent) -> Iterator[list[str]]:
    for model in content.models.values():
        if model.paired:
            differences = [*(getattr(model.paired, name) for name in GAINS), model.paired.delong.difference]
            gains = [show(difference, signed=True) for difference in differences]
            yield [
                _text(model.title), _text(_reference(content, model.paired)), *gains, p_value(model.paired.delong.p)
            ]  # fmt: skip


def _reference(content: CrossvalContent, paired: PairedDifference | None) -> str:
    """The title of the model that another is compared with; its name where the report does not hold it."""
    if paired is None:
        return ""
    held = {model.figures.model: model.title for model in content.models.values()}
    return held.get(paired.reference, paired.reference)


def _unique_titles(content: CrossvalContent) -> dict[str, str]:
    """Name -> title, with the name behind it where two models have one title."""
    titles = [model.title for model in content.models.values()]
    return {
        name: model.title if titles.count(model.title) == 1 else f"{model.title} ({name})"
        for name, model in content.models.items()
    }


def _times(repeats: int) -> str:
    return "one cross-validation" if repeats == 1 else f"{repeats} cross-validations, each with other folds"


def _hundred(share: Estimate) -> str:
    if share.value is None:
        return "–"
    if share.low is None or share.high is None:
        return f"{100 * share.value:.0f}"
    return f"{100 * share.value:.0f} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _text(text: str) -> str:
    """One line of Markdown that is neither HTML nor the end of a table's cell."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _table(head: Sequence[str], body: Iterator[list[str]] | Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body)]
