"""Options made from a settings class: types, defaults, what was given and what was not."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from leukopy.cli.options import Given, Overwrite, Resume, Spelling, argument, options
from leukopy.core.errors import SettingsError
from leukopy.core.settings import Settings, Shown


class Inner(Settings):
    """A part of the settings."""

    place: Path
    """Where it lies."""


class Example(Settings):
    """One field of each kind."""

    input: Path
    """What is read."""
    inner: Inner
    """A part."""
    count: int = Field(default=24, ge=0, le=50)
    """How many."""
    share: float = 0.5
    """Of the whole."""
    threads: Annotated[int | None, Shown("one per core")] = None
    """Worker threads."""
    pages: bool = True
    """Write pages."""
    level: Literal["fine", "coarse"] = "fine"
    """Which classes."""
    views: Literal[1, 8] = 8
    """Which views."""
    names: tuple[str, ...] = ("a",)
    """Some names."""
    size: tuple[int, int] = (2, 3)
    """Height and width."""
    day: date | None = None
    """A date."""
    weights: dict[str, float] = Field(default_factory=lambda: {"x": 1.0, "y": 2.0})
    """Weight of each."""


SEEN: list[Any] = []


@options(Example, {"input": argument("PATH"), "names": Spelling(names=("--name",))}, apart=(("count", "share"),))
def example(given: Given[Example], out: Path, resume: Resume = False, overwrite: Overwrite = False) -> None:
    """Show the settings."""
    SEEN[:] = [given.build(), out, resume, overwrite]


APP = typer.Typer()
APP.command()(example)


def run(*words: object) -> Any:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(APP, list(map(str, words)))
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return result


def built(*words: object) -> Example:
    result = run("cells", "out", "--place", "here", *words)
    assert result.exit_code == 0, result.output
    return SEEN[0]


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ((), "input", Path("cells")),
        ((), "inner", Inner(place=Path("here"))),
        ((), "count", 24),
        (("--count", 3), "count", 3),
        (("--threads", 2), "threads", 2),
        (("--no-pages",), "pages", False),
        (("--level", "coarse"), "level", "coarse"),
        (("--views", 1), "views", 1),
        ((), "names", ("a",)),
        (("--name", "b", "--name", "c"), "names", ("b", "c")),
        (("--size", 4, 5), "size", (4, 5)),
        (("--day", "2024-06-30"), "day", date(2024, 6, 30)),
        (("--set", "weights.x=3"), "weights", {"x": 3.0, "y": 2.0}),
    ],
)
def test_each_kind_of_field(words, field, value) -> None:
    assert getattr(built(*words), field) == value


def test_help_and_defaults_are_those_of_the_settings() -> None:
    shown = " ".join(run("--help").stdout.split())
    for told in ("[default: 24]", "[default: (one per core)]", "[default: pages]", "[default: fine]", "[default: 8]",
                 "[default: a]", "How many.", "Where it lies. Required without --config.", "YYYY-MM-DD",
                 "Change a value of weights"):  # fmt: skip
        assert told in shown, shown


def test_options_that_are_not_given_leave_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(
        '{"settings": {"input": "old", "inner": {"place": "there"}, "count": 7, "pages": false, "names": ["q"],'
        ' "weights": {"z": 5}}}'
    )
    assert run("--config", file, "out").exit_code != 0  # a positional is a PATH first
    result = run("new", "out", "--config", file, "--set", "weights.x=1", "--count", 24)
    assert result.exit_code == 0, result.output
    settings = SEEN[0]
    assert (settings.input, settings.inner.place, settings.count) == (Path("new"), Path("there"), 24)
    assert (settings.pages, settings.names, settings.weights) == (False, ("q",), {"z": 5, "x": 1})


def test_a_default_that_is_given_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("{views: 1, level: coarse, pages: false}")
    settings = built("--config", file, "--views", 8, "--level", "fine", "--pages")
    assert (settings.views, settings.level, settings.pages) == (8, "fine", True)


def test_what_is_missing_or_clashes_is_told() -> None:
    for words, told in {
        ("cells", "out"): "give --place, or --config",
        ("cells", "out", "--place", "x", "--count", "2", "--share", "1"): "--count: does not go with --share",
        ("cells", "out", "--place", "x", "--resume", "--overwrite"): "--resume: does not go with --overwrite",
        ("cells", "out", "--place", "x", "--set", "count=1"): "write weights.NAME=VALUE",
    }.items():
        result = run(*words)
        assert result.exit_code == 2
        assert told in " ".join(result.stderr.split())
    with pytest.raises(SettingsError, match=r"options: weights\.x"):
        built("--set", "weights.x=much")
