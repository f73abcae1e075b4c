"""Progress bars, error lines and exit codes, the same for every command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leukopy.core.errors import EXIT_ERROR, EXIT_INTERRUPTED, LeukopyError

if TYPE_CHECKING:
    from pathlib import Path

    from leukopy.core.progress import Progress

_SHOWN_FAILURES = 3


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar per stage on standard error, and nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, int] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = int(bars.add_task(stage, total=total))
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield report


def say(message: str) -> None:
    """Print a line for people on standard error; standard output is for results."""
    print(message, file=sys.stderr)  # noqa: T201


def say_failures(told: str, table: Path) -> None:
    """Print the first messages of a table of failures, and where the others lie."""
    import polars as pl

    for message in pl.scan_csv(table, infer_schema=False).select("message").head(_SHOWN_FAILURES).collect().to_series():
        say(message)
    say(f"{told}: {table}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn leukopy's own errors, and Ctrl-C, into one line and an exit code."""
    try:
        yield
    except LeukopyError as error:
        say(f"leukopy: {error}")
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt as interrupt:
        say(f"leukopy: interrupted; {str(interrupt) or 'finished results are saved.'}")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # `leukopy predict … | head`
        sys.stderr.close()
        sys.exit(EXIT_ERROR)
