"""``leukopy doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, options
from leukopy.core.errors import EXIT_ERROR
from leukopy.workflows.doctor import DoctorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.table import Table

    from leukopy.workflows.doctor import DoctorResult


@options(DoctorSettings)
def doctor(
    given: Given[DoctorSettings],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine for leukopy: hardware, extras, models, speed; name a remedy for each missing part.

    The exit code is 1 where a bundled model cannot run, else 0. Examples:

        leukopy doctor

        leukopy doctor --seconds 0 --json
    """
    from dataclasses import asdict
    from functools import partial

    from rich.console import Console

    from leukopy.patients.store import bundled_patient_models
    from leukopy.workflows.doctor import doctor

    others = {f"patients/{name}": partial(_open_patient_model, name) for name in bundled_patient_models()}
    with progress_bar() as progress:
        result = doctor(given.build(), others, progress=progress)
    if json:
        import json as format_

        typer.echo(format_.dumps(asdict(result), indent=2))
    else:
        Console().print(_table(result))
        for line in result.advice or ("Nothing is missing.",):
            say(line)
    if not result.healthy:
        raise typer.Exit(EXIT_ERROR)


def _open_patient_model(name: str) -> Path:
    from leukopy.patients.inference.model import PatientModel

    return PatientModel.open(name).bundle.path


def _table(result: DoctorResult) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    table = Table(title="This machine", show_header=False, caption=RESEARCH_USE_ONLY)
    for rows in (_machine(result), _software(result), _speed(result)):
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        table.add_section()
    return table


def _machine(result: DoctorResult) -> Iterator[tuple[str, str]]:
    machine = result.machine
    yield "system", f"{machine.system}; Python {machine.python}"
    yield "cores", f"{machine.cores} of {machine.cores_of_machine} may be used"
    yield "memory", "unknown" if machine.memory is None else f"{machine.memory / 2**30:.1f} GiB"
    for disk in result.disks:
        yield f"disk, {disk.place}", f"{disk.free / 2**30:.1f} GiB free in {disk.path}"


def _software(result: DoctorResult) -> Iterator[tuple[str, str]]:
    yield from result.runtimes.items()
    for extra in result.extras:
        lacks = f"lacks {', '.join(extra.missing)}" if extra.missing else "installed"
        yield f"extra {extra.name}", f"{lacks} ({extra.use})"
    for model in result.models:
        yield f"model {model.name}", model.problem or f"{(model.size or 0) / 1e6:.2f} MB, checked and run"
    yield from result.environment.items()


def _speed(result: DoctorResult) -> Iterator[tuple[str, str]]:
    if result.speed:
        yield "files to rows", f"{result.speed.images_per_s:,.0f} images/s"
        yield "decoding alone", f"{result.speed.decoded_per_s:,.0f} images/s"
